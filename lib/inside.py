"""Paths inside a root file system that we do not trust.

An image may hold ``/dev -> ../../../etc``. Whoever follows that link by hand
writes to the host. So every path below is resolved by the kernel itself, as if
the rootfs were ``/`` already (``RESOLVE_IN_ROOT``, see openat2(2)).
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress

from lib import linux

NULL = os.makedev(1, 3)
LINKS_AT_MOST = 40  # as in the kernel

# Roots that stay open, path → descriptor. A child switches this on for its short life: it looks some fifty paths up below one root.
HELD: dict[str, int] | None = None


def let_go() -> None:
    """Close the roots that are held: after the pivot their paths lead nowhere, and a descriptor of a folder is a way out."""
    global HELD
    for fd in (HELD or {}).values():
        os.close(fd)
    HELD = None


def enter(path: str, make: bool = False) -> None:
    """Make ``path`` the working directory, as a process with this root would find it, made first if it is missing and ``make``.

    A link of the image's may lead through ``/proc/self/fd`` to a folder outside (CVE-2024-21626), so magic links are refused.
    """
    try:
        with Opened("/", path, os.O_PATH | os.O_DIRECTORY) as folder:
            os.fchdir(folder)
    except FileNotFoundError:
        if not make:
            raise
        makedirs("/", path)
        enter(path)
    if not os.getcwd().startswith("/"):  # "(unreachable)/…" is what the kernel calls a folder outside of our root
        raise PermissionError(errno.EPERM, "the working directory is outside of the root file system", path)


def open_root(root: str) -> int:
    return os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


def of_the_kernel(path: str) -> bool:
    """Whether a path of the container's is a place for the kernel's own file systems."""
    return path.startswith(("/proc/", "/sys/", "/dev/")) or path in ("/proc", "/sys", "/dev")


class Opened:
    """A descriptor of ``path`` as a process with ``root`` as its ``/`` would find it, for the length of a ``with``."""

    def __init__(self, root: str, path: str, flags: int = os.O_PATH, mode: int = 0, resolve: int = 0):
        resolve |= linux.RESOLVE_IN_ROOT | linux.RESOLVE_NO_MAGICLINKS
        if HELD is not None:
            fd = HELD[root] if root in HELD else HELD.setdefault(root, open_root(root))
            self.fd = linux.openat2(fd, path, flags, resolve, mode)
            return
        fd = open_root(root)
        try:
            self.fd = linux.openat2(fd, path, flags, resolve, mode)
        finally:
            os.close(fd)

    def __enter__(self) -> int:
        return self.fd

    def __exit__(self, *error) -> None:
        os.close(self.fd)


class Below(Opened):
    """A descriptor of ``path`` in the folder ``top``, which it must not lead out of."""

    def __init__(self, top: str, path: str):
        with Opened("/", top, os.O_PATH | os.O_DIRECTORY) as fd:
            self.fd = linux.openat2(fd, path, os.O_PATH, linux.RESOLVE_BENEATH | linux.RESOLVE_NO_MAGICLINKS)


def opened_or_made(root: str, path: str, find=Opened) -> Opened:
    """A folder; it is nearly always there, so look first and make it only then."""
    try:
        return find(root, path)
    except FileNotFoundError:
        makedirs(root, path)
        return find(root, path)


def place(root: str, path: str) -> Opened:
    """What something is to be hung on, or to be covered; ``/proc``, ``/sys`` and ``/dev`` must be what they are called.

    An image with ``/proc -> /dev/x/proc`` would have its /proc elsewhere than where we cover what must not be written in it.
    """
    if not of_the_kernel(path):
        return Opened(root, path)
    try:
        return Opened(root, path, resolve=linux.RESOLVE_NO_SYMLINKS)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        words = "a symbolic link leads elsewhere, and the kernel's folders must be ordinary ones: take the link out of the image"
        raise NotADirectoryError(errno.ENOTDIR, words, path) from None


def parent(root: str, path: str) -> tuple[Opened, str]:
    """The folder that holds ``path``, made if it is missing, and the last name of the path."""
    folder, name = os.path.split("/" + path.strip("/"))
    return opened_or_made(root, folder), name


def landing(root: str, path: str) -> tuple[Opened, str]:
    """Where something new at ``path`` appears, as ``parent`` says it: if a link to nowhere is there, at the link's end, inside the root."""
    for _ in range(LINKS_AT_MOST):
        above, name = parent(root, path)
        try:
            to = os.readlink(name, dir_fd=above.fd)
        except OSError:  # no link: here
            return above, name
        os.close(above.fd)
        path = os.path.join(
            "/", os.path.dirname(path.rstrip("/")), to
        )  # its ".." are the kernel's to understand: there may be links before them
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)


def exists(root: str, path: str) -> bool:
    try:
        with Opened(root, path):
            return True
    except (FileNotFoundError, NotADirectoryError):
        return False


def makedirs(root: str, path: str) -> None:
    """Make a folder and the folders above it, which may be more than Python may recurse; what is there stays as it is."""
    missing, path = [], "/" + path.strip("/")
    while path != "/" and not exists(root, path):
        missing.append(path)
        path = os.path.dirname(path)
    for path in reversed(missing):
        above, name = landing(root, path)
        with above as folder, suppress(FileExistsError):  # "new/..", say, is there when "new" is made
            os.mkdir(name, 0o755, dir_fd=folder)


