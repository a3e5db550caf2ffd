"""The name of an image, taken apart as Docker does it.

``nginx`` is short for ``docker.io/library/nginx:latest``. The long form has four parts: which registry to ask, which
repository of it, and there a tag (a name that may move to another image tomorrow) or a digest (the image's own
fingerprint, which may not). The grammar is that of github.com/distribution/reference.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from lib.visible import Visible

HUB = "docker.io"
HUBS_OLD_NAME = "index.docker.io"
OFFICIAL = "library/"  # where the Hub keeps the images that have no owner in their name
LONGEST_REPOSITORY = 255
LONGEST_TAG = 128
DIGEST_LENGTHS = {"sha256": 64, "sha384": 96, "sha512": 128}  # hexadecimal digits

_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_HOST = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
_HEX = r"[0-9a-f]+"


class BadReference(Visible, ValueError):
    """Not the name of an image. The message says which part is wrong and what to write instead."""


class Reference(NamedTuple):
    """An image's full name. ``str()`` gives the canonical form, which reads the same on every machine."""

    registry: str
    repository: str
    tag: str | None = None
    digest: str | None = None

    def __str__(self) -> str:
        return f"{self.registry}/{self.repository}{self._which()}"

    @property
    def familiar(self) -> str:
        """The short form that people write: without the Hub and without ``library/``; the tag stays."""
        name = self.repository
        if self.registry != HUB:
            name = f"{self.registry}/{name}"
        elif name.count("/") == 1:
            name = name.removeprefix(OFFICIAL)
        return name + self._which()

    def _which(self) -> str:
        return (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")


def parse(text: str) -> Reference:
    """Take ``text`` apart and fill in what is left out: ``docker.io``, ``library/``, and ``latest`` without tag and digest.

    Raises: BadReference.
    """
    if re.fullmatch(r"[a-f0-9]{64}", text):
        raise BadReference(f"{text}: 64 hexadecimal digits are an image's id, not a name; write name@sha256:{text}")
    registry, rest = _registry(text)
    rest, at, digest = rest.partition("@")
    repository, colon, tag = rest.partition(":")
    _check_repository(text, repository)
    if colon:
        _check_tag(text, tag)
    if at:
        _check_digest(text, digest)
    if registry == HUB and "/" not in repository:
        repository = OFFICIAL + repository
    if len(repository) > LONGEST_REPOSITORY:
        raise BadReference(
            f"{_short(text)}: a repository's name has at most {LONGEST_REPOSITORY} characters, this one has {len(repository)}"
        )
    return Reference(registry, repository, tag if colon else (None if at else "latest"), digest or None)


def _registry(text: str) -> tuple[str, str]:
    """The registry and the rest. The first part names a registry if it cannot be an owner's name: it has a dot, a port or a capital."""
    first, slash, rest = text.partition("/")
    if not slash or not (first == "localhost" or "." in first or ":" in first or first != first.lower()):
        return HUB, text
    if not re.fullmatch(_HOST, first):
        raise BadReference(f"{_short(text)}: '{_short(first)}' is not a registry; write host/name or host:5000/name")
    return (HUB if first == HUBS_OLD_NAME else first), rest


def _check_repository(text: str, repository: str) -> None:
    if not repository:
        raise BadReference(f"{_short(text)!r}: the image has no name; write one, for example alpine:3.20")
    if repository != repository.lower():
        raise BadReference(f"{_short(text)}: the name of an image is in lower case; write {_short(repository.lower())}")
    for component in repository.split("/"):
        if not re.fullmatch(_COMPONENT, component):
            raise BadReference(f"{_short(text)}: {_what_is_wrong(component)}")


def _what_is_wrong(component: str) -> str:
    if not component:
        return "two slashes in a row, or one at the end; write owner/name"
    if ".." in component:
        return f"'..' is not allowed in '{_short(component)}'; a single dot between letters or digits is fine"
    return f"'{_short(component)}' is not part of a name; write a-z and 0-9, with one of . _ __ - between them"


def _check_tag(text: str, tag: str) -> None:
    if len(tag) > LONGEST_TAG:
        raise BadReference(f"{_short(text)}: a tag has at most {LONGEST_TAG} characters, this one has {len(tag)}")
    if not re.fullmatch(_TAG, tag):
        raise BadReference(f"{_short(text)}: {_short(tag)!r} is not a tag; write A-Z, a-z, 0-9, _ . -, and no dot or dash first")


def _check_digest(text: str, digest: str) -> None:
    algorithm, _, value = digest.partition(":")
    length = DIGEST_LENGTHS.get(algorithm)
    if length is None:
        raise BadReference(f"{_short(text)}: '{_short(digest)}' is not a digest; write sha256: and 64 hexadecimal digits")
    if not re.fullmatch(_HEX, value) or len(value) != length:
        raise BadReference(
            f"{_short(text)}: a {algorithm} digest has {length} digits 0-9 and a-f; '{_short(value)}' has {len(value)} characters"
        )


def _short(text: str) -> str:
    """What a message can hold of a text from a stranger."""
    return text if len(text) <= 80 else text[:60] + "…"
