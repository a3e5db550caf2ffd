"""The starter: a small process that turns plans into processes.

A notebook's kernel is large and has many threads; forking it costs 20 ms and copies
locks that nobody will ever open. So it asks this process, which is small and has one
thread. ``CLONE_PARENT`` makes the new process the *caller's* child and not ours: the
caller waits for it, and we forget it at once.

    caller                 starter                 child
      | --- plan, descriptors -->|                   |
      |<---- pid, pidfd ---------| ----- clone3 ---->|
      | (record, uid map)                            |  waits
      | ---------------- mapped -------------------->|  carries out its steps
      |<--------------- created ---------------------|  waits
      | ----------------- start -------------------->|  execve: the line is cut, that is "ok"
      |<------------- or: step, errno, advice -------|

This file imports only what the child needs: once it has pivoted there is no Python
library on its disk any more.
"""

from __future__ import annotations

import array
import errno
import fcntl
import gc
import marshal
import os
import resource
import signal
import socket
import struct
import sys
import termios
from contextlib import suppress

if __name__ == "__main__":  # started as a file, with no search path: the folder above this one holds `lib`
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lib import inside, linux
from lib.advice import advise

# -- the vocabulary: every call that a step may name ------------------------------------


def open_path(path: str) -> int:
    """A descriptor of a file or folder, for a later step to use (a namespace, a cgroup)."""
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def open_rw(path: str) -> int:
    """A descriptor to read and write; of a named pipe, this is the way not to wait for the other end. See fifo(7)."""
    return os.open(path, os.O_RDWR | os.O_CLOEXEC)


def makedirs(path: str) -> None:
    os.makedirs(path, 0o755, exist_ok=True)


