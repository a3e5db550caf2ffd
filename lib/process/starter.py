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

import errno
import gc
import os
import signal
import socket
import sys
from contextlib import suppress

if __name__ == "__main__":  # started as a file, with no search path: the folder three above this one holds `lib`
    sys.path.insert(0, os.path.abspath(f"{__file__}/../../.."))

from lib import linux
from lib.process.calls import execute, resolve
from lib.process.child import Child
from lib.process.messages import receive, report, say


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
