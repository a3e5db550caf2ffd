"""The leak check: what is there that was not there before, read from the kernel's own tables.

Not from our own books: a book that forgets an entry is the very mistake to be found. One function
looks (``look``), one compares; every test and the end of every notebook use the same two.
"""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_ISDIR

from lib import linux, state
from lib.advice import mountinfo
from lib.engine.daemons import calling
from lib.ingredients.cgroups import PARENT
from lib.lab.doctor import strangers
from lib.netfilter import chains
from lib.process import Starter, completed

LABEL = "suitcase"  # begins the name of every interface, network namespace, nft table and temporary folder of ours

LONGEST = 0.1  # seconds between two looks on a machine that has time for us

NETWORKS = "networks"  # the folder of what containers have in common

ALONE = False  # the tests run in a mount namespace that nobody shares, and say so here


def of_processes(file: str) -> Iterator[tuple[int, str]]:
    """One file of every process in ``/proc``, as (pid, text). A process that ends while we look (ENOENT, ESRCH) is left out."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/{file}", errors="replace") as opened:
                text = opened.read()
        except OSError:
            continue
        yield int(pid), text


def processes() -> dict[int, tuple[int, str, str]]:
    """Every process that can be seen: pid → (parent, name, state)."""
    found = {}
    for pid, stat in of_processes("stat"):
        left, _, right = stat.rpartition(")")
        state_letter, parent, _ = right.split(maxsplit=2)
        found[pid] = (int(parent), left.partition(" (")[2], state_letter)
    return found


def ours() -> dict[int, str]:
    """Descendants of this process that are not our starter, zombies included, and those of orphans that carry our name, or are called so.

    An orphan that has ended is nobody's but PID 1's: where that one waits for none, it stays a zombie for ever.
    """
    table, helper = processes(), {Starter._current.process.pid} if Starter._current else set()
    orphans = {pid for pid, (parent, name, letter) in table.items() if parent == 1 and name.startswith(f"{LABEL}:") and letter not in "ZX"}
    roots = {os.getpid()} | {pid for pid in orphans if same_place(pid)}
    return {
        pid: name + (" (zombie)" if letter == "Z" else "")
        for pid, (_, name, letter) in table.items()
        if pid not in helper and (descends(pid, table, roots) or (pid in roots and pid != os.getpid()))
    }


def same_place(pid: int) -> bool:
    """Is it a process of our own user's, that keeps its records where we keep ours? Else it is somebody else's orphan.

    A daemon serves one store and one version of the code; that of another notebook may be another, and is asked by nobody here to rest.
    """
    try:
        if linux.read(f"/proc/{pid}/status").partition("\nUid:")[2].split()[0] != str(os.geteuid()):
            return False
        words = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False
    given = {name: value for name, _, value in (word.partition(b"=") for word in words)}
    here = {"SUITCASE_RUN": state.runtime_dir(), "SUITCASE_STORE": state.store(), calling.KEY: calling.key()}
    return all(given.get(os.fsencode(name), b"") in (os.fsencode(os.environ.get(name, "")), os.fsencode(at)) for name, at in here.items())


def descends(pid: int, table: dict, roots: set[int]) -> bool:
    while pid in table and pid != 1:
        pid = table[pid][0]
        if pid in roots:
            return True
    return False


def children(there: dict[int, str]) -> set[str]:
    """Processes of ours, as ``pid name``."""
    return {f"{pid} {name}" for pid, name in there.items()}


def mounts() -> set[str]:
    """Every mount of this mount namespace, if it is ours alone (as in the tests); in the machine's, those with a name of ours."""
    names = (LABEL, str(state.store()), str(state.runtime_dir()))
    rows = [row for row in mountinfo() if ALONE or any(name in row["target"] + row["root"] + row["source"] for name in names)]
    return {f"{row['target']} ({row['fstype']})" for row in rows}


def cgroups() -> set[str]:
    """Every folder below the parent of ours, in any cgroup tree; one that is seen at several mounts counts once, at the first."""
    tops = [line.split()[1] for line in linux.read("/proc/self/mounts").splitlines() if line.split()[2].startswith("cgroup")]
    found: dict[tuple[int, int], str] = {}
    for path in (path for top in tops for path in Path(top, PARENT).glob("*")):
        with suppress(FileNotFoundError):  # it has just been removed
            about = path.stat()
            if S_ISDIR(about.st_mode):
                found.setdefault((about.st_dev, about.st_ino), str(path))
    return set(found.values())


def namespaces(there: dict[int, str]) -> set[str]:
    """Network namespaces with a name of ours, and those that processes of ours are in."""
    found = {f"named {path.name}" for path in Path("/run/netns").glob(f"{LABEL}-*")}
    for pid in [os.getpid(), *there]:
        try:
            found.add(os.readlink(f"/proc/{pid}/ns/net"))
        except OSError:
            continue
    return found


def links() -> set[str]:
    """Network interfaces of this network namespace with a name of ours (15 characters at most, so the label is cut)."""
    return {name for _, name in socket.if_nameindex() if name.startswith(LABEL[:4])}


