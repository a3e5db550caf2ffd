"""``RUN``: a container whose changes become a layer.

It is made of the same ingredients as any other; only its writable folder is not thrown away. What a ``--mount`` shows it (a cache,
a secret, another stage) is mounted from elsewhere, and so is in no layer.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import signal
import stat
import threading
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from lib import inside, process, state
from lib.build.changes import Changes, Looks
from lib.build.copying import Copying, Source
from lib.build.steps import Cancelled
from lib.container import PATH, cgroup_mount, connected, on_network, own_files
from lib.dockerfile.mounts import Mount as Wish
from lib.images import ImageError, Merged, Store
from lib.ingredients import Bind, Cgroup, Files, Hostname, Mount, Namespaces, RootFS, RunAs, Tmpfs, User, WorkDir, capabilities
from lib.ingredients.cgroups import ALLOWED
from lib.process import Exit, Plan, Process
from lib.shield import Shield

HOSTNAME, HERE = "suitcase-build", "127.0.0.1"
TICK = 0.05  # s


@dataclass
class Command:
    """What a RUN runs, and as whom. ``layers`` are folders, the lowest first; ``env`` is what the program gets.

    ``network`` is as ``Container`` takes it, ``hosts`` as ``Wishes`` does.
    """

    argv: list[str]
    layers: list[str]
    env: dict[str, str]
    workdir: str = "/"
    user: RunAs = field(default_factory=RunAs)
    network: object = "host"
    wishes: tuple[Wish, ...] = ()
    hosts: Sequence[tuple[str, str]] = ()

    def where(self):
        """Its network, which finds these names."""
        alone = isinstance(self.network, str) or not self.hosts
        return self.network if alone else replace(self.network, hosts=[*self.network.hosts, *self.hosts])

    def lines(self) -> list[tuple[str, str]]:
        """For its /etc/hosts, where it is on no network that writes them. The machine itself is near then."""
        return [(HERE if address == "host-gateway" else address, name) for name, address in self.hosts if isinstance(self.network, str)]


class Runner:
    """Carries out one ``Command`` with ``upper`` as the folder that gets its changes."""

    def __init__(
        self, store: Store, command: Command, upper: str, sources: Callable[[Wish], Source], secrets: dict[str, str], ssh: dict[str, str],
        stopping: threading.Event | None = None,
    ):  # fmt: skip
        self.store, self.command, self.upper, self.sources = store, command, upper, sources
        self.secrets, self.ssh, self.stopping = secrets, ssh, stopping or threading.Event()
        self.id = state.new_id()
        self.network = connected(command.where(), self.id, HOSTNAME, HOSTNAME)
        self.scratch = f"{upper}.work"
        self.private = str(state.runtime_dir() / f"{self.id}-mounts")  # in memory: secrets go there
        self.env = {"PATH": PATH, "HOME": command.user.home, **command.env}
        self.process: Process | None = None

    def run(self, show: Callable[[str], object], running: set[str]) -> Exit:
        """Run it to its end; the folders for its mounts are gone afterwards. Raises ``StepError``, ``ImageError``.

        As long as it runs, ``running`` holds its name.
        """
        with Shield() as shield, ExitStack() as undo:  # an interrupt must not come between something and its undo
            record = state.new_record(f"{self.id}-mounts", [("rmtree", self.private)])  # should we be killed, gc removes it
            undo.callback(record.remove)
            undo.callback(state.rmtree, self.private)
            os.makedirs(self.private, mode=0o700)
            undo.callback(running.discard, self.id)
            with shield.opened():
                self.caches = self.lock_caches(undo)
                mounts = [mount for wish in self.command.wishes if (mount := self.mount(wish, undo))]
                running.add(self.id)
                done = self.plan(mounts).run(show=show)
                for target in (*(mount.target for mount in mounts), *self.files().bound):
                    remove_stub(Merged(self.command.layers), self.upper, target)
                return done

    def files(self) -> Files:
        return own_files(str(state.folder("containers") / f"{self.id}-files"), HOSTNAME, self.network, hosts=self.command.lines())

    def plan(self, mounts: list[Mount]) -> Plan:
        rootless, host_network = os.geteuid() != 0, self.network == "host"
        files = self.files()
        cgroup = None if rootless else Cgroup(name=self.id, devices=ALLOWED)
        extra = [cgroup_mount()] if cgroup and cgroup.backend.version == 2 else []
        rootfs = RootFS(
            self.command.layers, self.scratch, [*extra, *mounts], rootless=rootless, host_network=host_network,
            files=files.bound, upper=self.upper,
        )  # fmt: skip
        ingredients = [
            *([User()] if rootless else []),
            Namespaces("pid", "ipc", "cgroup"),
            Hostname(HOSTNAME),
            *([cgroup] if cgroup else []),
            rootfs,
            files,
            WorkDir(self.command.workdir),
            capabilities.of_container(cgroup, drop=["NET_RAW"] if host_network else ()),  # the machine's own network is not RUN's to change
            self.command.user,
            *on_network(self.network),
        ]
        return Plan(self.command.argv, ingredients, self.env, name=self.id)

    # -- RUN --mount

    def mount(self, wish: Wish, undo: ExitStack) -> Mount | None:
        match wish.type:
            case "tmpfs":
                size = f",size={wish.size}" if wish.size else ""
                return Tmpfs(wish.target, f"nosuid,nodev,noexec{size}{',ro' if wish.read_only else ''}")
            case "cache":
                return Bind(wish.target, source=self.caches[cache_name(wish)], options=options(wish))
            case "secret":
                return self.secret(wish)
            case "ssh":
                return self.agent(wish)
        return Bind(wish.target, source=self.tree(wish, undo), options=options(wish))

    def lock_caches(self, undo: ExitStack) -> dict[str, str]:
        """The folder of each cache by its name: each once, and always in the same order, else two commands may wait for each other."""
        found: dict[str, str] = {}
        wishes = [wish for wish in self.command.wishes if wish.type == "cache"]
        for wish in sorted(wishes, key=lambda wish: (cache_name(wish), wish.sharing or "shared")):  # locked before private and shared
            if cache_name(wish) not in found:
                found[cache_name(wish)] = self.cache(wish, undo)
        return found

    def cache(self, wish: Wish, undo: ExitStack) -> str:
        """A folder that stays from build to build. ``sharing=locked`` lets one build at a time have it; ``private`` gives each its own."""
        name = cache_name(wish)
        place = self.store.place / "mounts" / name
        self.begin_cache(wish, place, undo)
        lock, number = open_folder(place, undo), 0
        while wish.sharing == "private" and not locked(lock, fcntl.LOCK_EX):
            number += 1
            place = place.with_name(f"{name}-{number}")
            self.begin_cache(wish, place, undo)
            lock = open_folder(place, undo)
        kind = fcntl.LOCK_EX if wish.sharing == "locked" else fcntl.LOCK_SH
        while wish.sharing != "private" and not locked(lock, kind):  # nobody can interrupt a thread that waits in flock(2)
            if self.stopping.wait(TICK):
                raise Cancelled("stopped")
        if not any(place.iterdir()):
            own(place, wish, 0o755)
        return str(place)

    def begin_cache(self, wish: Wish, place: Path, undo: ExitStack) -> None:
        """A new one begins empty, or (``from=``) as a copy of a folder, which is there whole or not at all."""
        place.parent.mkdir(exist_ok=True)
        with self.store.locked("mounts"):
            if place.exists():
                return
            if not wish.from_:
                place.mkdir()
                return
            copy = self.tree(wish, undo)
            if not os.path.isdir(copy):
                raise ImageError(f"the cache {wish.target} cannot begin as {wish.source} of {wish.from_}: that is not a folder")
            own(Path(copy), wish, 0o755)
            os.rename(copy, place)

    def secret(self, wish: Wish) -> Mount | None:
        """A copy in memory, for the eyes of the RUN's user; with ``env`` a variable instead (or too, if there is a target)."""
        name = wish.secret
        if name not in self.secrets:
            if wish.required:
                raise ImageError(f"secret {name} was not given to this build: --secret id={name},src=FILE")
            return None
        try:
            data = Path(self.secrets[name]).read_bytes()
        except OSError as error:
            raise ImageError(f"secret {name}: {self.secrets[name]}: {error.strerror}") from None
        if wish.env:
            self.env[wish.env] = data.decode()
            if not wish.target:
                return None
        place = f"{self.private}/{hashlib.sha256(name.encode()).hexdigest()[:12]}"
        with open(os.open(place, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
            file.write(data)
        own(Path(place), wish, 0o400)
        return Bind(wish.target or f"/run/secrets/{name}", source=place, options="ro")

    def agent(self, wish: Wish) -> Mount | None:
        """The socket of the ssh agent: keys are used, and never seen."""
        name = wish.id or "default"
        if name not in self.ssh:
            if wish.required:
                how = "with SSH_AUTH_SOCK set" if name == "default" else f"or {name}=SOCKET"
                raise ImageError(f"no ssh agent was given to this build: --ssh {name}, {how}")
            return None
        agents = [other for other in self.command.wishes if other.type == "ssh"]
        target = wish.target or f"/run/buildkit/ssh_agent.{agents.index(wish)}"
        self.env["SSH_AUTH_SOCK"] = target
        return Bind(target, source=self.ssh[name])

    def tree(self, wish: Wish, undo: ExitStack) -> str:
        """What ``type=bind`` shows: a copy, so that ``.dockerignore`` counts, and that ``rw`` writes to nobody's files."""
        copy = f"{self.upper}.{len(os.listdir(self.private))}.bind"
        os.mkdir(f"{self.private}/{os.path.basename(copy)}")
        os.mkdir(copy)
        undo.callback(state.rmtree, copy)
        source = self.sources(wish)
        looks = Looks(keep_owner=bool(wish.from_))  # whose a file of the context is, is this machine's affair, and in no key
        Copying(Changes(Merged([]), copy), "/" if source.is_folder else "/file", looks).copy([source])
        return copy if source.is_folder else f"{copy}/file"


def options(wish: Wish) -> str:
    """Of a mount that may show what lies in an image: a node of the host's disk, a stranger's setuid program. Neither counts there."""
    return "nosuid,nodev,ro" if wish.read_only else "nosuid,nodev"


def cache_name(wish: Wish) -> str:
    return hashlib.sha256((wish.id or wish.target).encode()).hexdigest()[:24]


def own(place: Path, wish: Wish, mode: int) -> None:
    """Give it the owner and the mode that are asked for; ``mode`` if none is."""
    if os.geteuid() == 0:
        os.chown(place, wish.uid or 0, wish.gid or 0)
    place.chmod(mode if wish.mode is None else wish.mode)


def open_folder(path: Path, undo: ExitStack) -> int:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    undo.callback(os.close, fd)
    return fd


def locked(lock: int, kind: int) -> bool:
    """Try to get it, now."""
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def remove_stub(before: Merged, upper: str, target: str) -> None:
    """What was made in the layer only to mount something on, goes again, if it is empty and was not there before."""
    try:
        path = before.resolve(target)  # where a link to nowhere led, there it was made
    except OSError:  # a circle of links
        return
    while path and not before.find(path):
        above, name = os.path.split(path)
        try:
            # The command may have put links on the way: they must lead nowhere but into the layer.
            with inside.Opened(upper, above or "/") as folder:
                about = os.lstat(name, dir_fd=folder)
                if stat.S_ISDIR(about.st_mode):
                    os.rmdir(name, dir_fd=folder)
                elif stat.S_ISREG(about.st_mode) and about.st_size == 0:
                    os.unlink(name, dir_fd=folder)
                else:
                    return
        except OSError:
            return
        path = above


def kill(names: Collection[str]) -> None:
    """End those of this process's containers that are called so, at once."""
    for one in process.ours():
        if one.plan.name in names:
            one.signal(signal.SIGKILL)
