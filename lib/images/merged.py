"""What overlay shows, worked out by looking: many folders on top of each other, read as one tree, without a mount.

The builder asks it where ``COPY``'s target lies when ``/lib`` is a link, who ``USER app`` is, and what ``COPY --from`` finds.
See overlayfs.rst ("upper and lower", "whiteouts and opaque directories") and path_resolution(7).
"""

from __future__ import annotations

import errno
import os
import stat

from lib.images.overlays import is_opaque, is_whiteout

LINKS_AT_MOST = 40  # as in the kernel


class Merged:
    """The tree that ``layers`` (folders, the lowest first) make together. Nothing in them may change meanwhile."""

    def __init__(self, layers):
        self.layers = list(reversed(layers))
        self.known: dict[str, list[str]] = {"": self.layers}

    def folders(self, path: str) -> list[str]:
        """The real folders that together are the folder ``path`` (no links in it), the highest first; none if it is no folder."""
        todo = [path]
        while todo[-1] not in self.known:  # no recursion: strangers' folders may be deeper than Python's stack
            todo.append(todo[-1].rpartition("/")[0])
        for one, above in zip(todo[-2::-1], todo[:0:-1], strict=True):
            self.known[one] = self.join(self.known[above], one.rpartition("/")[2])
        return self.known[path]

    @staticmethod
    def join(above: list[str], name: str) -> list[str]:
        found = []
        for folder in above:
            place = f"{folder}/{name}"
            try:
                about = os.lstat(place)
            except (FileNotFoundError, NotADirectoryError):
                continue
            if not stat.S_ISDIR(about.st_mode):
                break  # a file or a whiteout: what lies deeper is hidden
            found.append(place)
            if is_opaque(place):
                break
        return found

    def find(self, path: str) -> tuple[str, os.stat_result] | None:
        """The real path and status of what is at ``path`` (no links on the way; the last one is not followed)."""
        if not path:
            return self.layers[0], os.lstat(self.layers[0])
        above, _, name = path.rpartition("/")
        for folder in self.folders(above):
            try:
                about = os.lstat(f"{folder}/{name}")
            except FileNotFoundError:
                continue
            return None if is_whiteout(about) else (f"{folder}/{name}", about)
        return None

    def resolve(self, path: str, last: bool = True) -> str:
        """``path`` with every link in it followed, inside the tree; what does not exist stays as it is written.

        ``last=False`` leaves a link at the very end alone. Raises ``OSError`` (ELOOP, ENOTDIR).
        """
        done: list[str] = []
        todo, links = split(path), 0
        while todo:
            name = todo.pop(0)
            if name == "..":
                done = done[:-1]
                continue
            found = self.find("/".join([*done, name]))
            if found and stat.S_ISLNK(found[1].st_mode) and (todo or last):
                links += 1
                if links > LINKS_AT_MOST:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
                to = os.readlink(found[0])
                done = [] if to.startswith("/") else done
                todo = split(to) + todo
                continue
            if found and todo and not stat.S_ISDIR(found[1].st_mode):
                raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
            done.append(name)
        return "/".join(done)

    def names(self, path: str) -> list[str]:
        """What is in the folder ``path`` (no links in it), in the order of the bytes."""
        seen: dict[str, bool] = {}
        for folder in self.folders(path):
            with os.scandir(folder) as listing:
                for entry in listing:
                    if entry.name not in seen:
                        seen[entry.name] = not is_whiteout(entry.stat(follow_symlinks=False))
        return sorted((name for name, there in seen.items() if there), key=os.fsencode)

    def walk(self, path: str = ""):
        """Every path below ``path``: its name in the tree, its real path, its status; each folder before what is in it."""
        todo = self.inner(path)
        while todo:
            inner = todo.pop()
            place, about = self.find(inner)
            yield inner, place, about
            if stat.S_ISDIR(about.st_mode):
                todo += self.inner(inner)

    def inner(self, path: str) -> list[str]:
        """The paths of what is in a folder, the last first: to be done from the end."""
        return [f"{path}/{name}".lstrip("/") for name in reversed(self.names(path))]

    def read(self, path: str, limit: int = 1 << 20) -> str:
        """The text of a file, links followed; at most ``limit`` bytes. Raises ``FileNotFoundError``."""
        found = self.find(self.resolve(path))
        if not found or not stat.S_ISREG(found[1].st_mode):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        with open(found[0], "rb") as file:
            return file.read(limit).decode("utf-8", "replace")


def split(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]
