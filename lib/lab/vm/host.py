"""The host's side of the lab VM: what a guest is given, how it is shut in, its life, and that nothing is left of it.

A guest is a kernel that runs as an ordinary process: no root. It boots this machine's own programs and libraries. Inside, cgroups are v2
and the user is root. What is written goes to memory and is gone at the end; only the folder ``work`` is shared for writing. The guest reads
the system's folders, this Python, this checkout and the prepared bases, and nothing else: no home folder, no keys. Landlock holds it to
that, however much root it is inside. Who boots it is a *back end*: ``uml.py`` or ``qemu.py``.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from lib import state
from lib.lab.vm.mux import PIECE, Mux

ROOT = Path(__file__).resolve().parents[3]
HERE = Path(__file__).resolve().parent
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# What the guest may read of this machine, beside Python and the checkout: programs, libraries, settings, the list of packages.
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/opt", "/var/lib/dpkg", "/var/lib/apt")
DEVICES = ("/dev/null", "/dev/zero")  # every back end wants them
WORLD = ("PIP_", "SSL_CERT_", "REQUESTS_CA", "CURL_CA")  # with a network: what says how to get out
MEMORY = "2G"  # a promise: a guest takes what it uses. Chapter 1 boots a Debian of 1 GiB in it
BASES, SHOWN = "/var/lib/suitcase/bases", "/var/lib/suitcase-prepared"  # in the guest: its store, and where ours is shown
KEEP, LAST_WORDS = 1 << 16, 1500  # bytes of the console that are kept, characters that an error shows


# -- what a guest gets ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Job:
    """One command for one guest. ``read``: folders of this machine that it sees. ``files`` (path → text) are made before it starts."""

    argv: list[str]
    cwd: str
    read: list[str]
    work: str | None = None  # the one folder that it may write to
    env: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    network: bool = False
    bases: dict[str, str] = field(default_factory=lambda: prepared())  # name → where it lies on this machine

    @property
    def shelves(self) -> list[str]:
        """The folders that hold the bases."""
        return list(dict.fromkeys(map(os.path.dirname, self.bases.values())))

    def message(self, backend: Backend) -> dict:
        """What the guest is to do, in JSON's words."""
        shelves = self.shelves
        links = {f"{BASES}/{name}": f"{SHOWN}/{shelves.index(place)}/{last}" for name, (place, last) in split(self.bases).items()}
        return {
            "argv": list(self.argv), "cwd": self.cwd, "read": self.read, "env": guest_env(self.env, backend.title(), self.network),
            "files": self.files, "network": backend.card if self.network else "", "mounts": backend.mounts(self), "links": links,
        }  # fmt: skip


def split(paths: dict[str, str]) -> dict[str, tuple[str, str]]:
    return {name: os.path.split(path) for name, path in paths.items()}


def prepared() -> dict[str, str]:
    """The bases that set-up has made in this machine's store, and that this user may look at: name → folder."""
    with contextlib.suppress(OSError):
        found = {entry.name: os.path.realpath(entry.path) for entry in os.scandir(state.store() / "bases") if entry.name[0] != "."}
        return {name: path for name, path in found.items() if os.access(path, os.R_OK) and os.access(os.path.dirname(path), os.R_OK)}
    return {}


def readable(*more: str) -> list[str]:
    """The folders that the guest may read: the system's, this Python's, this checkout, and ``more``; none lies in another one."""
    own = list(map(os.path.abspath, filter(None, [sys.prefix, sys.base_prefix, str(ROOT), *sys.path, *more])))
    folders = [*SYSTEM, *(one for one in [*own, *map(os.path.realpath, own)] if os.path.isdir(one) and one != "/")]
    tops = [one for one in folders if not any(one != two and Path(one).is_relative_to(two) for two in folders)]
    return list(dict.fromkeys(tops))


def guest_env(extra: dict[str, str], name: str, network: bool = False) -> dict[str, str]:
    """The command's environment: of ours only what says how Python and texts are to be, and how to get out."""
    names = ("PYTHON", "LC_", "LANG", "TZ", *(WORLD if network else ()))
    kept = {name: value for name, value in os.environ.items() if name.startswith(names) or (network and name.lower().endswith("_proxy"))}
    where = os.path.dirname(sys.executable)
    home = {"HOME": "/root", "USER": "root", "TMPDIR": "/tmp", "PATH": f"{where}:{PATH}", "TERM": "dumb"}
    return kept | home | {"SUITCASE_GUEST": name} | extra


