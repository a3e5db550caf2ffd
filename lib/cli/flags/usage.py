"""What is said to somebody who used a verb wrongly: what is wrong, how the verb is used, where to read more. Docker's words."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import click

from lib.cli.errors import NAME, Failed


def wrong(command: click.Command, message: str, code: int = 125, see: str = "Run") -> Failed:
    """The error, to be raised."""
    path = full_name(command)
    pieces = command.collect_usage_pieces(click.Context(command, info_name=command.name))
    return Failed(f"{message}\n\nUsage:  {' '.join([path, *pieces])}\n\n{see} '{path} --help' for more information", code)


def full_name(command: click.Command) -> str:
    """As it was typed, with the group that it is in."""
    context = click.get_current_context(silent=True)
    if context and context.parent and context.command is command:
        return context.command_path
    return NAME if isinstance(command, click.Group) else f"{NAME} {command.name}"


def nearest(word: str, known: Iterable[str], dashes: str = "--") -> str:
    """A typing mistake? What was meant, in brackets behind the message, or nothing."""
    from difflib import get_close_matches  # only who has made a mistake waits for it

    near = get_close_matches(word, sorted(known), 1, 0.6)
    return f" (do you mean {dashes}{near[0]}?)" if near else ""


def unknown_verb(name: str, known: Collection[str], path: str = NAME) -> Failed:
    """``path`` is the command, or the group of verbs, that was asked for it."""
    near = nearest(name, known, f"{path} ")
    return Failed(f"unknown command: {path} {name}{near}\n\nRun '{path} --help' for more information")


def check_number(command: click.Command, words: list[str]) -> None:
    """Are there as many words as the verb has arguments? Raises ``Failed``; with 1, as Docker does: only flags are worth a 125."""
    arguments = [one for one in command.params if isinstance(one, click.Argument)]
    least = sum(one.required for one in arguments)
    most = None if any(one.nargs < 0 for one in arguments) else len(arguments)
    if len(words) < least or (most is not None and len(words) > most):
        see = "See" if most is None else "Run"
        raise wrong(command, f"'{full_name(command)}' {bounds(least, most)}", 1, see)


def bounds(least: int, most: int | None) -> str:
    if most == 0:
        return "accepts no arguments"
    if most == least:
        return f"requires {arguments(least)}"
    if most is None:
        return f"requires at least {arguments(least)}"
    if not least:
        return f"requires at most {arguments(most)}"
    return f"requires at least {least} and at most {arguments(most)}"


def arguments(number: int) -> str:
    return f"{number} argument{'s' * (number != 1)}"
