"""A root file system of one's own: layers below, a writable layer on top, the kernel's own folders, the pivot.

Everything here is mounted in the container's own mount namespace: the host's mount table does not grow, and when the last
process has gone, the kernel takes every mount down by itself. See mount_namespaces(7), pivot_root(2) and the kernel's
Documentation/filesystems/overlayfs.rst.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

from lib.process import Ref, Step

# The device nodes that every Docker container has: path, kind, major, minor (Documentation/admin-guide/devices.txt).
DEVICES = {
    "/dev/null": ("c", 1, 3),
    "/dev/zero": ("c", 1, 5),
    "/dev/full": ("c", 1, 7),
    "/dev/random": ("c", 1, 8),
    "/dev/urandom": ("c", 1, 9),
    "/dev/tty": ("c", 5, 0),
}
LINKS = {
    "/dev/fd": "/proc/self/fd",
    "/dev/stdin": "/proc/self/fd/0",
    "/dev/stdout": "/proc/self/fd/1",
    "/dev/stderr": "/proc/self/fd/2",
    "/dev/ptmx": "pts/ptmx",
}
CORE = ("/dev/core", "/proc/kcore")  # the machine's memory as a file, which is masked; a kernel may be built without it
# What Docker hides, as it tells about the host or lets a container change it.
MASKED = (
    "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
    "/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats", "/sys/devices/virtual/powercap", "/sys/firmware",
)  # fmt: skip
PAGE = 3900  # bytes: mount(2) takes one page of options; some are left for what is added
READONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")


@dataclass
class Mount:
    """A file system mounted at ``target`` in the container; ``options`` as for mount(8)."""

    target: str
    fstype: str
    source: str = ""
    options: str = ""
    why: str = ""

    def __post_init__(self):
        self.target = os.path.normpath("/" + self.target.lstrip("/"))

    def prepare(self, rootless: bool) -> list[Step]:
        """What comes before it can be mounted."""
        return []

    def step(self, root: str) -> Step:
        return Step("mounts", "mount_inside", (self.source or self.fstype, root, self.target, self.fstype, self.options), self.why)


@dataclass
class Bind(Mount):
    """A file or folder of the host, shown at ``target`` (``docker run -v source:target:ro``).

    What is mounted below the source comes along if it is ``recursive``, and gets the same ``options``; only the topmost gets ``own``.
    ``below`` is a path in the source: that is shown then. No link may lead it out of there.
    """

    fstype: str = "bind"
    recursive: bool = True
    own: str = ""
    below: str = ""

    def step(self, root: str) -> Step:
        words = (
            (self.recursive, self.own, self.below) if self.below else () if self.recursive and not self.own else (self.recursive, self.own)
        )
        return Step("mounts", "bind", (os.path.abspath(self.source), root, self.target, self.options, *words), self.why or "a bind mount")

    @property
    def listens(self) -> bool:
        """Whether what the host mounts below the source later shall be seen in the container (``rslave``)."""
        return bool({"slave", "shared"} & set(f"{self.options},{self.own}".split(",")))


@dataclass
class Layers(Bind):
    """The tree that an image's layers make together (the lowest first), read-only (``--mount type=image``).

    ``source`` is a folder that is made for it, in one that is removed with the container: there it is put together.
    """

    layers: Sequence[str] = ()
    options: str = "ro,nodev"

    def prepare(self, rootless: bool) -> list[Step]:
        """They are put together. Without a folder to write to, overlay wants two others."""
        empty = f"{self.source}-empty"
        layers = self.layers if len(self.layers) > 1 else [empty, *self.layers]
        folder, lower = lowerdirs(layers, "")
        options = f"lowerdir={lower},ro,nodev" + (",userxattr" if rootless else "")
        return [
            *(Step("provide", "mkdir", (path,), "for an image that is mounted") for path in (self.source, empty)),
            *([Step("root", "chdir", (folder,), "so many layers: only short names fit into mount's one page")] if folder else []),
            Step("root", "mount", ("overlay", self.source, "overlay", options), "the layers of another image, seen as a single tree"),
        ]


def Tmpfs(target: str, options: str = "nosuid,nodev,noexec") -> Mount:
    """An empty file system in memory (``docker run --tmpfs``)."""
    return Mount(target, "tmpfs", options=options, why="gone with the container")


DEV = Mount("/dev", "tmpfs", options="nosuid,strictatime,mode=755,size=64k", why="an empty /dev, to be filled with harmless devices")

SHARED_MEMORY = 64 << 20  # bytes of /dev/shm, as in Docker
HOST_SHM = Bind("/dev/shm", source="/dev/shm", why="--ipc=host: the machine's own shared memory")
SYS = Mount("/sys", "sysfs", options="nosuid,noexec,nodev,ro", why="the devices, read-only; network part of its own namespace")
WRITABLE_SYS = Mount("/sys", "sysfs", options="nosuid,noexec,nodev", why="--privileged: the devices, and their knobs")
HOST_SYS = Bind("/sys", source="/sys", options="ro", why="sysfs shows a network: only root of the network's owner may mount it")


def kernel_mounts(
    rootless: bool = False, host_network: bool = False, privileged: bool = False, shm: int = SHARED_MEMORY, host_shm: bool = False
) -> list[Mount]:  # fmt: skip
    """The kernel's own file systems, with the options that Docker gives them; ``shm`` are the bytes of ``/dev/shm``."""
    pts = "nosuid,noexec,newinstance,ptmxmode=0666,mode=0620" + ("" if rootless else ",gid=5")
    safe = "nosuid,noexec,nodev"
    return [
        Mount("/proc", "proc", options=safe, why="shows the PID namespace of whoever mounts it"),
        DEV,
        Mount("/dev/pts", "devpts", options=pts, why="terminals of its own"),
        Mount("/dev/shm", "tmpfs", "shm", f"{safe},mode=1777,size={shm}", "POSIX shared memory") if not host_shm else HOST_SHM,
        Mount("/dev/mqueue", "mqueue", options=safe, why="message queues of its IPC namespace"),
        HOST_SYS if rootless and host_network else WRITABLE_SYS if privileged else SYS,
    ]


