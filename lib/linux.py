"""The kernel: the few system calls that a container needs, one thin function each.

The C library's own function is used where it has one. The rest goes through
``syscall(2)`` with the numbers of one table: since Linux 5.1 every architecture
gives a new call the same number, so one column serves x86-64 and arm64. The few
older calls have a number on each.

Every function raises ``OSError`` with the kernel's errno, and nothing else.

One module, though long: it is a list, to look things up in, and its functions have nothing to do with each other.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import select
import signal
import struct
import termios
import time

libc = ctypes.CDLL(None, use_errno=True)

# System calls without a wrapper in every C library that we meet (asm-generic/unistd.h).
NR = {
    "open_tree": 428,
    "move_mount": 429,
    "clone3": 435,
    "close_range": 436,
    "openat2": 437,
    "mount_setattr": 442,
    "landlock_create_ruleset": 444,
    "landlock_add_rule": 445,
    "landlock_restrict_self": 446,
}
NR |= {
    "x86_64": {"rt_sigaction": 13, "finit_module": 313, "keyctl": 250, "statx": 332},
    "aarch64": {"rt_sigaction": 134, "finit_module": 273, "keyctl": 219, "statx": 291},
}.get(os.uname().machine, {})

# clone(2), unshare(2), setns(2): one bit for each kind of namespace.
NAMESPACES = {
    "time": 0x00000080,
    "mnt": 0x00020000,
    "cgroup": 0x02000000,
    "uts": 0x04000000,
    "ipc": 0x08000000,
    "user": 0x10000000,
    "pid": 0x20000000,
    "net": 0x40000000,
}
CLONE_FS = 0x00000200
CLONE_PIDFD = 0x00001000
CLONE_PARENT = 0x00008000
CLONE_INTO_CGROUP = 0x200000000
CLOSE_RANGE_CLOEXEC = 4

# mount(2): the words of mount(8) and of the OCI specification, and the bits they stand for.
MOUNT_FLAGS = {
    "ro": 0x1,
    "nosuid": 0x2,
    "nodev": 0x4,
    "noexec": 0x8,
    "sync": 0x10,
    "remount": 0x20,
    "mand": 0x40,
    "dirsync": 0x80,
    "nosymfollow": 0x100,
    "noatime": 0x400,
    "nodiratime": 0x800,
    "bind": 0x1000,
    "rec": 0x4000,
    "silent": 0x8000,
    "unbindable": 0x20000,
    "private": 0x40000,
    "slave": 0x80000,
    "shared": 0x100000,
    "relatime": 0x200000,
    "iversion": 0x800000,
    "strictatime": 0x1000000,
    "lazytime": 0x2000000,
}
PROPAGATION = ("private", "slave", "shared", "unbindable")
MOUNT_FLAGS |= {f"r{word}": MOUNT_FLAGS[word] | MOUNT_FLAGS["rec"] for word in ("bind", *PROPAGATION)}
# The words that take one of those back; the later of the two counts.
TAKES_BACK = {
    "rw": "ro", "suid": "nosuid", "dev": "nodev", "exec": "noexec", "async": "sync", "nomand": "mand", "symfollow": "nosymfollow",
    "atime": "noatime", "diratime": "nodiratime", "loud": "silent", "norelatime": "relatime", "noiversion": "iversion",
    "nostrictatime": "strictatime", "nolazytime": "lazytime",
}  # fmt: skip
MNT_DETACH, UMOUNT_NOFOLLOW = 2, 8

# mount_setattr(2): the same words, other bits. The three about the time of access are one number, and exclude each other.
MOUNT_ATTRS = {"ro": 0x1, "nosuid": 0x2, "nodev": 0x4, "noexec": 0x8, "nodiratime": 0x80, "nosymfollow": 0x200000}
ATIMES = {"relatime": 0x0, "noatime": 0x10, "strictatime": 0x20}
ATIME_MASK = 0x70
AT_FDCWD = -100
AT_EMPTY_PATH = 0x1000
AT_RECURSIVE = 0x8000
OPEN_TREE_CLONE = 1
MOVE_MOUNT_EMPTY_PATHS = 0x4 | 0x40  # both ends are descriptors
RESOLVE_NO_XDEV = 0x01
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_BENEATH = 0x08
RESOLVE_IN_ROOT = 0x10
O_PATH = os.O_PATH
STATX_MNT_ID_UNIQUE = 0x4000

PR_SET_DUMPABLE = 4
PR_SET_NAME = 15
PR_SET_TIMERSLACK = 29
PR_SET_NO_NEW_PRIVS = 38
PR_CAPBSET_READ, PR_CAPBSET_DROP = 23, 24
PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, PR_CAP_AMBIENT_CLEAR_ALL = 47, 2, 4
CAPABILITY_VERSION_3 = 0x20080522
KEYCTL_JOIN_SESSION_KEYRING = 1
PIDFD_GET_INFO = 0xC040FF0B  # _IOWR(0xFF, 11, 64 bytes)
PIDFD_INFO_EXIT = 0x8
PIDFD_SIGNAL_PROCESS_GROUP = 0x4


def check(result: int, call: str, path: str | None = None) -> int:
    """Turn the C library's -1 into an ``OSError`` that names the call and the object."""
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number)}", path)
    return result