def nft_rules() -> set[str]:
    """Tables of nftables with a name of ours, and what stands in them; nothing where there is no ``nft``.

    The kernel is asked for the names first: mostly there are none of ours, and ``nft`` takes longer than all the other looks together.
    """
    try:
        if not any(name.startswith(LABEL) for name in chains.tables()):
            return set()
        done = completed(["nft", "-s", "list", "ruleset"], timeout=10)
    except (FileNotFoundError, PermissionError, subprocess.TimeoutExpired):
        return set()
    found, table = set(), ""
    for line in done.stdout.splitlines():
        if line.startswith("table "):
            table = line.removesuffix(" {")
        if table.split(" ")[-1].startswith(LABEL) and line.strip(" \t}"):
            found.add(f"{table}: {line.strip()}")
    return found


def folders() -> set[str]:
    """Temporary folders with our name, containers' folders in the store, records, what networks of this network namespace have noted."""
    found = {path for path in Path(tempfile.gettempdir()).glob(f"{LABEL}-*-*") if is_ours(path)}
    found |= {path for path in Path(state.store(), "containers").glob("*") if path.is_dir()}
    for path in state.runtime_dir().glob("*"):
        if path.name == NETWORKS:
            found |= set(path.glob("*"))
        elif path.suffix in (".json", ".new") or (path.is_dir() and path != strangers.shared()):
            found.add(path)
    return {str(path) for path in found | set(strangers.commons())}


def is_ours(path: Path) -> bool:
    """Anybody may make a folder in /tmp, and call it as he likes."""
    with suppress(FileNotFoundError):
        return path.lstat().st_uid == os.geteuid()
    return False


def of_others(name: str) -> bool:
    """Does a temporary folder or a named namespace belong to another process that lives? ``state.temporary`` put a pid into its name."""
    label, _, rest = os.path.basename(name.removeprefix("named ")).partition("-")
    pid = rest.partition("-")[0]
    return label == LABEL and (not (pid.isascii() and pid.isdigit()) or (int(pid) != os.getpid() and os.path.exists(f"/proc/{pid}")))


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


def look() -> dict[str, set[str]]:
    """What there is now, by kind."""
    there = ours()
    return {
        "process": children(there), "mount": mounts(), "cgroup": cgroups(), "network namespace": namespaces(there), "network link": links(),
        "nft rule": nft_rules(), "folder or record": folders(), "descriptor": descriptors(),
    }  # fmt: skip


def kept(names) -> set[str]:
    """What belongs to records of ours that are called so: the record, the process, and what will be undone."""
    own, found = state.Owner.current().name, set()
    for facts in state.records():
        if facts["maker"] == own and facts["id"].startswith(tuple(f"{name}-" for name in names)):
            found |= {str(state.runtime_dir() / f"{facts['id']}.json")} | {word for _, *words in facts["undos"] for word in words}
            found |= {line for line in children(ours()) if line.startswith(f"{facts['pid']} ")}
    return found


@dataclass
class Look:
    """What was there at one moment, kind by kind."""

    seen: dict[str, set[str]] = field(default_factory=look)

    def new(self) -> dict[str, set[str]]:
        """What has come since, by kind, without what belongs to another owner that lives (another notebook, say)."""
        found = {kind: there - self.seen[kind] for kind, there in look().items()}
        for kind in ("folder or record", "network namespace"):
            found[kind] = {name for name in found[kind] if not of_others(name)}
        if found["network link"] or found["nft rule"] or found["folder or record"]:
            others = strangers.strangers()
            found["network link"] -= others.links
            found["folder or record"] -= others.folders
            found["nft rule"] = {line for line in found["nft rule"] if not others.has_rule(line)}
        if found["cgroup"] or found["folder or record"]:
            theirs = state.of_others()
            for kind in ("cgroup", "folder or record"):
                found[kind] = {path for path in found[kind] if not {path, Path(path).stem.split(".")[0]} & theirs}
        return found

    def leaks(self, patience: float = 3.0, but: set[str] = frozenset()) -> dict[str, set[str]]:
        """What has come since and stays, by kind.

        The kernel takes some things down a moment after the last process has gone, so what is there gets ``patience``
        seconds to vanish; keeper and manager are asked to, and do if no container is left. Only what is there at every look counts: others
        come and go on this machine too. Nor counts ``but``. Where a look takes long, the machine is busy, and so is whoever is to go: it
        costs no more than ``LONGEST``.
        """
        left, looked, stays = patience, time.monotonic(), {kind: found - but for kind, found in self.new().items()}
        while any(stays.values()) and left > 0:
            if stays["process"]:
                calling.rest()
            time.sleep(0.02)
            now = self.new()
            stays = {kind: found & now[kind] for kind, found in stays.items()}
            left, looked = left - min(time.monotonic() - looked, LONGEST), time.monotonic()
        return {kind: found for kind, found in stays.items() if found}

    def report(self, patience: float = 3.0, keeps: dict[str, str] | None = None) -> str:
        """The leaks in words, for a notebook's last cell; raises ``AssertionError`` if there are any.

        ``keeps`` is what the notebook goes on using until its kernel ends: by how its record is called, what it is in words.
        """
        keeps = keeps or {}
        new = self.leaks(patience, kept(keeps))
        assert not new, "left behind: " + "; ".join(f"{kind}: {', '.join(sorted(found))}" for kind, found in new.items())
        until = f"; and until the kernel ends, {' and '.join(keeps.values())}" if keeps else ""
        return "nothing left: no " + ", no ".join(self.seen) + until
