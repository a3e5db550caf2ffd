"""Containers that outlive whoever made them, for tests: of a busybox, with a shell's words to run."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from helpers.waiting import wait_for
from lib import linux
from lib.engine import ending, lifecycle
from lib.engine.daemons import calling
from lib.engine.log.reader import frames
from lib.engine.naming import shortnames
from lib.engine.wishes import Wishes, facts
from lib.images import Library, Store
from lib.state import kept

BUSYBOX = "localhost/busybox:static"


class Lives:
    """Makes them, looks at them, and takes all of them away at the end."""

    def __init__(self):
        self.library = Library(Store())
        self.image = shortnames.make(self.library, BUSYBOX)

    def facts(
        self, words: str | list[str], *, interactive: bool = False, auto_remove: bool = False, max_size: int | None = None, **options
    ):
        argv = ["sh", "-c", words] if isinstance(words, str) else words
        made = facts(self.image, Wishes(argv, interactive=interactive, options=options))
        log = {"driver": "json-file", "max_size": max_size, "max_file": 1}
        made["options"] = {word: value for word, value in options.items() if word not in made["config"]}
        return made | {"image_name": BUSYBOX, "auto_remove": auto_remove, "log": log}

    def create(self, words: str | list[str], name: str | None = None, **how) -> dict:
        return lifecycle.create(self.library, self.facts(words, **how), name)

    def start(self, one: dict) -> dict:
        return lifecycle.start(self.library, kept.place(one))

    def run(self, words: str | list[str], name: str | None = None, **how) -> dict:
        """Created and started."""
        return self.start(self.create(words, name, **how))

    def ended(self, one: dict) -> dict:
        """Its state, when the manager has settled it."""
        assert ending.ends(kept.load(kept.place(one)), 20)
        calling.settled(one)
        return state(one)

    def clean(self) -> None:
        for one in kept.every():
            ending.remove(one, force=True)


@contextmanager
def apart() -> Iterator[Lives]:
    """All of them go at the end."""
    one = Lives()
    try:
        yield one
    finally:
        one.clean()


def state(one: dict) -> dict:
    """As it is on disk now."""
    return kept.load(kept.place(one))["state"]


def log(one: dict, stream: str = "stdout") -> bytes:
    return b"".join(piece.data for piece in frames(kept.place(one)) if piece.stream == stream)


def printed(one: dict, data: bytes) -> None:
    """Wait until that stands in its log."""
    wait_for(lambda: data in log(one))


def pid_of(daemon: str) -> int:
    """Of the keeper or the manager; 0 if there is none."""
    with suppress(ConnectionError), calling.knock(daemon) as line:
        return linux.peer_of(line)
    return 0


def shoot(*daemons: str) -> None:
    """SIGKILL to each that is there; all of them stand still first, so that none sees the other's end."""
    held = [os.pidfd_open(pid) for one in daemons if (pid := pid_of(one))]
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pidfd in held:
            signal.pidfd_send_signal(pidfd, number)
    for pidfd in held:
        assert linux.readable([pidfd], 20)
        os.close(pidfd)


@contextmanager
def standing_still(daemon: str) -> Iterator[None]:
    """Meanwhile it does nothing; so the keeper does not start a manager that is shot."""
    pid = wait_for(lambda: pid_of(daemon))  # a 0 would be ourselves
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def descriptors(daemon: str) -> int:
    """How many the keeper or the manager holds, callers aside: we have just been one."""
    place = f"/proc/{pid_of(daemon)}/fd"
    return sum(not target.startswith("socket:") for target in map(target_of, map(f"{place}/{{}}".format, os.listdir(place))))


def target_of(link: str) -> str:
    with suppress(FileNotFoundError):
        return os.readlink(link)
    return "socket: that is closed by now"


def rested() -> bool:
    """Have both ended, as they have nothing to do? They are asked to."""
    calling.rest()
    return not pid_of("keeper") and not pid_of("manager")


def rows(facts: dict) -> list[str]:
    """What its upper folder holds."""
    return sorted(os.listdir(Path(kept.place(facts), "upper")))