def write_file(path: str, text: str) -> None:
    """Write an ordinary file, new or not, for all to read (``linux.write`` is for the kernel's own)."""
    with open(path, "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), 0o644)
        file.write(text)


def setrlimit(name: str, soft: int, hard: int) -> None:
    """Limit a resource of this process, e.g. ``NOFILE``; see getrlimit(2)."""
    number = getattr(resource, f"RLIMIT_{name}")
    try:
        resource.setrlimit(number, (soft, hard))
    except ValueError as error:  # Python's words for EPERM and EINVAL
        refused = errno.EPERM if "not allowed" in str(error) else errno.EINVAL
        raise OSError(refused, f"{os.strerror(refused)} (the machine's hard limit is {resource.getrlimit(number)[1]})", name) from None


def set_umask(mask: int) -> None:
    os.umask(mask)


def make_cwd(path: str) -> None:
    """Go to the working directory, made first if it is missing (as Docker does for ``--workdir``)."""
    os.makedirs(path, 0o755, exist_ok=True)
    os.chdir(path)


def fail(number: int) -> None:
    """Fail on purpose, with this errno: put it in the place of a step to see what then happens."""
    raise OSError(number, f"fail: {os.strerror(number)}")


CALLS = {
    "fail": fail,
    # in the caller
    "open": open_path,
    "open_rw": open_rw,
    "mkdir": linux.mkdir,
    "makedirs": makedirs,
    "mkfifo": os.mkfifo,
    "write": linux.write,
    "write_file": write_file,
    # in the go-between
    "setns": linux.setns,
    "unshare": linux.unshare,
    # in the child
    "setsid": os.setsid,
    "umask": set_umask,
    "mount": linux.mount,
    "umount2": linux.umount,
    "mount_inside": inside.mount,
    "bind": inside.bind,
    "mknod": inside.mknod,
    "symlink": inside.symlink,
    "mask": inside.mask,
    "readonly": inside.readonly,
    "pivot_root": inside.pivot,
    "chroot": os.chroot,
    "chdir": os.chdir,
    "make_cwd": make_cwd,
    "sethostname": linux.sethostname,
    "link_up": linux.link_up,
    "setrlimit": setrlimit,
    "no_new_privs": linux.no_new_privs,
    "setgroups": os.setgroups,
    "setgid": os.setgid,
    "setuid": os.setuid,
}


def resolve(value, refs: dict[str, int]):
    """Replace what an earlier step gave (``{"ref": name}``) by its value, also inside a text (``{name}``)."""
    if isinstance(value, dict) and "ref" in value:
        return refs[value["ref"]]
    if isinstance(value, str) and "{pid}" in value:
        return value.replace("{pid}", str(refs["pid"]))
    return value


def execute(call: str, args, refs: dict[str, int], calls=CALLS):
    """Carry out one step; the ``OSError`` of the call that failed comes out as it is."""
    return calls[call](*(resolve(value, refs) for value in args))


# -- the child --------------------------------------------------------------------------


class Child:
    """The new process, from its first instruction to its exec."""

    def __init__(self, line: socket.socket, refs: dict[str, int]):
        self.line, self.refs = line, refs
        self.calls = CALLS | {
            "stdio": self.stdio,
            "terminal": self.terminal,
            "wait_for_start": self.wait_for_start,
            "become_init": self.become_init,
            "execve": self.execve,
        }

    def live(self, steps) -> None:
        """Wait until the caller has written the uid map, then carry out the steps; the last one, an exec, does not return."""
        self.hear(b"mapped")
        inside.HELD = {}
        stage = None
        for index, now, call, args in steps:
            if now != stage:
                linux.set_title(f"suitcase:{now}")  # `ps -o comm` tells where a start hangs
                stage = now
            try:
                execute(call, args, self.refs, self.calls)
            except OSError as error:
                report(self.line, index, call, args, error)
                os._exit(125)
            except Exception as error:  # a step with wrong arguments: nothing may be lost with this process
                report(self.line, index, call, args, OSError(errno.EIO, f"{type(error).__name__}: {error}"))
                os._exit(125)

    def hear(self, word: bytes) -> None:
        """Wait for a word of the caller; if it has died, so do we."""
        while (heard := self.line.recv(16)) == b"who":  # the starter was killed before it could tell the caller of us
            say(self.line, {"pid": 0}, os.pidfd_open(os.getpid()))
        if heard != word:
            os._exit(125)

    def wait_for_start(self, gate: str | None = None) -> None:
        """Say "created" and wait: at the line to the caller, or (it may end meanwhile) at a named pipe of its choice.

        The pipe is opened before the pivot by an earlier step, so that it is found in the new root too.
        """
        say(self.line, {"created": True})
        if gate is None:
            self.hear(b"start")
        else:
            os.read(self.refs[gate], 1)

    def stdio(self) -> None:
        """Put the three descriptors that the caller gave in the places 0, 1 and 2."""
        for number, name in enumerate(("stdin", "stdout", "stderr")):
            os.dup2(self.refs[name], number)

    def terminal(self, rows: int, columns: int) -> None:
        """Open a terminal of the container's own ``/dev/pts``, and send its other end to the caller. See pts(4)."""
        master = os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        fcntl.ioctl(master, TIOCSPTLCK, struct.pack("i", 0))
        fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))
        slave = fcntl.ioctl(master, TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY)
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        for number in (0, 1, 2):
            os.dup2(slave, number)
        say(self.line, {"terminal": True}, master)

    def become_init(self) -> None:
        """Fork: this process stays behind as PID 1 and only looks after the other, which goes on with the steps."""
        signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)
        pid = os.fork()
        if pid:
            self.line.close()
            os._exit(init(pid))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)
        os.setpgid(0, 0)
        if os.isatty(0):
            signal.signal(signal.SIGTTOU, signal.SIG_IGN)
            os.tcsetpgrp(0, os.getpid())

    def execve(self, argv: list[str], env: dict[str, str]) -> None:
        """Become the program: everything prepared so far stays, the Python in this process goes."""
        for number in (signal.SIGPIPE, signal.SIGINT, signal.SIGTTOU, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)  # Python had changed these; an ignored signal would survive exec
        linux.close_on_exec(3)
        linux.set_title(os.path.basename(argv[0]))
        for path in candidates(argv[0], env):
            try:
                os.execve(path, argv, env)
            except OSError as error:
                if "/" in argv[0] or os.path.lexists(path):
                    argv = [path, *argv[1:]]
                    report(self.line, None, "execve", (argv, env), error)
                    os._exit(126)
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), argv[0])


