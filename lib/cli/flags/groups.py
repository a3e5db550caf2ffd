"""A group of verbs that are loaded one by one, when they are called. See "Lazily Loading Subcommands" in click's manual."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from importlib import import_module
from typing import ClassVar

import click

from lib.cli.errors import NAME
from lib.cli.flags.reading import in_full
from lib.cli.flags.usage import unknown_verb
from lib.cli.signals import ended_in_order
from lib.cli.standard import fill_gaps, ours, written


@contextmanager
def dockers_codes() -> Iterator[None]:
    """What is wrong with an option ends with 125 in every verb, as in Docker: click's 2 might be that of a program in a container."""
    try:
        yield
    except click.UsageError as error:
        if isinstance(getattr(error, "param", None), click.Option):
            error.exit_code = 125
        raise


@contextmanager
def alone() -> Iterator[None]:
    """What a program of its own sees to."""
    fill_gaps()
    with written() if ours() else nullcontext(), ended_in_order():
        yield


class Verbs(click.Group):
    """``homes`` says in which module of ``lib.cli`` each verb lives; ``other_names`` are Docker's for the same.

    ``commands_names`` says how a verb is called in its module, where that is another word: ``container ls`` is ``ps``.
    """

    homes: ClassVar[dict[str, str]] = {}
    other_names: ClassVar[dict[str, str]] = {}
    commands_names: ClassVar[dict[str, str]] = {}

    def list_commands(self, context: click.Context) -> list[str]:
        return sorted(self.homes)

    def main(self, *words, standalone_mode: bool = True, **how):
        """As a program of its own it has three streams and ends in good order; a notebook's kernel sees to both itself."""
        with alone() if standalone_mode else nullcontext():
            return super().main(*words, standalone_mode=standalone_mode, **how)

    def make_context(self, *words, **how) -> click.Context:
        with dockers_codes():
            return super().make_context(*words, **how)

    def parse_args(self, context: click.Context, words: list[str]) -> list[str]:
        return super().parse_args(context, words if context.resilient_parsing else in_full(context, words))

    def resolve_command(self, context: click.Context, words: list[str]) -> tuple[str, click.Command, list[str]]:
        name, *words = words
        command = self.get_command(context, name)
        if command is None:
            raise unknown_verb(name, self.homes, context.command_path if context.parent else NAME)
        if context.resilient_parsing:  # a shell asks what may follow: the line is not whole yet
            return name, command, words
        with click.Context(command, context, name, **command.context_settings) as its_own:
            return name, command, in_full(its_own, words)

    def invoke(self, context: click.Context):
        with dockers_codes():
            return super().invoke(context)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        name = self.other_names.get(name, name)
        if name not in self.homes:
            return None
        module = import_module(f"lib.cli.{self.homes[name]}")
        name = self.commands_names.get(name, name)
        return next(one for one in vars(module).values() if isinstance(one, click.Command) and one.name == name)
