"""A Dockerfile as nodes: which instruction, with which flags and words, on which lines.

This floor joins lines that end in the escape character, drops comments and takes the heredocs' bodies. What an instruction
means, and whether its words make sense, is the next floor's (``instructions``). It reads as BuildKit's frontend does.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from lib.dockerfile import directives, heredocs
from lib.dockerfile.expansion import SPACE, ExpansionError
from lib.dockerfile.heredocs import Heredoc
from lib.dockerfile.positions import Piece, Place, Source
from lib.dockerfile.words import WAYS, BadWords, split

LARGEST = 1 << 20  # characters of a Dockerfile
LONGEST_LINE = 65535  # bytes, as BuildKit has it
WITH_HEREDOCS = ("ADD", "COPY", "RUN")


class Node(NamedTuple):
    """One instruction. ``keyword`` is in capitals; ``words`` are cut but not expanded; ``is_list``: they came as a JSON list."""

    keyword: str
    flags: tuple[str, ...]
    words: tuple[str, ...]
    is_list: bool
    heredocs: tuple[Heredoc, ...]
    place: Place
    nested: Node | None = None  # what stands behind ONBUILD


class Warned(NamedTuple):
    """Something that works today and that BuildKit announces to refuse."""

    line: int
    message: str


class Syntax(NamedTuple):
    """A whole file: its nodes, the escape character, the directives by name, the warnings."""

    nodes: tuple[Node, ...]
    escape: str
    directives: dict[str, str]
    warnings: tuple[Warned, ...]


def parse(text: str, file: str = "Dockerfile") -> Syntax:
    """Read a Dockerfile. ``file`` is its name for messages. Raises: DockerfileError."""
    text = text.removeprefix("\ufeff")
    source = Source(file, tuple(re.findall(r"[^\n]*\n|[^\n]+", text[: LARGEST + 1])))
    _check_size(source, text)
    found = directives.read(source)
    reader = _Reader(source, found.get("escape", "\\"))
    nodes = tuple(reader.nodes())
    if not nodes:
        raise source.error(
            max(1, len(source.lines)), "the file has no instructions", "begin with FROM and an image, for example FROM alpine:3.20"
        )
    return Syntax(nodes, reader.escape, found, tuple(reader.warnings))


def _check_size(source: Source, text: str) -> None:
    if len(text) > LARGEST:
        raise source.error(
            1, f"the file is larger than {LARGEST} characters", "is it a Dockerfile? Put data in files beside it, and COPY them"
        )
    for number, line in enumerate(source.lines, 1):
        if len(line) > LONGEST_LINE // 4 and len(line.encode(errors="replace")) > LONGEST_LINE:
            raise source.error(
                number, f"the line is longer than {LONGEST_LINE} bytes", "go on in the next line, with a backslash at the end of this one"
            )


class _Reader:
    """Goes through the lines once."""

    def __init__(self, source: Source, escape: str):
        self.source, self.escape = source, escape
        self.warnings: list[Warned] = []
        self._continues = re.compile(rf"(?:^|(?<=[^{re.escape(escape)}])){re.escape(escape)}[ \t]*\Z")
        self._at = 0  # index of the next line

    def nodes(self):
        while self._at < len(self.source.lines):
            line = self.source.lines[self._at].strip(SPACE)
            if line and line[0] != "#":
                yield self._node(self._joined())
            else:
                self._at += 1

    def _joined(self) -> Place:
        """The next line with all that continue it."""
        first, empty = self._at, False
        text, more = self._line(first, strip=True)
        column = len(self.source.lines[first]) - len(self.source.lines[first].lstrip(SPACE))
        parts, pieces, length = [text], [Piece(0, first, column)], len(text)
        self._at += 1
        while more and self._at < len(self.source.lines):
            number = self._at
            self._at += 1
            line = self.source.lines[number].strip(SPACE)
            empty = empty or not line
            if not line or line[0] == "#":
                continue
            text, more = self._line(number, strip=False)
            pieces.append(Piece(length, number, 0))
            parts.append(text)
            length += len(text)
        if empty:
            message = "an empty line inside an instruction: BuildKit will refuse it one day; take it out, or put a # in it"
            self.warnings.append(Warned(first + 1, message))
        return Place(self.source, first + 1, self._at, "".join(parts), tuple(pieces))

    def _line(self, number: int, strip: bool) -> tuple[str, bool]:
        """One line without its end, and whether the instruction goes on in the next."""
        line = self.source.lines[number].rstrip("\r\n")
        line = line.lstrip(SPACE) if strip else line
        cut = self._continues.sub("", line)
        return cut, len(cut) < len(line)

    def _node(self, place: Place) -> Node:
        node = node_of(place, place.text, self.escape)
        inner = node.nested or node
        if inner.keyword in WITH_HEREDOCS and not inner.is_list and "<<" in place.text:
            bodies = tuple(self._bodies(place))
            node = node._replace(heredocs=bodies, nested=node.nested and node.nested._replace(heredocs=bodies))
        place.last = self._at
        return node

    def _bodies(self, place: Place):
        """The heredocs of an instruction, with the lines that follow it."""
        try:
            opened = heredocs.opened(place.text)
        except ExpansionError as error:
            raise place.error(f"a heredoc's word: {error}", "write <<EOF or <<'EOF'", "<<") from None
        for heredoc in opened:
            lines = []
            while self._at < len(self.source.lines) and not heredocs.is_end(heredoc, self.source.lines[self._at]):
                lines.append(self.source.lines[self._at])
                self._at += 1
            if self._at == len(self.source.lines):
                hint = f"end it with a line that is only {heredoc.name}" + (", with no space before it" if not heredoc.strips else "")
                raise place.error(f"the heredoc {heredoc.name[:60]} has no end", hint, "<<")
            self._at += 1
            yield heredoc._replace(body="".join(lines))


def node_of(place: Place, text: str, escape: str, may_nest: bool = True) -> Node:
    """The node for one instruction's joined text, without heredoc bodies. Raises: DockerfileError."""
    keyword, flags, rest = split(text, escape)
    keyword = keyword.upper()
    way = WAYS.get(keyword)
    try:
        words, is_list = way(rest, escape) if way else ((), False)
    except BadWords as error:
        raise place.error(f"{keyword}: {error}", error.hint, error.at) from None
    nested = node_of(place, rest, escape, may_nest=False) if keyword == "ONBUILD" and rest and may_nest else None
    return Node(keyword, flags, words, is_list, (), place, nested)
