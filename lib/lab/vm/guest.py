"""The guest's side of the lab VM: PID 1, whoever has booted it. Lays out the file systems, runs one command, powers off.

``guest.py LINE`` is started by a kernel (``lib/lab/vm/uml.py``) or by what the kernel has started (``lib/lab/vm/qemu.py``) with a bare
``python -I -S``, so it imports the standard library's small modules and ``lib.linux`` only, and what is as small. Around it lie the
folders of the host that it may read, for reading only, at their own places. What it is to do comes as the first message over the line.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import sys
import time

if __name__ == "__main__":  # as PID 1 there is no search path: the folder three above this one holds `lib`
    sys.path.insert(0, os.path.abspath(f"{__file__}/../../../.."))

from lib import linux
from lib.lab.openfiles import AS_JUPYTERLAB, more_files
from lib.lab.vm.mux import DATA, OUTPUT, PIECE, Mux

NEW, UPPER = "/dev/root", "/dev/upper"  # until the pivot: nothing else is needed below /dev so early
MODULES = "/usr/lib/uml/modules"  # where Debian puts the modules of user-mode-linux
MOUNTS = [
    ("/proc", "proc", ""),
    ("/sys", "sysfs", ""),
    ("/sys/fs/cgroup", "cgroup2", "nsdelegate"),  # as systemd does it
    ("/sys/kernel/security", "securityfs", ""),
    ("/dev", "devtmpfs", ""),
    ("/dev/pts", "devpts", "mode=620,ptmxmode=666"),
    ("/dev/shm", "tmpfs", "mode=1777"),
    ("/dev/mqueue", "mqueue", ""),
    ("/run", "tmpfs", "mode=755"),
]
EMPTY = ("/root", "/home", "/mnt", "/srv", "/var/log", "/var/cache", "/tmp", "/var/tmp")  # the last two for everybody
PORTS = "/run/suitcase-port"  # the beginning of their names
DRAIN = 0.5  # seconds that the command's last words get to reach the host


def main() -> None:
    """PID 1 must not end, or the kernel panics: whatever happens, the machine is switched off."""
    try:
        agent = Agent(raw_line(sys.argv[1]))
        job = agent.job()
        file_systems(job["read"])
        for mount in job["mounts"]:
            show(*mount)
        for place, target in job["links"].items():
            os.makedirs(os.path.dirname(place), exist_ok=True)
            os.symlink(target, place)
        settle()
        if job["network"]:
            network(job["network"])
        more_files(AS_JUPYTERLAB)
        agent.run(job)
    except BaseException as error:
        print(f"lab VM: {type(error).__name__}: {error}", file=sys.stderr, flush=True)  # the console
    finally:
        os.sync()
        linux.libc.reboot(ctypes.c_int(0x4321FEDC))  # LINUX_REBOOT_CMD_POWER_OFF


# -- file systems ---------------------------------------------------------------------------------


def file_systems(folders: list[str]) -> None:
    """A root in memory; in it the host's ``folders``, each under an overlay, so that they can be written to and stay as they are."""
    linux.mount("proc", "/proc", "proc")
    if "overlay" not in linux.read("/proc/filesystems"):
        linux.load_module(f"{MODULES}/{os.uname().release}/kernel/fs/overlayfs/overlay.ko")
    known = linux.read("/proc/filesystems").split()
    linux.mount("lab", "/dev", "tmpfs", "mode=755")
    for folder in (NEW, UPPER):
        os.mkdir(folder)
    linux.mount("lab", NEW, "tmpfs", "mode=755")
    for folder in EMPTY:
        os.makedirs(NEW + folder)
        os.chmod(NEW + folder, 0o1777 if folder.endswith("tmp") else 0o755)
    for target, fstype, options in MOUNTS:
        if fstype not in known:
            continue
        os.makedirs(NEW + target, exist_ok=True)
        linux.mount(fstype, NEW + target, fstype, options)
    for number, folder in enumerate(folders):
        lay(folder, f"{UPPER}/{number}")
    os.chdir(NEW)
    linux.pivot_root(".", ".")
    linux.umount(".", linux.MNT_DETACH)
    os.chdir("/")


def lay(folder: str, upper: str) -> None:
    """One of the host's folders at its own place in the new root; a symbolic link (/bin, mostly) as what it is."""
    if os.path.islink(folder):
        return os.symlink(os.readlink(folder), NEW + folder)
    if os.path.isdir(folder):
        os.makedirs(upper + "/upper")
        os.mkdir(upper + "/work")
        os.makedirs(NEW + folder, exist_ok=True)
        linux.mount("overlay", NEW + folder, "overlay", f"lowerdir={escaped(folder)},upperdir={upper}/upper,workdir={upper}/work")


