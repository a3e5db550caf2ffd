"""The vocabulary: every call that a step may name, and how one is carried out, in the caller or in the child.

The child has no Python library on its disk any more once it has pivoted: what it needs is imported here, before.
"""

from __future__ import annotations

import errno
import os
import resource
from contextlib import suppress

from lib import inside, linux
from lib.sealed import sealed_copy


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
            with suppress(OSError):  # a user namespace may not know this user; the step that becomes him says so, in better words
                os.fchown(number, uid, -1)


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


def set_umask(mask: int) -> None:
    os.umask(mask)


def make_cwd(path: str) -> None:
    """Go to the working directory, made first if it is missing (as Docker does for ``--workdir``)."""
    inside.enter(path, make=True)


def pivot_root(root: str) -> None:
    inside.pivot(root)
    inside.let_go()


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
    "write": linux.write,
    "write_file": write_file,
    "sealed_copy": sealed_copy,
    # in the go-between
    "setns": linux.setns,
    "unshare": linux.unshare,
    # in the child
    "write_to": write_to,
    "setsid": os.setsid,
    "own_stdio": own_stdio,
    "umask": set_umask,
    "mount": linux.mount,
    "umount2": linux.umount,
    "mount_inside": inside.mount,
    "bind": inside.bind,
    "mknod": inside.mknod,
    "symlink": inside.symlink,
    "mask": inside.mask,
    "readonly": inside.readonly,
    "restrict": inside.restrict,
    "own_null": inside.own_null,
    "pivot_root": pivot_root,
    "chroot": os.chroot,
    "chdir": os.chdir,
    "make_cwd": make_cwd,
    "enter_cwd": inside.enter,
    "new_session_keyring": new_session_keyring,
    "sethostname": linux.sethostname,
    "link_up": linux.link_up,
    "setrlimit": setrlimit,
    "no_new_privs": linux.no_new_privs,
    "limit_bounding_set": linux.limit_bounding_set,
    "set_capabilities": linux.set_capabilities,
    "setgroups": os.setgroups,
    "setgid": os.setgid,
    "setuid": os.setuid,
}


REF = "\0ref"  # the key of a reference; an environment is a dictionary, too, but no variable can be called so


def resolve(value, refs: dict[str, int]):
    """Replace what an earlier step gave (``{REF: name}``) by its value, also inside a text (``{name}``)."""
    if isinstance(value, dict) and REF in value:
        return refs[value[REF]]
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