def syscall(name: str, *args, path: str | None = None) -> int:
    """Make a system call that the C library has no function for (syscall(2))."""
    return check(libc.syscall(ctypes.c_long(NR[name]), *args), name, path)


def encoded(path: str | None) -> bytes | None:
    """A path as the C library takes it. Raises ``OSError`` for one with a NUL: it would end there."""
    raw = None if path is None else os.fsencode(path)
    if raw and b"\0" in raw:
        raise OSError(errno.EINVAL, "a path cannot have a NUL in it", path)
    return raw


# -- processes and namespaces ---------------------------------------------------------


def ns_flags(kinds) -> int:
    """The flag bits of a list of namespace names, e.g. ``["pid", "net"]``."""
    return sum(NAMESPACES[kind] for kind in kinds)


def clone3(flags: int, exit_signal: int = 0, cgroup: int | None = None) -> tuple[int, int]:
    """Make a child that copies this process: ``(pid, pidfd)`` in the parent, ``(0, -1)`` in the child.

    ``exit_signal`` is what the parent gets when the child ends; with ``CLONE_PARENT`` it must be 0.
    ``cgroup`` is a descriptor of the cgroup (v2) that the child is born in. See clone3(2).
    """
    pidfd = ctypes.c_int(-1)
    args = struct.pack(
        "=11Q",
        flags | CLONE_PIDFD | (CLONE_INTO_CGROUP if cgroup is not None else 0),
        ctypes.addressof(pidfd),
        *(0, 0, exit_signal, 0, 0, 0, 0, 0),
        cgroup or 0,
    )
    pid = syscall("clone3", args, ctypes.c_size_t(len(args)))
    return pid, pidfd.value


def unshare(*kinds: str) -> None:
    """Leave the namespaces that this process shares with others, for new ones. See unshare(2)."""
    check(libc.unshare(ns_flags(kinds)), "unshare", ",".join(kinds))


def own_folders() -> None:
    """From now on this thread has a root and a working folder of its own: the other threads' stay where they are. See unshare(2)."""
    check(libc.unshare(CLONE_FS), "unshare", "fs")


def setns(fd: int, kind: str) -> None:
    """Join the namespace behind the descriptor ``fd``. See setns(2)."""
    check(libc.setns(fd, NAMESPACES[kind]), "setns", kind)


def sethostname(name: str) -> None:
    """Change the hostname of this process's UTS namespace. See sethostname(2)."""
    raw = os.fsencode(name)
    check(libc.sethostname(raw, len(raw)), "sethostname", name)


def set_title(title: str) -> None:
    """Change the 15 characters that ``ps -o comm`` shows for this process. See prctl(2)."""
    check(libc.prctl(PR_SET_NAME, os.fsencode(title)[:15], 0, 0, 0), "prctl")


