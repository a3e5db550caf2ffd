"""Who is told what happens while a plan is carried out. Terminal, notebook and tests each have one of their own."""

from __future__ import annotations

from typing import TextIO

from lib.compose.planning.operations import Operation, Plan, RunHook, Wait
from lib.visible import visible


class Reporter:
    """Hears everything, says nothing. All of it is called by one thread, one after the other."""

    def planned(self, plan: Plan) -> None:
        """That is what will be done."""

    def began(self, one: Operation) -> None:
        """It is under way."""

    def waited(self, one: Operation, text: str) -> None:
        """It goes on: a line of a build, a word of a pull."""

    def done(self, one: Operation, seconds: float) -> None:
        """It took so long."""

    def failed(self, one: Operation, error: BaseException) -> None:
        """What needs it is left out."""

    def left_out(self, one: Operation) -> None:
        """As something that it needs has failed, or somebody has said stop."""

    def skipped(self, one: Wait, error: BaseException) -> None:
        """What is waited for is not ready, and need not be."""
        self.warned(f"{without(one, error)}: {error}" if one.condition == "service_healthy" else without(one, error))

    def stayed(self, one: Operation, error: BaseException) -> None:
        """It was to be removed, and somebody else has it."""
        self.warned(str(error))

    def warned(self, text: str) -> None:
        """Something that is no error."""


def without(one: Wait, error: BaseException) -> str:
    """What is so, and nobody minds."""
    if one.condition == "service_healthy":
        return f'optional dependency "{one.resource}" failed to start'
    return f"optional dependency {str(getattr(error, 'words', error)).removeprefix('service ')}"


class Plain(Reporter):
    """A line for each thing that happens, as Compose has them in a pipe: `` Container demo-web-1  Started``."""

    def __init__(self, stream: TextIO):
        self.stream = stream

    def say(self, one: Operation, word: str) -> None:
        what = str(one) if isinstance(one, RunHook) else f"{one.kind} {one.resource}"
        print(visible(f" {what}  {word}"), file=self.stream, flush=True)

    def planned(self, plan: Plan) -> None:
        for text in plan.warnings:
            self.warned(text)

    def began(self, one: Operation) -> None:
        self.say(one, one.doing)

    def waited(self, one: Operation, text: str) -> None:
        self.say(one, text.rstrip("\n"))

    def done(self, one: Operation, seconds: float) -> None:
        self.say(one, one.did)

    def failed(self, one: Operation, error: BaseException) -> None:
        self.say(one, f"Error {error}")

    def warned(self, text: str) -> None:
        print(visible(f"WARNING: {text}"), file=self.stream, flush=True)


class Recorder(Reporter):
    """Writes down what it hears: ``(word, operation)``, for tests."""

    def __init__(self):
        self.heard: list[tuple[str, str]] = []

    def began(self, one: Operation) -> None:
        self.heard.append(("began", str(one)))

    def waited(self, one: Operation, text: str) -> None:
        self.heard.append(("waited", str(one)))

    def done(self, one: Operation, seconds: float) -> None:
        self.heard.append(("done", str(one)))

    def failed(self, one: Operation, error: BaseException) -> None:
        self.heard.append(("failed", f"{one}: {error}"))

    def left_out(self, one: Operation) -> None:
        self.heard.append(("left out", str(one)))

    def warned(self, text: str) -> None:
        self.heard.append(("warned", text))

    def those(self, word: str) -> list[str]:
        return [what for said, what in self.heard if said == word]
