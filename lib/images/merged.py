"""What overlay shows, worked out by looking: many folders on top of each other, read as one tree, without a mount.

The builder asks it where ``COPY``'s target lies when ``/lib`` is a link, who ``USER app`` is, and what ``COPY --from`` finds.
See overlayfs.rst ("upper and lower", "whiteouts and opaque directories") and path_resolution(7).
"""

from __future__ import annotations

import errno
import os
import stat
from io import BufferedReader

from lib.beneath import Place, Way
from lib.images.overlays import is_opaque, is_whiteout, shows

LINKS_AT_MOST = 40  # as in the kernel


class Merged:
    """The tree that ``layers`` (folders, the lowest first) make together. Nothing in them may change meanwhile.

    If something does all the same, because a stranger owns them, what is read may be old or new, but it lies in the layers.
    """

    def __init__(self, layers):
        self.layers = list(reversed(layers))
        self.known: dict[str, list[str]] = {"": self.layers}
        self.way = Way()

    def folders(self, path: str) -> list[str]:
        """The layers whose folders together are the folder ``path`` (no links in it), the highest first; none if it is no folder."""
        todo = [path]
        while todo[-1] not in self.known:  # no recursion: strangers' folders may be deeper than Python's stack
            todo.append(todo[-1].rpartition("/")[0])
        for one, above in zip(todo[-2::-1], todo[:0:-1], strict=True):
            self.known[one] = self.join(self.known[above], one)
        return self.known[path]

    def join(self, above: list[str], path: str) -> list[str]:
        found = []
        for layer in above:
            place = Place(self.way, layer, path)
            if (about := place.look()) is None:
                continue
            if not stat.S_ISDIR(about.st_mode):
                break  # a file or a whiteout: what lies deeper is hidden
            found.append(layer)
            if place.call(is_opaque):
                break
        return found

    def find(self, path: str) -> tuple[Place, os.stat_result] | None:
        """The place and status of what is at ``path`` (no links on the way; the last one is not followed)."""
        above = path.rpartition("/")[0]
        for layer in self.folders(above):
            place = Place(self.way, layer, path)
            if about := place.look():
                return None if is_whiteout(about) else (place, about)
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
                to = found[0].readlink()
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
        for layer in self.folders(path):
            for entry in Place(self.way, layer, path).entries():
                if entry.name not in seen:
                    seen[entry.name] = shows(entry)
        return sorted((name for name, there in seen.items() if there), key=os.fsencode)

    def walk(self, path: str = ""):
        """Everything below ``path``: its name in the tree, where it lies, its status; each folder before what is in it."""
        todo = self.inner(path)
        while todo:
            inner = todo.pop()
            if not (found := self.find(inner)):
                continue  # somebody has removed it meanwhile
            yield inner, *found
            if stat.S_ISDIR(found[1].st_mode):
                todo += self.inner(inner)

    def inner(self, path: str) -> list[str]:
        """The paths of what is in a folder, the last first: to be done from the end."""
        return [f"{path}/{name}".lstrip("/") for name in reversed(self.names(path))]

    def read(self, path: str, limit: int = 1 << 20) -> str:
        """The text of a file, links followed; at most ``limit`` bytes. Raises ``FileNotFoundError``."""
        found = self.find(self.resolve(path))
        if not found or not stat.S_ISREG(found[1].st_mode):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        with found[0].open(found[1]) as file:
            return BufferedReader(file).read(limit).decode("utf-8", "replace")


def split(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]
