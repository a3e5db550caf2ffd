"""The hooks of a service: ``post_start`` and ``pre_stop`` run in its container, ``pre_start`` in one of its own, before."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import closing

from lib import linux
from lib.compose.acting.stopping import Stop
from lib.compose.model import PreStart, Project, Service
from lib.compose.planning.operations import RunHook
from lib.compose.services import naming, translation
from lib.engine import ending, joining, lifecycle, wishes
from lib.images import Library
from lib.state import kept

LAST = 500  # bytes of what it printed, when it fails


class HookFailed(Exception):
    """It ended with an exit code that is not 0."""


def inside(library: Library, stop: Stop, one: RunHook, facts: dict) -> None:
    """In the container. Raises ``HookFailed``, ``Interrupted``."""
    said = one.hook
    env = {name: value for name, value in said.environment.items() if value is not None}
    wanted = joining.Joined(said.command, env, said.working_dir or None, said.user or None, privileged=said.privileged)
    with open(os.memfd_create("hook"), "w+b") as out:
        plan = joining.plan(library, facts, wanted)
        with closing(joining.Exec(plan, stdout=out.fileno(), stderr=out.fileno())) as process:
            if stop.fd in linux.readable([process.pidfd, stop.fd]):
                signal.pidfd_send_signal(process.pidfd, signal.SIGKILL)
            code = process.wait()
        stop.check()
        if code:
            out.seek(0)
            raise HookFailed(f"{one} ended with exit code {code}{last(out.read())}")


def last(text: bytes) -> str:
    found = text[-LAST:].decode(errors="replace").strip()
    return f": {found}" if found else ""


def of_its_own(model: Service, said: PreStart, ident: str) -> Service:
    """The hook as a service: with the volumes of the container that it comes before, on the same networks, by no name."""
    parts = {name: getattr(said, name) for name in said.model_fields_set if name not in ("per_replica", "extensions")}
    for name in ("image", "networks", "network_mode"):
        parts[name] = parts.get(name) or getattr(model, name)
    parts["environment"] = model.environment | said.environment
    parts["volumes_from"] = [f"container:{ident}", *parts.get("volumes_from", [])]
    return Service(name=model.name, **parts)


def before(library: Library, project: Project, stop: Stop, one: RunHook, facts: dict, other: Callable[[str], dict]) -> None:
    """Before the container of these facts starts. Raises ``HookFailed``, ``Interrupted``."""
    service = of_its_own(one.model, one.hook, facts["id"])
    image = library.find(naming.image(project, service))
    wanted = translation.Wanted(project, service, one.number, oneoff=True, aliases=False, other=other)
    name = f"{one.resource}-pre_start-{one.place}-{os.urandom(4).hex()}"
    with wishes.kept(image):
        made = lifecycle.create(library, translation.facts(wanted, image), name)
    try:
        made = lifecycle.start(library, kept.place(made))
        with ending.watching(made) as pidfd:
            linux.readable([*([pidfd] if pidfd >= 0 else []), stop.fd], None if pidfd >= 0 else 0)
        stop.check()
        if code := ending.wait(kept.load(kept.place(made))):
            raise HookFailed(f"{one} ended with exit code {code}{last(printed(made))}")
    finally:
        ending.remove(kept.load(kept.place(made)), force=True, volumes=True)


def printed(facts: dict) -> bytes:
    from lib.engine.log.reader import frames

    return b"".join(piece.data for piece in frames(kept.place(facts)))[-LAST:]