def no_new_privs() -> None:
    """Promise that no exec from here on gives more rights (setuid programs lose theirs). See prctl(2)."""
    check(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl")


def not_dumpable() -> None:
    """Nobody without CAP_SYS_PTRACE may look into this process from here to its exec: /proc/PID is root's, ptrace(2) is refused."""
    check(libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0), "prctl")


def limit_bounding_set(keep: list[int]) -> None:
    """Take every capability but these out of the bounding set, for good. See capabilities(7)."""
    for number in range(64):
        if libc.prctl(PR_CAPBSET_READ, number, 0, 0, 0) == -1:  # this kernel has no more
            return
        if number not in keep:
            check(libc.prctl(PR_CAPBSET_DROP, number, 0, 0, 0), "prctl")


def set_capabilities(keep: list[int]) -> None:
    """Have these capabilities, if this process is root, and no others; hand none of them on to who is not. See capset(2)."""
    bits = sum(1 << number for number in keep if libc.prctl(PR_CAPBSET_READ, number, 0, 0, 0) == 1) if os.geteuid() == 0 else 0
    head = struct.pack("=Ii", CAPABILITY_VERSION_3, 0)
    low, high = bits & 0xFFFFFFFF, bits >> 32
    check(libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0), "prctl")
    check(libc.capset(head, struct.pack("=6I", low, low, 0, high, high, 0)), "capset")


def own_capabilities(kind: str) -> int:
    """A bit for each capability of this thread's ``Eff``, ``Prm``, ``Inh``, ``Bnd`` or ``Amb`` set. See proc_pid_status(5)."""
    return int(read("/proc/thread-self/status").partition(f"\nCap{kind}:")[2].split()[0], 16)


def hand_on_capabilities() -> None:
    """Let programs that we execute have the capabilities that we have, though we are not root. See "ambient" in capabilities(7)."""
    bits = own_capabilities("Prm")
    head, low, high = struct.pack("=Ii", CAPABILITY_VERSION_3, 0), bits & 0xFFFFFFFF, bits >> 32
    check(libc.capset(head, struct.pack("=6I", low, low, low, high, high, high)), "capset")
    for number in range(bits.bit_length()):
        if bits >> number & 1:
            check(libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number, 0, 0), "prctl")


def new_session_keyring() -> None:
    """A session keyring of its own, empty, in place of the caller's. See keyctl(2), session-keyring(7)."""
    syscall("keyctl", KEYCTL_JOIN_SESSION_KEYRING, None, 0, 0, 0)


def plain_signal(number: int) -> None:
    """A signal's usual action again, also of those that the C library keeps for itself and lets nobody change. See sigaction(2)."""
    syscall("rt_sigaction", number, bytes(32), None, ctypes.c_size_t(8))


def plain_timer_slack() -> None:
    """The kernel's usual slack for timers, 50 µs, whatever somebody above us has asked for. See prctl(2)."""
    check(libc.prctl(PR_SET_TIMERSLACK, ctypes.c_ulong(50_000), 0, 0, 0), "prctl")


def plain_personality() -> None:
    """The kernel's usual behaviour, whatever setarch(8) or a debugger has asked for (no random addresses, say). See personality(2)."""
    check(libc.personality(ctypes.c_ulong(0)), "personality")


def exit_code(pidfd: int) -> int:
    """How the process behind a pidfd has ended, whoever waited for it: its exit code, or minus its signal. See pidfd_open(2), Linux 6.15.

    Raises ``ChildProcessError`` where the kernel does not keep it, or nobody has waited for the process yet.
    """
    mask, deadline = 0, time.monotonic() + 1
    while not mask & PIDFD_INFO_EXIT:  # it is written down a moment after its parent has seen the end
        if time.monotonic() > deadline:
            raise ChildProcessError(errno.ECHILD, os.strerror(errno.ECHILD))
        info = bytearray(struct.pack("Q56x", PIDFD_INFO_EXIT))
        try:
            fcntl.ioctl(pidfd, PIDFD_GET_INFO, info)
        except OSError as error:
            raise ChildProcessError(errno.ECHILD, os.strerror(errno.ECHILD)) from error
        mask, status = struct.unpack_from("Q52xi", info)
    return os.waitstatus_to_exitcode(status)


