"""The command stays with a container: with one that it starts, with one that runs already, with one more process in there."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Collection
from contextlib import ExitStack, closing, suppress
from typing import TYPE_CHECKING

from lib.cli.attached import terminal
from lib.cli.attached.detaching import DetachKeys
from lib.cli.attached.inputs import Input
from lib.cli.attached.relay import Relay
from lib.cli.attached.session import Session
from lib.cli.attached.sources import STREAMS, PipeSource
from lib.cli.standard import ours
from lib.engine import lifecycle, typists
from lib.engine.daemons.calling import Keeper, Manager
from lib.engine.joining import Exec
from lib.engine.typists import Caller
from lib.engine.vitality import alive
from lib.process import Plan
from lib.shield import Shield
from lib.state import events, kept

if TYPE_CHECKING:  # ``exec`` reads no log
    from lib.cli.attached.following import LogSource

REMOVED = 15  # seconds that we wait at most for a container that goes with its end
GRACE = 2  # seconds from a notebook's Stop to SIGKILL
LEFT = 0  # the exit code when the user has gone away by the keys


def started(library, facts: dict, types: bool, keys: str, proxy: bool = True, streams: Collection[str] = STREAMS) -> int:
    """Start it, and stay until it ends: returns its exit code."""
    from lib.cli.attached.following import LogSource

    place, caller = kept.place(facts), Caller(types, terminal.size())
    try:
        with Relay(proxy) as relay, closing(LogSource(place, streams)) as source, kept.reading(place):
            events.of_container("attach", kept.load(place))
            facts = lifecycle.start(library, place, caller)
            code = followed(facts, source, relay, caller, keys)
    except KeyboardInterrupt:
        if not ours():
            stopped(facts)
        raise
    return ended(facts, code)


def stopped(facts: dict) -> None:
    """A notebook's Stop is meant for the container: there is no terminal whose Ctrl-C it would get, and no relay in a kernel."""
    from lib.engine import ending

    with suppress(FileNotFoundError):  # it has ended, and gone
        ending.stop(kept.load(kept.place(facts)), GRACE, "INT")
        ended(facts, 128 + signal.SIGINT)


def attached(facts: dict, types: bool, keys: str, proxy: bool) -> int:
    """Come to one that runs, and stay until it ends: returns its exit code."""
    from lib.cli.attached.following import LogSource

    place = kept.place(facts)
    with Relay(proxy) as relay, closing(LogSource(place)) as source, kept.reading(place):
        try:
            caller = at_the_ends(facts, types)
        except ConnectionError:
            if alive(facts):
                raise
            caller = Caller()  # it has ended just now: its last words, and its exit code, are still to come
        events.of_container("attach", facts)
        if caller.master >= 0:
            terminal.redraw(caller.master)
        code = followed(facts, source, relay, caller, keys)
    return ended(facts, code)


def at_the_ends(facts: dict, types: bool) -> Caller:
    """Our own hold of its terminal, or of its standard input."""
    if not facts["config"]["tty"]:
        return Caller(types, sink=typists.typing_into(facts) if types else -1)
    name = f"{facts['id']}/terminal"
    if (master := Keeper.give(name)) < 0:
        Manager.look(kept.place(facts))  # which holds it too, and gives it to a keeper that is new
        if (master := Keeper.give(name)) < 0:
            raise ConnectionError(f"the terminal of container {facts['name']} is lost: keeper and manager were both killed")
    return Caller(types, sink=os.dup(master) if types else -1, master=master)


def followed(facts: dict, source: LogSource, relay: Relay, caller: Caller, keys: str) -> int | None:
    """Until it ends: its exit code; or until the user has left: None."""
    from lib.engine import ending

    try:
        source.started(facts)
        typed = Input(caller.sink, DetachKeys(keys) if caller.master >= 0 else None) if caller.sink >= 0 else None
        caller.sink = -1  # the input's to close
        how = Session([source], relay, lambda number: ending.send(facts, number), typed, caller.master).run()
    finally:
        caller.close()
    return None if how == "detached" else source.exit_code()


def ended(facts: dict, code: int | None) -> int:
    if code is None:
        return LEFT
    if facts["auto_remove"]:
        from lib.engine import ending

        ending.gone(facts, REMOVED)
    return code


def joined(plan: Plan, interactive: bool, tty: bool, keys: str, tell: Callable[[int], object] = lambda code: None) -> int:
    """One more process in a container, until it ends: returns its exit code, and ``tell`` is called with it.

    Signals are not passed on, as with Docker.
    """
    with Relay(proxy=False) as relay, ExitStack() as undo:
        with Shield():  # who would close what an interrupt leaves here?
            ours, theirs = ({}, {}) if tty else pipes(interactive, undo)
            run = undo.enter_context(closing(Exec(plan, terminal.size(), **theirs)))
            for fd in theirs.values():
                if fd >= 0:
                    os.close(fd)
        sources = [PipeSource(run.master)] if tty else [PipeSource(ours[stream], stream) for stream in STREAMS]
        sink = (os.dup(run.master) if tty else ours["stdin"]) if interactive else -1
        typed = Input(sink, DetachKeys(keys) if tty else None) if sink >= 0 else None
        how = Session(sources, relay, lambda number: None, typed, run.master, run.pidfd).run()
        if how == "detached":
            return LEFT
        tell(code := run.wait())
        return code


def pipes(interactive: bool, undo: ExitStack) -> tuple[dict[str, int], dict[str, int]]:
    """Our ends and the process's. Ours of its standard input is its ``Input``'s to close."""
    ours, theirs = {}, {"stdin": subprocess.DEVNULL}
    for stream in STREAMS:
        ours[stream], theirs[stream] = os.pipe2(os.O_CLOEXEC)
        undo.callback(os.close, ours[stream])
    if interactive:
        theirs["stdin"], ours["stdin"] = os.pipe2(os.O_CLOEXEC)
    return ours, theirs
