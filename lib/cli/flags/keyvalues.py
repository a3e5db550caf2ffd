"""``NAME=value`` from the command line and from files: ``-e``, ``--env-file``, ``--label``, ``--label-file``."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import BinaryIO

from lib.regularfile import open_regular

LONGEST_LINE, LONGEST_FILE = 64 << 10, 16 << 20  # bytes; the first is Docker's
Lookup = Callable[[str], str | None]


def environment(files: Iterable[str], words: Iterable[str], ours: Mapping[str, str] = os.environ) -> dict[str, str | None]:
    """The variables of ``--env-file`` and, over them, of ``-e``. Raises ``ValueError``.

    A NAME alone takes its value from ``ours``. Where we have none, a line of a file says nothing, and ``-e NAME`` takes the
    variable away from the image (None).
    """
    found: dict[str, str | None] = merged(files, "--env-file", ours.get)
    for name, equals, value in (word.partition("=") for word in words):
        found[name] = value if equals else ours.get(name)
    return found


def labels(files: Iterable[str], words: Iterable[str]) -> dict[str, str]:
    """The labels of ``--label-file`` and, over them, of ``--label``: a word alone is a label without a value. Raises ``ValueError``."""
    pairs = (word.partition("=") for word in words)
    return merged(files, "--label-file", lambda name: None) | {name: value for name, _, value in pairs}


def merged(files: Iterable[str], flag: str, lookup: Lookup) -> dict[str, str]:
    try:
        return {name: value for path in files for name, value in of_file(path, lookup)}
    except OSError as error:
        raise ValueError(f"{flag}: open {error.filename}: {(error.strerror or str(error)).lower()}") from None
    except ValueError as error:
        raise ValueError(f"{flag}: {error}") from None


def of_file(path: str, lookup: Lookup) -> Iterator[tuple[str, str]]:
    """The pairs of a file. What stands behind the first ``=`` is the value as it is: quotes and blanks belong to it."""
    with open_regular(path) as file:
        try:
            for number, line in lines(file):
                name, equals, value = line.partition("=")
                check_name(name, line, number)
                if equals or (value := lookup(name)) is not None:
                    yield name, value
        except ValueError as error:
            raise ValueError(f"invalid env file ({path}): {error}") from None


def lines(file: BinaryIO) -> Iterator[tuple[int, str]]:
    """Its lines and their numbers, less comments, what is empty, blanks at the beginning, a byte order mark and DOS's carriage returns."""
    number = read = 0
    while line := file.readline(LONGEST_LINE + 1):
        number, read = number + 1, read + len(line)
        if len(line) > LONGEST_LINE or read > LONGEST_FILE:
            raise ValueError(f"line {number} is too long: {LONGEST_LINE >> 10} KiB a line and {LONGEST_FILE >> 20} MiB in all are read")
        line = line.removesuffix(b"\n").removesuffix(b"\r")
        text = text_of(line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line, number).lstrip()
        if text and not text.startswith("#"):
            yield number, text


def text_of(line: bytes, number: int) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        raise ValueError(f"invalid utf8 bytes at line {number}: {line[:100]!r}") from None


def check_name(name: str, line: str, number: int) -> None:
    if not name:
        raise ValueError(f"no variable name on line '{line}' (line {number})")
    if " " in name or "\t" in name:
        raise ValueError(f"variable '{name}' contains whitespaces (line {number})")
