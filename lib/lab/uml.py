"""A second kernel for one command: user-mode-linux, booted on this machine's own root file system.

A kernel built as an ordinary program: no KVM, no root, there in two seconds. Inside, cgroups are v2 with all controllers, the
user is root, every file of the machine can be read, and what is written goes to memory and is gone at the end. Only the folder
``work`` is shared for writing. What is slow in there is system calls and above all forks. (Debian: the package user-mode-linux.)

    python -m lib.lab.uml [--work DIR] [--timeout SECONDS] [--memory 1G] -- COMMAND ...

One file, two sides: the host's part starts it, the guest's part (at the end) is its PID 1.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import sys

if __name__ == "__main__":  # as PID 1 of the guest there is no search path: the folder two above this one holds `lib`
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from lib import linux

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
OURS = "/run/suitcase-lab"  # in the guest: the folder through which the two sides hand over command and exit code


# -- the host's side ----------------------------------------------------------------------------


def available() -> str:
    """Why user-mode-linux cannot run here; an empty string if nothing speaks against it."""
    import shutil

    if os.uname().machine != "x86_64":
        return "user-mode-linux exists for x86-64 only"
    return "" if shutil.which("linux.uml") else "user-mode-linux is not installed: apt-get install user-mode-linux"


def run_in_uml(argv, work: str | None = None, timeout: float = 120, memory: str = "1G", show: bool = False, cwd=None, env=None):
    """Run one command as root in a freshly booted kernel; its output and exit code come back as an ``Exit``.

    ``work`` is a folder of the host that it may write to, and where it starts (``cwd`` says otherwise).
    Raises ``FileNotFoundError`` without user-mode-linux, ``TimeLimit`` after ``timeout`` seconds (boot included), and
    ``RuntimeError`` with the guest's last words if it did not get as far as an exit code. Nothing is left in any case.
    """
    import shutil
    import tempfile

    from lib import state

    if why_not := available():
        raise FileNotFoundError(why_not)
    run = tempfile.mkdtemp(prefix=state.temporary("uml"))
    try:
        job = {"argv": list(argv), "cwd": str(cwd or work or "/"), "work": str(work) if work else None, "env": guest_env(env or {})}
        with open(f"{run}/job.json", "w") as file:
            json.dump(job, file)
        return boot(run, memory, timeout, show)
    finally:
        shutil.rmtree(run, ignore_errors=True)


def place_for_memory() -> str | None:
    """UML keeps its memory in a file: /dev/shm if programs may be run from there, else the usual place for temporary files."""
    flags = os.statvfs("/dev/shm") if os.path.isdir("/dev/shm") else None
    roomy = flags and not flags.f_flag & os.ST_NOEXEC and flags.f_bavail * flags.f_bsize > 1 << 30
    return "/dev/shm" if roomy and os.access("/dev/shm", os.W_OK) else None


def guest_env(extra: dict[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name.startswith(("PYTHON", "LC_", "LANG"))}
    where = os.path.dirname(sys.executable)
    home = {"HOME": "/root", "USER": "root", "TMPDIR": "/var/tmp", "PATH": f"{where}:{PATH}", "TERM": "dumb"}
    return kept | home | {"SUITCASE_GUEST": "user-mode-linux"} | extra


def command_line(run: str, memory: str, serial: int, console: int) -> list[str]:
    """The kernel's command line; the words that it does not know become the environment of PID 1."""
    with open(f"{run}/init", "w") as file:
        python = os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)
        file.write(f"#!/bin/sh\nexec {python} -I -S {os.path.abspath(__file__)} --guest\n")
    os.chmod(f"{run}/init", 0o755)
    return [
        "linux.uml", "root=/dev/root", "rootfstype=hostfs", "ro", f"mem={memory}", f"init={run}/init", "quiet", "noreboot",
        "con=null", f"con0=null,fd:{console}", "ssl=null", f"ssl0=fd:{serial}", f"uml_dir={run}/", f"LAB_RUN={run}",
    ]  # fmt: skip


