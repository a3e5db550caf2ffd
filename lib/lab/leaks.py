"""The leak check: what is there that was not there before, read from the kernel's own tables.

Not from our own books: a book that forgets an entry is the very mistake to be found. One function
looks (``look``), one compares; every test and the end of every notebook use the same two.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from lib import linux, state
from lib.advice import mountinfo
from lib.cgroups import PARENT
from lib.process import Starter

LABEL = b"suitcase"


def children() -> set[str]:
    """Descendants of this process that are not our starter, zombies included, as ``pid name``."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            left, _, right = stat.read_text().rpartition(")")
        except OSError:
            continue
        pid, _, name = left.partition(" (")
        parents[int(pid)] = (int(right.split()[1]), name)
    return {f"{pid} {name}" for pid, (_, name) in parents.items() if descends(pid, parents) and pid not in helpers()}


def descends(pid: int, parents: dict) -> bool:
    seen = pid
    while seen in parents and seen != 1:
        seen = parents[seen][0]
        if seen == os.getpid():
            return True
    return False


def helpers() -> set[int]:
    """The processes of ours that are meant to stay: the starter."""
    return {Starter._current.process.pid} if Starter._current else set()


def mounts() -> set[str]:
    """Every mount of this mount namespace."""
    return {f"{row['target']} ({row['fstype']})" for row in mountinfo()}


def cgroups() -> set[str]:
    """Every folder below a parent of ours, in any cgroup tree."""
    tops = {line.split()[1] for line in linux.read("/proc/self/mounts").splitlines() if line.split()[2].startswith("cgroup")}
    return {str(path) for top in tops for path in Path(top, PARENT).glob("*") if path.is_dir()}


def namespaces() -> set[str]:
    """Named network namespaces, and those that any process is in."""
    names = {f"named {name}" for name in os.listdir("/run/netns")} if os.path.isdir("/run/netns") else set()
    for link in Path("/proc").glob("[0-9]*/ns/net"):
        try:
            names.add(os.readlink(link))
        except OSError:
            continue
    return names


def links() -> set[str]:
    """Network interfaces of this network namespace."""
    return set(os.listdir("/sys/class/net"))


def nft_rules() -> set[str]:
    """Rules and tables of nftables, where there is an ``nft``."""
    try:
        done = subprocess.run(["nft", "-s", "list", "ruleset"], capture_output=True, text=True, timeout=10)
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return set()
    return set(done.stdout.splitlines()) if done.returncode == 0 else set()


def folders() -> set[str]:
    """Temporary folders with our name, containers' folders in the store, records."""
    found = set(Path(tempfile.gettempdir()).glob("*suitcase-*")) - {state.store(), state.runtime_dir()}
    found |= set(Path(state.store(), "containers").glob("*"))
    found |= set(state.runtime_dir().glob("*.json")) | {path for path in state.runtime_dir().glob("*") if path.is_dir()}
    return {str(path) for path in found}


def descriptors() -> set[str]:
    """Descriptors of this process that keep a process, a namespace or a mount alive."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue
        if target == "anon_inode:[pidfd]" or target.split(":")[0] in ("pid", "mnt", "net", "user", "uts", "ipc", "cgroup", "time"):
            found.add(f"{name} → {target}")
    return found


KINDS = {
    "process": children, "mount": mounts, "cgroup": cgroups, "network namespace": namespaces, "network link": links,
    "nft rule": nft_rules, "folder or record": folders, "descriptor": descriptors,
}  # fmt: skip


@dataclass
class Look:
    """What was there at one moment, kind by kind."""

    seen: dict[str, set[str]] = field(default_factory=lambda: {kind: look() for kind, look in KINDS.items()})

    def leaks(self, patience: float = 3.0) -> dict[str, set[str]]:
        """What has come since and stays, by kind.

        The kernel takes some things down a moment after the last process has gone, so what is there gets ``patience``
        seconds to vanish.
        """
        deadline = time.monotonic() + patience
        while True:
            new = {kind: found for kind, before in self.seen.items() if (found := KINDS[kind]() - before)}
            if not new or time.monotonic() > deadline:
                return new
            time.sleep(0.02)

    def report(self, patience: float = 3.0) -> str:
        """The leaks in words, for a notebook's last cell; raises ``AssertionError`` if there are any."""
        new = self.leaks(patience)
        assert not new, "left behind: " + "; ".join(f"{kind}: {', '.join(sorted(found))}" for kind, found in new.items())
        return "nothing left: no " + ", no ".join(KINDS)
