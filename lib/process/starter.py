"""The starter: a small process that turns plans into processes.

A notebook's kernel is large and has many threads; forking it costs 20 ms and copies locks that nobody will ever open. So it asks this
process, which is small and has one thread. ``CLONE_PARENT`` makes the new process the *caller's* child and not ours: the caller waits for
it, and we forget it at once.

    caller                       starter                 child
      | -- namespaces, descriptors -->|                   |
      |<---- pid, pidfd --------------| ----- clone3 ---->|  reads its steps
      | (record, uid map)                                 |  waits
      | --------------------- mapped -------------------->|  carries them out
      |<-------------------- created ---------------------|  waits
      | ---------------------- start -------------------->|  execve: the line is cut, that is "ok"
      |<-------- or: step, errno, advice -----------------|

The steps lie in a file of their own, which only the child opens: we see no container's words, so the copy of us that becomes the next one
holds none. And pids come over a socket that the child does not have, so nothing that runs in a container can forge one. This file imports
only what the child needs: once it has pivoted there is no Python library on its disk any more.
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
from lib.process.messages import read_request, receive, report, say

Kin = tuple[int, int]  # how a child is ours: flags for clone3, and the signal that tells its parent of its end
CALLERS, OURS = (linux.CLONE_PARENT, 0), (0, signal.SIGCHLD)


def spawn(head: dict, refs: dict[str, int], kin: Kin = CALLERS) -> int:
    """Carry out one request: clone, tell the caller the pid, forget. Returns the pid of who has been cloned *here*: 0 if nobody."""
    birth = socket.socket(fileno=refs["birth"])
    try:
        return (go_between if head["join"] else clone_child)(birth, head, refs, kin)
    except OSError as error:
        answer(birth, *head["clone"], error)
    except Exception as error:  # a request that makes no sense: the starter must live on for the others
        answer(birth, None, "clone3", (), OSError(errno.EINVAL, f"{type(error).__name__}: {error}"))
    finally:
        birth.close()
        for name, fd in refs.items():
            if name != "birth":
                os.close(fd)
    return 0


def answer(birth: socket.socket, *error) -> None:
    """As ``report``; who asked may have gone meanwhile, and that is for him to know."""
    with suppress(OSError):
        report(birth, *error)


def clone_child(birth: socket.socket, head: dict, refs: dict[str, int], kin: Kin) -> int:
    """clone3, and from here on there are two of us."""
    _, call, args = head["clone"]
    if call == "fail":
        execute(call, args, refs)
    kinds, cgroup = args
    pid, pidfd = linux.clone3(linux.ns_flags(kinds) | kin[0], kin[1], cgroup=resolve(cgroup, refs) if cgroup else None)
    if pid == 0:
        try:
            if head["hidden"]:
                linux.not_dumpable()
            Child(refs["line"], refs, read_request(refs["body"])["steps"]).live()
        finally:
            os._exit(125)
    with suppress(OSError):  # who asked has gone: the child, which nobody talks to, ends by itself
        say(birth, {"pid": pid}, pidfd)
    os.close(pidfd)
    return pid


def go_between(birth: socket.socket, head: dict, refs: dict[str, int], kin: Kin) -> int:
    """Join namespaces in a process of its own, which clones the child there and ends.

    A process cannot move itself into a PID or time namespace, only its future children; and the starter must stay where
    it is. The child is a sibling of the go-between (``CLONE_PARENT``), so who waits for one waits for both.
    """
    pid, pidfd = linux.clone3(*kin)
    if pid:
        os.close(pidfd)
        return pid
    index, call, args = head["clone"]
    try:
        linux.close_others(2, birth.fileno(), *refs.values())  # who asks is nobody's to know in there
        say(birth, {"go_between": os.getpid()}, os.pidfd_open(os.getpid()))  # it tells of itself: the starter may be killed at any moment
        if head["hidden"]:
            linux.not_dumpable()  # what we join may hold somebody who would like to look into us
        for index, _, call, args in read_request(refs["body"])["join"]:  # noqa: B007 - told to the caller if the step fails
            execute(call, args, refs)
        index, call, args = head["clone"]
        child = clone_child(birth, head, refs, CALLERS)
        if "told" in refs:
            os.write(refs["told"], str(child).encode())
    except OSError as error:
        report(birth, index, call, args, error)
    except Exception as error:  # a step with wrong arguments
        report(birth, index, call, args, OSError(errno.EINVAL, f"{type(error).__name__}: {error}"))
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


def forget_the_caller() -> None:
    """What a process hands on to its children without being asked, set to what a container may have. See execve(2), fork(2)."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for number in signal.valid_signals() - {signal.SIGPIPE, signal.SIGKILL, signal.SIGSTOP}:
        if signal.getsignal(number) is signal.SIG_IGN:  # from nohup, say
            signal.signal(number, signal.SIG_DFL)
    for number in (32, 33):  # the C library's own, and no valid ones to Python; who ignored them hands that on all the same
        linux.plain_signal(number)
    os.umask(0o022)  # the caller's would be seen in what is made in a container: mount points, a working directory
    linux.plain_personality()
    linux.plain_timer_slack()
    if int(linux.read("/proc/self/oom_score_adj")) < 0:  # a caller that the OOM killer spares does not make containers that it spares
        linux.write("/proc/self/oom_score_adj", "0")


def main(fd: int, program: int) -> None:
    """Serve one caller until it closes the socket, or dies, which closes it too. By ``program`` we were executed."""
    os.close(program)
    linux.set_title("suitcase:starter")
    forget_the_caller()
    sock = socket.socket(fileno=fd)
    rehearse()
    gc.disable()
    gc.freeze()  # the collector would touch, and so copy, pages that children share with us
    while request := receive(sock):
        head, fds = request
        spawn(head, dict(zip(head["fds"], fds, strict=True)))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