def base_python() -> str:
    """The interpreter without its venv: it starts faster, and PID 1 needs no more."""
    return os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)


class Backend(Protocol):
    """Who boots a guest."""

    card: str  # its network card, as the guest calls it

    def title(self) -> str:
        """Its name, as a reader meets it."""

    def lacks(self) -> str:
        """Why it cannot run here; an empty string if nothing speaks against it. Boots nothing."""

    def unfetched(self) -> str:
        """As ``lacks``, for what it would fetch or make when it is first used."""

    def place(self) -> str | None:
        """Where the folder of a guest is to lie, if not at the usual place for temporary files."""

    def mounts(self, job: Job) -> list[tuple[str, str, str, str]]:
        """What PID 1 is to mount when it has its root: the work folder, the bases (source, target, type, options)."""

    def opens(self) -> tuple[list[str], list[str]]:
        """Files of this machine that it must read, and those that it must write, beside ``DEVICES`` and what the guest gets."""

    def command(self, job: Job, run: str, memory: str, line: int, console: int, card: int | None) -> list[str]:
        """The command that boots the guest: descriptors of its line to us, its console, its network (None: there is none)."""


# -- a booted guest ---------------------------------------------------------------------------------


class Console:
    """What a guest writes to its console: the end of it is kept, as root in there may write without an end."""

    def __init__(self):
        self.ours, self.theirs = os.pipe()
        os.set_blocking(self.ours, False)
        self.text, self.ended = b"", False

    def read(self) -> None:
        """Once only, which is all that a pipe holds: else a guest that never stops writing would keep us."""
        with contextlib.suppress(BlockingIOError):
            piece = os.read(self.ours, PIECE)
            self.text, self.ended = (self.text + piece)[-KEEP:], not piece

    def given(self) -> None:
        """The guest has its end: when it closes that, the console has ended."""
        os.close(self.theirs)
        self.theirs = -1

    def close(self) -> None:
        for fd in (self.ours, self.theirs):
            if fd >= 0:
                os.close(fd)


class Guest:
    """A guest that boots, runs its job and ends, as its host sees it. Nothing may be sent to it before it is ``up``."""

    def __init__(self, process: subprocess.Popen, line: socket.socket, console: Console, message: dict, show: Callable, told: Callable):
        self.pid, self.console, self.message, self.told = os.pidfd_open(process.pid), console, message, told
        self.mux = Mux(line.fileno(), self.hear, show)
        self.code: int | None = None  # the command's exit code
        self.up = self.gone = False

    def hear(self, message: dict) -> None:
        if "up" in message:  # only now: what comes before the guest has set its line would be echoed
            self.up = True
            self.mux.tell(**self.message)
        self.code = message.get("exit")
        self.told(message)

    @property
    def ended(self) -> bool:
        return self.gone or self.code is not None

    def turn(self, fds=(), timeout: float | None = None) -> list[int]:
        """Move what waits; which of ``fds`` can be read. Notes the guest's end, also if only its main process was killed."""
        try:
            ready = self.mux.turn([*fds, self.pid, *([] if self.console.ended else [self.console.ours])], timeout)
        except EOFError:
            self.gone = True
            return []
        self.console.read()
        self.gone = self.pid in ready
        return ready

    def close(self) -> None:
        self.mux.close()
        os.close(self.pid)

    def last_words(self) -> str:
        """What stands on its console, without the registers and calls that a panicking kernel adds."""
        self.console.read()
        return self.console.text.decode(errors="replace").split("\nCPU:")[0].strip()[-LAST_WORDS:]


