"""``.dockerignore``: which files of the context the builder does not see.

One pattern a line, always from the context's top. A path is ignored when a pattern matches it *or a folder above it*; ``!``
takes a path back; the last line that matches decides. So ``*`` and then ``!src`` lets only ``src`` in, and the other way
round lets nothing in. It is not ``.gitignore``: ``*.log`` is only at the top, ``**/*.log`` is everywhere.

The Dockerfile and ``.dockerignore`` are paths like any other here. Source: the Dockerfile reference, ".dockerignore files".
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable, Iterable
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from lib.build.globs import BadGlob, compile_glob, compile_ignore
from lib.dockerfile.expansion import SPACE
from lib.visible import Visible

if TYPE_CHECKING:
    from lib.beneath import Folder

AT_MOST = 1 << 20  # bytes of a .dockerignore, as of a Dockerfile


class IgnoreError(Visible, ValueError):
    """A line that is no pattern; the message names file and line."""


class Rule(NamedTuple):
    """One line: its number (from 1), its text, the cleaned pattern; ``takes_back`` for a line with ``!``."""

    file: str
    line: int
    text: str
    pattern: str
    takes_back: bool
    matches: Callable[[str], object]

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text}"


class Ignore:
    """The rules of one file. Raises: IgnoreError.

    Args:
        lines: the file's lines, with or without line ends.
        file: its name, for messages.
    """

    def __init__(self, lines: Iterable[str], file: str = ".dockerignore"):
        self.rules = [rule for number, line in enumerate(lines, 1) if (rule := _rule(file, number, line))]

    def match(self, path: str) -> Rule | None:
        """The rule that decides about ``path`` (relative to the context, with ``/``), or None where no rule speaks of it.

        The path is ignored if there is one and it does not take back.
        """
        deciding, ignored = None, False
        for rule in self.rules:
            if rule.takes_back == ignored and rule.matches(path):
                deciding, ignored = rule, not ignored
        return deciding

    def ignored(self, path: str) -> bool:
        rule = self.match(path)
        return rule is not None and not rule.takes_back

    def skips(self, folder: str) -> bool:
        """Is the folder ignored with all that can ever be below it? Then nobody needs to look into it."""
        rule = self.match(folder)
        if rule is None or rule.takes_back:
            return False
        later = self.rules[self.rules.index(rule) + 1 :]
        return not any(rule.takes_back and _reaches_below(rule.pattern, folder) for rule in later)


def open_ignore(top: Folder, beside: tuple[Folder, str] | None = None) -> Ignore:
    """The rules for a context: ``<Dockerfile>.dockerignore`` beside the Dockerfile (a folder, and the name in it), or ``.dockerignore``.

    A link may lead to it, but not out of the folder: which files come into the image tells what the rules are.
    Raises: IgnoreError, OSError.
    """
    from lib.beneath import Outside  # it brings ctypes along: who only reads rules need not wait for that

    for folder, name in (*([(beside[0], f"{beside[1]}.dockerignore")] if beside else []), (top, ".dockerignore")):
        if os.path.isfile(f"/proc/self/fd/{folder.fd}/{name}"):
            try:
                with folder.open(name) as file:
                    data = file.read(AT_MOST + 1)
            except Outside:
                raise IgnoreError(f"{name} leads out of the build context: put the rules themselves in its place") from None
            if len(data) > AT_MOST:
                raise IgnoreError(f"{name} is larger than {AT_MOST} bytes: name folders instead of each file in them")
            return Ignore(data.decode("utf-8", "surrogateescape").splitlines(), name)
    return Ignore([])


def _rule(file: str, number: int, line: str) -> Rule | None:
    line = line.removeprefix("\ufeff") if number == 1 else line
    text = line.strip(SPACE)
    if line.startswith("#") or not text:  # a # behind a space is part of a name
        return None
    takes_back = text.startswith("!")
    pattern = _cleaned(text[1:].strip(SPACE) if takes_back else text)
    if not pattern and not takes_back:
        return None
    if takes_back and pattern in ("", "/"):
        raise IgnoreError(f"{file}:{number}: {text}: '!' alone takes nothing back; write a pattern after it, for example !README.md")
    try:
        return Rule(file, number, text, pattern, takes_back, compile_ignore(pattern))
    except BadGlob as error:
        raise IgnoreError(f"{file}:{number}: {text[:80]}: {error}") from None


def _cleaned(pattern: str) -> str:
    """Without ``./``, ``a/../``, double and trailing slashes, and without the slash in front: the context is the top anyway."""
    if not pattern:
        return ""
    clean = posixpath.normpath(pattern)
    clean = ((clean.lstrip("/") or "/") if clean.startswith("/") else clean).strip(SPACE)
    return clean and posixpath.normpath(clean)  # a folder whose name was only spaces has gone, its slash goes, too


def _reaches_below(pattern: str, folder: str) -> bool:
    """Could the pattern match a path below ``folder``? Compared name by name, up to the first ``**``, set or backslash."""
    names = pattern.split("/")
    for number, name in enumerate(folder.split("/")):
        if number == len(names):
            return False
        if "**" in names[number] or set("[\\") & set(names[number]):
            return True
        if not _name(names[number]).fullmatch(name):
            return False
    return len(names) > folder.count("/") + 1


_name = cache(compile_glob)
