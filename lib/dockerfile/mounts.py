"""``RUN --mount=type=cache,target=/root/.cache``: what a RUN sees in its file system that does not stay in the layer.

The options are separated by commas, as in one line of a CSV file. Source: the Dockerfile reference, "RUN --mount".
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from typing import NamedTuple

from lib.dockerfile.positions import Place, suggestion

TYPES = ("bind", "cache", "tmpfs", "secret", "ssh")
SHARING = ("shared", "private", "locked")
_FIELD = r'"((?:[^"]|"")*)"(?:,|\Z)|([^,"]*)(?:,|\Z)'
_SIZE = r"([0-9]+(?:\.[0-9]+)?) ?(?:([kmgtp])?i?b?)"
UNITS = "bkmgtp"


class Mount(NamedTuple):
    """One mount. ``text`` is the flag's value as written; ``size`` is in bytes; ``mode`` is a number, 0o755.

    While ``text`` holds a variable, what depends on it is not known yet: see ``is_final``.
    """

    text: str
    type: str = "bind"
    target: str | None = None
    source: str | None = None
    from_: str | None = None
    id: str | None = None
    sharing: str | None = None
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    read_only: bool = False
    required: bool = False
    size: int | None = None
    env: str | None = None
    is_final: bool = True

    @property
    def secret(self) -> str:
        """What a secret is called: its id, else its source, else its target's last name."""
        return self.id or self.source or posixpath.basename(self.target or "")


# Other names of the options, and what each value must be.
ALIASES = {"src": "source", "dst": "target", "destination": "target", "ro": "readonly", "rw": "readwrite"}
SWITCHES = ("readonly", "readwrite", "required")
TEXTS = ("from", "source", "target", "id", "env")
NUMBERS = {"mode": 8, "uid": 10, "gid": 10}
OPTIONS = ("type", "sharing", "size", *TEXTS, *SWITCHES, *NUMBERS, *ALIASES)
# Which type knows which option; the others are for all.
ONLY = {
    "required": ("secret", "ssh"),
    "size": ("tmpfs",),
    "sharing": ("cache",),
    "mode": ("secret", "ssh", "cache"),
    "uid": ("secret", "ssh", "cache"),
    "gid": ("secret", "ssh", "cache"),
}


def parse(text: str, place: Place, expand: Callable[[str], str] | None = None) -> Mount:
    """One ``--mount``. Without ``expand`` values with a ``$`` are left for later. Raises: DockerfileError."""
    given: dict[str, str] = {}
    is_final = True
    for field in _fields(text, place):
        name, equals, value = field.partition("=")
        name = _option(name, place)
        if not equals and name not in SWITCHES:
            raise place.error(f"--mount: '{field[:60]}' has no value", f"write {name}=value", field)
        if "$" in value and name == "from":
            raise place.error(
                "--mount: from= takes no variables", "name the image in a stage, FROM $IMAGE AS tools, and write from=tools", field
            )
        if "$" in value and expand is None:
            is_final = False
            continue
        given[name] = expand(value) if expand else value
    kind = _one_of(given.get("type", "bind").lower(), TYPES, "type", place)
    values = {_field(name): _value(name, value, place) for name, value in given.items() if name not in ("type", "readwrite", "readonly")}
    mount = Mount(text, kind, read_only=_read_only(given, kind, place), is_final=is_final, **values)
    if is_final:
        _check(mount, given, place)
    return mount


def _fields(text: str, place: Place):
    at, field = 0, re.compile(_FIELD)
    while at < len(text):
        match = field.match(text, at)
        if not match:
            raise place.error(
                "--mount: there is a quote in the middle of an option", "put quotes around the whole option, or leave them out", text
            )
        yield match[2] if match[1] is None else match[1].replace('""', '"')
        at = match.end()
    if not text or text.endswith(","):
        yield ""


