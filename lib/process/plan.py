"""A plan as data: a command, and the steps of its ingredients in the order that the kernel wants. How it is carried out, it does not know.

An ingredient is any object with a method ``steps()``. It says *what* it needs and in which stage; ``steps.STAGES`` says when, and why.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from lib import state
from lib.process.steps import ORDER, STAGES, Step, shorten
from lib.visible import visible


@dataclass
class StepPlan:
    """A process and its list of ingredients.

    ``argv`` and ``env`` are what the program gets; ``ingredients`` is anything with a ``steps()``;
    ``tty`` gives it a terminal; ``gate`` names a named pipe to wait at for ``start`` other than the caller (see ``Child.wait_for_start``).
    """

    argv: Sequence[str]
    ingredients: Sequence = ()
    env: dict[str, str] | None = None
    tty: bool = False
    gate: str | None = None
    name: str = field(default_factory=state.new_id)
    about: dict = field(default_factory=dict)  # what else shall be on its record: which image, which layers

    def __post_init__(self):
        self.argv = words(self.argv)
        check_environment(self.env or {})

    def own_steps(self) -> list[Step]:
        """What every process needs, with or without ingredients."""
        env = dict(os.environ) if self.env is None else dict(self.env)
        steps = [
            Step("session", "setsid", (), "Ctrl-C at the caller's terminal is not for the container"),
            Step("session", "new_session_keyring", (), "the keys of the caller's session are not for the container either"),
        ]
        if self.tty:
            steps.append(Step("terminal", "terminal", (24, 80), "a pty of the container's own devpts"))
        else:
            steps.append(Step("session", "stdio", (), "0, 1 and 2 are the pipes or files that the caller gave"))
        return [
            *steps,
            Step("clone", "clone3", ([], None)),
            Step("wait", "wait_for_start", (self.gate,) if self.gate else (), "created; the caller says start"),
            Step("exec", "execve", (self.argv, env), "becomes the program"),
        ]

    @property
    def steps(self) -> list[Step]:
        """All steps, in the order of ``STAGES``; what the ingredients want of clone3 becomes one call."""
        steps = self.own_steps() + [step for one in self.ingredients for step in one.steps()]
        clones = [step for step in steps if step.call == "clone3"]
        kinds = sorted({kind for step in clones for kind in step.args[0]})
        cgroup = next((step.args[1] for step in clones if step.args[1]), None)
        why = "; ".join(step.why for step in clones if step.why)
        one = Step("clone", "clone3", (kinds, cgroup), why or "a child of the caller", gives="pid")
        return sorted([one, *(step for step in steps if step.call != "clone3")], key=lambda step: ORDER[step.stage])

    def __str__(self) -> str:
        lines, last = [], None
        for step in self.steps:
            if step.stage != last:
                lines.append(f"{step.stage}  [{step.shoes}]  {STAGES[step.stage].why}")
                last = step.stage
            lines.append(f"    {shorten(step)}" + (f"   # {step.why}" if step.why else ""))
        return "\n".join(lines)


def words(argv: Sequence) -> list[str]:
    """The words of a command, as the kernel can take them. Raises ``ValueError``."""
    if isinstance(argv, str | bytes):
        raise ValueError(
            f'a command is a list of words, and {argv!r} is one text: [{argv!r}], or ["sh", "-c", {argv!r}] for a shell to split it'
        )
    found = list(argv)
    if not found:
        raise ValueError("no command specified: the list of its words is empty")
    for word in found:
        check_text(word if not isinstance(word, os.PathLike) else os.fspath(word), f"{word!r} in the command")
    return [os.fspath(word) for word in found]


def check_environment(env: dict) -> None:
    """Raises ``ValueError`` for what can be no variable: a name without a letter or with a ``=`` in it, a value that is no text."""
    for name, value in env.items():
        check_text(name, f"the name of the variable {name!r}")
        check_text(value, f"the variable {name!r}: {value!r}")
        if not name or "=" in name:
            raise ValueError(f"invalid environment variable: {visible(f'{name}={value}')}: a name has at least one letter, and no = in it")


def check_text(value, what: str) -> None:
    """Raises ``ValueError`` for what the kernel cannot take as a text: it ends one at its first NUL."""
    if not isinstance(value, str):
        raise ValueError(f"{what} is no text (str), but {type(value).__name__}; os.fsdecode() makes one of bytes")
    if "\0" in value:
        raise ValueError(f"{what} has a NUL in it, which would end it there")
    try:
        os.fsencode(value)
    except UnicodeEncodeError:
        raise ValueError(f"{what} has half a character in it") from None