def boot(run: str, memory: str, timeout: float, show: bool):
    """Start the kernel in a process group of its own, copy what comes over its serial line, and end the whole group."""
    import socket
    import subprocess

    ours, theirs = socket.socketpair()
    with ours, theirs, open(f"{run}/console", "w+b", buffering=0) as console:
        fds = (theirs.fileno(), console.fileno())
        line = command_line(run, memory, *fds)
        env = os.environ | {"TMPDIR": place_for_memory() or run, "HOME": run}
        uml = subprocess.Popen(
            line, stdin=subprocess.DEVNULL, stdout=console, stderr=console, pass_fds=fds, env=env, start_new_session=True
        )
        watcher = watch_over(uml.pid)
        try:
            theirs.close()
            return ended(run, copy(ours, uml, timeout, show), console)
        finally:
            # Never one pid alone: the guest's processes would run on, as untraced processes of the host.
            kill_group(uml.pid)
            uml.wait()
            watcher.communicate(b"ok\n")


def watch_over(group: int):
    """If this process is killed, a shell that reads from it notices, and ends the guest."""
    import subprocess

    script = f'read word; [ "$word" = ok ] || kill -9 -- -{group}'
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(["/bin/sh", "-c", script], stdin=subprocess.PIPE, start_new_session=True, **quiet)