@contextlib.contextmanager
def booted(
    backend: Backend, job: Job, memory: str, show: Callable[[bytes], None], told: Callable[[dict], None] = lambda _: None
) -> Iterator[Guest]:
    """Boot a guest for one job; ``show`` gets the command's output, ``told`` each message. At the end nothing is left of it.

    Raises ``FileNotFoundError`` where the back end, or a program that the network needs, is not installed.
    """
    if why_not := backend.lacks():
        raise FileNotFoundError(why_not)
    with contextlib.ExitStack() as undo:
        run = undo.enter_context(run_folder(backend.place()))
        ours, theirs = map(undo.enter_context, socket.socketpair())
        console = undo.enter_context(contextlib.closing(Console()))
        groups: list[subprocess.Popen] = []
        undo.callback(kill_groups, groups)
        card = undo.enter_context(way_out(groups)) if job.network else None
        line = backend.command(job, run, memory, theirs.fileno(), console.theirs, card)
        fds = [theirs.fileno(), console.theirs, *([] if card is None else [card])]
        # Its own environment carries no more: root in the guest can read it.
        env = {"PATH": os.environ.get("PATH", PATH), "TMPDIR": run, "HOME": run}
        process = subprocess.Popen(
            [*cage(backend, job, run), *line], stdin=subprocess.DEVNULL, stdout=console.theirs, stderr=console.theirs, pass_fds=fds,
            env=env, start_new_session=True,
        )  # fmt: skip
        console.given()
        groups.append(process)
        undo.enter_context(watch_over(groups, run))
        theirs.close()
        guest = Guest(process, ours, console, job.message(backend), show, told)
        undo.callback(guest.close)
        yield guest


def cage(backend: Backend, job: Job, run: str) -> list[str]:
    """The command that shuts a guest in: it reads what it may see, and writes to its own folder and to the work folder."""
    reads, writes = backend.opens()
    rules = {
        "read": [*job.read, *job.shelves, *DEVICES, *reads],
        "write": [run, *DEVICES, *writes, *filter(None, [job.work])],
    }
    return [base_python(), "-I", "-S", str(HERE / "landlock.py"), json.dumps(rules)]


@contextlib.contextmanager
def run_folder(place: str | None) -> Iterator[str]:
    """A folder for one guest's memory. It stands on record, so that a later start removes what a killed one has left."""
    path = Path(place or tempfile.gettempdir(), f"{state.temporary('guest')}{state.new_id()}")
    record = state.new_record(path.name, [("rmtree", str(path))])
    try:
        path.mkdir(mode=0o700)
        yield str(path)
    finally:
        state.rmtree(str(path))
        record.remove()


@contextlib.contextmanager
def way_out(groups: list) -> Iterator[int]:
    """A descriptor that takes the guest's network packets out as an ordinary program's connections; not to this machine's own 127.0.0.1."""
    if not shutil.which("libslirp-helper"):
        raise FileNotFoundError("the lab VM's network needs libslirp-helper: apt-get install libslirp-helper")
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs:
        for one in (ours, theirs):
            for direction in (socket.SO_SNDBUF, socket.SO_RCVBUF):
                one.setsockopt(socket.SOL_SOCKET, direction, 1 << 20)
        command = ["libslirp-helper", "--fd", str(theirs.fileno()), "--disable-ipv6", "--disable-host-loopback", "--exit-with-parent"]
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        groups.append(subprocess.Popen(command, pass_fds=[theirs.fileno()], start_new_session=True, **quiet))
        yield ours.fileno()


@contextlib.contextmanager
def watch_over(groups: list, run: str) -> Iterator[None]:
    """If this process is killed, a shell that reads from it notices, ends the groups and removes the folder.

    At once, unlike ``state.gc``, which waits for somebody's next start; and whole groups, of which a record knows nothing. (The word
    is ``kill -s KILL``: dash, Debian's shell, cannot read ``kill -9 -- -PID``.)
    """
    script = 'read word; [ "$word" = ok ] && exit; run=$1; shift; kill -s KILL -- "$@"; rm -rf "$run"'
    words = ["/bin/sh", "-c", script, "watcher", run, *(f"-{one.pid}" for one in groups)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    watcher = subprocess.Popen(words, stdin=subprocess.PIPE, start_new_session=True, **quiet)
    try:
        yield
    finally:
        kill_groups(groups)
        watcher.communicate(b"ok\n")


def kill_groups(groups: list) -> None:
    """Never one pid alone: the processes in a user-mode-linux would run on, as untraced processes of the host."""
    for process in groups:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