def pid_of(pidfd: int) -> int:
    """The pid behind a pidfd, as this process sees it; -1 when it has been waited for. See pidfd_open(2), /proc/PID/fdinfo."""
    rows = dict(line.split(":", 1) for line in read(f"/proc/self/fdinfo/{pidfd}").splitlines())
    return int(rows["Pid"])


def kill_group(pidfd: int, pid: int) -> None:
    """SIGKILL for the process group that a process leads. By its pidfd where the kernel can (Linux 6.9): no later group can be meant."""
    try:
        signal.pidfd_send_signal(pidfd, signal.SIGKILL, None, PIDFD_SIGNAL_PROCESS_GROUP)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        os.killpg(pid, signal.SIGKILL)


def close_range(first: int, last: int) -> None:
    """Close every descriptor from ``first`` to ``last``, whether it is open or not. See close_range(2)."""
    if first <= last:
        syscall("close_range", ctypes.c_uint(first), ctypes.c_uint(last), ctypes.c_uint(0))


def close_others(*wanted: int) -> None:
    """Close every descriptor above the lowest of these, but not these. See close_range(2)."""
    kept = sorted(set(wanted))
    for fd, following in zip(kept, [*kept[1:], 1 << 31], strict=True):
        close_range(fd + 1, following - 1)


def close_on_exec(first: int) -> None:
    """Have every descriptor from ``first`` on closed by the next exec. See close_range(2)."""
    syscall("close_range", ctypes.c_uint(first), ctypes.c_uint(0xFFFFFFFF), ctypes.c_uint(CLOSE_RANGE_CLOEXEC))


# -- mounts ---------------------------------------------------------------------------


def split_options(options: str) -> tuple[int, str]:
    """Sort the words of ``-o`` into flag bits for the kernel and data for the file system."""
    flags, data = 0, []
    for word in filter(None, split_words(options)):
        if word in MOUNT_FLAGS:
            flags |= MOUNT_FLAGS[word]
        elif word in TAKES_BACK:
            flags &= ~MOUNT_FLAGS[TAKES_BACK[word]]
        elif word != "defaults":
            data.append(word)
    return flags, ",".join(data)


def is_mount_word(word: str) -> bool:
    """Whether mount(8) knows the word for any file system; else it is for the file system to understand, or to refuse."""
    return word in MOUNT_FLAGS or word in TAKES_BACK or word == "defaults"


def split_words(options: str) -> list[str]:
    """The words between the commas; overlay's paths may hold commas, with a backslash before them (the word keeps it)."""
    words, escaped = [""], False
    for letter in options:
        if letter == "," and not escaped:
            words.append("")
            continue
        words[-1] += letter
        escaped = letter == "\\" and not escaped
    return words


def mount(source: str | None, target: str, fstype: str | None = None, options: str = "") -> None:
    """Mount a file system, or change a mount; ``options`` are written as for mount(8). See mount(2)."""
    flags, data = split_options(options)
    result = libc.mount(encoded(source), encoded(target), encoded(fstype), ctypes.c_ulong(flags), encoded(data) if data else None)
    check(result, "mount", target)


def umount(target: str, flags: int = 0) -> None:
    """Take a mount away; with ``MNT_DETACH`` now for new users, later for old ones. See umount2(2)."""
    check(libc.umount2(encoded(target), flags), "umount2", target)


def pivot_root(new_root: str, put_old: str) -> None:
    """Make ``new_root`` the root of this mount namespace and hang the old one on ``put_old``. See pivot_root(2)."""
    check(libc.pivot_root(encoded(new_root), encoded(put_old)), "pivot_root", new_root)


