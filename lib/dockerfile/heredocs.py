"""Here-documents: ``RUN <<EOF`` takes the lines that follow, up to one that is ``EOF``.

``<<-EOF`` allows tabs before the end word (and takes tabs from the lines); a quoted word, ``<<'EOF'``, leaves variables in
the lines alone. One instruction may open several; their bodies follow each other. Source: the Dockerfile reference, "Here-Documents".
"""

from __future__ import annotations

import re
from typing import NamedTuple

from lib.dockerfile.expansion import ExpansionError, Lexer

_WORD = r"([0-9]*+)<<(-?+)[\t\n\f\r ]*+([^<]++)"  # possessive: what is taken is not given back, so there is only one way to try


class Heredoc(NamedTuple):
    """``name``: the end word; ``body``: the lines as they stand; ``expands``: are variables replaced; ``strips``: ``<<-``."""

    name: str
    body: str
    expands: bool
    strips: bool
    descriptor: int = 0  # 3<<EOF: for the shell of a RUN

    @property
    def content(self) -> str:
        """The body, without leading tabs if it was opened by ``<<-``."""
        return re.sub(r"^\t+", "", self.body, flags=re.MULTILINE) if self.strips else self.body


def opened(line: str) -> list[Heredoc]:
    """The heredocs that an instruction opens, with no body yet. Raises: ExpansionError for a word with an open quote."""
    try:
        words = Lexer(line, {}, keep_quotes=True, keep_escapes=True, keep_unset=True).read().words
    except ExpansionError:
        return []  # an open quote: what looks like a heredoc stands in a string
    return [heredoc for word in words if (heredoc := one(word))]


def one(word: str) -> Heredoc | None:
    """The heredoc that a word opens, if it opens one. Raises: ExpansionError."""
    match = re.fullmatch(_WORD, word)
    if not match:
        return None
    descriptor, dash, rest = match.groups()
    names = Lexer(rest, {}, keep_unset=True).read().words
    if len(names) != 1:
        return None
    written = Lexer(rest, {}, keep_unset=True, keep_quotes=True).read().word
    return Heredoc(names[0], "", _quotes(names[0]) == _quotes(written), dash == "-", int(descriptor[:9] or 0))


def _quotes(text: str) -> int:
    return text.count("'") + text.count('"')


def is_end(heredoc: Heredoc, line: str) -> bool:
    """Does this line end the heredoc?"""
    line = line.rstrip("\r\n")
    return (line.lstrip("\t") if heredoc.strips else line) == heredoc.name
