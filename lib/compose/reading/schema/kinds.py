"""The words in which the table of keys is written. A kind is one of these, or a text like ``number|text``, or a tuple of alternatives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

TEXT = "text"
SWITCH = "bool|text"
COUNT = "whole|text"
AMOUNT = "number|text"
ANYTHING = "anything"
NAME = r"[a-zA-Z0-9._-]+"


@dataclass(frozen=True)
class Keys:
    """A mapping with these keys, and ``x-…`` of the author's own."""

    keys: dict[str, Any]
    required: tuple[str, ...] = ()
    extensions: bool = True


@dataclass(frozen=True)
class Named:
    """A mapping from names of the author's choice."""

    of: Any
    names: str = ".+"


@dataclass(frozen=True)
class Several:
    """A list. In a ``unique`` one, no item may be there twice."""

    of: Any
    unique: bool = False


class Words(tuple):
    """One of these words, and no other."""


@dataclass(frozen=True)
class Pattern:
    """A text of this form; ``wanted`` says the form in words."""

    form: str
    wanted: str


@dataclass(frozen=True)
class Between:
    """A whole number in bounds; None is no bound."""

    least: int
    most: int | None = None


TEXTS = Several(TEXT)
UNIQUE_TEXTS = Several(TEXT, unique=True)
TEXT_OR_LIST = (TEXT, UNIQUE_TEXTS)
PAIRS = (Named("text|number|bool|null"), UNIQUE_TEXTS)
OPTIONS = Named("text|number")
HOSTS = (Named((TEXT, TEXTS)), UNIQUE_TEXTS)
COMMAND = ("null|text", TEXTS)
