"""Namespaces: what a process may see. Each kind is one bit of clone3(2).

See namespaces(7) and the man page of each kind. A process is always in one namespace of
each kind; "no namespaces" only means "the same ones as everybody".
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence

from lib import state
from lib.process import Ref, Step

KINDS = ("user", "pid", "mnt", "uts", "ipc", "net", "cgroup", "time")


class Namespaces:
    """New namespaces for a process, e.g. ``Namespaces("pid", "mnt")``.

    Raises ``ValueError`` for a kind that Linux does not have.
    """

    def __init__(self, *kinds: str):
        for kind in kinds:
            if kind not in KINDS:
                raise ValueError(f"there is no {kind!r} namespace: Linux has {', '.join(KINDS)}")
        self.kinds = kinds

    def steps(self) -> list[Step]:
        at_birth = [kind for kind in self.kinds if kind not in ("cgroup", "time")]
        steps = [Step("clone", "clone3", (at_birth, None), "born in new namespaces: " + ", ".join(at_birth))]
        if "mnt" in self.kinds:
            steps.append(Step("propagation", "mount", (None, "/", None, "rprivate"), "mounts stay in here"))
        if "cgroup" in self.kinds:
            steps.append(Step("unshare", "unshare", ("cgroup",), "its root is the cgroup we are in by now"))
        if "time" in self.kinds:
            steps += Time().steps()
        return steps


class Time:
    """A time namespace: clocks that count from boot, shifted by some seconds. See time_namespaces(7).

    Only children enter a new time namespace, and only before they exist may its clocks be set: so the go-between does both.
    """

    def __init__(self, monotonic: int = 0, boottime: int = 0):
        self.offsets = {"monotonic": monotonic, "boottime": boottime}

    def steps(self) -> list[Step]:
        steps = [Step("join", "unshare", ("time",), "for children only: the clone that follows is one")]
        for clock, seconds in self.offsets.items():
            if seconds:
                text = f"{clock} {seconds} 0"
                steps.append(Step("join", "write", ("/proc/self/timens_offsets", text), "before its first process"))
        return steps


class User:
    """A user namespace: root inside, somebody else outside. See user_namespaces(7).

    ``uids`` and ``gids`` are lists of ``(inside, outside, count)``; by default uid 0 inside is the caller outside.
    """

    def __init__(self, uids=None, gids=None):
        self.uids = uids or [(0, os.geteuid(), 1)]
        self.gids = gids or [(0, os.getegid(), 1)]

    def steps(self) -> list[Step]:
        lines = ["\n".join(" ".join(map(str, row)) for row in rows) for rows in (self.uids, self.gids)]
        steps = [Step("clone", "clone3", (["user"], None), "a user namespace first: it owns the others")]
        if os.geteuid() != 0:
            why = "who may drop a group could get past a file that forbids it to that group (CVE-2014-8989)"
            steps.append(Step("map", "write", ("/proc/{pid}/setgroups", "deny"), why))
        return [
            *steps,
            Step("map", "write", ("/proc/{pid}/gid_map", lines[1]), "inside gid, outside gid, how many"),
            Step("map", "write", ("/proc/{pid}/uid_map", lines[0]), "inside uid, outside uid, how many"),
            Step("rights", "setgid", (0,), "take on the mapped gid"),
            Step("rights", "setuid", (0,), "take on the mapped uid"),
        ]


class Join:
    """Join namespaces that exist: those of process ``pid``, or behind ``paths`` (kind → path). See setns(2).

    Every descriptor is opened before the first is joined, as after the first one ``/proc`` may be another.
    Raises ``ProcessLookupError`` when ``pid`` has ended, or names another process by now: to join *nothing* would be the host.
    """

    def __init__(
        self, pid: int | None = None, kinds: tuple[str, ...] = ("user", "time", "pid", "net", "ipc", "uts", "cgroup", "mnt"),
        paths: dict[str, str] | None = None,
    ):  # fmt: skip
        self.pid, self.kinds, self.paths = pid, kinds, paths
        self.start_time = state.start_time(self.pid) if self.pid else None

    @property
    def joined(self) -> int | None:
        """Whose PID namespace the process is in, then: who ends only when this one has been waited for. See pid_namespaces(7)."""
        return self.pid if "pid" in self.kinds else None

    def steps(self) -> list[Step]:
        if not self.paths and (self.start_time is None or state.start_time(self.pid) != self.start_time):
            raise self.gone()
        where = self.paths or {kind: f"/proc/{self.pid}/ns/{kind}" for kind in self.kinds if self.differs(kind)}
        opens = [
            Step("prepare", "open", (path,), "all are opened before the first is joined", gives=f"ns_{kind}")
            for kind, path in where.items()
        ]
        joins = [Step(stage(kind), "setns", (Ref(f"ns_{kind}"), kind), why_joined(kind)) for kind in sorted(where, key=rank)]
        null = [Step("pivot", "own_null", (), "the caller's /dev/null stays outside")] if "mnt" in where else []
        return opens + joins + null

    def differs(self, kind: str) -> bool:
        """Is it another namespace than ours? (Joining one's own user namespace is an error.)"""
        own, its = identity("self", kind), identity(self.pid, kind)
        if own is not None and its is None:  # a process that has ended has lost its namespaces
            raise self.gone()
        return its != own

    def gone(self) -> ProcessLookupError:
        return ProcessLookupError(errno.ESRCH, f"process {self.pid} has ended (or is not yours to look at): there is nothing to join")


def made_by(steps: Sequence[Step]) -> tuple[str, ...]:
    """The kinds that these steps make, or join. A process may enter others by itself later, into which nobody need follow it."""
    made = {kind for step in steps if step.call == "clone3" for kind in step.args[0]}
    made |= {kind for step in steps if step.call == "unshare" for kind in step.args}
    made |= {step.args[1] for step in steps if step.call == "setns"}
    return tuple(kind for kind in KINDS if kind in made)


def rank(kind: str) -> int:
    """The user namespace first: it gives the right to join the others. The mounts last: they hide our ``/proc``."""
    return {"user": 0, "mnt": 2}.get(kind, 1)


def stage(kind: str) -> str:
    """A cgroup namespace is joined after the clone: with ``nsdelegate``, as systemd mounts v2, nobody moves across its edge (ENOENT)."""
    return "unshare" if kind == "cgroup" else "join"


def why_joined(kind: str) -> str:
    why = {"user": "first: it gives the right to join the rest", "mnt": "last: from here on paths are the container's"}
    return why.get(kind, "once inside the cgroup: its namespace lets nobody in" if kind == "cgroup" else "")


def identity(pid: int | str | None, kind: str) -> str | None:
    """The name of the namespace that a process is in, e.g. ``pid:[4026531836]``; None if it cannot be told."""
    try:
        return os.readlink(f"/proc/{pid}/ns/{kind}")
    except OSError:
        return None


class Hostname:
    """A hostname of its own, and a NIS domain if need be; takes a UTS namespace along."""

    def __init__(self, name: str, domain: str = ""):
        self.name, self.domain = name, domain

    def steps(self) -> list[Step]:
        domain = Step("propagation", "write", ("/proc/sys/kernel/domainname", self.domain), "setdomainname(2), while /proc/sys is open")
        return [
            Step("clone", "clone3", (["uts"], None), "the hostname lives in the UTS namespace"),
            *([domain] if self.domain else []),
            Step("names", "sethostname", (self.name,), "seen by uname(2) in here only"),
        ]


class Loopback:
    """A network of its own with nothing but ``lo``; takes a network namespace along."""

    def steps(self) -> list[Step]:
        return [
            Step("clone", "clone3", (["net"], None), "own interfaces, routes, ports"),
            Step("names", "link_up", ("lo",), "127.0.0.1 answers only when the interface is up"),
        ]
