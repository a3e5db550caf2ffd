"""``exec``: one more process in a container that runs, whoever started it. It is the keeper's child, as the first one is."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from typing import NamedTuple

from lib import linux
from lib.engine import making
from lib.engine.daemons import endings
from lib.engine.daemons.calling import Keeper
from lib.engine.pipes import ExitInto
from lib.engine.vitality import alive
from lib.images import Library
from lib.ingredients import Capabilities, capabilities
from lib.process import Plan, Process
from lib.shield import Shield
from lib.state import events

DEBUG = "debug > "  # the prompt, so that nobody takes it for the container's own shell


class Joined(NamedTuple):
    """What is to run in there; None is "as the container itself"."""

    command: Sequence[str]
    env: dict[str, str] | None = None
    workdir: str | None = None
    user: str | None = None
    tty: bool = False
    privileged: bool = False


class NotRunning(ValueError):
    """Or it stands still. In Docker's words, and with its exit code."""

    exit_code = 1


def plan(library: Library, facts: dict, wanted: Joined) -> Plan:
    """The steps into it. Raises ``NotRunning``, ``LookupError`` for a user that its files do not know, ``ValueError``."""
    if facts["state"]["status"] == "restarting":
        raise NotRunning(f"Container {facts['id']} is restarting, wait until the container is running")
    if not alive(facts):
        raise NotRunning(f"container {facts['id']} is not running")
    if facts["state"]["status"] == "paused":
        raise NotRunning(f"Container {facts['name']} is paused, unpause the container before exec")
    made = making.container(library, facts)
    user = None
    if wanted.user:
        user = making.who(library, facts, wanted.user)
        wanted = wanted._replace(env={"HOME": user.home, **(wanted.env or {})})
    if wanted.privileged:
        made.capabilities = Capabilities(capabilities.NAMES, made.capabilities.no_new)
    return made.joining(facts["state"]["pid"], wanted.command, wanted.env, wanted.workdir, wanted.tty, user)


def with_tools(library: Library, facts: dict, command: Sequence[str], tty: bool = False) -> Plan:
    """The same for a shell with tools of ours, in a container that need have none. Raises as ``plan``, and ``FileNotFoundError``.

    It runs as root of the container, and nothing of its image is needed for it.
    """
    from lib import bases
    from lib.container import PATH
    from lib.ingredients.toolbox import PLACE, Toolbox

    path = f"{PLACE}/bin:{PLACE}/sbin:{PLACE}/usr/bin:{PLACE}/usr/sbin:{PATH}"
    made = plan(library, facts, Joined(command, {"PATH": path, "PS1": DEBUG}, "/", "0", tty))
    made.ingredients = [*made.ingredients, Toolbox(bases.find("busybox"))]
    return made


def telling(facts: dict, command: Sequence[str]) -> Callable[[int], None]:
    """Tell that this command is run in there; what is given back is to be called with its exit code, when it has ended."""
    ident = os.urandom(32).hex()
    for action in ("exec_create", "exec_start"):
        events.of_container(f"{action}: {' '.join(command)}", facts, execID=ident)
    return lambda code: events.of_container("exec_die", facts, execID=ident, exitCode=code)


class Exec:
    """A process in a container; ``pidfd`` and ``master`` (of its terminal, -1 without one) are ours until ``close``."""

    def __init__(self, plan: Plan, size: tuple[int, int] | None = None, **streams):
        """Start it. Raises ``StepError``. ``streams`` are its 0, 1 and 2, as ``Plan.create`` has them."""
        self.told, telling = os.pipe2(os.O_CLOEXEC)
        self.pid, self.pidfd, self.master = 0, -1, -1
        try:
            plan.ingredients = [*plan.ingredients, ExitInto(telling)]
            self.begin(plan.create(maker=Keeper, **streams), size)
        except BaseException:
            if self.pidfd >= 0:  # an interrupt that had to wait: nobody looks after it any more
                signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
            self.close()
            raise
        finally:
            os.close(telling)

    def begin(self, process: Process, size: tuple[int, int] | None) -> None:
        try:
            if size and process.master >= 0:
                linux.resize(process.master, *size)
            process.start()
            with Shield():  # half let go, it would be on record for ever
                self.pid, self.pidfd = process.pid, os.dup(process.pidfd)
                self.master = os.dup(process.master) if process.master >= 0 else -1
                process.let_go()
                process.record.remove()  # it has nothing to undo
        except BaseException:
            process.remove()
            raise

    def wait(self) -> int:
        """Its exit code, when it has ended: in the keeper's words, or, if that was killed, as far as the kernel tells."""
        linux.readable([self.pidfd])
        linux.readable([self.told])
        if text := os.read(self.told, 64).strip():
            return endings.code_of(int(text))
        found = (endings.of_zombie(self.pid), endings.of_pidfd(self.pidfd))
        return next((code for code in found if code is not None), endings.UNKNOWN)

    def close(self) -> None:
        for fd in (self.told, self.pidfd, self.master):
            if fd >= 0:
                os.close(fd)
        self.told = self.pidfd = self.master = -1