def _option(name: str, place: Place) -> str:
    name = name.lower()
    if name not in OPTIONS:
        near = suggestion(name, OPTIONS)
        raise place.error(f"--mount: unknown option '{name[:60]}'{near}", f"there are {' '.join(OPTIONS)}", name)
    return ALIASES.get(name, name)


def _field(name: str) -> str:
    return "from_" if name == "from" else name


def _value(name: str, value: str, place: Place):
    if name in NUMBERS:
        return _number(name, value, place)
    if name == "required":
        return _switch(name, value, place)
    if name == "size":
        return size(value, place)
    return _one_of(value.lower(), SHARING, name, place) if name == "sharing" else value


def _number(name: str, value: str, place: Place) -> int:
    base = NUMBERS[name]
    digits = r"0*[0-7]{1,4}" if base == 8 else r"[0-9]{1,10}"
    if not re.fullmatch(digits, value, re.ASCII) or int(value, base) >= 1 << 32:
        what = "an octal mode, like 0600" if base == 8 else "a number"
        raise place.error(
            f"--mount: {name}={value[:40]} is not {what}", f"write {name}={'0755' if base == 8 else '1000'}", f"{name}={value}"
        )
    return int(value, base)


def _switch(name: str, value: str, place: Place) -> bool:
    """``ro`` alone, or ``ro=true``; Go's words for true and false."""
    if value in ("", "1", "t", "T", "true", "TRUE", "True"):
        return True
    if value in ("0", "f", "F", "false", "FALSE", "False"):
        return False
    raise place.error(f"--mount: {name}={value[:40]} is not true or false", f"write {name}=true or {name}=false", f"{name}={value}")


def _one_of(value: str, known: tuple[str, ...], name: str, place: Place) -> str:
    if value not in known:
        near = suggestion(value, known)
        raise place.error(f"--mount: {name}={value[:40]} is unknown{near}", f"{name} is one of {' '.join(known)}", value)
    return value


def size(text: str, place: Place) -> int:
    """``64m``, ``1.5GiB``, ``1024`` in bytes; the units are powers of 1024. Raises: DockerfileError."""
    match = re.fullmatch(_SIZE, text, re.IGNORECASE) if len(text) <= 40 else None
    if not match:
        raise place.error(f"--mount: size={text[:40]} is not a size", "write a number and a unit, for example size=64m", f"size={text}")
    return int(float(match[1]) * 1024 ** UNITS.index((match[2] or "b").lower()))


def _read_only(given: dict[str, str], kind: str, place: Place) -> bool:
    """The last of ro and rw counts; without either a cache and a tmpfs can be written to, the others cannot."""
    read_only = kind not in ("cache", "tmpfs")
    for name, value in given.items():
        if name in ("readonly", "readwrite"):
            read_only = _switch(name, value, place) == (name == "readonly")
    return read_only


def _check(mount: Mount, given: dict[str, str], place: Place) -> None:
    """What fits together."""
    for name in given:
        if mount.type not in ONLY.get(name, TYPES):
            raise place.error(f"--mount: type={mount.type} has no {name}", f"{name} is for type={' or type='.join(ONLY[name])}", name)
    if mount.type == "secret":
        _check_secret(mount, place)
    elif mount.type != "ssh" and not mount.target:
        raise place.error(f"--mount: type={mount.type} has no target", "write target=/folder: where the command is to see it", mount.text)
    if mount.type == "cache" and mount.source and not mount.from_:
        hint = "source is a folder of what from= names, and what a new cache begins with; a cache of your own has an id"
        raise place.error("--mount: type=cache has a source and no from", hint, "source")


def _check_secret(mount: Mount, place: Place) -> None:
    if mount.from_ is not None:
        raise place.error("--mount: type=secret has no from", "a secret comes from the command line, --secret id=…", "from")
    if not (mount.source or mount.target or mount.id):
        raise place.error("--mount: type=secret needs an id", "write id=name, the name given on the command line", mount.text)
    if mount.source and mount.id:
        raise place.error("--mount: source and id both name the secret", "keep id", "source")