def mknod(root: str, path: str, kind: str, major: int, minor: int, mode: int = 0o666) -> None:
    """Make a device node: ``kind`` is ``c`` or ``b``, the numbers are the kernel's. See mknod(2)."""
    bits = {"c": stat.S_IFCHR, "b": stat.S_IFBLK}[kind]
    above, name = parent(root, path)
    with above as folder:
        umask = os.umask(0)  # no chmod afterwards: it would follow a link that somebody has put there since
        try:
            os.mknod(name, bits | mode, os.makedev(major, minor), dir_fd=folder)
        finally:
            os.umask(umask)


def symlink(root: str, path: str, to: str) -> None:
    """Make the symbolic link ``path -> to``."""
    above, name = parent(root, path)
    with above as folder:
        os.symlink(to, name, dir_fd=folder)


def ensure(root: str, path: str, like: str) -> None:
    """Make ``path`` something that ``like`` (a path of the host) can be mounted on: a folder or an empty file."""
    if os.path.isdir(like):
        makedirs(root, path)
        return
    above, name = landing(root, path)
    with above as folder:
        os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, 0o644, dir_fd=folder))


def mount(source: str, root: str, path: str, fstype: str, options: str = "") -> None:
    """Mount a new file system inside ``root``, on a folder that is made if it is missing.

    A tmpfs on a folder that is there gets that folder's mode, unless it is given one, as in runc.
    """
    words = linux.split_words(options)
    later = [word for word in words if word.removeprefix("r") in linux.PROPAGATION]  # mount(2) takes those only of a mount that is there
    found = exists(root, path)
    with opened_or_made(root, path, place) as fd:
        if fstype == "tmpfs" and found:
            words.insert(0, f"mode={stat.S_IMODE(os.fstat(fd).st_mode):o}")
        linux.mount(source, f"/proc/self/fd/{fd}", fstype, ",".join(word for word in words if word not in later))
    for word in later:
        with place(root, path) as there:
            linux.mount(None, f"/proc/self/fd/{there}", None, word)


def bind(source: str, root: str, path: str, options: str = "", recursive: bool = True, own: str = "", below: str = "") -> None:
    """Show a file or folder of the host at ``path`` inside ``root``, on something that is made if it is missing.

    ``below`` is a path in the source: only that is shown.
    """
    if below:
        with Below(source, below) as fd:
            return bind(f"/proc/self/fd/{fd}", root, path, options, recursive, own)
    if not exists(root, path):
        ensure(root, path, source)
    with place(root, path) as there:
        bind_on(source, there, options, recursive, own)


def bind_on(source: str, place: int, options: str = "", recursive: bool = True, own: str = "") -> None:
    """Hang a copy of the mount at ``source`` on the file or folder behind the descriptor ``place``.

    Three calls instead of mount(2)'s ``MS_BIND`` and ``MS_REMOUNT``: the copy gets its flags *before* anybody can see it, and a
    read-only bind is read-only in all its depth. What is in ``own`` the topmost mount gets, and none below it.
    """
    tree = linux.open_tree(source, recursive)
    try:
        if is_folder(tree) != is_folder(place):  # move_mount(2) says EINVAL of this, which may mean ten things; mount(2) says it well
            raise NotADirectoryError(errno.ENOTDIR, f"move_mount: {os.strerror(errno.ENOTDIR)}")
        if own:
            linux.mount_setattr(tree, own, recursive=False)
        if options:
            linux.mount_setattr(tree, options, recursive)
        linux.move_mount(tree, place)
    finally:
        os.close(tree)


def is_folder(fd: int) -> bool:
    return stat.S_ISDIR(os.fstat(fd).st_mode)


def mask(root: str, path: str) -> None:
    """Hide a path: a file behind ``/dev/null``, a folder behind an empty one. A path that is not there is fine."""
    try:
        found = place(root, path)
    except FileNotFoundError:
        return
    with found as there:
        if is_folder(there):
            linux.mount("tmpfs", f"/proc/self/fd/{there}", "tmpfs", "ro")
        else:
            with Opened(root, "/dev/null") as null:
                check_null(null)
                bind_on(f"/proc/self/fd/{null}", there, recursive=False)


def check_null(fd: int) -> None:
    """What covers a secret, or is somebody's input, must be the null device, not what an image or a volume calls so (CVE-2025-31133)."""
    about = os.fstat(fd)
    if not stat.S_ISCHR(about.st_mode) or about.st_rdev != NULL:
        raise PermissionError(errno.EPERM, "not the null device: does a volume or a link of the image's lie over /dev?", "/dev/null")


def own_null() -> None:
    """Of 0, 1 and 2, what is the caller's null device becomes the container's own: who holds it may change its mode and its owner."""
    for number in range(3):
        about = os.fstat(number)
        if stat.S_ISCHR(about.st_mode) and about.st_rdev == NULL:
            fd = os.open("/dev/null", os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)  # whatever it is in here: nothing waits
            try:
                check_null(fd)
                os.dup2(fd, number)
            finally:
                os.close(fd)


def readonly(root: str, path: str) -> None:
    """Make a path that is already mounted, and all below it, read-only. A path that is not there is fine."""
    with suppress(FileNotFoundError), place(root, path) as there:
        bind_on(f"/proc/self/fd/{there}", there, "ro")


def restrict(path: str, options: str) -> None:
    """Add flags (``ro``, ``nodev``) to the mount at ``path``; those that it has stay, where a remount would drop them."""
    fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        linux.mount_setattr(fd, options, recursive=False)
    finally:
        os.close(fd)


def pivot(root: str) -> None:
    """Make ``root`` the only root there is: pivot_root(2) onto itself, then let the old root go.

    ``pivot_root(".", ".")`` stacks the old root on the new one, so that no folder must be made in the
    image; the old root is the "." of this moment and is detached from there.
    """
    os.chdir(root)
    linux.pivot_root(".", ".")
    linux.umount(".", linux.MNT_DETACH)
    os.chdir("/")
