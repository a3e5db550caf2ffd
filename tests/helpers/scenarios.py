"""Scenarios: what somebody wants, the files, the lines that are typed, and what is then true of the real state.

A scenario is a file that is read from the top, like a story: ``tests/compose/scenarios`` has them, ``tests/compose/test_scenarios.py`` says
how they are written.
What a step does not mention is as it was before it: the same containers, networks and volumes, untouched.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, field_validator

from helpers.commands import Said
from helpers.sides import without_compose
from helpers.truths import CHECKS
from helpers.waiting import wait_for

NEVER = "0001-01-01"  # when a container started that has not


class Words(BaseModel):
    model_config = ConfigDict(extra="forbid", coerce_numbers_to_str=True)


class Then(Words):
    """What is true after a step."""

    containers: dict[str, str] | None = None  # all there are: name → state, and whether it was made anew, or started again
    networks: list[str] | None = None
    volumes: list[str] | None = None  # one without a name of its own is called ``anonymous``
    says: list[str] = []  # each somewhere in what was printed
    says_not: list[str] = []
    prints: str | None = None  # on the standard output, and nothing else
    started: list[str] = []  # in this order
    stopped: list[str] = []
    environ: dict[str, dict[str, str | None]] = {}  # of process 1; null: it has no such variable
    inside: dict[str, dict[str, str]] = {}  # container → command → what it prints there
    labels: dict[str, dict[str, str | None]] = {}
    aliases: dict[str, dict[str, list[str]]] = {}  # container → network → under which names it is reached there, its short id aside
    files: dict[str, str] = {}  # beside the Compose file
    cgroup: dict[str, dict[str, str]] = {}  # container → file, as v1 calls it → a line of it


class Theirs(Words):
    """In what the real Compose differs, and why that may be."""

    because: str
    exit: int | None = None
    then: Then = Then()


class Step(Words):
    run: list[str] = Field(min_length=1)  # several: all at the same time
    given: dict[str, str] = {}  # variables of the shell
    folder: str = "demo"
    write: dict[str, str] = {}  # files, before the line is typed
    interrupted_at: str = ""  # Ctrl-C, when these words have been printed
    exit: int = 0
    then: Then = Then()
    theirs: Theirs | None = None

    @field_validator("run", mode="before")
    @classmethod
    def one_or_several(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    def in_their_hands(self) -> Step:
        """What is expected of the real Compose."""
        assert self.theirs
        then = self.then.model_copy(update={name: getattr(self.theirs.then, name) for name in self.theirs.then.model_fields_set})
        return self.model_copy(update={"then": then, "exit": self.exit if self.theirs.exit is None else self.theirs.exit})


class Scenario(Words):
    intent: str
    files: dict[str, str] = Field(min_length=1)
    steps: list[Step] = Field(min_length=1)

    @classmethod
    def read(cls, path: Path) -> Scenario:
        return cls.model_validate(yaml.safe_load(path.read_text()))


# -- what there is ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Picture:
    """Of a side: its containers (as ``inspect`` tells them), its networks, its volumes."""

    containers: dict[str, dict]
    networks: list[str]
    volumes: list[str]

    @classmethod
    def of(cls, side, folder: Path) -> Picture:
        """As it is now. Raises ``LookupError`` when one goes while we look."""

        def ask(line: str) -> str:
            said = side(line.split(), folder, {})
            if said.code:
                raise LookupError(said.err)
            return said.out

        idents = ask("docker ps -aq --no-trunc")
        containers = json.loads(ask(f"docker inspect {idents}")) if idents else []
        volumes = ["anonymous" if re.fullmatch("[0-9a-f]{64}", name) else name for name in ask("docker volume ls -q").split()]
        networks = ask("docker network ls --filter type=custom --format {{.Name}}").split()
        return cls({one["Name"].removeprefix("/"): one for one in containers}, sorted(networks), sorted(volumes))

    def state(self, name: str, before: Picture) -> str:
        one, earlier = self.containers[name], before.containers.get(name)
        state, health = one["State"]["Status"], one["State"].get("Health", {}).get("Status")
        words = f"{state} ({one['State']['ExitCode']})" if state == "exited" else f"{state} ({health})" if health else state
        if earlier and earlier["Id"] != one["Id"]:
            return f"{words}, made anew"
        if earlier and earlier["State"]["StartedAt"] != one["State"]["StartedAt"] and not earlier["State"]["StartedAt"].startswith(NEVER):
            return f"{words}, started again"
        return words


EMPTY = Picture({}, [], [])


class Play:
    """A scenario on a side, in a folder of its own. A difference that does not go within ``patience`` seconds is a failure."""

    def __init__(self, scenario: Scenario, side, folder: Path, patience: float = 60):
        self.scenario, self.side, self.folder, self.patience = scenario, side, folder, patience
        self.expected = Then(containers={}, networks=[], volumes=[])
        self.picture = EMPTY

    def whole(self) -> None:
        self.write(self.scenario.files, "demo")
        for number, step in enumerate(self.scenario.steps, 1):
            problem = self.step(step)
            assert not problem, f"step {number}, {' and '.join(step.run)}: {problem}"

    def step(self, step: Step) -> str:
        """What is not as it was to be, if anything."""
        self.write(step.write, step.folder)
        before = self.picture
        said = self.said(step)
        differs = step.theirs is not None and self.side.name == "theirs"
        wanted = step.in_their_hands() if differs else step
        if problem := self.printed(wanted, said) or self.true(wanted, before):
            return f"{problem}\n{said}"
        if differs and not self.printed(step, said) and not self.wrong(step.then, before):
            return f"the real Compose does not differ any more ({step.theirs.because})"
        self.expected = self.going_on(wanted.then)
        return ""

    # -- what is done -------------------------------------------------------------------------------------------------

    def write(self, files: dict[str, str], folder: str) -> None:
        for name, text in files.items():
            path = self.folder / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def said(self, step: Step) -> list[Said]:
        lines = [shlex.split(line) for line in step.run]
        folder = self.folder / step.folder
        if len(lines) == 1 and not step.interrupted_at:
            return [self.side(lines[0], folder, step.given)]
        programs = [Program(self.side, words, folder, step.given) for words in lines]
        try:
            if step.interrupted_at:
                programs[0].interrupt(step.interrupted_at)
            return [one.ended() for one in programs]
        finally:
            for one in programs:
                one.end()

    # -- what is true -------------------------------------------------------------------------------------------------

    def printed(self, step: Step, said: list[Said]) -> str:
        if codes := [one.code for one in said if one.code != step.exit]:
            return f"exit code {codes[0]}, not {step.exit}"
        text, out = "".join(one.out + one.err for one in said), "".join(one.out for one in said).replace("\r\n", "\n")
        problems = [f"it does not say {words!r}" for words in step.then.says if words not in text]
        problems += [f"it says {words!r}" for words in step.then.says_not if words in text]
        if step.then.prints is not None and out.strip() != step.then.prints.strip():
            problems.append("it prints something else")
        return "; ".join(problems)

    def true(self, step: Step, before: Picture) -> str:
        """It may take a moment until it is: an ended program is seen a little later."""
        deadline = time.monotonic() + self.patience
        while (problem := self.wrong(step.then, before)) and time.monotonic() < deadline:
            time.sleep(0.02)
        return problem

    def wrong(self, then: Then, before: Picture) -> str:
        """As it is now."""
        try:
            self.picture = Picture.of(self.side, self.folder)
            return self.differs(self.going_on(then), before)
        except (LookupError, OSError) as gone:
            return repr(gone)

    def differs(self, then: Then, before: Picture) -> str:
        states = {name: self.picture.state(name, before) for name in self.picture.containers}
        for what, found, wanted in (
            ("containers", states, then.containers),
            ("networks", self.picture.networks, sorted(then.networks or ())),
            ("volumes", self.picture.volumes, sorted(then.volumes or ())),
        ):
            if found != wanted:
                return f"{what}: there are {found}, and there were to be {wanted}"
        return next(filter(None, (check(self, getattr(then, name)) for name, check in CHECKS.items())), "")

    def going_on(self, then: Then) -> Then:
        """What is not said again is as it was; nobody is made anew or started again twice."""
        kept = {name: words.partition(", ")[0] for name, words in (self.expected.containers or {}).items()}
        usual = {"containers": kept, "networks": self.expected.networks, "volumes": self.expected.volumes}
        return then.model_copy(update={name: value for name, value in usual.items() if getattr(then, name) is None})

    def container(self, name: str) -> dict:
        assert name in self.picture.containers, f"there is no container {name}"
        return self.picture.containers[name]


class Program:
    """A line that runs on its own."""

    def __init__(self, side, words: list[str], folder: Path, given: dict[str, str]):
        command, more = side.program(words)
        self.logs = [folder / f".log-{os.urandom(4).hex()}" for _ in range(2)]
        how = {"cwd": folder, "env": without_compose(given | more), "stdin": subprocess.DEVNULL, "start_new_session": True}
        with open(self.logs[0], "w") as out, open(self.logs[1], "w") as err:
            self.child = side.place(subprocess.Popen, command, stdout=out, stderr=err, **how)

    @property
    def told(self) -> str:
        return "".join(path.read_text() for path in self.logs)

    @property
    def lines(self) -> list[str]:
        """Of the standard output, as far as they are whole."""
        return self.logs[0].read_text().rpartition("\n")[0].splitlines()

    def interrupt(self, words: str) -> None:
        wait_for(lambda: words in self.told or self.child.poll() is not None)
        assert words in self.told, f"it never said {words!r}: {self.told}"
        self.child.send_signal(signal.SIGINT)

    def ended(self) -> Said:
        code = self.child.wait(60)
        return Said(code, *(path.read_text() for path in self.logs))

    def end(self) -> None:
        self.child.kill()
        self.child.wait()
