"""Exercises that look at the real state. (``ask``, a question whose right answer is computed, and ``Board``, what is solved, are here too.)

An exercise has a check, which says *why it is not done yet*, and hints that come one at a time. Numbers in it are random
for each attempt, so that an answer cannot be copied.
"""

from __future__ import annotations

import os
import random
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field

from lib.lab.chapters import progress
from lib.lab.chapters.progress import Board as Board
from lib.lab.chapters.quiz import ask as ask


class NotYet(Exception):
    """What is still missing, in one sentence."""


@dataclass
class Exercise:
    """A task with numbers of its own, a check of the real state, and hints in steps.

    ``check`` gets the reader's answer and the numbers; it returns a sentence when all is well and raises ``NotYet`` else.
    """

    name: str
    task: str
    check: Callable
    hints: list[str]
    draw: Callable[[random.Random], dict] = lambda dice: {}
    numbers: dict = field(default_factory=dict)
    hinted: int = 0
    done: bool = False

    def __post_init__(self):
        self.numbers = self.draw(random.Random())

    def __getattr__(self, name: str):
        """The exercise's numbers by their names, e.g. ``exercise.memory``."""
        try:
            return self.__dict__["numbers"][name]
        except KeyError:
            raise AttributeError(name) from None

    def look(self, answer) -> None:
        """Check an answer, say what was found, and note in ``done`` whether all was well."""
        self.done = False
        try:
            if failed := what_failed():
                raise NotYet(
                    f"the cell that you ran last stopped with {failed}: mend it and run it again, or an older answer would be judged"
                )
            if answer is None or answer is ...:
                raise NotYet("there is no answer yet: write it in the cell above and run that cell")
            print(f"✔ {self.name}: {self.check(answer, **self.numbers)}")
            self.done = True
            progress.note(self.name)
        except NotYet as reason:
            self.not_yet(str(reason))
        except Exception as error:
            if not (line := readers_line(error)):
                raise  # not the reader's fault
            self.not_yet(f"your code stopped at the line `{line}` with {in_words(error)}")

    def not_yet(self, reason: str) -> None:
        """Say why, and offer a button that gives hints."""
        from IPython.display import display

        print(f"✘ {self.name}, not yet: {reason}")
        display(HintButton(self))

    def next_hint(self) -> str:
        """One hint more each time."""
        if self.hinted == len(self.hints):
            return "no more hints: the solution is folded in below"
        self.hinted += 1
        return f"hint {self.hinted} of {len(self.hints)}: {self.hints[self.hinted - 1]}"

    def hint(self) -> None:
        print(self.next_hint())


@dataclass
class HintButton:
    """A button for the next hint; where there are no buttons, the words that do the same."""

    exercise: Exercise

    def __repr__(self) -> str:
        return f"Stuck? {self.exercise.name}_.hint() gives a hint, and one more each time."

    def _repr_mimebundle_(self, **_) -> dict:
        import ipywidgets

        said, button = ipywidgets.VBox(), ipywidgets.Button(description="a hint, please")
        button.on_click(lambda _: self.more(said, ipywidgets.Label))
        return ipywidgets.VBox([button, said])._repr_mimebundle_() | {"text/plain": repr(self)}

    def more(self, said, label) -> None:
        said.children = (*said.children, label(value=self.exercise.next_hint()))


def in_kind(answer) -> str:
    """What an answer is, with its article: ``an Exit``."""
    name = type(answer).__name__
    return f"{'an' if name[0] in 'AEIOUaeiou' else 'a'} {name}"


def in_words(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error).splitlines()[0]}" if str(error) else type(error).__name__


def what_failed() -> str:
    """The error of the cell that was run before this one, if it had one."""
    from IPython import get_ipython

    shell = get_ipython()
    last = getattr(shell, "last_execution_result", None)
    error = last and (last.error_before_exec or last.error_in_exec)
    return in_words(error) if error else ""


def readers_line(error: BaseException) -> str:
    """The line of a notebook's cell in which an error came up, however deep below it."""
    steps = traceback.extract_tb(error.__traceback__)
    lib = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    own = [step for step in steps if not step.filename.startswith((lib, sys.prefix, sys.base_prefix))]
    return (own[-1].line or "").strip() if own else ""
