"""What the caller wants mounted in a container: ``-v`` and ``--tmpfs``, in Docker's words."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence

from lib import linux
from lib.ingredients import Bind, Mount, Tmpfs


def volume(text: str) -> Bind:
    """``-v /host:/container[:options]``. Raises ``ValueError`` when it is not that."""
    source, _, rest = text.partition(":")
    target, colon, mode = rest.partition(":")
    if not source.startswith("/") or not target.startswith("/"):
        raise ValueError(f"invalid volume {text!r}: /host/path:/container/path, and :ro to make it read-only")
    if os.path.normpath(target).strip("/") == "":
        raise ValueError(f"invalid volume '{text}': destination can't be '/'")
    words = volume_options(text, mode) if colon else []
    nodes = "" if os.path.exists(source) and stat.S_ISCHR(os.stat(source).st_mode) else "nodev"  # a device is bound by its own name only
    return Bind(target, source=source, options=",".join(filter(None, [*words, nodes])))


# What may stand behind a volume's second colon, one of each row (Docker's mount_linux parser). ``z`` asks for a label of SELinux's, which
# a program has to fear that runs under one of its own: ours do not. The last row is Docker Desktop's, and means nothing on Linux.
VOLUME_OPTIONS = (
    {"ro": "ro", "rw": ""},
    {"private": "", "rprivate": "", "slave": "slave", "rslave": "slave"},
    {"z": "", "Z": ""},
    {"consistent": "", "cached": "", "delegated": ""},
)


def volume_options(text: str, mode: str) -> list[str]:
    """``ro,Z`` as options of the mount. Raises ``ValueError`` for a word that is none, and for two that are of one kind."""
    words = mode.split(",")
    kinds = [next((kind for kind in VOLUME_OPTIONS if word in kind), None) for word in words]
    if None in kinds or any(kinds.count(kind) > 1 for kind in kinds):
        known = "; ".join(" ".join(kind) for kind in VOLUME_OPTIONS)
        shared = "; what is mounted in a container never reaches the host" if "shared" in mode else ""
        raise ValueError(f"invalid volume '{text}': invalid mode: {mode} (known are, one of each kind: {known}{shared})")
    return [kind[word] for word, kind in zip(words, kinds, strict=True)]


TMPFS_DATA = ("size", "mode", "uid", "gid", "nr_inodes", "nr_blocks", "mpol")  # see tmpfs(5)


def tmpfs_mount(text: str) -> Mount:
    """``--tmpfs /container[:options]``: mount(8)'s words and tmpfs(5)'s, over Docker's own; the later one counts. Raises ``ValueError``."""
    target, _, options = text.partition(":")
    if not target.startswith("/"):
        raise ValueError(f"invalid mount path: '{target}' mount path must be absolute")
    if os.path.normpath(target).strip("/") == "":
        raise ValueError(f"invalid tmpfs '{text}': destination can't be '/'")
    for word in filter(None, options.split(",")):
        if word.partition("=")[0] not in TMPFS_DATA and not linux.is_mount_word(word):
            raise ValueError(f'invalid tmpfs option "{word}": those of mount(8), and {"= ".join(TMPFS_DATA)}=')
    return Tmpfs(target, ",".join(filter(None, ["nosuid,nodev,noexec", options])))


def own_mounts(volumes: Sequence[str], tmpfs: Sequence[str]) -> list[Mount]:
    """What the caller wants mounted; of two tmpfs at one place the later counts, as in Docker. Raises ``ValueError``."""
    wished = {one.target: one for one in map(tmpfs_mount, tmpfs)}
    for one in map(volume, dict.fromkeys(volumes)):
        if one.target in wished:
            raise ValueError(f"Duplicate mount point: {one.target}")
        wished[one.target] = one
    return list(wished.values())