def escaped(path: str) -> str:
    """A path as overlay's options take it."""
    return "".join(f"\\{letter}" if letter in "\\,:" else letter for letter in path)


def settle() -> None:
    """What a booted Linux has: its modules, all controllers, the loopback address, a name."""
    if not os.path.exists(modules := f"/lib/modules/{os.uname().release}"):
        os.makedirs("/lib/modules", exist_ok=True)
        os.symlink(f"{MODULES}/{os.uname().release}", modules)  # so that the kernel finds more by itself
    controllers = linux.read("/sys/fs/cgroup/cgroup.controllers").split()
    linux.write("/sys/fs/cgroup/cgroup.subtree_control", " ".join(f"+{one}" for one in controllers))
    linux.link_up("lo")
    linux.sethostname("lab")


def show(source: str, target: str, fstype: str, options: str) -> None:
    """Show a folder of the host as it is, without an overlay."""
    os.makedirs(target, exist_ok=True)
    linux.mount(source, target, fstype, options)


def network(card: str) -> None:
    """The way out that libslirp-helper offers: its addresses are the program's own defaults."""
    import subprocess

    words = f"link set {card} up\naddr add 10.0.2.15/24 dev {card}\nroute add default via 10.0.2.2\n"
    subprocess.run(["/sbin/ip", "-batch", "-"], input=words.encode(), check=True)
    if os.path.lexists("/etc/resolv.conf"):
        os.unlink("/etc/resolv.conf")
    with open("/etc/resolv.conf", "w") as file:
        file.write("nameserver 10.0.2.3\n")


def raw_line(path: str) -> int:
    """The line to the host, without the conversions that a terminal makes, if it is one."""
    import tty

    fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    if os.isatty(fd):
        tty.setraw(fd)
    return fd


# -- the command ------------------------------------------------------------------------------------


def dial(port: int) -> socket.socket | None:
    """A connection to one of the job's ports, which are sockets in the file system; None while nobody listens."""
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.connect(f"{PORTS}-{port}")
    except (FileNotFoundError, ConnectionRefusedError):
        sock.close()
        return None
    return sock


class Agent:
    """Runs the command, carries its output and its ports, passes signals on, reaps every orphan; ends when the host's side has gone."""

    def __init__(self, line: int):
        self.heard: list[dict] = []
        self.mux = Mux(line, self.heard.append, dial=dial)
        self.mux.tell(up=os.uname().release)

    def job(self) -> dict:
        """The host's first message."""
        while not self.heard:
            self.mux.turn()
        return self.heard.pop(0)

    def signal(self, message: dict) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.command, message["signal"])

    def run(self, job: dict) -> None:
        """Until the command has ended; then its exit code, when everything that it said and wrote is with the host."""
        self.alarm, alarm = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(alarm, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # so that a child's end wakes the poll
        self.output, writer = os.pipe2(os.O_CLOEXEC)
        self.command = start(job, writer)
        os.close(writer)
        self.mux.hear = self.signal
        while (code := reap(self.command)) is None:
            self.turn()
        deadline = time.monotonic() + DRAIN
        while (self.mux.channels or self.turn(0)) and time.monotonic() < deadline:
            self.turn(0.02)
        os.sync()
        self.mux.tell(exit=code)
        while self.mux.outbox:
            self.mux.turn()

    def turn(self, timeout: float | None = None) -> bool:
        """One turn of the line; did the command say something?"""
        fds = [self.alarm] if self.mux.full else [self.alarm, self.output]
        ready = self.mux.turn(fds, timeout)
        if self.alarm in ready:
            os.read(self.alarm, PIECE)
        data = os.read(self.output, PIECE) if self.output in ready else b""
        if data:
            self.mux.send(DATA, OUTPUT, data)
        return bool(data)


def start(job: dict, writer: int) -> int:
    """Start the command in a session of its own; its pid."""
    for path, text in job["files"].items():
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)
    if pid := os.fork():
        return pid
    try:
        become(job, writer)
    except OSError as error:
        os.write(writer, f"lab VM: cannot run {job['argv'][0]!r}: {error}\n".encode())
    os._exit(127)


def become(job: dict, writer: int) -> None:
    os.setsid()
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and what is ignored stays so after an exec
    os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
    os.dup2(writer, 1)
    os.dup2(writer, 2)
    os.chdir(job["cwd"])
    os.environ["PATH"] = job["env"]["PATH"]
    os.execvpe(job["argv"][0], job["argv"], job["env"])


def reap(command: int) -> int | None:
    """Wait for every child that has ended; the exit code of the command, as Docker gives it, once it is among them."""
    code = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return code
        if pid == 0:
            return code
        if pid == command:
            code = 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


if __name__ == "__main__":
    main()
