"""Exercises that look at the real state, and a quiz whose right answers are computed.

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


@dataclass
class Question:
    """A question of the quiz; ``answers`` maps each text to whether it is true: an expression over what was measured."""

    text: str
    answers: dict[str, bool]

    def __post_init__(self):
        right = [answer for answer, true in self.answers.items() if true]
        if len(right) != 1:
            raise ValueError(f"{self.text!r} must have one right answer, this run gives: {right or 'none'}")
        self.right = right[0]


def quiz(*questions: Question) -> None:
    """Show the questions as buttons; without a front end, as text with the answers below."""
    import ipywidgets
    from IPython.display import display

    for number, question in enumerate(questions, 1):
        print(f"{number}. {question.text}")
        for letter, answer in zip("abcd", question.answers, strict=False):
            print(f"   {letter}) {answer}")
    print("Right:", ", ".join(f"{number}{letter_of(question)}" for number, question in enumerate(questions, 1)))
    display(panel(ipywidgets, questions))


def letter_of(question: Question) -> str:
    return "abcd"[list(question.answers).index(question.right)]


def panel(widgets, questions):
    """One row of buttons for each question; a wrong one says so and may be tried again."""

    class Quiz(widgets.VBox):
        def __repr__(self) -> str:
            return f"{len(questions)} questions to click on, in JupyterLab."

    rows = []
    for question in questions:
        verdict = widgets.Label()
        choice = widgets.ToggleButtons(options=list(question.answers), value=None, style={"button_width": "auto"})
        choice.observe(lambda change, verdict=verdict, right=question.right: tell(verdict, change["new"], right), "value")
        rows.append(widgets.VBox([widgets.HTML(f"<b>{question.text}</b>"), choice, verdict]))
    return Quiz(rows)


def tell(verdict, chosen: str, right: str) -> None:
    verdict.value = "✔ right" if chosen == right else "✘ look again at what the chapter measured"
