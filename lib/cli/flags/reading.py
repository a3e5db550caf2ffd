"""A command line as Docker reads it, turned into click's words.

Docker's reader (Go's pflag) and click's differ in small things that people type every day: a switch can be switched off
(``--rm=false``), a short flag takes its value behind ``=``, too (``-e=A=b``), a run of switches may end with one that takes a value
(``-itu1000``). So every flag is looked up here and written out in full (``--env=A=b``), and click reads that.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import click
from click.types import BoolParamType

from lib.cli.errors import Failed
from lib.cli.flags import notyet
from lib.cli.flags.kinds import truth
from lib.cli.flags.usage import check_number, nearest, wrong


def in_full(context: click.Context, words: Iterable[str]) -> list[str]:
    """The words for a verb (or for the group of verbs) as click reads them. Raises ``Failed``."""
    command, line = context.command, Line(context, words)
    line.read()
    given = settled(command, line.given)
    if not isinstance(command, click.Group) and (command.get_help_option(context), "true") not in given:
        check_number(command, line.rest)
    flags = [word for option, value in given for word in written(option, value)]
    return [*flags, *(["--", *line.rest] if line.rest else [])]


class Line:
    """A command line that is being read: the flags that were given so far, and the words that are none."""

    def __init__(self, context: click.Context, words: Iterable[str]):
        self.command, self.words, self.interspersed = context.command, deque(words), context.allow_interspersed_args
        self.full_name = notyet.full_name(context)
        params = self.command.get_params(context)
        self.options = {name: one for one in params if isinstance(one, click.Option) for name in one.opts}
        self.given: list[tuple[click.Option, str]] = []
        self.rest: list[str] = []

    def read(self) -> None:
        while self.words:
            word = self.words.popleft()
            if word.startswith("--") and word != "--":
                self.long(word)
            elif word.startswith("-") and word not in ("-", "--"):
                self.short(word[1:])
            else:
                self.rest += [word] if word != "--" else []
                if word == "--" or not self.interspersed:
                    self.rest += self.words
                    return

    def long(self, word: str) -> None:
        name, equals, value = word.partition("=")
        if name[2:3] in ("", "-"):
            raise wrong(self.command, f"bad flag syntax: {word}")
        option = self.option(name, f"unknown flag: {name}", name)
        if not equals:
            value = "true" if is_switch(option) else self.next(name)
        self.given.append((option, value))

    def short(self, letters: str) -> None:
        """``it``, ``eA=b``, ``e=A=b``, ``t=false``: switches, and the last may take a value."""
        while letters:
            letter, behind = letters[0], letters[1:]
            option = self.option(f"-{letter}", f"unknown shorthand flag: '{letter}' in -{letters}", f"--{letters}")
            if behind.startswith("=") and len(behind) > 1:
                value, letters = behind[1:], ""
            elif is_switch(option):
                value, letters = "true", behind
            else:
                value, letters = behind or self.next(f"'{letter}' in -{letters}"), ""
            self.given.append((option, value))

    def option(self, name: str, unknown: str, meant: str) -> click.Option:
        if name in self.options:
            return self.options[name]
        if missing := notyet.flag(self.full_name, name):
            raise Failed(notyet.told(self.full_name, missing), 125)
        known = [one[2:] for one in self.options if one.startswith("--")]
        raise wrong(self.command, unknown + nearest(meant[2:].partition("=")[0], known))

    def next(self, flag: str) -> str:
        if not self.words:
            raise wrong(self.command, f"flag needs an argument: {flag}")
        return self.words.popleft()


def is_switch(option: click.Option) -> bool:
    return isinstance(option.type, BoolParamType)


def settled(command: click.Command, given: list[tuple[click.Option, str]]) -> list[tuple[click.Option, str]]:
    """Of a switch that was given several times the last counts. Raises ``Failed`` for one that is neither on nor off."""
    switches = {option.name: (option, truth(command, option, value)) for option, value in given if is_switch(option)}
    return [*((option, value) for option, value in given if not is_switch(option)), *switches.values()]


def written(option: click.Option, value: str) -> list[str]:
    """A flag as click reads it. A switch of click's own kind has no value: it is there or it is not."""
    name = max(option.opts, key=len)
    if option.is_flag:
        return [name] if value == "true" else []
    return [f"{name}={value}"] if name.startswith("--") else [name, value]