def kill_group(group: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def copy(ours, uml, timeout: float, show: bool) -> bytes:
    """What the command writes, until the guest powers off. Raises ``TimeLimit``."""
    import time

    from lib.process import TimeLimit

    output, deadline = bytearray(), time.monotonic() + timeout
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeLimit(timeout, bytes(output))
        if not linux.readable([ours.fileno()], min(left, 0.2)):
            if uml.poll() is not None:
                return bytes(output)
            continue
        try:
            data = ours.recv(1 << 16)
        except ConnectionResetError:
            data = b""
        if not data:
            return bytes(output)
        output += data
        if show:
            sys.stdout.write(data.decode(errors="replace"))
            sys.stdout.flush()


def ended(run: str, output: bytes, console):
    """How the command ended, as the guest wrote it down."""
    from lib.process import Exit, in_words

    try:
        code = int(linux.read(f"{run}/exit"))
    except (FileNotFoundError, ValueError):
        console.seek(0)
        last = console.read().decode(errors="replace").strip()[-1500:]
        raise RuntimeError(f"the guest ended without an exit code; its last words:\n{last}\n{output.decode(errors='replace')}") from None
    return Exit(code, in_words(code), output)


def main(argv: list[str]) -> int:
    import argparse

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


# -- the guest's side: PID 1 --------------------------------------------------------------------


def guest() -> None:
    """Put the file systems in their places, run the command, write down its exit code, power off."""
    code, tty = 125, None
    try:
        file_systems(os.environ["LAB_RUN"])
        tty = raw_line("/dev/ttyS0")
        job = json.loads(linux.read(f"{OURS}/job.json"))
        if job["work"]:
            share(job["work"])
        code = attend(job, tty)
    except BaseException as error:  # PID 1 must not end: the kernel would panic
        text = f"uml: {type(error).__name__}: {error}\n".encode()
        os.write(tty if tty is not None else 2, text)
    try:
        with open(f"{OURS}/exit", "w") as file:
            file.write(str(code))
    finally:
        os.sync()
        linux.libc.reboot(ctypes.c_int(0x4321FEDC))  # LINUX_REBOOT_CMD_POWER_OFF


def file_systems(run: str) -> None:
    """The host's root, read-only, under an overlay in memory; fresh kernel file systems; memory where containers write.

    A writable layer cannot lie on an overlay, so the places for stores and temporary files get a tmpfs each. /tmp stays as it is,
    as the checkout may lie there.
    """
    version, new = os.uname().release, "/mnt/root"
    linux.mount("proc", "/proc", "proc")
    if "overlay" not in linux.read("/proc/filesystems"):
        load_module(f"/usr/lib/uml/modules/{version}/kernel/fs/overlayfs/overlay.ko")
    linux.mount("lab", "/mnt", "tmpfs", "mode=755")
    for name in ("upper", "work", "root"):
        os.mkdir(f"/mnt/{name}")
    linux.mount("overlay", new, "overlay", "lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work")
    for target, fstype, options in MOUNTS:
        os.makedirs(new + target, exist_ok=True)
        linux.mount(fstype, new + target, fstype, options)
    os.mkdir(new + OURS)
    linux.mount("none", new + OURS, "hostfs", run)
    if not os.path.exists(f"{new}/lib/modules/{version}"):
        os.makedirs(f"{new}/lib/modules", exist_ok=True)
        os.symlink(f"/usr/lib/uml/modules/{version}", f"{new}/lib/modules/{version}")  # so that the kernel finds more by itself
    os.chdir(new)
    linux.pivot_root(".", ".")
    linux.umount(".", linux.MNT_DETACH)
    os.chdir("/")
    controllers = linux.read("/sys/fs/cgroup/cgroup.controllers").split()
    linux.write("/sys/fs/cgroup/cgroup.subtree_control", " ".join(f"+{one}" for one in controllers))
    linux.link_up("lo")
    linux.sethostname("lab")


def load_module(path: str) -> None:
    """Load a kernel module, as insmod does; the number is x86-64's, and so is user-mode-linux. See finit_module(2)."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    linux.check(linux.libc.syscall(ctypes.c_long(313), fd, b"", 0), "finit_module", path)
    os.close(fd)


MOUNTS = [
    ("/proc", "proc", ""),
    ("/sys", "sysfs", ""),
    ("/sys/fs/cgroup", "cgroup2", ""),
    ("/dev", "devtmpfs", ""),
    ("/dev/pts", "devpts", "mode=620,ptmxmode=666"),
    ("/dev/shm", "tmpfs", "mode=1777"),
    ("/dev/mqueue", "mqueue", ""),
    ("/run", "tmpfs", "mode=755"),
    ("/var/tmp", "tmpfs", "mode=1777"),
    ("/var/lib/suitcase", "tmpfs", "mode=711"),
]


def raw_line(path: str) -> int:
    """The serial line to the host, without the conversions that a terminal makes."""
    import tty

    fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    tty.setraw(fd)
    return fd


def share(folder: str) -> None:
    """Show a folder of the host for reading and writing, at its own place."""
    os.makedirs(folder, exist_ok=True)
    linux.mount("none", folder, "hostfs", folder)


def attend(job: dict, tty: int) -> int:
    """Start the command, copy its output, wait for it and for every orphan; end too when the host's side has gone."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    main = os.fork()
    if main == 0:
        try:
            become(job, writer)
        except OSError as error:
            os.write(writer, f"uml: cannot run {job['argv'][0]!r}: {error}\n".encode())
        os._exit(127)
    os.close(writer)
    code = None
    while code is None:
        ready = linux.readable([reader, tty], 0.05)
        if reader in ready:
            send(tty, os.read(reader, 1 << 16))
        if tty in ready and not os.read(tty, 1 << 10):
            return 125  # the line was cut
        code = reap(main)
    while linux.readable([reader], 0) and (data := os.read(reader, 1 << 16)):
        send(tty, data)
    return code


def become(job: dict, writer: int) -> None:
    os.setsid()
    os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
    os.dup2(writer, 1)
    os.dup2(writer, 2)
    os.chdir(job["cwd"])
    os.environ["PATH"] = job["env"]["PATH"]
    os.execvpe(job["argv"][0], job["argv"], job["env"])


def send(tty: int, data: bytes) -> None:
    while data:
        data = data[os.write(tty, data) :]


def reap(main: int) -> int | None:
    """Wait for every child that has ended; the exit code of the main one, as Docker gives it, once it is among them."""
    code = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return code
        if pid == 0:
            return code
        if pid == main:
            code = 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


if __name__ == "__main__":
    if sys.argv[1:] == ["--guest"] and os.getpid() == 1:
        guest()
    sys.exit(main(sys.argv[1:]))
