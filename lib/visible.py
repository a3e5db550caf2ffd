"""A stranger's words as visible text: an image's labels, what a command prints, names of files, a registry's answers."""

from __future__ import annotations

import re

# Control characters but tab and line feed; what turns the direction of text around; halves of characters; what is no character in XML.
HARMFUL = "[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"


def visible(text: str) -> str:
    """Harmless to a terminal, to a page and in a picture: control characters are shown (``\\x1b``), and cannot move the cursor.

    So are the bytes of a name that is not UTF-8 (``os.fsdecode`` puts them at U+DC80).
    """
    return re.sub(HARMFUL, lambda one: shown(ord(one[0])), text)


def shown(code: int) -> str:
    return f"\\x{code & 0xFF:02x}" if code < 0x100 or 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"


class Visible(Exception):
    """An error whose message has a stranger's words in it. Who shows it, a terminal or a notebook, need not think of that."""

    def __str__(self) -> str:
        return visible(super().__str__())
