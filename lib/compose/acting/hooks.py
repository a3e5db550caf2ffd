"""The hooks of a service: ``post_start`` and ``pre_stop`` run in its container, ``pre_start`` in one of its own, before."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import closing, suppress

from lib import linux, state
from lib.compose.acting import images
from lib.compose.acting.stopping import Stop
from lib.compose.model import PreStart, Project, Service
from lib.compose.planning.operations import RunHook
from lib.compose.services import mounts, translation
from lib.engine import ending, joining, lifecycle, wishes
from lib.images import Library
from lib.state import kept

LAST = 500  # bytes of what it printed, when it fails
PIPE = 1 << 16  # bytes that are in one at most


class HookFailed(Exception):
    """It ended with an exit code that is not 0."""


def inside(library: Library, stop: Stop, one: RunHook, facts: dict) -> None:
    """In the container. Raises ``HookFailed``, ``Interrupted``."""
    said = one.hook
    env = {name: value for name, value in said.environment.items() if value is not None}
    wanted = joining.Joined(said.command, env, said.working_dir or None, said.user or None, privileged=said.privileged)
    plan = joining.plan(library, facts, wanted)
    end, begin = os.pipe2(os.O_CLOEXEC)
    with open(end, "rb", 0) as out, open(begin, "wb", 0) as into, closing(joining.Exec(plan, stdout=begin, stderr=begin)) as process:
        into.close()
        said = heard(process.pidfd, stop, out.fileno())
        code = process.wait()
    stop.check()
    if code:
        raise failed(one, code, said)


def heard(pidfd: int, stop: Stop, out: int) -> bytes:
    """The last of what is printed until the process ends, as it may print without end. It is killed when somebody says stop."""
    said, watched = b"", [pidfd, stop.fd, out]
    while True:
        ready = linux.readable(watched)
        if stop.fd in ready:
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            watched.remove(stop.fd)
        if out in ready:
            piece = os.read(out, PIPE)
            said = (said + piece)[-LAST:]
            if not piece:
                watched.remove(out)
        if pidfd in ready:  # and what it has printed has been read: a pipe holds no more than was just asked for
            return said


def failed(one: RunHook, code: int, said: bytes) -> HookFailed:
    found = said.decode(errors="replace").strip()
    return HookFailed(f"{one.when}[{one.place}] exited with code {code}" + (f": {found}" if found else ""))


def of_its_own(model: Service, said: PreStart, ident: str) -> Service:
    """The hook as a service: with the volumes of the container that it comes before, on the same networks, by no name."""
    parts = {name: getattr(said, name) for name in said.model_fields_set if name not in ("per_replica", "extensions")}
    for name in ("image", "networks", "network_mode"):
        parts[name] = parts.get(name) or getattr(model, name)
    parts["environment"] = model.environment | said.environment
    parts["volumes_from"] = [f"container:{ident}", *parts.get("volumes_from", [])]
    return Service(name=model.name, **parts)


def before(
    library: Library, project: Project, stop: Stop, one: RunHook, facts: dict, other: Callable[[str], dict], warn: Callable[[str], None]
) -> None:  # fmt: skip
    """Before the container of these facts starts. Raises ``HookFailed``, ``Interrupted``."""
    service = of_its_own(one.model, one.hook, facts["id"])
    image = images.of(library, project, service)
    own = state.Owner.current().name
    wanted = translation.Wanted(project, service, one.number, oneoff=True, owner=own, hook=one.place, aliases=False, other=other)
    name = f"{project.name}-{one.service}-pre_start-{one.place}" + (f"-{one.number}" if one.hook.per_replica else "")
    with wishes.kept(image):
        facts = translation.facts(wanted, image)
        made = lifecycle.create(library, facts, f"{name}-{os.urandom(4).hex()}", volumes=mounts.described(project), tell=warn)
    stays = False
    try:
        made = lifecycle.start(library, kept.place(made))
        with ending.watching(made) as pidfd:
            linux.readable([*([pidfd] if pidfd >= 0 else []), stop.fd], None if pidfd >= 0 else 0)
        stop.check()
        if code := ending.wait(kept.load(kept.place(made))):
            error, stays = failed(one, code, printed(made)), True
            raise HookFailed(f"{error} (hook container {retained(made, name)[: kept.SHORT]} retained for inspection)")
    finally:
        if not stays:
            ending.remove(kept.load(kept.place(made)), force=True, volumes=True)


def retained(made: dict, name: str) -> str:
    """One that has failed stays under this name until the next ``up`` or ``down``, so that somebody can look into it. Returns its id."""
    with suppress(FileNotFoundError):  # that next one is there already
        with kept.locked(kept.place(made)) as now:
            kept.save(now | {"compose": now["compose"] | {"owner": ""}})  # nobody waits for it any more
        for there in kept.every():
            if there["name"] == name and "owner" in (there.get("compose") or {}):
                with suppress(FileNotFoundError):
                    ending.remove(there, force=True, volumes=True)  # that of an earlier failure
        with suppress(ValueError):  # somebody else's has the name: it keeps that which it has
            ending.rename(made, name)
    return made["id"]


def printed(facts: dict) -> bytes:
    from lib.engine.log.reader import frames

    said = b""
    for piece in frames(kept.place(facts), tail=LAST):
        said = (said + piece.data)[-LAST:]
    return said
