"""An error as Docker shows it: one message on stderr, an exit code, no traceback."""

from __future__ import annotations

import errno
import os
import traceback
from collections.abc import Callable, Iterable
from contextlib import contextmanager

import click
from click.exceptions import Exit

from lib.cli.library import library
from lib.visible import Visible, visible

NAME, VERSION = "suitcase", "0.1"


class Failed(click.ClickException):
    """An error as Docker shows it: one message, and the exit code."""

    def __init__(self, message: str, code: int = 1):
        super().__init__(message)
        self.exit_code = code

    def show(self, file=None) -> None:
        click.echo(f"{NAME}: {visible(self.message)}", err=True)


@contextmanager
def errors(code: int = 1):
    """What is wrong with an image, a file or a word of the user's is told in one message, without a traceback."""
    try:
        yield
    except (click.Abort, Exit):  # click's own ways to end, which are errors of Python's kind, too
        raise
    except (Visible, LookupError, ValueError, OSError, RuntimeError, MemoryError) as error:
        let_go(error)
        raise Failed(f"{words(error)}{way_out(error)}", number(error, code)) from None


def each(names: Iterable[str], do: Callable[[str], object]) -> None:
    """Do it with each; at the end tell of all that went wrong."""
    failed = []
    for name in names:
        try:
            with errors():
                do(name)
        except Failed as error:
            failed.append(error.message)
    if failed:
        raise Failed("\n".join(failed))


def number(error: Exception, code: int) -> int:
    """126 and 127 say that a program is wrong or missing; whatever else is wrong ends with the verb's own code."""
    own = getattr(error, "exit_code", 125)
    return code if own == 125 else own


def let_go(error: BaseException | None) -> None:
    """Of what the frames of an error hold, and of its causes: an open folder among that would keep its disk from being unmounted."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__context__


def words(error: Exception) -> str:
    """A LookupError shows its words in quotes, a MemoryError has none, and the kernel's errors come with their number."""
    if isinstance(error, MemoryError):
        return "there is not enough memory for this"
    if isinstance(error, OSError) and type(error).__str__ is OSError.__str__ and error.strerror:
        return ": ".join([str(path) for path in (error.filename, error.filename2) if path is not None] + [lowered(error)])
    return str(error.args[0] if isinstance(error, LookupError) and error.args else error)


def lowered(error: OSError) -> str:
    """What the kernel's own sentences begin with is no name, and reads on behind a path."""
    text = error.strerror
    return text[0].lower() + text[1:] if text == os.strerror(error.errno) else text


def way_out(error: Exception) -> str:
    """What to do about a full disk. Everything else says it itself."""
    if getattr(error, "errno", None) not in (errno.ENOSPC, errno.EDQUOT):
        return ""
    return (
        f": nothing half-made was kept in {library().store.place}. To make room there: {NAME} prune, {NAME} builder-prune, {NAME} rmi IMAGE"
    )
