"""File name patterns: those of COPY (Go's ``filepath.Match``), and those of ``.dockerignore`` and ``--parents``, which know ``**`` too.

    *        any characters of one name           [a-z] [^a]   one character of a set, or not of it
    ?        one character of one name            \\*           the character itself
    **       any number of folders (``.dockerignore`` and ``--parents``)

A pattern becomes one regular expression. A pattern like ``*a*a*a*b`` makes an ordinary translation try every way to share
out the letters, which takes longer than anybody lives. So a star that has found its place keeps it (``(?>…)``, an atomic
group): between two stars the first place is as good as any later one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache

from lib.visible import Visible

STAR, FOLDERS, REST = "*", "**", ".*"  # within a name; "(.*/)?"; all that follows. Every other token is an expression for one character
LONGEST = 4096  # characters, as of a path in the kernel
NAME_ENDS = r"(?:/|\Z)"


class BadGlob(Visible, ValueError):
    """A pattern that means nothing: an open ``[``, a range backwards, a backslash at the end; or one longer than any path."""


def compile_glob(pattern: str) -> re.Pattern:
    """A COPY source as an expression for ``fullmatch`` with a path; ``*`` and ``?`` do not go over a ``/``. Raises: BadGlob."""
    _check_length(pattern)
    return re.compile(_name(list(tokens(pattern))), re.DOTALL)


def compile_ignore(pattern: str) -> Callable[[str], object]:
    """A cleaned pattern with ``**`` as a function that says whether a path, or a folder above it, matches. Raises: BadGlob."""
    _check_length(pattern)
    signs = list(_with_folders(pattern))
    if signs and signs[0] == FOLDERS and pattern[2] != "/" and not set("*?[]\\") & set(pattern[2:]):
        signs[0] = REST  # "**name" is every path that ends so, barname too
    if not _is_regular(signs):
        return _walker(signs)
    return re.compile(_regex(signs), re.DOTALL).match


def _check_length(pattern: str) -> None:
    if len(pattern) > LONGEST:
        raise BadGlob(f"'{pattern[:60]}…' has {len(pattern)} characters, at most {LONGEST} are taken: no path is longer")


# -- reading a pattern -------------------------------------------------------------------------


def tokens(pattern: str) -> Iterable[str]:
    """The pattern, one token for each sign. Raises: BadGlob."""
    at = 0
    while at < len(pattern):
        char = pattern[at]
        if char == "[":
            sign, at = _set(pattern, at + 1)
        elif char == "\\":
            escaped, at = _escaped(pattern, at)
            sign = re.escape(escaped)
        else:
            sign, at = {"*": STAR, "?": "[^/]"}.get(char) or re.escape(char), at + 1
        yield sign


def _escaped(pattern: str, at: int) -> tuple[str, int]:
    """The character at ``at``, which a backslash may protect, and where the next one is."""
    at += pattern[at : at + 1] == "\\"
    if at >= len(pattern):
        raise BadGlob(f"'{pattern[-60:]}' ends in the middle: nothing follows the backslash, or a ']' is missing")
    return pattern[at], at + 1


def _set(pattern: str, at: int) -> tuple[str, int]:
    """What stands after ``[``, as an expression."""
    no = pattern[at : at + 1] == "^"
    at += no
    parts = []
    while not (parts and pattern[at : at + 1] == "]"):
        if pattern[at : at + 1] in ("-", "]"):
            raise BadGlob(
                f"a set in '{pattern[:60]}' begins with '{pattern[at]}' or is empty; write \\{pattern[at]} for the character itself"
            )
        first, at = _escaped(pattern, at)
        last = first
        if pattern[at : at + 1] == "-":
            last, at = _last_of_range(pattern, at + 1)
        if last < first:
            raise BadGlob(f"the range {first}-{last} in '{pattern[:60]}' runs backwards; write {last}-{first}")
        parts.append(f"{re.escape(first)}-{re.escape(last)}")
    return f"[{'^' * no}{''.join(parts)}]", at + 1


def _last_of_range(pattern: str, at: int) -> tuple[str, int]:
    if pattern[at : at + 1] in ("-", "]"):
        raise BadGlob(f"a range in '{pattern[:60]}' has no end; write \\- for a dash that is only a character")
    return _escaped(pattern, at)


def _with_folders(pattern: str) -> Iterable[str]:
    """The tokens, with two stars as FOLDERS (the slash behind them belongs to it) or, at the end, REST."""
    while pattern:
        before, stars, rest = _cut_at_two_stars(pattern)
        yield from tokens(before)
        if not stars:
            return
        pattern = rest.removeprefix("/")
        yield FOLDERS if pattern else REST


def _cut_at_two_stars(pattern: str) -> tuple[str, str, str]:
    """``str.partition("**")`` that passes over ``\\*`` and over sets."""
    for found in re.finditer(r"\\.|\[\^?(?:\\.|[^\]\\])+\]?|\*\*", pattern, re.DOTALL):
        if found[0] == "**":
            return pattern[: found.start()], "**", pattern[found.end() :]
    return pattern, "", ""


# -- writing the expression --------------------------------------------------------------------


def _is_regular(signs: list[str]) -> bool:
    """Does every ``**`` begin where a name begins, and no set hold the slash? Nearly all patterns are so."""
    for before, sign in zip(["/", *signs], signs, strict=False):
        if sign == FOLDERS and before not in ("/", FOLDERS):
            return False
        if sign != "[^/]" and sign[0] == "[" and re.fullmatch(sign, "/"):
            return False
    return True


def _regex(signs: list[str]) -> str:
    """Each stretch of names between two ``**`` is taken where it is found first."""
    first, *stretches = _split(signs, FOLDERS)
    if not stretches:
        return _names(first)
    middle = "".join(f"(?>(?:.*?/)??{_names(stretch)})" for stretch in stretches[:-1])
    return _names(first) + middle + f"(?:.*?/)??{_names(stretches[-1])}"


def _names(signs: list[str]) -> str:
    """Names with slashes between them; the last one ends where the path or a folder above it ends, or at a ``**``."""
    *folders, last = _split(signs, "/")
    text = "".join(f"(?>{_name(folder)}/)" for folder in folders)
    if not last:
        return text if folders else ""
    return text + (_name(last) if last[-1] == REST else _name(last) + NAME_ENDS)


def _name(signs: list[str]) -> str:
    first, *pieces = ["".join(piece) for piece in _split(signs, STAR)]
    if not pieces:
        return first
    return first + "".join(f"(?>[^/]*?{piece})" for piece in pieces[:-1]) + f"[^/]*{pieces[-1]}"


def _split(signs: list[str], separator: str) -> list[list[str]]:
    parts: list[list[str]] = [[]]
    for sign in signs:
        if sign == separator:
            parts.append([])
        else:
            parts[-1].append(sign)
    return parts


# -- the long way, for the rest ----------------------------------------------------------------


def _walker(signs: list[str]) -> Callable[[str], bool]:
    """All places of the pattern that a path may have reached, character by character; each place is a bit of one number."""
    where: dict[str, int] = {}
    for at, sign in enumerate(signs):
        where[sign] = where.get(sign, 0) | 1 << at
    star, folders, rest = (where.pop(sign, 0) for sign in (STAR, FOLDERS, REST))
    others = [(re.compile(sign, re.DOTALL), places) for sign, places in where.items()]

    @lru_cache(256)
    def onward(char: str) -> int:
        """The places whose sign is this one character."""
        return sum(places for sign, places in others if sign.fullmatch(char))

    def matches(path: str) -> bool:
        inside, reached = 0, _free(1, star | folders | rest)  # inside: the ** that have begun and wait for a slash
        for char in path + "/":
            if char == "/" and reached >> len(signs):
                return True
            inside |= reached & folders
            stay = reached & (rest if char == "/" else star | rest)
            reached = _free(stay | ((reached & onward(char)) | (inside if char == "/" else 0)) << 1, star | folders | rest)
        return False

    return matches


def _free(reached: int, stars: int) -> int:
    """The places that are reached without a character, as a star may stand for nothing: an addition carries over a whole row of them."""
    return reached | ((reached & stars) + stars) ^ stars