def device_steps(root: str, rootless: bool = False, other: Collection[str] = ()) -> list[Step]:
    """Docker's device nodes, but for the paths where ``other`` ones are to be. In a user namespace nobody may make one, so there they are
    bound from the host.
    """
    wanted = {path: numbers for path, numbers in DEVICES.items() if path not in other}
    if rootless:
        nodes = [Step("mounts", "bind", (path, root, path), "mknod is not for user namespaces") for path in wanted]
    else:
        nodes = [Step("mounts", "mknod", (root, path, *numbers), "harmless by its number") for path, numbers in wanted.items()]
    links = [*LINKS.items(), *([CORE] if os.path.exists(CORE[1]) else [])]
    return nodes + [Step("mounts", "symlink", (root, *link)) for link in links]


def host_device_steps(root: str, other: Collection[str] = ()) -> list[Step]:
    """``--privileged``: every device node of the host that is not there already, and will not be as one of the ``other`` paths."""
    steps = []
    for folder, _, names in os.walk("/dev"):
        for path in (os.path.join(folder, name) for name in sorted(names)):
            about = os.lstat(path)
            kind = "c" if stat.S_ISCHR(about.st_mode) else "b" if stat.S_ISBLK(about.st_mode) else ""
            if kind and path not in {*DEVICES, *other} and not path.startswith(("/dev/pts/", "/dev/ptmx")):
                steps.append(Step("mounts", "mknod", (root, path, kind, os.major(about.st_rdev), os.minor(about.st_rdev)), "--privileged"))
    return steps


def mask_steps(root: str, masked: Sequence[str] = MASKED, readonly: Sequence[str] = READONLY) -> list[Step]:
    return [Step("mask", "mask", (root, path), "tells or changes the host") for path in masked] + [
        Step("mask", "readonly", (root, path), "knobs of the one kernel") for path in readonly
    ]


OWN_NULL = Step("pivot", "own_null", (), "the caller's /dev/null would be the machine's: nobody in here may change its mode")


