"""Docker's default list of ingredients: ``run``, ``create``, ``start`` and ``exec`` for one container.

This is the first module that knows all ingredients, and it does nothing but choose among them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from lib import bases, sizes, state
from lib.ingredients import (
    Cgroup,
    Files,
    Hostname,
    Init,
    Join,
    Loopback,
    Mount,
    Namespaces,
    RootFS,
    RunAs,
    User,
    WorkDir,
    capabilities,
)
from lib.ingredients import workdir as workdirs
from lib.ingredients.cgroups import ALLOWED, EVERYTHING, rules_of
from lib.ingredients.namespaces import made_by
from lib.ingredients.rootfs import SHARED_MEMORY
from lib.process import Exit, Plan, Process
from lib.visible import visible
from lib.volumes import own_mounts

LIMITS = ("memory", "memory_swap", "memory_reservation", "cpus", "cpu_weight", "cpu_shares", "cpu_period", "cpu_quota", "cpuset",
          "cpuset_mems", "pids_limit", "device_rates", "memory_swappiness", "oom_kill_disable", "blkio_weight",
          "blkio_weight_devices", "device_cgroup_rules")  # fmt: skip
OWN_IPC = ("private", "shareable", "none")  # whether others may join it is for the engine to say
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def cgroup_mount() -> Mount:
    """``/sys/fs/cgroup`` as the container may see it: its own part, read-only (the cgroup namespace cuts the rest off)."""
    return Mount("/sys/fs/cgroup", "cgroup2", "cgroup", "nosuid,noexec,nodev,ro", "the limits, to be read in here")


def known(options: dict) -> dict:
    """The options of a container. Raises ``TypeError`` for one that it does not have, with the nearest that it has."""
    names = (*Container.__init__.__kwdefaults__, *LIMITS)
    for name in options.keys() - set(names):
        from difflib import get_close_matches  # only who has made a mistake waits for it

        near = next((f": do you mean {one}?" for one in get_close_matches(name, names, 1, 0.5)), f"; it has {', '.join(names)}")
        raise TypeError(f"a container has no option {name!r}{near}")
    return options


class Container:
    """One container: a name, a command, and Docker's ingredients for it.

    The parameters have Docker's names. ``image`` is a base (``busybox``, ``debian``), a folder, or a list of both, the lowest
    layer first; ``memory``, ``cpus``, ``pids_limit`` … are limits (see ``Cgroup``); ``init`` and ``tty`` as ``--init`` and
    ``--tty``; ``volumes`` are ``"/host:/container[:options]"``, ``tmpfs`` ``"/container[:options]"``, ``mounts`` what else is mounted;
    ``network`` is ``"none"`` (alone on loopback), ``"host"``, or a network (see ``lib.network``); ``user`` is who it runs as (see
    ``users.find``); ``cap_add``, ``cap_drop``, ``privileged``, ``security_opt`` say what root in it may do; ``ipc``, ``pid_mode``, ``uts``,
    ``cgroupns`` are ``private`` or ``host``, and ``pid_mode`` and ``ipc`` may be the number of a process whose namespace it joins; with
    ``ipc="none"`` it has no ``/dev/shm`` either. ``hosts`` are more lines of its ``/etc/hosts`` where no network says them. Without root, a
    user namespace is taken along.
    """

    def __init__(
        self, image: str | Sequence[str], command: Sequence[str] = ("sh",), *, name: str | None = None, hostname: str | None = None,
        domainname: str = "", env: dict[str, str] | None = None, workdir: str = "/", volumes: Sequence[str] = (), tmpfs: Sequence[str] = (),
        read_only: bool = False, init: bool = False, tty: bool = False, network="none", ulimits=None, user: RunAs | None = None,
        cap_add: Sequence[str] = (), cap_drop: Sequence[str] = (), privileged: bool = False, mounts: Sequence[Mount] = (),
        devices: Sequence[str] = (), sysctls: dict[str, str] | None = None, shm_size=None, oom_score_adj: int | None = None,
        ipc: str | int = "private", pid_mode: str | int = "private", uts: str = "private", cgroupns: str = "private",
        security_opt: Sequence[str] = (), kept: str | None = None, synced: bool = False, hosts: Sequence[Sequence[str]] = (), **limits,
    ):  # fmt: skip
        known(limits)
        self.id = os.path.basename(kept) if kept else state.new_id()
        self.name = name or self.id
        check_words(self.name, limits.get("cpus"))
        self.hostname, self.domainname = hostname or self.id, domainname
        self.rootless, self.privileged = os.geteuid() != 0, privileged
        self.workdir, self.ulimits, self.user = workdirs.absolute(workdir), ulimits, user
        self.folder = str(state.folder("containers") / (f"{self.id}/scratch" if kept else self.id))
        self.devices = nodes(devices)
        pids = max(limits.pop("pids_limit", None) or 0, 0)
        self.cgroup = self.choose_cgroup(limits | {"pids": pids})
        self.shares = {"ipc": "private" if ipc in OWN_IPC else ipc, "pid": pid_mode, "uts": uts, "cgroup": cgroupns}
        self.tuning = tuned(sysctls, oom_score_adj, network != "host", ipc in OWN_IPC)
        self.network = connected(network, self.id, self.name, self.hostname)
        self.files = own_files(f"{self.folder}-files", self.hostname, self.network, self.domainname, hosts)
        mounts = [*self.extra_mounts(), *own_mounts(volumes, tmpfs), *mounts]
        layers = [bases.find(one) for one in ([image] if isinstance(image, str) else image)]
        self.rootfs = RootFS(
            layers, self.folder, mounts, read_only, self.rootless, network == "host", files=self.files.bound, privileged=privileged,
            upper=f"{kept}/upper" if kept else None, synced=synced, shm=sizes.in_bytes(shm_size or SHARED_MEMORY), ipc=ipc,
            devices=self.devices,
        )  # fmt: skip
        self.capabilities = capabilities.of_container(self.cgroup, cap_add, cap_drop, privileged, security_opt)
        self.env = {"PATH": PATH, "HOSTNAME": self.hostname, **({"TERM": "xterm"} if tty else {}), "HOME": "/root", **(env or {})}
        extras = [Init()] if init else []
        self.plan = Plan(command, [*self.ingredients(), *extras, *on_network(self.network)], self.env, tty, name=self.id)
        self.process: Process | None = None

    def choose_cgroup(self, limits: dict) -> Cgroup | None:
        """A cgroup for every container of root; a user has one only where limits are asked for (and delegated)."""
        rules = [rule for text in limits.pop("device_cgroup_rules", ()) for rule in rules_of(text)]
        if self.rootless and not any(limits.values()):
            return None
        allowed = EVERYTHING if self.privileged else [*ALLOWED, *(one.rule for one in self.devices), *rules]
        return Cgroup(name=self.id, devices=allowed, **limits)

    def extra_mounts(self) -> list[Mount]:
        return [cgroup_mount()] if self.cgroup and self.cgroup.backend.version == 2 and not self.rootless else []

    def ingredients(self) -> list:
        """Docker's default list. Take one away, add one of yours: that is all there is to a container."""
        return [
            *([User()] if self.rootless else []),
            *self.namespaces(),
            *([self.cgroup] if self.cgroup else []),
            self.rootfs,
            self.files,
            WorkDir(self.workdir, self.ulimits),
            *self.rights(),
        ]

    def namespaces(self) -> list:
        """Its own, but for those that it is to share with the machine, or (PID, IPC) with another container."""
        own = [kind for kind in ("pid", "ipc", "cgroup") if self.shares[kind] == "private"]
        joined = [Join(other, (kind,)) for kind in ("pid", "ipc") if isinstance(other := self.shares[kind], int)]
        names = [Hostname(self.hostname, self.domainname)] if self.shares["uts"] == "private" else []
        return [Namespaces(*own), *joined, *names, *self.tuning]

    def rights(self) -> list:
        """What the program may do: that of the container's first program, and of each one that joins it."""
        return [self.capabilities, *([self.user] if self.user else [])]

    def create(self) -> Container:
        """Everything but the command itself; it waits for ``start``."""
        self.process = self.plan.create()
        return self

    def start(self) -> Container:
        """Start in the background."""
        if self.process is None:
            self.create()
        self.process.start()
        return self

    def run(self, **how) -> Exit:
        """Run in the foreground; see ``Plan.run``."""
        return self.plan.run(**how)

    def exec_plan(
        self, command: Sequence[str], env: dict[str, str] | None = None, workdir: str | None = None, tty: bool = False,
        user: RunAs | None = None,
    ) -> Plan:  # fmt: skip
        """``docker exec``: another process with the same ingredients, joined instead of made; who and where is the container's."""
        if self.process is None or self.process.state == "removed" or self.process.poll() is not None:
            raise RuntimeError(f"container {self.name} is not running: there is nothing to join; start it first")
        return self.joining(self.process.pid, command, env, workdir, tty, user)

    def joining(
        self, pid: int, command: Sequence[str], env: dict[str, str] | None = None, workdir: str | None = None, tty: bool = False,
        user: RunAs | None = None,
    ) -> Plan:  # fmt: skip
        """As ``exec_plan``, into the container whose first process is ``pid``: it may be one that another program has started."""
        if self.cgroup and self.cgroup.frozen:
            raise RuntimeError(f"container {self.name} is paused: what joins it would stand still too; thaw it first (docker unpause)")
        joined = [*([self.cgroup.join()] if self.cgroup else []), Join(pid, made_by(self.plan.steps))]
        joined += [WorkDir(workdirs.absolute(workdir or self.workdir), self.ulimits, make=False), self.capabilities]
        who = user or self.user
        terminal = {"TERM": "xterm"} if tty else {}
        return Plan(command, [*joined, *([who] if who else [])], {**self.env, **terminal, **(env or {})}, tty)

    def exec(
        self, command: Sequence[str], env: dict[str, str] | None = None, workdir: str | None = None, tty: bool = False,
        user: RunAs | None = None, **how,
    ) -> Exit:  # fmt: skip
        """Run one more command in the container, in the foreground."""
        return self.exec_plan(command, env, workdir, tty, user).run(**how)

    def stop(self, timeout: float = 10) -> Exit:
        return self.process.stop(timeout)

    def kill(self, number: int = 9) -> None:
        self.process.signal(number)

    def wait(self, timeout: float | None = None) -> Exit:
        return self.process.wait(timeout)

    def logs(self) -> str:
        return self.process.logs().decode(errors="replace")

    def remove(self) -> None:
        """Kill it if it runs; remove its cgroup, its writable layer, its record."""
        if self.process:
            self.process.remove()

    @property
    def pid(self) -> int:
        """The pid of the container's first process, as the host sees it."""
        return self.process.pid

    @property
    def state(self) -> str:
        return self.process.state if self.process else "new"

    def __enter__(self) -> Container:
        return self

    def __exit__(self, *error) -> None:
        self.remove()

    def __repr__(self) -> str:
        return f"<container {self.id} {self.state}: {visible(' '.join(self.plan.argv))}>"