def open_tree(path: str, recursive: bool = True) -> int:
    """A detached copy of the mount(s) at ``path``, as a descriptor: a bind mount not yet hung up. See open_tree(2)."""
    flags = OPEN_TREE_CLONE | os.O_CLOEXEC | (AT_RECURSIVE if recursive else 0)
    return syscall("open_tree", AT_FDCWD, encoded(path), ctypes.c_uint(flags), path=path)


def attributes(options: str) -> tuple[int, int, int]:
    """The bits to set, the bits to clear, and the propagation, of mount(8)'s words; the later word counts.

    Raises ``OSError`` for what no single mount can have.
    """
    bits = clear = propagation = 0
    for word in filter(None, options.split(",")):
        plain = TAKES_BACK.get(word, word)
        if word in MOUNT_ATTRS:
            bits, clear = bits | MOUNT_ATTRS[word], clear & ~MOUNT_ATTRS[word]
        elif plain in MOUNT_ATTRS:
            bits, clear = bits & ~MOUNT_ATTRS[plain], clear | MOUNT_ATTRS[plain]
        elif plain in ATIMES:
            bits, clear = bits & ~ATIME_MASK | (ATIMES[word] if word == plain else 0), clear | ATIME_MASK
        elif word in PROPAGATION:
            propagation = MOUNT_FLAGS[word]
        else:
            raise OSError(errno.EINVAL, f"mount_setattr: a bind mount has no option {word!r}")
    return bits, clear, propagation


def mount_setattr(fd: int, options: str, recursive: bool = True) -> None:
    """Set mount flags (``ro,nosuid,…``) on a detached tree, on all of its mounts at once. See mount_setattr(2)."""
    attr = struct.pack("=4Q", *attributes(options), 0)
    flags = AT_EMPTY_PATH | (AT_RECURSIVE if recursive else 0)
    syscall("mount_setattr", fd, b"", ctypes.c_uint(flags), attr, ctypes.c_size_t(len(attr)))


def move_mount(tree: int, target: int) -> None:
    """Hang the detached tree on the file or folder ``target``; both are descriptors. See move_mount(2)."""
    syscall("move_mount", tree, b"", target, b"", ctypes.c_uint(MOVE_MOUNT_EMPTY_PATHS))


def openat2(dir_fd: int, path: str, flags: int, resolve: int, mode: int = 0) -> int:
    """Open ``path`` under rules on how it may be resolved, e.g. ``RESOLVE_IN_ROOT``. See openat2(2)."""
    how = struct.pack("=3Q", flags | os.O_CLOEXEC, mode, resolve)
    while True:
        try:
            return syscall("openat2", dir_fd, encoded(path), how, ctypes.c_size_t(len(how)), path=path)
        except BlockingIOError:  # EAGAIN: somebody renamed a folder just then, and the kernel could not be sure about a ".."
            continue


def mount_id(fd: int) -> int | None:
    """The number of the mount that an open file lies on; no other one gets it before the machine is started anew. See statx(2).

    None before Linux 6.8.
    """
    found = ctypes.create_string_buffer(256)
    try:
        syscall("statx", fd, b"", AT_EMPTY_PATH, ctypes.c_uint(STATX_MNT_ID_UNIQUE), found)
    except OSError:
        return None
    mask, number = struct.unpack_from("I140xQ", found)
    return number if mask & STATX_MNT_ID_UNIQUE else None


def load_module(path: str) -> None:
    """Load a driver from its file, without those that it needs, as insmod(8) does. See finit_module(2)."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        syscall("finit_module", fd, b"", 0, path=path)
    finally:
        os.close(fd)


# -- small files and devices ------------------------------------------------------------


def mkdir(path: str, mode: int = 0o755, dir_fd: int | None = None) -> None:
    """A new folder with just this mode: mkdir(2) alone leaves out the bits of the caller's umask, and a container is not the caller's."""
    os.mkdir(path, mode, dir_fd=dir_fd)
    os.chmod(path, mode, dir_fd=dir_fd)


def write(path: str, text: str) -> None:
    """Write ``text`` to an existing file in one write(2): the kernel's own files take a value whole or not at all."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        data = text.encode()
        if os.write(fd, data) != len(data):  # not seen yet; but half a value must never pass for a whole one
            raise OSError(errno.EIO, "only a part of it was taken")
    except OSError as error:
        raise OSError(error.errno, f"write {text.strip()!r}: {error.strerror}", path) from None
    finally:
        os.close(fd)


