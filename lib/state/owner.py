"""Who owns what was started: this Python process, whose lock is the proof that it lives.

The owner holds a lock on a file for as long as it lives, and the kernel lets go of the lock when the owner dies, however it dies. So
"whose owner is dead?" is one flock(2) away.
"""

from __future__ import annotations

import atexit
import errno
import fcntl
import os
import threading
from contextlib import suppress
from pathlib import Path

from lib.state.places import make_folder, runtime_dir


class Owner:
    """This Python process, as the owner of what it starts; its lock is the proof that it lives."""

    _current: Owner | None = None
    _making = threading.Lock()

    def __init__(self, folder: Path):
        self.folder, self.pid = folder, os.getpid()
        self.name = os.urandom(4).hex()
        self.reaping, self.has_reaped = threading.Lock(), False  # see reaping.new_record
        make_folder(folder)
        check_ours(folder)
        self.path = folder / f"{self.name}.owner"
        draft = folder / f"{self.name}.locking"  # gc must never see an owner's file before it is locked
        self.lock = os.open(draft, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        draft.rename(self.path)

    @classmethod
    def current(cls) -> Owner:
        """The owner of this process, made when it is first asked for."""
        with cls._making:
            own = cls._current
            if own is None or own.pid != os.getpid() or own.folder != runtime_dir() or not own.path.exists():
                cls._current = own = cls(runtime_dir())
            return own

    @classmethod
    def mine(cls) -> Owner | None:
        """The owner of this process if it has one; not that of a parent that we were forked from."""
        own = cls._current
        return own if own and own.pid == os.getpid() else None

    @classmethod
    def leave(cls) -> None:
        """At the end of this Python: nobody need ask any more whether it lives."""
        if own := cls.mine():
            own.path.unlink(missing_ok=True)

    @classmethod
    def after_fork(cls) -> None:
        """In a forked child: a lock that another thread of the parent held just then would stay locked here for ever."""
        cls._making = threading.Lock()


def check_ours(folder: Path) -> None:
    """Raises ``PermissionError`` for records of somebody else: they name what to remove, and gc would obey them."""
    owner = folder.lstat().st_uid
    if owner != os.geteuid():
        words = f"it belongs to uid {owner}, not to uid {os.geteuid()}: remove it, or set SUITCASE_RUN"
        raise PermissionError(errno.EPERM, words, str(folder))


def our_runtime_dir() -> Path:
    """``runtime_dir()``, if it is ours or nobody has made it yet: what is read there is believed, and a link there would be followed.

    Raises ``PermissionError``.
    """
    place = runtime_dir()
    with suppress(FileNotFoundError):
        check_ours(place)
    return place


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


atexit.register(Owner.leave)
os.register_at_fork(after_in_child=Owner.after_fork)