def connected(network, ident: str, name: str, hostname: str):
    """``none`` and ``host`` as they are; of a network, what this container needs to be on it. Raises ``ValueError``."""
    return network if isinstance(network, str) else network.connection(ident, name, hostname)


def on_network(network) -> list:
    """The ingredients for it. The machine's own network needs none: there everybody is who does not leave it."""
    match network:
        case "host":
            return []
        case "none":
            return [Loopback()]
    return network.ingredients


def own_files(folder: str, hostname: str, network, domain: str = "", hosts: Sequence[Sequence[str]] = ()) -> Files:
    """What the files in ``/etc`` say of the networks that it is on."""
    if isinstance(network, str):
        return Files(folder, hostname, network, hosts=hosts, domain=domain)
    return Files(folder, hostname, resolvers=network.resolvers, hosts=network.hosts, own=network.own, domain=domain)


def nodes(devices: Sequence[str]) -> list:
    """Of the machine's devices, those that it is to have too. Raises ``ValueError``."""
    if not devices:
        return []
    from lib.ingredients.devices import device_nodes  # few containers have any

    return [one for text in devices for one in device_nodes(text)]


def tuned(sysctls: dict[str, str] | None, oom_score_adj: int | None, own_network: bool, own_ipc: bool) -> list:
    """What turns the kernel's knobs for it. Raises ``ValueError`` for one that is the whole machine's."""
    if not sysctls and oom_score_adj is None:
        return []
    from lib.ingredients import OomScore, Sysctls  # few containers turn any

    knobs = [Sysctls(sysctls, own_network, own_ipc)] if sysctls else []
    return knobs + ([OomScore(oom_score_adj)] if oom_score_adj is not None else [])


