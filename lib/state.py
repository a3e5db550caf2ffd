"""What is ours on this machine, written down so that a crash cannot hide it.

Each process that we start has a *record*, a small file that is written before the first
deed: who owns it, which undos belong to it, and (once known) its pid. The owner holds a
lock for as long as it lives; the kernel lets go of the lock when the owner dies, however
it dies. So "whose owner is dead?" is one ``flock`` away, and ``gc`` does what the owner
could not do any more.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from lib import linux
from lib.advice import filesystem_of


def home() -> Path:
    """The user's home folder; for who has none (no HOME, a uid that /etc/passwd does not know) Debian's name for a missing one."""
    try:
        return Path.home()
    except RuntimeError:
        return Path("/nonexistent")


def store() -> Path:
    """Where layers and containers lie: ``$SUITCASE_STORE``, or the usual place for root or for a user."""
    if path := os.environ.get("SUITCASE_STORE"):
        return Path(path)
    return Path("/var/lib/suitcase") if os.geteuid() == 0 else home() / ".local/share/suitcase"


def folder(name: str) -> Path:
    """A folder of the store, made if it is missing."""
    place = store() / name
    try:
        place.mkdir(parents=True, exist_ok=True, mode=0o711)
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror} (SUITCASE_STORE=/some/folder puts the store elsewhere)", str(place)) from None
    return place


@cache
def memory_place() -> str:
    """``/run`` where it is in memory, as nearly everywhere; else ``/dev/shm``: a reboot must empty it."""
    return next((path for path in ("/run", "/dev/shm") if filesystem_of(path) == "tmpfs"), "/run")


def runtime_dir() -> Path:
    """Where records lie, in memory: ``$SUITCASE_RUN``, or the usual place for root or for a user."""
    if path := os.environ.get("SUITCASE_RUN"):
        return Path(path)
    if os.geteuid() == 0:
        return Path(memory_place(), "suitcase")
    if (place := os.environ.get("XDG_RUNTIME_DIR")) and os.access(place, os.W_OK | os.X_OK):  # su keeps the name of somebody else's
        return Path(place, "suitcase")
    return Path(f"/tmp/suitcase-{os.geteuid()}")  # no folder above it but /tmp: nobody else can put another in its place


def new_id() -> str:
    """Twelve random hexadecimal digits, as Docker shows them."""
    return os.urandom(6).hex()


def temporary(kind: str) -> str:
    """The beginning of a temporary folder's name: it says whose it is, so that the leak check can tell ours from others'."""
    return f"suitcase-{os.getpid()}-{kind}-"


# -- undo ----------------------------------------------------------------------------------


def kill_cgroup(path: str) -> None:
    """Kill every process of a cgroup, frozen ones too: in one write on v2, by pid on v1. See cgroups(7)."""
    try:
        linux.write(f"{path}/cgroup.kill", "1")
    except OSError:
        _kill_members(path)


def _kill_members(path: str) -> None:
    """v1: freeze, so that a fork bomb cannot be faster than we are, kill each, thaw (a frozen process does not die).

    What runs inside may have made cgroups of its own below ours, and have frozen them.
    """
    pause, deadline = 0.0002, time.monotonic() + 5
    while (pids := [pid for folder in _below(path) for pid in _members(folder)]) and time.monotonic() < deadline:
        _freeze([path], "FROZEN")
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        _freeze(_below(path), "THAWED")
        time.sleep(pause)
        pause = min(2 * pause, 0.01)


def _freeze(folders: list[str], word: str) -> None:
    for folder in folders:
        with suppress(OSError):
            linux.write(f"{folder}/freezer.state", word)


def _below(path: str) -> list[str]:
    """A cgroup and all cgroups below it, the highest first."""
    return [folder for folder, _, _ in os.walk(path)]


def kill_groups(undos) -> None:
    """Do those undos that kill; they may be done again later."""
    for call, *args in undos:
        if call == "kill_cgroup":
            kill_cgroup(*args)


def _members(path: str) -> list[int]:
    try:
        return [int(pid) for pid in linux.read(f"{path}/cgroup.procs").split() if pid != "0"]
    except OSError:
        return []


def rmdir(path: str) -> None:
    """Remove a folder of the cgroup tree; its last process may still be on its way out, so try for a while.

    Folders below it were made by what ran inside (a container in the container), and go with it.
    """
    pause, deadline = 0.0005, time.monotonic() + 5
    while True:
        try:
            return os.rmdir(path)
        except FileNotFoundError:
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            for folder in reversed(_below(path)[1:]):
                with suppress(OSError):
                    os.rmdir(folder)
            time.sleep(pause)
            pause = min(pause * 2, 0.05)


DEEP = 100  # levels of folders that rmtree goes down in one go
LONG = 3500  # bytes of their path: what is in them must fit into PATH_MAX, 4096


def rmtree(path: str) -> None:
    """Remove a folder with all that is in it; one that is gone already is fine.

    It belongs to a container that has ended, so nobody changes it meanwhile, and the plain way will do (a third of shutil's time).
    Only its depth can be hostile: more levels than Python may recurse, or than a path may have bytes. So what is deep is lifted up.
    """
    while _empty(path, path, 0):
        pass
    with suppress(FileNotFoundError):
        os.rmdir(path)


def _empty(path: str, top: str, depth: int) -> bool:
    """Remove what is in a folder; True if a part of it now lies in ``top``, to be removed from there."""
    lifted = False
    try:
        with os.scandir(path) as listing:
            entries = list(listing)  # then it is closed: one descriptor must do, however deep
        for entry in entries:
            if not entry.is_dir(follow_symlinks=False):
                os.unlink(entry.path)
            elif depth == DEEP or len(os.fsencode(entry.path)) > LONG:
                os.rename(entry.path, f"{top}/{new_id()}")
                lifted = True
            else:
                lifted |= _empty(entry.path, top, depth + 1)
                os.rmdir(entry.path)
    except FileNotFoundError:
        pass
    except PermissionError:  # overlay keeps folders that nobody but root may look into
        if os.stat(path).st_mode & 0o700 == 0o700:
            raise
        os.chmod(path, 0o700)
        return _empty(path, top, depth) | lifted
    return lifted


def unlink(path: str) -> None:
    Path(path).unlink(missing_ok=True)


UNDOS = {"kill_cgroup": kill_cgroup, "rmdir": rmdir, "rmtree": rmtree, "unlink": unlink}


def undo_all(undos) -> None:
    """Do the undos, the last one first; go on after an error, and raise all errors together at the end."""
    errors = []
    for call, *args in reversed(list(undos)):
        try:
            UNDOS[call](*args)
        except Exception as error:
            errors.append(error)
    if errors:
        raise ExceptionGroup("some undos failed", errors)


# -- owners and records --------------------------------------------------------------------


class Owner:
    """This Python process, as the owner of what it starts; its lock is the proof that it lives."""

    _current: Owner | None = None
    _making = threading.Lock()

    def __init__(self, folder: Path):
        self.folder, self.pid = folder, os.getpid()
        self.name = os.urandom(4).hex()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        check_ours(folder)
        self.path = folder / f"{self.name}.owner"
        draft = folder / f"{self.name}.locking"  # gc must never see an owner's file before it is locked
        self.lock = os.open(draft, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        draft.rename(self.path)

    @classmethod
    def current(cls) -> Owner:
        """The owner of this process; the first call also reaps what dead owners left behind."""
        with cls._making:
            own = cls._current
            if own is None or own.pid != os.getpid() or own.folder != runtime_dir() or not own.path.exists():
                cls._current = own = cls(runtime_dir())
                try:
                    gc()
                except* Exception as group:  # somebody else's rubbish must not keep us from starting
                    warnings.warn(f"what a dead owner left behind could not all be removed: {group.exceptions}", stacklevel=2)
            return own


def check_ours(folder: Path) -> None:
    """Raises ``PermissionError`` for records of somebody else: they name what to remove, and gc would obey them."""
    owner = folder.lstat().st_uid
    if owner != os.geteuid():
        words = f"it belongs to uid {owner}, not to uid {os.geteuid()}: remove it, or set SUITCASE_RUN"
        raise PermissionError(errno.EPERM, words, str(folder))


def start_time(pid: int) -> int | None:
    """When a process started, in clock ticks after boot: with the pid it names a process for good. See proc_pid_stat(5)."""
    try:
        return int(linux.read(f"/proc/{pid}/stat").rpartition(")")[2].split()[19])
    except (OSError, IndexError):
        return None


class Record:
    """One started process on paper: ``<runtime dir>/<id>.json``."""

    _naming = threading.Lock()

    def __init__(self, name: str, undos, **facts):
        maker = Owner.current().name
        with self._naming:
            if (runtime_dir() / f"{name}.json").exists():  # the same plan, carried out twice at the same time
                name = f"{name}-{new_id()}"
            self.path = runtime_dir() / f"{name}.json"
            self.facts = {"id": name, "owner": maker, "maker": maker, "pid": 0, "undos": list(undos), **facts}
            self.save()

    def save(self, **facts) -> None:
        """Write the record as a whole or not at all (write a new file, then rename it over the old one)."""
        self.facts.update(facts)
        draft = f"{os.fspath(self.path)[:-5]}.{self.facts['maker']}.new"
        try:
            with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "w") as file:
                file.write(json.dumps(self.facts))
            os.replace(draft, self.path)
        except OSError:  # half a record (the memory is full, say) must not pass for a whole one
            unlink(draft)
            raise

    def born(self, pid: int) -> None:
        self.save(pid=pid, start_time=start_time(pid))

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)


def records() -> list[dict]:
    """Every record on this machine, dead or alive; one that vanishes while we look is left out."""
    found = []
    for path in sorted(runtime_dir().glob("*.json")):
        try:
            found.append(json.loads(path.read_text()))
        except (FileNotFoundError, json.JSONDecodeError):
            continue
    return found


def alive(owner: str) -> bool:
    """Does the Python process behind an owner's name still live? Its lock tells."""
    try:
        lock = os.open(runtime_dir() / f"{owner}.owner", os.O_RDWR | os.O_CLOEXEC)
    except (FileNotFoundError, PermissionError):
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def of_others() -> set[str]:
    """What belongs to other owners that live: their records' ids, and every path in their undos."""
    own = Owner._current.name if Owner._current else None
    theirs = [facts for facts in records() if facts.get("maker") != own]
    live = {maker for maker in {facts["maker"] for facts in theirs} if alive(maker)}
    mine = [facts for facts in theirs if facts["maker"] in live]
    return {facts["id"] for facts in mine} | {word for facts in mine for _, *words in facts["undos"] for word in words}


# -- gc ------------------------------------------------------------------------------------


@contextmanager
def same_process(facts: dict) -> Iterator[int]:
    """A pidfd of the process of a record. Raises ``ProcessLookupError`` if it has ended, even if a later one has its pid now."""
    pidfd = os.pidfd_open(facts["pid"])
    try:
        if start_time(facts["pid"]) != facts.get("start_time"):
            raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))
        yield pidfd
    finally:
        os.close(pidfd)