@dataclass
class RootFS:
    """A root file system for a process.

    ``layers`` are folders, the lowest first; with ``scratch`` (a folder that is made for it, and removed with it) the process
    may write, and what it writes is in ``scratch/upper``, or in the folder ``upper``, which is there already and stays.
    Without ``scratch`` the last layer itself is the root.
    ``mounts`` are added to the kernel's own; ``bare`` leaves those, the devices and the masks out.
    """

    layers: Sequence[str]
    scratch: str | None = None
    mounts: Sequence[Mount] = ()
    read_only: bool = False
    rootless: bool = False
    host_network: bool = False
    bare: bool = False
    files: dict[str, str] = field(default_factory=dict)  # path in the container → file of the host
    upper: str | None = None
    privileged: bool = False  # no masks, a writable /sys, the host's devices
    shm: int = SHARED_MEMORY
    ipc: str | int = "private"  # whose shared memory it has: its own, the machine's ("host"), "none", that of this process
    devices: Sequence = ()  # of the machine's, see ``devices.Device``
    synced: bool = False  # what is written outlives the container's process, so fsync(2) in there must mean what it says

    @property
    def root(self) -> str:
        """Where it is put together, before the pivot: on its own last layer, as nobody else sees these mounts."""
        return os.path.abspath(self.layers[-1])

    def steps(self) -> list[Step]:
        steps = [Step("clone", "clone3", (["mnt"], None), "mounts of its own")]
        steps += self.alone(self.overlay_steps() if self.scratch else self.plain_steps())
        if not self.bare:
            steps += self.furniture()
        steps += [step for one in self.mounts for step in one.prepare(self.rootless)]
        steps += [one.step(self.root) for one in self.own_mounts()]
        if self.read_only:
            steps.append(Step("freeze-root", "restrict", (self.root, "ro"), "--read-only"))
        steps.append(Step("pivot", "pivot_root", (self.root,), "the host's files are out of reach"))
        return steps if self.bare else [*steps, OWN_NULL]

    def alone(self, root_steps: list[Step]) -> list[Step]:
        """The root, and nothing that we mount reaches the host; nor the other way round, but where a bind mount asks for that."""
        if not any(one.listens for one in self.mounts if isinstance(one, Bind)):
            return [Step("propagation", "mount", (None, "/", None, "rprivate"), "nothing we mount reaches the host"), *root_steps]
        return [
            Step("propagation", "mount", (None, "/", None, "rslave"), "nothing we mount reaches the host; what it mounts, reaches us"),
            *root_steps,
            Step("root", "mount", (None, self.root, None, "rprivate"), "but not in here"),
        ]

    def own_mounts(self) -> list[Mount]:
        """Beside the kernel's. A bundle's (``bare``) in its own order; else the nearer to the root first, so that none covers another.

        Who mounts something at ``/etc/hosts`` does not want ours.
        """
        options = "ro" if self.read_only else ""  # nothing of a read-only container's can be written, these files neither
        taken = {one.target for one in self.mounts}
        files = [Bind(path, source=source, options=options) for path, source in self.files.items() if path not in taken]
        mounts = [*files, *self.mounts]
        if any(one.listens for one in mounts if isinstance(one, Bind)):
            mounts = [deaf(one) if isinstance(one, Bind) else one for one in mounts]
        return mounts if self.bare else sorted(mounts, key=lambda one: one.target.count("/"))

    def overlay_steps(self) -> list[Step]:
        """Many read-only folders and one writable one, seen as a single tree."""
        upper, work = self.upper or f"{self.scratch}/upper", f"{self.scratch}/work"
        folder, lower = lowerdirs(self.layers, f",upperdir={escape(upper)},workdir={escape(work)}")
        options = f"lowerdir={lower},upperdir={escape(upper)},workdir={escape(work)}"
        options += ",userxattr" if self.rootless else ",redirect_dir=off,metacopy=off"  # what is in the upper folder is the whole truth
        options += "" if self.synced else ",volatile"  # no sync to disk: the layer is removed with the container
        options += "" if self.privileged else ",nodev"  # an image may bring a node of the host's disk along; ours lie in /dev
        undo = (("rmtree", self.scratch),)
        folders = [Step("provide", "mkdir", (self.scratch,), "new, or it would not be ours to remove", undo=undo)]
        folders += [Step("provide", "mkdir", (path,), "for the overlay") for path in (upper, work) if path != self.upper]
        near = [Step("root", "chdir", (folder,), "so many layers: only short names fit into mount's one page")] if folder else []
        return [*folders, *near, Step("root", "mount", ("overlay", self.root, "overlay", options), "layers below, writes on top")]

    def plain_steps(self) -> list[Step]:
        return [Step("root", "mount", (self.root, self.root, None, "rbind"), "pivot_root wants a mount point")]

    def shared_memory(self) -> list[Step]:
        """Of another container: who shares its IPC namespace shares this, too."""
        return [
            Step("prepare", "memory_of", (self.ipc,), "as the other one sees it: from here it cannot be seen", gives="shm"),
            Step("mounts", "hang_in", (Ref("shm"), self.root, "/dev/shm"), "POSIX shared memory"),
        ]

    def furniture(self) -> list[Step]:
        """The kernel's folders and devices, in the order of their paths, then the masks."""
        steps, own = [], {one.target: one for one in self.devices}  # of two at one place the later counts
        for one in kernel_mounts(self.rootless, self.host_network, self.privileged, self.shm, self.ipc == "host"):
            if one.target == "/dev/shm" and self.ipc == "none":
                continue
            steps += self.shared_memory() if one.target == "/dev/shm" and isinstance(self.ipc, int) else [one.step(self.root)]
            if one is DEV:
                steps += device_steps(self.root, self.rootless, own)
                steps += host_device_steps(self.root, own) if self.privileged and not self.rootless else []
                steps += [device.step(self.root, self.rootless) for device in own.values()]
        return steps if self.privileged else steps + mask_steps(self.root)


def lowerdirs(layers: Sequence[str], rest: str) -> tuple[str, str]:
    """The list of layers, the highest first; as names in one folder if their paths are too long for mount(2), and that folder."""
    paths = [escape(layer) for layer in reversed(layers)]
    folder = os.path.commonpath([os.path.dirname(os.path.abspath(layer)) for layer in layers])
    if len(":".join(paths)) + len(rest) < PAGE:
        return "", ":".join(paths)
    return folder, ":".join(path.removeprefix(escape(folder) + "/") for path in paths)


def deaf(one: Bind) -> Bind:
    """Unless it asks for it, a bind mount sees nothing of what the host mounts below its source."""
    return one if one.listens else replace(one, options=f"{one.options},private")


def escape(path: str) -> str:
    """overlay reads ``,`` and ``:`` as separators, so in a folder's name they get a backslash."""
    return os.path.abspath(path).replace("\\", "\\\\").replace(",", "\\,").replace(":", "\\:")