def check_name(name: str) -> None:
    """Raises ``ValueError``, in Docker's words."""
    if not re.fullmatch("[a-zA-Z0-9][a-zA-Z0-9_.-]+", name):
        raise ValueError(f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")


def check_words(name: str, cpus: float | None) -> None:
    """Raises ``ValueError``, in Docker's words, for what cannot be meant."""
    check_name(name)
    most = len(os.sched_getaffinity(0))
    if cpus and not 0.01 <= cpus <= most:
        raise ValueError(f"range of CPUs is from 0.01 to {most}.00, as there are only {most} CPUs available")


def run(
    image: str | Sequence[str], command: Sequence[str] = ("sh",), *, stdin: bytes = b"", timeout: float | None = None,
    show: bool = True, **options,
) -> Exit:  # fmt: skip
    """``docker run --rm``: make a container, run it in the foreground, remove it, say how it ended."""
    return Container(image, command, **known(options)).run(stdin=stdin, timeout=timeout, show=show)


def create(image: str | Sequence[str], command: Sequence[str] = ("sh",), **options) -> Container:
    """``docker create``: everything but the start."""
    return Container(image, command, **known(options)).create()


def start(image: str | Sequence[str], command: Sequence[str] = ("sh",), **options) -> Container:
    """``docker run -d``: start in the background. Remove it when you are done, or use ``with``."""
    container = Container(image, command, **known(options))
    try:
        return container.start()
    except BaseException:
        container.remove()
        raise