TIOCSPTLCK, TIOCGPTPEER = 0x40045431, 0x5441  # ioctl_tty(2); Python's termios has no names for them
FORWARDED = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}  # real-time ones too: systemd's "halt" is one


def candidates(name: str, env: dict[str, str]) -> list[str]:
    """Where a command is looked for: in each folder of PATH, unless its name has a slash."""
    if "/" in name:
        return [name]
    return [os.path.join(folder or ".", name) for folder in env.get("PATH", os.defpath).split(":")]


def init(main: int) -> int:
    """PID 1's two duties: pass signals on, and wait for every child, also for those that others left behind.

    Signals were blocked before the fork and are waited for, not handled: then none can be lost between two instructions.
    Returns the main child's exit code as a shell gives it.
    """
    linux.set_title("init")
    while True:
        number = signal.sigwait(FORWARDED)
        if number != signal.SIGCHLD:
            os.kill(main, number)
            continue
        for pid, status in iter(reap_one, None):
            if pid == main:
                return os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)


def reap_one() -> tuple[int, int] | None:
    """One child that has ended, or None."""
    try:
        pid, status = os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return None
    return (pid, status) if pid else None


LONGEST = 5000  # characters of each text in a message: more than any path has (PATH_MAX), and together less than MESSAGE bytes
MESSAGE = 1 << 16  # bytes of one message on the line, at most


# -- messages -----------------------------------------------------------------------------


def say(line: socket.socket, message: dict, *fds: int) -> None:
    """Send one message, with descriptors if there are any; if nobody listens any more, end."""
    try:
        socket.send_fds(line, [marshal.dumps(message)], list(fds))
    except OSError:
        os._exit(125)


def report(line: socket.socket, index: int | None, call: str, args, error: OSError) -> None:
    """Send an error to the caller as data: the step, the errno, what it was about, and the advice for this place.

    A path or a PATH may be longer than one message can be.
    """
    path = os.fsdecode(error.filename)[:LONGEST] if error.filename is not None else None
    told = {"words": (error.strerror or "")[:LONGEST], "advice": advise(call, args, error)[:LONGEST]}
    say(line, {"error": error.errno or errno.EIO, "step": index, "call": call, "path": path} | told)


def receive(sock: socket.socket) -> tuple[dict, list[int]] | None:
    """The next request (its length, then the data) with its descriptors; None when the caller has gone."""
    fds = array.array("i")
    head, ancillary, _, _ = sock.recvmsg(4, socket.CMSG_SPACE(64 * fds.itemsize), socket.MSG_CMSG_CLOEXEC)
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
    if len(head) < 4:
        return None
    body = bytearray()
    (size,) = struct.unpack("!I", head)
    while len(body) < size:
        body += sock.recv(min(size - len(body), 1 << 16)) or b" " * size
    return marshal.loads(body), list(fds)


# -- the starter itself ---------------------------------------------------------------------


def spawn(sock: socket.socket, request: dict, fds: list[int]) -> None:
    """Carry out one request: clone, tell the caller the pid, forget."""
    refs = dict(zip(request["fds"], fds, strict=False))
    if len(refs) < len(request["fds"]):  # our table of descriptors is full; without its line the caller hears the end
        for fd in fds:
            os.close(fd)
        return
    line = socket.socket(fileno=refs["line"])
    try:
        if request["join"]:
            go_between(sock, line, request, refs)
        else:
            clone_child(sock, line, request, refs)
    except OSError as error:
        index, call, args = request["clone"]
        report(line, index, call, args, error)
    except Exception as error:  # a request that makes no sense: the starter must live on for the others
        report(line, None, "clone3", (), OSError(errno.EINVAL, f"{type(error).__name__}: {error}"))
    finally:
        line.close()
        for name, fd in refs.items():
            if name != "line":
                os.close(fd)


