"""``stop kill wait rm rename`` for a container that outlives its caller. Whoever started it, these need only its facts."""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path

from lib import linux, state
from lib.engine import pausing
from lib.engine.daemons import endings
from lib.engine.daemons.calling import settled
from lib.engine.daemons.settling import remove as take_away
from lib.engine.daemons.settling import undo
from lib.engine.pipes import run_folder
from lib.engine.plays.stopping import Kill, stopping
from lib.engine.vitality import alive, pidfd_of
from lib.process import signal_number
from lib.shield import Shield
from lib.state import events, kept, shared

LOOK = 0.05  # seconds between two looks at whether one has been started again
GLANCE = 0.001  # seconds between two looks at whether it has gone
WAYS_OUT = {
    "running": "running: stop the container before removing or force remove",
    "restarting": "restarting: stop the container before removing or force remove",
    "paused": "paused and must be unpaused first",
}  # fmt: skip
KILLED = 10  # seconds that a container may take to end after SIGKILL


class Conflict(ValueError):
    """The container is in a state in which that cannot be done. In Docker's words."""


# -- signals ------------------------------------------------------------------------------------------------------------


def kill(facts: dict, word: str = "KILL") -> None:
    """Send a signal to its first process. Raises ``Conflict`` if it does not run, ``ValueError`` for a word that is no signal."""
    number = number_of(word)
    if is_to_end_it(facts, number):
        facts, before = by_hand(facts), facts
        if before["state"]["status"] == "restarting" and not alive(facts):
            return
    if not alive(facts):
        raise Conflict(f"cannot kill container: {facts['name']}: container {facts['id']} is not running")
    killing(facts, number)


def killing(facts: dict, number: int) -> None:
    """Send it, and tell of it; first that: the manager may tell of the end at once."""
    events.of_container("kill", facts, signal=number)
    send(facts, number)


def by_hand(facts: dict) -> dict:
    """Somebody wants it ended: so it is not started again, and one that waits for its next try has ended. Gives its facts as they are now.

    Raises ``OSError`` if that cannot be written down.
    """
    if "restart" not in facts:
        return facts
    with suppress(FileNotFoundError), kept.locked(kept.place(facts)) as now:
        now["state"]["by_hand"] = True
        if now["state"]["status"] == "restarting":
            now["state"]["status"] = "exited"
        kept.save(now)
        return now
    return facts


def is_to_end_it(facts: dict, number: int) -> bool:
    """Does Docker take this signal for the wish that it ends? One with a stop signal of its own may be sent others for other ends."""
    own = facts["config"]["stop_signal"]
    return not own or number in (signal.SIGKILL, number_of(own))


def number_of(word: str) -> int:
    """``TERM``, ``SIGTERM``, ``15``. Raises ``ValueError``, in Docker's words."""
    try:
        return signal_number(word)
    except ValueError:
        raise ValueError(f"invalid signal: {word}") from None


@contextmanager
def watching(facts: dict) -> Iterator[int]:
    """What ``pidfd_of`` gives, closed at the end, whenever an interrupt comes."""
    with Shield() as shield:
        pidfd = pidfd_of(facts)
        try:
            with shield.opened():
                yield pidfd
        finally:
            if pidfd >= 0:
                os.close(pidfd)


def send(facts: dict, number: int) -> None:
    """One that comes too late is no error. What is to end a paused container lets it go on, to its end, as in Docker."""
    with watching(facts) as pidfd:
        if pidfd < 0:
            return
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(pidfd, number)
        if number == signal.SIGKILL:
            undos = next((one["undos"] for one in state.records(facts["id"][: kept.SHORT])), ())
            state.thaw_groups(undos)
            state.release_groups(undos)
            state.kill_tracers(facts["state"]["pid"])
    if number != signal.SIGKILL and is_to_end_it(facts, number):
        pausing.let_go_on(facts)


def stop(facts: dict, grace: int | None = None, word: str | None = None) -> None:
    """Its stop signal (or that of ``word``), then after ``grace`` seconds SIGKILL. One that does not run is stopped already."""
    stop_all([facts], grace, word)


def stop_all(those: Sequence[dict], grace: int | None = None, word: str | None = None) -> None:
    """As ``stop``, with several at the same time."""
    for one in end_all(those, grace, word):
        one.settle()


def end_all(
    those: Sequence[dict],
    grace: int | None = None,
    word: str | None = None,
    until: int = -1,
    turn: AbstractContextManager | None = None,
) -> list[Stopping]:
    """They have ended when this returns, and ``settle`` of each is left to do; none is to be, if the descriptor ``until`` could be read
    before that: then nobody is waited for any longer. ``turn`` is waited for before the first signal is sent.
    """
    plays: list[Stopping] = []
    try:
        with turn or nullcontext():
            for facts in those:
                plays.append(Stopping(facts))
                plays[-1].begin(grace, word)
        while waiting := [one for one in plays if one.until is not None]:
            next_deadline = min(one.until for one in waiting)
            fds = [*(one.pidfd for one in waiting), *([until] if until >= 0 else [])]
            ready = linux.readable(fds, None if next_deadline == math.inf else next_deadline - time.monotonic())
            if until in ready:
                return []
            for one in waiting:
                if one.pidfd in ready or one.until <= time.monotonic():
                    one.go_on(one.pidfd in ready)
        return plays
    finally:
        for one in plays:
            one.close()


