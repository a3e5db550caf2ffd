"""Kinds of values that flags take. What is said of a wrong one are Docker's words, the value and the flag's names included."""

from __future__ import annotations

import re
from collections.abc import Callable

import click

from lib.cli.flags.usage import wrong

TRUE, FALSE = ("1", "t", "T", "true", "TRUE", "True"), ("0", "f", "F", "false", "FALSE", "False")


def invalid(command: click.Command, option: click.Parameter, value: str, why: object) -> click.ClickException:
    """The error about a value, to be raised."""
    short = [name for name in option.opts if not name.startswith("--")]
    names = [*short, max(option.opts, key=len)]  # an older name (--net) is another flag in Docker
    return wrong(command, f'invalid argument "{value}" for "{", ".join(names)}" flag: {why}')


def truth(command: click.Command, option: click.Option, value: str) -> str:
    """``true`` or ``false``, of Go's words for them. Raises ``Failed``."""
    if value not in (*TRUE, *FALSE):
        raise invalid(command, option, value, f'strconv.ParseBool: parsing "{value}": invalid syntax')
    return "true" if value in TRUE else "false"


class Kind(click.ParamType):
    """A value that a function reads; it raises ``ValueError`` with what is wrong about it."""

    def __init__(self, name: str, read: Callable[[str], object]):
        self.name, self.read = name, read

    def convert(self, value, option: click.Parameter, context: click.Context):
        if not isinstance(value, str):
            return value
        try:
            return self.read(value)
        except ValueError as error:
            raise invalid(context.command, option, value, error) from None


BASES = {"0x": 16, "0o": 8, "0b": 2}


def whole(text: str) -> int:
    """A number as Go reads it, of 64 bits: ``10``, ``-1``, ``0x10``, ``010`` (which is eight). Raises ``ValueError``."""
    sign, digits = re.fullmatch("([+-]?)(.*)", text.lower(), re.DOTALL).groups()
    base = BASES.get(digits[:2]) or (8 if digits.startswith("0") and len(digits) > 1 else 10)
    try:
        if not digits.isascii() or not digits.isalnum() or len(digits) > 70:
            raise ValueError(text)
        number = int(f"{sign}{digits}", base)
    except ValueError:
        raise ValueError(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None
    if not -(1 << 63) <= number < 1 << 63:
        raise ValueError(f'strconv.ParseInt: parsing "{text}": value out of range')
    return number


def short(text: str) -> int:
    """The same of 16 bits, without a sign. Raises ``ValueError``."""
    try:
        number = whole("" if text[:1] in ("+", "-") else text)
    except ValueError as error:
        *_, why = str(error).rpartition(": ")
        raise ValueError(f'strconv.ParseUint: parsing "{text}": {why}') from None
    if number >= 1 << 16:
        raise ValueError(f'strconv.ParseUint: parsing "{text}": value out of range')
    return number


WHOLE, SHORT = Kind("int", whole), Kind("uint16", short)
