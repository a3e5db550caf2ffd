"""What the caller wants mounted in a container: ``-v`` and ``--tmpfs``, in Docker's words."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Sequence

from lib import linux
from lib.ingredients import Bind, Mount, Tmpfs

# -- -v -----------------------------------------------------------------------------------------------------------------

# What may stand behind a volume's second colon, one of each row (Docker's mount_linux parser). ``z`` asks for a label of SELinux's, which
# a program has to fear that runs under one of its own: ours do not. The last row is Docker Desktop's, and means nothing on Linux.
VOLUME_OPTIONS = (
    {"ro": "ro", "rw": ""},
    {"private": "", "rprivate": "", "slave": "slave", "rslave": "slave"},
    {"z": "", "Z": ""},
    {"nocopy": ""},
    {"consistent": "", "cached": "", "delegated": ""},
)


def parsed(text: str) -> dict:
    """``/host:/container[:options]``, ``name:/container[:options]`` or ``/container``, as a container's file has it.

    ``type`` is ``bind`` (of ``source``) or ``volume`` (called ``name``, which is empty where it has none). Raises ``ValueError``.
    """
    source, target, mode = sections(text)
    words = volume_words(mode) if mode else []
    kind = "bind" if source.startswith(("/", ".")) else "volume"
    found = {"type": kind, "target": checked_target(target, kind, text), "ro": "ro" in words, "mode": mode}
    if kind == "volume":
        return found | {"name": source, "nocopy": "nocopy" in words}
    propagation = next((word for word in words if word in VOLUME_OPTIONS[1]), "rprivate")
    return found | {"source": os.path.normpath(os.path.abspath(source)), "propagation": propagation}


def sections(text: str) -> tuple[str, str, str]:
    """Source, target, mode. Raises ``ValueError``."""
    if not text:
        raise ValueError("invalid empty volume spec")
    parts = text.split(":")
    if "" in parts:
        raise ValueError(f"invalid spec: {text}: empty section between colons")
    if len(parts) > 3:
        raise ValueError(f"invalid spec: {text}: too many colons")
    if len(parts) == 2 and all(kind_of(word) is not None for word in parts[1].split(",")):
        raise ValueError(f"invalid volume specification: '{text}'")
    source, target, mode = ["", *parts, ""] if len(parts) == 1 else [*parts, ""][:3]
    return source, target, mode


def kind_of(word: str) -> int | None:
    """The row of ``VOLUME_OPTIONS`` that a word is in."""
    return next((number for number, kind in enumerate(VOLUME_OPTIONS) if word in kind), None)


def volume_words(mode: str) -> list[str]:
    """``ro,Z``, word by word. Raises ``ValueError`` for a word that is none, and for two that are of one kind."""
    words = mode.split(",")
    kinds = [kind_of(word) for word in words]
    if None in kinds or len({*kinds}) < len(kinds):
        known = "; ".join(" ".join(kind) for kind in VOLUME_OPTIONS)
        shared = "; what is mounted in a container never reaches the host" if "shared" in mode else ""
        raise ValueError(f"invalid mode: {mode} (known are, one of each kind: {known}{shared})")
    return words


def checked_target(target: str, kind: str, text: str) -> str:
    """Where in the container; without dots. Raises ``ValueError``."""
    if why := wrong_target(target):
        raise ValueError(f"invalid volume specification: '{text}': invalid mount config for type \"{kind}\": {why}")
    return os.path.normpath("/" + target.lstrip("/"))


def wrong_target(target: str) -> str:
    """What is wrong with a place to mount something at, or nothing."""
    if os.path.normpath("/" + target).strip("/") == "":
        return "invalid specification: destination can't be '/'"
    if "\0" in target:
        return f"invalid mount path: {target!r} has a NUL in it"
    return "" if target.startswith("/") else f"invalid mount path: '{target}' mount path must be absolute"


def bound(found: dict, source: str, below: str = "") -> Bind:
    """A folder or file of this machine at the place of a mount that was ``parsed``; ``below`` is a path in it."""
    slave = "slave" if found.get("propagation", "").endswith("slave") else ""
    words = ["ro" if found["ro"] and found.get("recursion") != "writable" else "", slave]
    if not (os.path.exists(source) and stat.S_ISCHR(os.stat(source).st_mode)):
        words.append("nodev")  # a device is bound by its own name only
    own = "ro" if found["ro"] and found.get("recursion") == "writable" else ""
    options = ",".join(filter(None, words))
    return Bind(found["target"], source=source, options=options, recursive=found.get("recursion") != "disabled", own=own, below=below)


def volume(text: str) -> Bind:
    """``-v /host:/container[:options]``. Raises ``ValueError`` when it is not that."""
    found = parsed(text)
    if found["type"] != "bind":
        raise ValueError(
            f"invalid volume {text!r}: here it is /host/path:/container/path, and :ro to make it read-only; the engine has others"
        )
    return bound(found, found["source"])


# -- --tmpfs ------------------------------------------------------------------------------------------------------------

AMOUNT = "(0x[0-9a-fA-F]+|[0-9]+)[kKmMgGtTpPeE]?"
TMPFS_DATA = {
    "size": f"{AMOUNT}|[0-9]+%",
    "mode": "[0-7]+",
    "uid": "[0-9]+",
    "gid": "[0-9]+",
    "nr_inodes": AMOUNT,
    "nr_blocks": AMOUNT,
    "mpol": ".+",
}  # what the kernel takes, see tmpfs(5)


def tmpfs_mount(text: str) -> Mount:
    """``--tmpfs /container[:options]``: mount(8)'s words and tmpfs(5)'s, over Docker's own; the later one counts. Raises ``ValueError``."""
    target, _, options = text.partition(":")
    if not target.startswith("/"):
        raise ValueError(f"invalid mount path: '{target}' mount path must be absolute")
    if os.path.normpath(target).strip("/") == "":
        raise ValueError(f"invalid tmpfs '{text}': destination can't be '/'")
    for word in filter(None, options.split(",")):
        name, _, value = word.partition("=")
        if name not in TMPFS_DATA and not linux.is_mount_word(word):
            raise ValueError(f'invalid tmpfs option "{word}": those of mount(8), and {"= ".join(TMPFS_DATA)}=')
        if name in TMPFS_DATA and not re.fullmatch(TMPFS_DATA[name], value):
            raise ValueError(f'invalid tmpfs option "{word}": the kernel would not take that value, see tmpfs(5): size=64m,mode=1777')
    return Tmpfs(target, ",".join(filter(None, ["nosuid,nodev,noexec", options])))


# -- all of them --------------------------------------------------------------------------------------------------------


def own_mounts(volumes: Sequence[str], tmpfs: Sequence[str]) -> list[Mount]:
    """What the caller wants mounted; of two tmpfs at one place the later counts, as in Docker. Raises ``ValueError``."""
    wished = {one.target: one for one in map(tmpfs_mount, tmpfs)}
    for one in map(volume, dict.fromkeys(volumes)):
        if one.target in wished:
            raise ValueError(f"Duplicate mount point: {one.target}")
        wished[one.target] = one
    return list(wished.values())