def kill_recorded(facts: dict) -> None:
    """Kill the process of a record, if it is still there."""
    with suppress(ProcessLookupError), same_process(facts) as pidfd:
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        kill_groups(facts["undos"])  # a frozen process dies only when it is thawed
        linux.readable([pidfd], 5)  # its files can be removed only when it writes no more


def reap(facts: dict) -> None:
    """Do for a dead owner what it would have done: kill, undo, forget."""
    if facts["pid"]:
        kill_recorded(facts)
    undo_all(facts["undos"])
    unlink(str(runtime_dir() / f"{facts['id']}.json"))


def gc() -> list[str]:
    """Reap everything whose owner has died; returns the ids of what was reaped. Safe to run at any time, by anybody.

    A record without an owner belongs to a container that was made to outlive its maker: it is left alone.
    What could not be undone stays on record for the next try, and is raised at the end.
    """
    reaped, errors = [], []
    if runtime_dir().exists():
        check_ours(runtime_dir())
    for path in sorted(runtime_dir().glob("*.owner")):
        with lock_of_dead(path) as dead:
            if dead and not (failed := reap_owner(path.stem, reaped)):
                path.unlink(missing_ok=True)
            elif dead:
                errors += failed
    if errors:
        raise ExceptionGroup("gc could not undo everything", errors)
    return reaped