def read(path: str) -> str:
    """The text of a small file."""
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        return file.read()


def peer_of(line) -> int:
    """The pid of whoever listens at, or has connected, the other end of a socket in the file system. See SO_PEERCRED in unix(7).

    Raises ``ProcessLookupError`` if that one has no number here, as it lives in another PID namespace: 0, to kill(2), is all of us.
    """
    import socket  # whoever has one has loaded it

    pid, _, _ = struct.unpack("3i", line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    if not pid:
        raise ProcessLookupError(errno.ESRCH, "whoever is behind this socket lives in another PID namespace")
    return pid


def readable(fds, timeout: float | None = None) -> list[int]:
    """Wait until one of the descriptors can be read, or has come to its end: which ones. See poll(2).

    Not select(2): that one takes no descriptor above 1023, and 500 containers need more.
    """
    poll = select.poll()
    for fd in fds:
        poll.register(fd, select.POLLIN)
    return [fd for fd, _ in poll.poll(None if timeout is None else max(0, timeout) * 1000)]


def stat_of(pid: int | str) -> list[str]:
    """What the kernel tells of a process, from its state (a letter) on. Raises ``OSError`` if there is none. See proc_pid_stat(5).

    The name before that is the process's own choice, brackets included.
    """
    return read(f"/proc/{pid}/stat").rpartition(")")[2].split()


STARTED, ENDED_WITH = 19, -1  # places in that: when it started, in ticks after boot; a zombie's wait status


def waiting_in(pipe: int) -> int:
    """How many bytes stand in a pipe, or in a terminal. See FIONREAD in pipe(7)."""
    return struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)))[0]


IN_MODIFY, IN_MOVED_TO, IN_CREATE = 0x2, 0x80, 0x100


def inotify(folder: str, events: int) -> int:
    """A descriptor that can be read once one of these events has come about in the folder. See inotify(7)."""
    fd = check(libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC), "inotify_init1")
    try:
        check(libc.inotify_add_watch(fd, encoded(folder), ctypes.c_uint32(events)), "inotify_add_watch", folder)
    except OSError:
        os.close(fd)
        raise
    return fd


def close_inotify(fd: int) -> None:
    """Its one watch (their numbers begin with 1) goes first: else close(2) waits until nobody looks at that any more, some 10 ms."""
    libc.inotify_rm_watch(fd, 1)
    os.close(fd)


def resize(terminal: int, rows: int, columns: int) -> None:
    """Tell a terminal its size; who runs in there gets SIGWINCH. See ioctl_tty(2)."""
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))


SIOCGIFFLAGS, SIOCSIFFLAGS, SIOCGIFMTU, IFF_UP = 0x8913, 0x8914, 0x8921, 0x1


def link_up(name: str) -> None:
    """Switch a network interface on, as ``ip link set NAME up`` does. See netdevice(7)."""
    import socket  # takes its time to load, and few need it

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sH14x", name.encode(), 0)
        (flags,) = struct.unpack_from("16xH", fcntl.ioctl(control, SIOCGIFFLAGS, request))
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sH14x", name.encode(), flags | IFF_UP))


def link_mtu(name: str) -> int:
    """The longest packet that an interface takes. (``/sys`` would tell it of the network that its mount belongs to, not of ours.)"""
    import socket

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        return struct.unpack_from("16xi", fcntl.ioctl(control, SIOCGIFMTU, struct.pack("16s16x", name.encode())))[0]
