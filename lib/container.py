"""Docker's default list of ingredients: ``run``, ``create``, ``start`` and ``exec`` for one container.

This is the first module that knows all ingredients, and it does nothing but choose among them.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Sequence

from lib import bases, linux, state
from lib.ingredients import (
    Bind,
    Capabilities,
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
    Tmpfs,
    User,
    WorkDir,
    capabilities,
)
from lib.ingredients.cgroups import ALLOWED, EVERYTHING
from lib.process import Exit, Plan, Process, check_text

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def cgroup_mount() -> Mount:
    """``/sys/fs/cgroup`` as the container may see it: its own part, read-only (the cgroup namespace cuts the rest off)."""
    return Mount("/sys/fs/cgroup", "cgroup2", "cgroup", "nosuid,noexec,nodev,ro", "the limits, to be read in here")


class Container:
    """One container: a name, a command, and Docker's ingredients for it.

    The parameters have Docker's names. ``image`` is a base (``busybox``, ``debian``), a folder, or a list of both, the lowest
    layer first; ``memory``, ``cpus``, ``pids_limit`` … are limits (see ``Cgroup``); ``init`` and ``tty`` as ``--init`` and
    ``--tty``; ``volumes`` are ``"/host:/container[:options]"``, ``tmpfs`` ``"/container[:options]"``; ``network`` is ``"none"``
    (alone on loopback) or ``"host"``; ``user`` is who it runs as (see ``users.find``); ``cap_add``, ``cap_drop`` and ``privileged``
    say what root in it may do.
    Without root, a user namespace is taken along.
    """

    def __init__(
        self, image: str | Sequence[str], command: Sequence[str] = ("sh",), *, name: str | None = None, hostname: str | None = None,
        env: dict[str, str] | None = None, workdir: str = "/", volumes: Sequence[str] = (), tmpfs: Sequence[str] = (),
        read_only: bool = False, init: bool = False, tty: bool = False, network: str = "none", ulimits=None, user: RunAs | None = None,
        memory=None, memory_swap=None, cpus=None, cpu_weight=None, cpuset=None, pids_limit=None,
        cap_add: Sequence[str] = (), cap_drop: Sequence[str] = (), privileged: bool = False,
    ):  # fmt: skip
        self.id = state.new_id()
        self.name = name or self.id
        check_words(self.name, cpus)
        self.hostname = hostname or self.id
        self.rootless, self.privileged = os.geteuid() != 0, privileged
        self.workdir, self.ulimits, self.user = absolute(workdir), ulimits, user
        self.folder = str(state.folder("containers") / self.id)
        limits = {
            "memory": memory, "memory_swap": memory_swap, "cpus": cpus, "cpu_weight": cpu_weight, "cpuset": cpuset,
            "pids": max(pids_limit or 0, 0),
        }  # fmt: skip
        self.cgroup = self.choose_cgroup(limits)
        self.files = Files(str(state.runtime_dir() / self.id), self.hostname, network)
        mounts = [*self.extra_mounts(), *own_mounts(volumes, tmpfs)]
        layers = [bases.find(one) for one in ([image] if isinstance(image, str) else image)]
        self.rootfs = RootFS(
            layers, self.folder, mounts, read_only, self.rootless, network == "host", files=self.files.bound, privileged=privileged
        )
        self.capabilities = choose_capabilities(self.cgroup, cap_add, cap_drop, privileged)
        self.env = {"PATH": PATH, "HOSTNAME": self.hostname, **({"TERM": "xterm"} if tty else {}), "HOME": "/root", **(env or {})}
        extras = [Init()] if init else []
        extras += [Loopback()] if network == "none" else []
        self.plan = Plan(command, self.ingredients() + extras, self.env, tty, name=self.id)
        self.process: Process | None = None

    def choose_cgroup(self, limits: dict) -> Cgroup | None:
        """A cgroup for every container of root; a user has one only where limits are asked for (and delegated)."""
        if self.rootless and not any(limits.values()):
            return None
        return Cgroup(name=self.id, devices=EVERYTHING if self.privileged else ALLOWED, **limits)

    def extra_mounts(self) -> list[Mount]:
        return [cgroup_mount()] if self.cgroup and self.cgroup.backend.version == 2 and not self.rootless else []

    def ingredients(self) -> list:
        """Docker's default list. Take one away, add one of yours: that is all there is to a container."""
        return [
            *([User()] if self.rootless else []),
            Namespaces("pid", "ipc", "cgroup"),
            Hostname(self.hostname),
            *([self.cgroup] if self.cgroup else []),
            self.rootfs,
            self.files,
            WorkDir(self.workdir, self.ulimits),
            *self.rights(),
        ]

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
        if self.cgroup and self.cgroup.frozen:
            raise RuntimeError(f"container {self.name} is paused: what joins it would stand still too; thaw it first (docker unpause)")
        joined = [*([self.cgroup.join()] if self.cgroup else []), Join(self.process.pid)]
        joined += [WorkDir(absolute(workdir or self.workdir), self.ulimits, make=False), self.capabilities]
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
        return f"<container {self.id} {self.state}: {' '.join(self.plan.argv)}>"


def absolute(workdir: str) -> str:
    """A working directory, without dots. Raises ``ValueError``."""
    check_text(workdir, f"the working directory {workdir!r}")
    if not workdir.startswith("/"):
        raise ValueError(f"the working directory '{workdir}' is invalid, it needs to be an absolute path")
    return os.path.normpath(workdir)