@contextmanager
def lock_of_dead(path: Path) -> Iterator[bool]:
    """Take a dead owner's lock, so that two gc do not reap the same; False if the owner lives (or is being reaped)."""
    try:
        lock = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        yield False
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(lock)


def reap_owner(owner: str, reaped: list[str]) -> list[Exception]:
    """Reap each record of a dead owner, and the drafts of records that it could not finish; returns what went wrong."""
    errors = []
    for facts in records():
        if facts["owner"] == owner:
            try:
                reap(facts)
                reaped.append(facts["id"])
            except* Exception as group:
                errors += group.exceptions
    for draft in runtime_dir().glob(f"*.{owner}.new"):
        draft.unlink(missing_ok=True)
    return errors


OURS = ("bases", "containers", "images")  # what lies in the store; anything else in that folder belongs to somebody else


def disk_used() -> int:
    """Bytes that the store uses on disk (blocks, not lengths: sparse files count as what they take)."""
    used = 0
    for folder, _, names in (step for name in OURS for step in os.walk(store() / name)):
        for name in names:
            with suppress(FileNotFoundError):  # a container may end while we count
                used += os.lstat(os.path.join(folder, name)).st_blocks * 512
    return used


def uninstall() -> str:
    """Remove what is ours of the store and of the records, and tell; a folder that holds something else too stays.

    Raises ``RuntimeError`` while containers are on record whose owner lives: they stand on what would go.
    """
    gc()
    if left := [f"{facts['id']} (pid {facts['pid']})" for facts in records()]:
        raise RuntimeError(
            f"nothing was removed: {len(left)} container(s) are still there: {', '.join(left)}. Stop the notebooks and programs that "
            "they belong to (in JupyterLab: Kernel, Shut Down All Kernels), or python -m lib.oci delete --force NAME; then try again"
        )
    used = disk_used()
    for name in OURS:
        rmtree(str(store() / name))
    for path in (path for kind in ("owner", "locking", "new") for path in runtime_dir().glob(f"*.{kind}")):
        unlink(str(path))
    for place in (store(), runtime_dir()):
        with suppress(OSError):  # not empty, or not there
            place.rmdir()
    stay = [f"; {place} stays, it holds {', '.join(sorted(os.listdir(place))[:5])}" for place in (store(), runtime_dir()) if place.is_dir()]
    return f"removed {' and '.join(OURS)} of {store()} ({used / 1e6:.0f} MB), and the records in {runtime_dir()}{''.join(stay)}"


def main(argv: list[str]) -> int:
    """``python -m lib.state gc|df|uninstall``; exit code 1 when containers keep it from uninstalling."""
    if argv == ["gc"]:
        print(f"reaped: {', '.join(gc()) or 'nothing to do'}")  # an error shows as a traceback with all its causes
    elif argv == ["df"]:
        print(f"{store()}: {disk_used() / 1e6:.0f} MB")
    elif argv == ["uninstall"]:
        try:
            print(uninstall())
        except RuntimeError as error:
            print(error, file=sys.stderr)
            return 1
    else:
        print("usage: python -m lib.state gc|df|uninstall", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
