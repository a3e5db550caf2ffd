"""A second kernel on this machine: user-mode-linux, booted on this machine's own programs and libraries. The host's side.

A kernel built as an ordinary program: no KVM, no root, there in two seconds. Inside, cgroups are v2 with all controllers and the user is
root. What is written goes to memory and is gone at the end; only the folder ``work`` is shared for writing. The guest reads the system's
folders, this Python and this checkout, and nothing else: no home folder, no keys. Landlock holds it to that, however much root it is
inside. What is slow in there is system calls and above all forks. (Debian: the package user-mode-linux.)

    python -m lib.lab.uml [--work DIR] [--timeout SECONDS] [--memory 1G] -- COMMAND ...
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from lib import state
from lib.lab import landlock
from lib.lab.mux import Mux

ROOT = Path(__file__).resolve().parents[2]
LAB = Path(__file__).resolve().parent
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# What the guest may read of this machine, beside Python and the checkout: programs, libraries, settings, the list of packages.
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/opt", "/var/lib/dpkg", "/var/lib/apt")
DEVICES = ("/dev/null", "/dev/zero")  # user-mode-linux itself wants them
WORLD = ("PIP_", "SSL_CERT_", "REQUESTS_CA", "CURL_CA")  # with a network: what says how to get out
NO_LANDLOCK = (
    "lab VM: this machine's kernel has no Landlock (Linux 5.13 has it; some distributions switch it off): nothing but its own good will "
    "keeps root in the lab VM from reading and writing all that you may read and write."
)
LAST_WORDS = 1500  # characters of the console that an error shows


def available() -> str:
    """Why user-mode-linux cannot run here; an empty string if nothing speaks against it."""
    if os.uname().machine != "x86_64":
        return "user-mode-linux exists for x86-64 only"
    return "" if shutil.which("linux.uml") else "user-mode-linux is not installed: apt-get install user-mode-linux"


def trial() -> str:
    """Boot one, for real, and have it import ipykernel: why that cannot be done here, or "". Takes some three seconds."""
    try:
        done = run_in_uml([sys.executable, "-c", "import ipykernel"], timeout=60)
    except (OSError, RuntimeError) as error:
        return str(error)
    return done.text if done.code else ""


# -- what the guest gets ----------------------------------------------------------------------------


def readable(*more: str) -> list[str]:
    """The folders that the guest may read: the system's, this Python's, this checkout, and ``more``; none lies in another one."""
    own = list(map(os.path.abspath, filter(None, [sys.prefix, sys.base_prefix, str(ROOT), *sys.path, *more])))
    folders = [*SYSTEM, *(one for one in [*own, *map(os.path.realpath, own)] if os.path.isdir(one) and one != "/")]
    tops = [one for one in folders if not any(one != two and Path(one).is_relative_to(two) for two in folders)]
    return list(dict.fromkeys(tops))


def place_for_memory() -> str | None:
    """UML keeps its memory in a file: /dev/shm if programs may be run from there, else the usual place for temporary files."""
    flags = os.statvfs("/dev/shm") if os.path.isdir("/dev/shm") else None
    roomy = flags and not flags.f_flag & os.ST_NOEXEC and flags.f_bavail * flags.f_bsize > 1 << 30
    return "/dev/shm" if roomy and os.access("/dev/shm", os.W_OK) else None


def guest_env(extra: dict[str, str], network: bool = False) -> dict[str, str]:
    """The command's environment: of ours only what says how Python and texts are to be, and how to get out."""
    names = ("PYTHON", "LC_", "LANG", "TZ", *(WORLD if network else ()))
    kept = {name: value for name, value in os.environ.items() if name.startswith(names) or (network and name.lower().endswith("_proxy"))}
    where = os.path.dirname(sys.executable)
    home = {"HOME": "/root", "USER": "root", "TMPDIR": "/tmp", "PATH": f"{where}:{PATH}", "TERM": "dumb"}
    return kept | home | {"SUITCASE_GUEST": "user-mode-linux"} | extra


def job_of(argv, cwd: str, work: str | None, read: list[str], env: dict[str, str], files: dict[str, str], network: bool = False) -> dict:
    """What the guest is to do, in JSON's words. ``files`` (path → text) are made in it before the command starts."""
    return {
        "argv": list(argv), "cwd": cwd, "work": work, "read": read, "env": guest_env(env, network), "files": files, "network": network,
    }  # fmt: skip