def check_words(name: str, cpus: float | None) -> None:
    """Raises ``ValueError``, in Docker's words, for what cannot be meant."""
    if not re.fullmatch("[a-zA-Z0-9][a-zA-Z0-9_.-]+", name):
        raise ValueError(f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")
    most = len(os.sched_getaffinity(0))
    if cpus and not 0.01 <= cpus <= most:
        raise ValueError(f"range of CPUs is from 0.01 to {most}.00, as there are only {most} CPUs available")


def choose_capabilities(
    cgroup: Cgroup | None, add: Sequence[str] = (), drop: Sequence[str] = (), privileged: bool = False
) -> Capabilities:  # fmt: skip
    """Docker's fourteen, more, or fewer. Where nothing filters devices, nobody may make one: ``/dev`` is a place where nodes work."""
    if privileged:
        return Capabilities(capabilities.NAMES)
    names = capabilities.chosen(add, drop)
    return Capabilities(names if cgroup and cgroup.devices else [name for name in names if name != "MKNOD"])


def volume(text: str) -> Bind:
    """``-v /host:/container[:options]``. Raises ``ValueError`` when it is not that."""
    source, _, rest = text.partition(":")
    target, colon, mode = rest.partition(":")
    if not source.startswith("/") or not target.startswith("/"):
        raise ValueError(f"invalid volume {text!r}: /host/path:/container/path, and :ro if it shall be read-only")
    if os.path.normpath(target).strip("/") == "":
        raise ValueError(f"invalid volume '{text}': destination can't be '/'")
    words = volume_options(text, mode) if colon else []
    nodes = "" if os.path.exists(source) and stat.S_ISCHR(os.stat(source).st_mode) else "nodev"  # a device is bound by its own name only
    return Bind(target, source=source, options=",".join(filter(None, [*words, nodes])))


# What may stand behind a volume's second colon, one of each row (Docker's mount_linux parser). ``z`` asks for a label of SELinux's, which
# a program has to fear that runs under one of its own: ours do not. The last row is Docker Desktop's, and means nothing on Linux.
VOLUME_OPTIONS = (
    {"ro": "ro", "rw": ""},
    {"private": "", "rprivate": "", "slave": "slave", "rslave": "slave"},
    {"z": "", "Z": ""},
    {"consistent": "", "cached": "", "delegated": ""},
)


def volume_options(text: str, mode: str) -> list[str]:
    """``ro,Z`` as options of the mount. Raises ``ValueError`` for a word that is none, and for two that are of one kind."""
    words = mode.split(",")
    kinds = [next((kind for kind in VOLUME_OPTIONS if word in kind), None) for word in words]
    if None in kinds or any(kinds.count(kind) > 1 for kind in kinds):
        known = "; ".join(" ".join(kind) for kind in VOLUME_OPTIONS)
        shared = "; what is mounted in a container never reaches the host" if "shared" in mode else ""
        raise ValueError(f"invalid volume '{text}': invalid mode: {mode} (known are, one of each kind: {known}{shared})")
    return [kind[word] for word, kind in zip(words, kinds, strict=True)]


TMPFS_DATA = ("size", "mode", "uid", "gid", "nr_inodes", "nr_blocks", "mpol")  # see tmpfs(5)


def tmpfs_mount(text: str) -> Mount:
    """``--tmpfs /container[:options]``: mount(8)'s words and tmpfs(5)'s, over Docker's own; the later one counts. Raises ``ValueError``."""
    target, _, options = text.partition(":")
    if not target.startswith("/"):
        raise ValueError(f"invalid mount path: '{target}' mount path must be absolute")
    if os.path.normpath(target).strip("/") == "":
        raise ValueError(f"invalid tmpfs '{text}': destination can't be '/'")
    for word in filter(None, options.split(",")):
        if word.partition("=")[0] not in TMPFS_DATA and not linux.is_mount_word(word):
            raise ValueError(f'invalid tmpfs option "{word}": those of mount(8), and {"= ".join(TMPFS_DATA)}=')
    return Tmpfs(target, ",".join(filter(None, ["nosuid,nodev,noexec", options])))


def own_mounts(volumes: Sequence[str], tmpfs: Sequence[str]) -> list[Mount]:
    """What the caller wants mounted; of two tmpfs at one place the later counts, as in Docker. Raises ``ValueError``."""
    wished = {one.target: one for one in map(tmpfs_mount, tmpfs)}
    for one in map(volume, dict.fromkeys(volumes)):
        if one.target in wished:
            raise ValueError(f"Duplicate mount point: {one.target}")
        wished[one.target] = one
    return list(wished.values())


def run(
    image: str | Sequence[str], command: Sequence[str] = ("sh",), *, stdin: bytes = b"", timeout: float | None = None,
    show: bool = True, **options,
) -> Exit:  # fmt: skip
    """``docker run --rm``: make a container, run it in the foreground, remove it, say how it ended."""
    return Container(image, command, **options).run(stdin=stdin, timeout=timeout, show=show)


def create(image: str | Sequence[str], command: Sequence[str] = ("sh",), **options) -> Container:
    """``docker create``: everything but the start."""
    return Container(image, command, **options).create()


def start(image: str | Sequence[str], command: Sequence[str] = ("sh",), **options) -> Container:
    """``docker run -d``: start in the background. Remove it when you are done, or use ``with``."""
    container = Container(image, command, **options)
    try:
        return container.start()
    except BaseException:
        container.remove()
        raise