def clone_child(sock: socket.socket, line: socket.socket, request: dict, refs: dict[str, int]) -> None:
    """clone3, and from here on there are two of us."""
    _, call, args = request["clone"]
    if call == "fail":
        execute(call, args, refs)
    kinds, cgroup = args
    child = Child(line, refs)  # made here, as each object that the child itself touches copies a page that it shares with us
    pid, pidfd = linux.clone3(linux.ns_flags(kinds) | linux.CLONE_PARENT, cgroup=resolve(cgroup, refs) if cgroup else None)
    if pid == 0:
        try:
            sock.close()
            child.live(request["steps"])
        finally:
            os._exit(125)
    say(line, {"pid": pid}, pidfd)
    os.close(pidfd)


def go_between(sock: socket.socket, line: socket.socket, request: dict, refs: dict[str, int]) -> None:
    """Join namespaces in a process of its own, which clones the child there and ends.

    A process cannot move itself into a PID or time namespace, only its future children; and the starter must stay where
    it is. The child is a sibling of the go-between (``CLONE_PARENT`` again), so the caller waits for both.
    """
    pid, pidfd = linux.clone3(linux.CLONE_PARENT)
    if pid:
        os.close(pidfd)
        return
    say(line, {"go_between": 0}, os.pidfd_open(os.getpid()))  # it tells of itself: the starter may be killed at any moment
    index, call, args = request["clone"]
    try:
        for index, _, call, args in request["join"]:  # noqa: B007 - told to the caller if the step fails
            execute(call, args, refs)
        index, call, args = request["clone"]
        clone_child(sock, line, request, refs)
    except OSError as error:
        report(line, index, call, args, error)
    except Exception as error:  # a step with wrong arguments
        report(line, index, call, args, OSError(errno.EIO, f"{type(error).__name__}: {error}"))
    finally:
        os._exit(0)


def rehearse() -> None:
    """Go through the calls once where they do no harm, at a path that is not there.

    Python looks functions up and specialises code at first use. Done here, it is done for every child; done in a child, it
    would be done in each anew, and each change would copy a page that it shares with us.
    """
    for _ in range(10):  # Python specialises a function after eight calls
        for call, args in REHEARSED:
            with suppress(OSError):
                execute(call, args, {})
    for name in ("setns", "unshare", "sethostname"):
        getattr(linux.libc, name)


NOWHERE = "/proc/self/nowhere"
REHEARSED = (
    ("mount", (None, NOWHERE, None, "rprivate")), ("umount2", (NOWHERE,)), ("mount_inside", ("x", NOWHERE, "/", "x", "ro")),
    ("bind", ("/", NOWHERE, "/", "ro")), ("mknod", (NOWHERE, "/x", "c", 1, 3)), ("symlink", (NOWHERE, "/x", "x")),
    ("mask", ("/proc/self", "/nowhere")), ("readonly", ("/proc/self", "/nowhere")), ("pivot_root", (NOWHERE,)), ("write", (NOWHERE, "0")),
)  # fmt: skip


def main(fd: int) -> None:
    """Serve one caller until it closes the socket, or dies, which closes it too."""
    linux.set_title("suitcase:starter")
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for number in signal.valid_signals() - {signal.SIGPIPE, signal.SIGKILL, signal.SIGSTOP}:
        if signal.getsignal(number) is signal.SIG_IGN:  # from nohup, say: containers would inherit it
            signal.signal(number, signal.SIG_DFL)
    os.umask(0o022)  # the caller's would be seen in what is made in a container: mount points, a working directory
    sock = socket.socket(fileno=fd)
    rehearse()
    gc.disable()
    gc.freeze()  # the collector would touch, and so copy, pages that children share with us
    while request := receive(sock):
        spawn(sock, *request)


if __name__ == "__main__":
    main(int(sys.argv[1]))
