"""The vocabulary: every call that a step may name, and how one is carried out, in the caller or in the child.

The child has no Python library on its disk any more once it has pivoted: what it needs is imported here, before.
"""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import socket
from contextlib import suppress

from lib import inside, linux
from lib.netfilter import rtnetlink
from lib.netfilter.announcing import announce
from lib.sealed import sealed_copy

BLANK = 16  # bytes of a file that an exit is written into


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


def add_line(path: str, words: list[str]) -> None:
    """Add a line to an ordinary file, with a tab between two words."""
    with open(path, "a", encoding="utf-8") as file:
        file.write("\t".join(words) + "\n")


def write_to(fd: int, text: str) -> None:
    """Write into one of the kernel's files that an earlier step opened. See ``linux.write``."""
    os.write(fd, text.encode())


def setrlimit(name: str, soft: int, hard: int) -> None:
    """Limit a resource of this process, e.g. ``NOFILE``; see getrlimit(2)."""
    number = getattr(resource, f"RLIMIT_{name}")
    try:
        resource.setrlimit(number, (soft, hard))
    except ValueError as error:  # Python's words for EPERM and EINVAL
        refused = errno.EPERM if "not allowed" in str(error) else errno.EINVAL
        raise OSError(refused, f"{os.strerror(refused)} (the machine's hard limit is {resource.getrlimit(number)[1]})", name) from None


def own_stdio(uid: int) -> None:
    """Give the pipes or the terminal at 0, 1 and 2 to a user: who opens ``/proc/self/fd/1`` must own what is behind it.

    See proc_pid_fd(5).
    """
    for number in (0, 1, 2):
        if was_made_for_it(number):
            give_to(number, uid)


def give_to(fd: int, uid: int) -> None:
    """Make a user the owner of what is behind a descriptor. See fchown(2)."""
    with suppress(OSError):  # a user namespace may not know this user; the step that becomes him says so, in better words
        os.fchown(fd, uid, -1)


def was_made_for_it(fd: int) -> bool:
    """Is it a pipe without a name, or a terminal of the ``/dev/pts`` in here? Whatever has a name outside stays its owner's."""
    where = os.fstat(fd).st_dev
    if os.isatty(fd):
        return os.path.isdir("/dev/pts") and where == os.stat("/dev/pts").st_dev
    return where == nameless_pipes()


def nameless_pipes() -> int:
    """The device that every pipe(2) lies on; a named pipe lies where its name does."""
    ends = os.pipe2(os.O_CLOEXEC)
    try:
        return os.fstat(ends[0]).st_dev
    finally:
        for fd in ends:
            os.close(fd)


def named_pipe(path: str) -> None:
    """A named pipe that only its owner may open. See fifo(7)."""
    os.mkfifo(path, 0o600)


def open_reader(path: str) -> int:
    """A descriptor to read a named pipe, without waiting for somebody who writes."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    os.set_blocking(fd, True)
    return fd


def open_blank(path: str) -> int:
    """A descriptor to write to a new small file that has its full length already: a full disk cannot keep back what is written later.

    Locked: who is to read it waits at the lock until it has been written, or whoever was to write it is no more. See flock(2).
    """
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w") as file:
        file.write(" " * BLANK)
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    fcntl.flock(fd, fcntl.LOCK_EX)
    return fd


def set_umask(mask: int) -> None:
    os.umask(mask)


def make_cwd(path: str) -> None:
    """Go to the working directory, made first if it is missing (as Docker does for ``--workdir``)."""
    inside.enter(path, make=True)


def pivot_root(root: str) -> None:
    inside.pivot(root)
    inside.let_go()


def send_root(line: int) -> None:
    """Send a descriptor of the root over a socket."""
    root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    with socket.socket(fileno=os.dup(line)) as sock:
        socket.send_fds(sock, [b"root"], [root])
    os.close(root)


def hang_up(tree: int, path: str) -> None:
    """Hang a detached tree that an earlier step gave on a folder; the last part of the path may be no link. See move_mount(2)."""
    folder = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        linux.move_mount(tree, folder)
    finally:
        os.close(folder)


def hang_in(tree: int, root: str, path: str) -> None:
    """As ``hang_up``, on a folder inside ``root``, which is made if it is missing."""
    inside.makedirs(root, path)
    with inside.place(root, path) as there:
        linux.move_mount(tree, there)


def new_session_keyring() -> None:
    """As ``linux.new_session_keyring``; a kernel that keeps no keys has nothing to hide."""
    try:
        linux.new_session_keyring()
    except OSError as error:
        if error.errno != errno.ENOSYS:
            raise


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
    "named_pipe": named_pipe,
    "open_reader": open_reader,
    "open_blank": open_blank,
    "dup": os.dup,
    "write": linux.write,
    "write_file": write_file,
    "add_line": add_line,
    "sealed_copy": sealed_copy,
    # in the go-between
    "setns": linux.setns,
    "unshare": linux.unshare,
    # in the child
    "write_to": write_to,
    "setsid": os.setsid,
    "own_stdio": own_stdio,
    "give_to": give_to,
    "umask": set_umask,
    "mount": linux.mount,
    "umount2": linux.umount,
    "mount_inside": inside.mount,
    "bind": inside.bind,
    "hang_up": hang_up,
    "hang_in": hang_in,
    "mknod": inside.mknod,
    "symlink": inside.symlink,
    "mask": inside.mask,
    "readonly": inside.readonly,
    "restrict": inside.restrict,
    "own_null": inside.own_null,
    "pivot_root": pivot_root,
    "chroot": os.chroot,
    "send_root": send_root,
    "chdir": os.chdir,
    "make_cwd": make_cwd,
    "enter_cwd": inside.enter,
    "new_session_keyring": new_session_keyring,
    "sethostname": linux.sethostname,
    "link_up": linux.link_up,
    "netlink": rtnetlink.send,
    "announce": announce,
    "setrlimit": setrlimit,
    "no_new_privs": linux.no_new_privs,
    "limit_bounding_set": linux.limit_bounding_set,
    "set_capabilities": linux.set_capabilities,
    "setgroups": os.setgroups,
    "setgid": os.setgid,
    "setuid": os.setuid,
}


REF, PART = "\0ref", "\0part"  # the keys of a reference; an environment is a dictionary, too, but no variable can be called so


def resolve(value, refs: dict):
    """Replace what an earlier step gave (``{REF: name}``) by its value, or by a part of it; the pid also inside a text (``{pid}``)."""
    if isinstance(value, dict) and REF in value:
        return refs[value[REF]][value[PART]] if PART in value else refs[value[REF]]
    if isinstance(value, list):
        return [resolve(one, refs) for one in value]
    if isinstance(value, str) and "{pid}" in value:
        return value.replace("{pid}", str(refs["pid"]))
    return value


def execute(call: str, args, refs: dict[str, int], calls=CALLS):
    """Carry out one step; the ``OSError`` of the call that failed comes out as it is, Python's own errors (wrong arguments) as EINVAL."""
    try:
        return calls[call](*(resolve(value, refs) for value in args))
    except OSError:
        raise
    except Exception as error:
        raise OSError(errno.EINVAL, f"{type(error).__name__}: {error}") from error