# -- a booted guest ---------------------------------------------------------------------------------


class Guest:
    """A user-mode-linux that boots, runs its job and ends, as its host sees it. Nothing may be sent to it before it is ``up``."""

    def __init__(self, uml: subprocess.Popen, line: socket.socket, console, job: dict, show: Callable, told: Callable):
        self.pid, self.console, self.job, self.told = os.pidfd_open(uml.pid), console, job, told
        self.mux = Mux(line.fileno(), self.hear, show)
        self.code: int | None = None  # the command's exit code
        self.up = self.gone = False

    def hear(self, message: dict) -> None:
        if "up" in message:  # only now: what comes before the guest has set its line would be echoed
            self.up = True
            self.mux.tell(**self.job)
        self.code = message.get("exit")
        self.told(message)

    @property
    def ended(self) -> bool:
        return self.gone or self.code is not None

    def turn(self, fds=(), timeout: float | None = None) -> list[int]:
        """Move what waits; which of ``fds`` can be read. Notes the guest's end, also if only its main process was killed."""
        try:
            ready = self.mux.turn([*fds, self.pid], timeout)
        except EOFError:
            self.gone = True
            return []
        self.gone = self.pid in ready
        return ready

    def close(self) -> None:
        self.mux.close()
        os.close(self.pid)

    def last_words(self) -> str:
        """What stands on its console, without the registers and calls that a panicking kernel adds."""
        self.console.seek(0)
        return self.console.read().decode(errors="replace").split("\nCPU:")[0].strip()[-LAST_WORDS:]


@contextlib.contextmanager
def booted(job: dict, memory: str, show: Callable[[bytes], None], told: Callable[[dict], None] = lambda _: None) -> Iterator[Guest]:
    """Boot a guest for one job; ``show`` gets the command's output, ``told`` each message. At the end nothing is left of it.

    Raises ``FileNotFoundError`` where user-mode-linux, or a program that the network needs, is not installed.
    """
    if why_not := available():
        raise FileNotFoundError(why_not)
    if not landlock.version():
        print(NO_LANDLOCK, file=sys.stderr)
    with contextlib.ExitStack() as undo:
        run = undo.enter_context(run_folder())
        ours, theirs = map(undo.enter_context, socket.socketpair())
        console = undo.enter_context(open(f"{run}/console", "w+b", buffering=0))
        groups, fds, words = [], [theirs.fileno(), console.fileno()], []
        undo.callback(kill_groups, groups)
        if job["network"]:
            fds.append(undo.enter_context(way_out(groups)))
            words = [f"vec0:transport=fd,fd={fds[-1]},depth=64"]
        line = [*cage(job, run), *command_line(run, memory, fds[0], fds[1]), *words, *INIT]
        # Its own environment carries no more: root in the guest can read it.
        env = {"PATH": os.environ.get("PATH", PATH), "TMPDIR": run, "HOME": run}
        uml = subprocess.Popen(
            line, stdin=subprocess.DEVNULL, stdout=console, stderr=console, pass_fds=fds, env=env, start_new_session=True
        )
        groups.append(uml)
        undo.enter_context(watch_over(groups, run))
        theirs.close()
        guest = Guest(uml, ours, console, job, show, told)
        undo.callback(guest.close)
        yield guest


@contextlib.contextmanager
def run_folder() -> Iterator[str]:
    """A folder for one guest's memory and console. It is locked while its maker lives, so that a later one can tell what is a rest."""
    sweep()
    run = tempfile.mkdtemp(prefix=state.temporary("uml"), dir=place_for_memory())
    lock = os.open(run, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield run
    finally:
        shutil.rmtree(run, ignore_errors=True)
        os.close(lock)


def sweep() -> None:
    """Remove the folders of guests whose maker was killed together with its watcher."""
    for place in {tempfile.gettempdir(), place_for_memory() or "/tmp"}:
        for path in Path(place).glob("suitcase-*-uml-*"):
            if not os.path.exists(f"/proc/{path.name.split('-')[1]}"):
                with contextlib.suppress(OSError):  # somebody else's, or held, or another sweep was faster
                    remove_unused(path)


def remove_unused(folder: Path) -> None:
    """Raises ``OSError`` if somebody holds it."""
    lock = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder)
    finally:
        os.close(lock)


