"""A layer, unpacked into a folder that overlay can take as a ``lowerdir``.

The tar file comes from a stranger. Each path's folder is opened by the kernel inside the target (openat2(2), RESOLVE_IN_ROOT),
and its last component is made there and never followed. What a layer deletes from those below it is written down
as overlay wants it: a character device 0/0 for a name, an attribute for "nothing below counts here" (overlayfs.rst,
"whiteouts and opaque directories").
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from lib import inside, linux, state
from lib.images import compression, ondisk
from lib.images.compression import Budget
from lib.images.ondisk import copy, copy_sparse, named
from lib.images.overlays import OPAQUE, WHITEOUT, opaque_attribute
from lib.images.tarmembers import LEAST, LayerError, Member, Names, members, split

FOLDERS_AT_MOST = 256 << 20  # bytes of the names and attributes of one image's folders: they are held in memory to the end


@dataclass
class Room:
    """What an image may take, all its layers together: they are unpacked side by side, and one small blob may be each of them."""

    content: Budget = field(default_factory=lambda: Budget(compression.limit()))
    passing: Budget = field(default_factory=lambda: Budget(2 * compression.limit()))  # bytes of the tar files
    folders: Budget = field(default_factory=lambda: Budget(FOLDERS_AT_MOST))


class Unpacking:
    """One layer on its way into ``target``, an empty folder. ``implied`` are folders that the layer uses but does not describe."""

    def __init__(self, target: str, room: Room | None = None):
        self.target, self.root = target, inside.open_root(target)
        self.room, self.as_root = room or Room(), os.geteuid() == 0
        self.folders: dict[str, Member | None] = {"": None}  # of this layer; None: implied, not described
        self.names = Names()
        self.opaque: set[str] = set()
        self.removed: set[str] = set()  # names that got a whiteout
        self.last: tuple[str, int] | None = None  # the folder that the member before lay in, still open

    def unpack(self, file) -> Unpacking:
        """Take every member of the tar ``file``. Raises ``LayerError``; the target is then only good to be removed."""
        try:
            for archive, member in members(file):
                self.place(archive, member)
            self.finish()
        finally:
            self.close_last()
            os.close(self.root)
        return self

    @property
    def implied(self) -> list[str]:
        return sorted(path for path, member in self.folders.items() if member is None)

    def place(self, archive, member: Member) -> None:
        """One member, whatever it is."""
        parts = member.parts
        self.take(member.weight, member.name)
        with named(member):
            if not parts:
                self.root_itself(member)
            elif parts[-1].startswith(WHITEOUT):
                self.whiteout("/".join(parts[:-1]), parts[-1])
            else:
                self.make(archive, member, "/".join(parts[:-1]), parts[-1])

    def take(self, size: int, name: str) -> None:
        if not self.room.content.take(size):
            words = f"all that is unpacked has more than {compression.limit()} bytes (at {name[:60]!r}): a bomb?"
            raise LayerError(f"{words} SUITCASE_LAYER_LIMIT allows more")

    def root_itself(self, member: Member) -> None:
        if member.kind != "folder":
            raise LayerError(f"the layer wants to replace the root folder by a {member.kind}")
        self.folders[""] = member

    def folder(self, path: str) -> int:
        """A descriptor of a folder of this layer, made if it is missing; links on the way are followed inside the target only."""
        if self.last and self.last[0] == path:
            return self.last[1]
        try:
            fd = self.opened(path)
        except (FileNotFoundError, NotADirectoryError):
            self.imply(path)
            fd = self.opened(path)
        self.close_last()
        self.last = (path, fd)
        return fd

    def opened(self, path: str) -> int:
        flags = os.O_RDONLY | os.O_DIRECTORY
        return linux.openat2(self.root, path or ".", flags, linux.RESOLVE_IN_ROOT | linux.RESOLVE_NO_MAGICLINKS)

    def imply(self, path: str) -> None:
        """Make the folders on the way that the layer does not mention; how they should look, only the layers below know."""
        done = ""
        for name in path.split("/"):
            above, done = done, f"{done}/{name}".lstrip("/")
            try:
                os.close(self.opened(done))
            except FileNotFoundError:
                self.imply_one(above, name, done)
            except NotADirectoryError:
                if done not in self.removed:
                    raise
                self.imply_one(above, name, done)

    def imply_one(self, above: str, name: str, path: str) -> None:
        self.take(LEAST, path)
        fd = self.opened(above)
        try:
            if path in self.removed:  # deleted below, and a new one put in its place
                os.unlink(name, dir_fd=fd)
                self.removed.discard(path)
                self.hide_below(path)
            linux.mkdir(name, dir_fd=fd)
        except FileExistsError:
            raise LayerError(f"{path!r} is a link to what is not in this layer, and something was to be put behind it") from None
        finally:
            os.close(fd)
        self.remember(None, path)

    # -- members

    def make(self, archive, member: Member, above: str, name: str) -> None:
        fd, path = self.folder(above), f"{above}/{name}".lstrip("/")
        if member.kind == "file" and self.file(archive, member, fd, name):
            return None  # nearly everything is a file that was not there
        if not self.clear(fd, name, path, member):
            return self.remember(member, path)
        match member.kind:
            case "folder":
                os.mkdir(name, 0o700, dir_fd=fd)
                return self.remember(member, path)
            case "file":
                return self.file(archive, member, fd, name)
            case "hard link":
                return self.hard_link(member, fd, name)
            case "symbolic link":
                os.symlink(member.linkname, name, dir_fd=fd)
            case kind:
                if not self.as_root and kind != "fifo":
                    return None  # nobody but root may make a device, and a container gets its own
                self.node(member, fd, name)
        return ondisk.give(member, fd, name, self.as_root)

    def clear(self, fd: int, name: str, path: str, member: Member) -> bool:
        """Make room: a later member replaces an earlier one, but a folder stays a folder. False if there is nothing to make."""
        try:
            mode = os.lstat(name, dir_fd=fd).st_mode
        except FileNotFoundError:
            return True
        if stat.S_ISDIR(mode) and member.kind == "folder":
            return False
        self.forget(path)
        if stat.S_ISDIR(mode):
            state.rmtree(f"/proc/self/fd/{fd}/{name}")
            return True
        os.unlink(name, dir_fd=fd)
        if path in self.removed:
            self.removed.discard(path)
            if member.kind == "folder":
                self.hide_below(path)  # what lies below was deleted, and a new folder put in its place
        return True

    def remember(self, member: Member | None, path: str) -> None:
        """A folder's times change with each file that is put in it: it is described at the end. None: it is only implied."""
        self.folders[path] = member
        said = member.pax_headers if member else {}
        self.charge(self.names.add(path) + sum(len(key) + len(value) for key, value in said.items()), path)

    def charge(self, size: int, path: str) -> None:
        if not self.room.folders.take(size):
            raise LayerError(f"a bomb? The folders' names and attributes need more than {FOLDERS_AT_MOST} bytes (at {path[:60]!r})")

    def forget(self, path: str) -> None:
        """What was at ``path`` goes; the folder that was open may have been reached through it."""
        for one in self.names.take(path):
            self.folders.pop(one, None)
            self.opaque.discard(one)
        if self.last and self.last[0].startswith(path):
            self.close_last()

    def hide_below(self, path: str) -> None:
        self.opaque.add(path)
        self.charge(self.names.add(path), path)

    def close_last(self) -> None:
        if self.last:
            os.close(self.last[1])
        self.last = None

    def file(self, archive, member: Member, fd: int, name: str) -> bool:
        """Write a file; False if something of that name is there."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            out = os.open(name, flags, 0o600, dir_fd=fd)
        except FileExistsError:
            return False
        try:
            self.take(member.size, member.name)
            if member.issparse():
                copy_sparse(archive.fileobj, out, member.sparse, member.size)
            else:
                copy(archive.fileobj, out, member.size)
            ondisk.give_open(member, out, self.as_root)
        finally:
            os.close(out)
        return True

    def hard_link(self, member: Member, fd: int, name: str) -> None:
        """Another name for a file of the same layer; of a link, the link itself, never what it points to."""
        *above, last = split(member.linkname) or [""]
        try:
            source = self.opened("/".join(above))
            try:
                os.link(last, name, src_dir_fd=source, dst_dir_fd=fd, follow_symlinks=False)
            finally:
                os.close(source)
        except FileNotFoundError:
            raise LayerError(f"hard link {member.name!r} to {member.linkname!r}, which is not in this layer") from None

    def node(self, member: Member, fd: int, name: str) -> None:
        if member.kind == "fifo":
            os.mkfifo(name, 0o600, dir_fd=fd)
            return
        if not (member.devmajor or member.devminor):
            raise LayerError(f"{member.name!r} is a device 0/0: to overlay that means 'deleted', and only a whiteout may say so")
        kind = stat.S_IFCHR if member.kind == "character device" else stat.S_IFBLK
        os.mknod(name, kind | 0o600, os.makedev(member.devmajor, member.devminor), dir_fd=fd)

    def whiteout(self, above: str, name: str) -> None:
        """``.wh.x`` deletes x of the layers below; ``.wh..wh..opq`` everything in this folder. See layer.md, "Whiteouts"."""
        if name == OPAQUE:
            self.folder(above)
            self.hide_below(above)
            return
        if name.startswith(WHITEOUT + WHITEOUT):
            return  # another builder's notes (aufs)
        victim = name.removeprefix(WHITEOUT)
        if victim in ("", ".", ".."):
            raise LayerError(f"{above}/{name} would delete {victim or 'nothing'!r}: refused")
        fd, path = self.folder(above), f"{above}/{victim}".lstrip("/")
        try:
            os.mknod(victim, stat.S_IFCHR, 0, dir_fd=fd)
            self.removed.add(path)
            self.charge(len(path), path)
        except FileExistsError:  # deleted below, and put there anew by this very layer
            if stat.S_ISDIR(os.lstat(victim, dir_fd=fd).st_mode):
                self.hide_below(path)

    def finish(self) -> None:
        """Folders last, the deepest first, as work inside them changed their times."""
        self.close_last()
        for path in sorted(self.opaque):
            self.at(path, lambda fd: os.setxattr(fd, opaque_attribute(), b"y"))
        for path, member in sorted(self.folders.items(), reverse=True):
            if member is not None:
                with named(member):
                    self.at(path, partial(ondisk.give_open, member, owner=self.as_root))

    def at(self, path: str, deed: Callable[[int], object]) -> None:
        """Do something to a folder of this layer, if it is still there: a link on the way may lead to what was replaced since."""
        try:
            fd = self.opened(path)
        except (FileNotFoundError, NotADirectoryError):
            return
        try:
            deed(fd)
        finally:
            os.close(fd)


def unpack(file, target: str, room: Room | None = None) -> Unpacking:
    """Unpack the tar ``file`` (already decompressed) into the empty folder ``target``. Raises ``LayerError``."""
    return Unpacking(target, room).unpack(file)