class Stopping:
    """One container that is being stopped: carries out what the play says. ``until`` is the moment it waits for, None at the end."""

    def __init__(self, facts: dict):
        self.facts, self.until, self.pidfd, self.began = facts, None, -1, False
        self.settling, self.is_settled = threading.Lock(), False

    def begin(self, grace: int | None, word: str | None) -> None:
        self.facts, config = by_hand(self.facts), self.facts["config"]
        if alive(self.facts):
            number = number_of(word or config["stop_signal"] or "TERM")
            self.play = stopping(number, config["stop_timeout"] if grace is None else grace)
            with Shield():
                self.pidfd = pidfd_of(self.facts)
            self.began = True
            self.go_on(None)

    def go_on(self, has_ended: bool | None) -> None:
        """Tell the play, and do what it wants now, until that is to wait."""
        self.until = None
        with suppress(StopIteration):
            while isinstance(command := self.play.send(has_ended), Kill):
                killing(self.facts, command.number)
                has_ended = not alive(self.facts)
            self.until = math.inf if command.seconds is None else time.monotonic() + command.seconds

    def close(self) -> None:
        if self.pidfd >= 0:
            os.close(self.pidfd)

    def settle(self) -> None:
        """Wait until the manager has seen to its end: what it had (an address, a port) is free only then. Several may wait for that."""
        with self.settling:
            if not self.is_settled:
                settled(self.facts)
                self.is_settled = True
                if self.began:
                    events.of_container("stop", self.facts)


# -- waiting ------------------------------------------------------------------------------------------------------------


def ends(facts: dict, seconds: float | None = None) -> bool:
    """Does its process end within this time?"""
    with watching(facts) as pidfd:
        return pidfd < 0 or bool(linux.readable([pidfd], seconds))


def wait(facts: dict) -> int:
    """Wait for its end, and until the manager has settled that; returns the exit code. It may be gone by then (``--rm``), or run again."""
    facts = tried_again(facts)
    if facts["state"]["status"] not in kept.UP:
        return facts["state"]["exit_code"]
    with suppress(FileNotFoundError):
        with open(run_folder(facts["id"]) / "exit", "rb") as end:  # open, it can be read even when it has been removed
            ends(facts)
            now = settled(facts)
            if (code := endings.written(end.fileno())) is not None:
                return code
        return now["state"]["exit_code"] if now else endings.UNKNOWN
    now = settled(facts)
    return now["state"]["exit_code"] if now else endings.UNKNOWN


def tried_again(facts: dict) -> dict:
    """Wait for the next try of one that is to be started again; its facts then."""
    while facts["state"]["status"] == "restarting":
        time.sleep(LOOK)
        try:
            facts = kept.load(kept.place(facts))
        except FileNotFoundError:
            facts = facts | {"state": facts["state"] | {"status": "removing"}}
    return facts


# -- names, and the end -------------------------------------------------------------------------------------------------


def rename(facts: dict, name: str) -> None:
    """Call it otherwise. Raises ``ValueError``, ``NameTaken``."""
    from lib.container import check_name  # what makes containers is long to load
    from lib.engine.lifecycle import free

    name = name.removeprefix("/")
    check_name(name)
    if name == facts["name"]:
        raise ValueError("Renaming a container with the same name as its current name")
    with kept.naming(), kept.locked(kept.place(facts)) as now:
        kept.save(now | {"name": free(name)})
        events.of_container("rename", now | {"name": name}, oldName=f"/{now['name']}")
        for one in (now["state"].get("networks") or {}).values():
            shared.amend(str(state.runtime_dir() / "networks" / one["id"][: kept.SHORT]), now["id"][: kept.SHORT], name=name)


def remove(facts: dict, force: bool = False, volumes: bool = False) -> None:
    """Take it away, with all that it has written, and (``volumes``) with its anonymous volumes.

    Raises ``Conflict`` if it runs and is not to be killed.
    """
    place = kept.place(facts)
    if (alive(facts) or facts["state"]["status"] == "restarting") and not force:
        raise Conflict(f'cannot remove container "{facts["name"]}": container is {WAYS_OUT[facts["state"]["status"]]}')
    with suppress(OSError):
        facts = by_hand(facts)
    if alive(facts):
        killing(facts, signal.SIGKILL)
        if not ends(facts, KILLED):
            raise Conflict(f'cannot remove container "{facts["name"]}": it did not end within {KILLED} s of SIGKILL')
    with suppress(OSError):  # the disk is full, and this is how room is made
        settled(facts)
    try:
        with kept.locked(place) as now, Shield():  # half removed, it would not be there, and yet not gone
            if alive(now):
                raise Conflict(f'cannot remove container "{facts["name"]}": somebody has started it again')
            undo(now)
            now["state"]["with_volumes"] = volumes or now["state"].get("with_volumes", False)  # as who was killed had it
            take_away(now)
    except FileNotFoundError:  # it has gone; or its lock has, and whoever was about it was killed
        remove_damaged(place)


def remove_damaged(place: Path) -> None:
    """What is left of a container whose file cannot be read."""
    state.rmtree(str(place))


def gone(facts: dict, patience: float) -> None:
    """Wait until the manager has taken it away (``--rm``)."""
    deadline = time.monotonic() + patience
    settled(facts)
    while kept.place(facts).exists() and time.monotonic() < deadline:
        time.sleep(GLANCE)
        settled(facts)