def base_python() -> str:
    """The interpreter without its venv: it starts faster, and PID 1 needs no more."""
    return os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)


def cage(job: dict, run: str) -> list[str]:
    """The command that shuts user-mode-linux in: it reads what the guest may see, and writes to its folder and to the work folder."""
    rules = {"read": [*job["read"], *DEVICES, shutil.which("linux.uml")], "write": [run, *DEVICES, *filter(None, [job["work"]])]}
    return [base_python(), "-I", "-S", str(LAB / "landlock.py"), json.dumps(rules)]


def command_line(run: str, memory: str, serial: int, console: int) -> list[str]:
    """The kernel's command line; what stands after the two dashes are the words for PID 1."""
    return [
        shutil.which("linux.uml"), "root=/dev/root", "rootfstype=hostfs", "ro", f"mem={memory}", f"init={base_python()}", "quiet",
        "con=null", f"con0=null,fd:{console}", "ssl=null", f"ssl0=fd:{serial}", f"uml_dir={run}/",
    ]  # fmt: skip


INIT = ["--", "-I", "-S", f'"{LAB / "guest.py"}"', "noreboot"]  # the last is UML's own, which it passes on all the same


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
    """If this process is killed, a shell that reads from it notices, ends the groups and removes the folder."""
    script = 'read word; [ "$word" = ok ] && exit; run=$1; shift; kill -9 -- "$@"; rm -rf "$run"'
    words = ["/bin/sh", "-c", script, "watcher", run, *(f"-{one.pid}" for one in groups)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    watcher = subprocess.Popen(words, stdin=subprocess.PIPE, start_new_session=True, **quiet)
    try:
        yield
    finally:
        kill_groups(groups)
        watcher.communicate(b"ok\n")


def kill_groups(groups: list) -> None:
    """Never one pid alone: a guest's processes would run on, as untraced processes of the host."""
    for process in groups:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


# -- one command -----------------------------------------------------------------------------------


def run_in_uml(argv, work: str | None = None, timeout: float = 120, memory: str = "1G", show: bool = False, cwd=None, env=None):
    """Run one command as root in a freshly booted kernel; its output and exit code come back as an ``Exit``.

    ``work`` is a folder of the host that it may write to, and where it starts (``cwd`` says otherwise).
    Raises ``FileNotFoundError`` without user-mode-linux, ``TimeLimit`` after ``timeout`` seconds (boot included), and
    ``RuntimeError`` with the guest's last words if it did not get as far as an exit code. Nothing is left in any case.
    """
    from lib.process import Exit, TimeLimit, in_words

    output, deadline = bytearray(), time.monotonic() + timeout

    def take(data: bytes) -> None:
        output.extend(data)
        if show:
            sys.stdout.write(data.decode(errors="replace"))
            sys.stdout.flush()

    start = str(cwd or work or "/")
    job = job_of(argv, start, str(work) if work else None, readable(start), env or {}, {})
    with booted(job, memory, take) as guest:
        while not guest.ended:
            if time.monotonic() >= deadline:
                raise TimeLimit(timeout, bytes(output))
            guest.turn(timeout=deadline - time.monotonic())
        if guest.code is None:
            words = f"{guest.last_words()}\n{output.decode(errors='replace')}"
            raise RuntimeError(f"the guest ended without an exit code; its last words:\n{words}")
        return Exit(guest.code, in_words(guest.code), bytes(output))


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m lib.lab.uml", description="Run a command in a freshly booted user-mode-linux.")
    parser.add_argument("--work", help="a folder that the command may write to, and where it starts")
    parser.add_argument("--timeout", type=float, default=600, help="seconds, boot included")
    parser.add_argument("--memory", default="1G")
    parser.add_argument("argv", nargs="+", metavar="COMMAND")
    words = parser.parse_args(argv)
    work = os.path.abspath(words.work) if words.work else None
    try:
        return run_in_uml(words.argv, work, words.timeout, words.memory, show=True, cwd=work or os.getcwd()).code
    except (OSError, RuntimeError) as error:
        print(f"uml: {error}", file=sys.stderr)
        return 125


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
