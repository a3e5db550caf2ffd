"""Where ours lies on this machine: the store on disk, the records in memory, and names that nobody else takes."""

from __future__ import annotations

import errno
import os
import stat
from functools import cache
from pathlib import Path


def home() -> Path:
    """The user's home folder; for who has none (no HOME, a uid that /etc/passwd does not know) Debian's name for a missing one."""
    try:
        return Path.home()
    except RuntimeError:
        return Path("/nonexistent")


def store() -> Path:
    """Where layers and containers lie: ``$SUITCASE_STORE``, or the usual place for root or for a user."""
    if path := os.environ.get("SUITCASE_STORE"):
        return Path(path).absolute()  # daemons of ours stand elsewhere
    return Path("/var/lib/suitcase") if os.geteuid() == 0 else home() / ".local/share/suitcase"


def why_there() -> str:
    """What is wrong with a user who has no home, or one that is not there (a system's user has such a one)."""
    if not (os.environ.get("SUITCASE_STORE") or os.geteuid() == 0 or home().is_dir()):
        return f"uid {os.geteuid()} has no home folder, here or in /etc/passwd: HOME=/some/folder says where it is; "
    return ""


def folder(name: str) -> Path:
    """A folder of the store, made if it is missing; its owner's alone, as strangers' setuid programs may lie in it."""
    place = store() / name
    try:
        make_folder(place)
        keep_others_out(store(), 0o022)
        keep_others_out(place, 0o077)
    except OSError as error:
        words = f"{error.strerror} ({why_there()}SUITCASE_STORE=/some/folder puts the store elsewhere)"
        raise OSError(error.errno, words, error.filename) from None
    return place


def make_folder(place: Path, mode: int = 0o700) -> None:
    """Make a folder, and those above it that are missing: in none of them may anybody else write, though the umask be 0 (a daemon's is)."""
    try:
        place.mkdir(mode)
    except FileNotFoundError:
        make_folder(place.parent, 0o755)
        place.mkdir(mode, exist_ok=True)
    except FileExistsError:
        try:
            is_there = stat.S_ISDIR(place.lstat().st_mode) or place.is_dir()
        except FileNotFoundError:  # it has gone meanwhile
            return make_folder(place, mode)
        if not is_there:
            raise


def keep_others_out(place: Path, bits: int) -> None:
    """Take these rights in a folder of ours away from others: it was made by an earlier version of ours, or under another umask.

    In /tmp, say, they cannot touch what is ours. Raises ``PermissionError`` where they could put a folder in the place of ours, or have.
    """
    about = place.stat()
    if about.st_uid not in (0, os.geteuid()):
        raise PermissionError(errno.EPERM, f"it belongs to uid {about.st_uid}, not to uid {os.geteuid()}", str(place))
    if about.st_mode & bits and not about.st_mode & stat.S_ISVTX:
        if about.st_uid == os.geteuid():
            place.chmod(stat.S_IMODE(about.st_mode) & ~bits)
        elif about.st_mode & 0o022:
            raise PermissionError(errno.EPERM, f"others may write in it, though it belongs to uid {about.st_uid}", str(place))


@cache
def memory_place() -> str:
    """``/run`` where it is in memory, as nearly everywhere; else ``/dev/shm``: a reboot must empty it."""
    from lib.advice import filesystem_of  # whoever lists containers that do not run need not load it

    return next((path for path in ("/run", "/dev/shm") if filesystem_of(path) == "tmpfs"), "/run")


def runtime_dir() -> Path:
    """Where records lie, in memory: ``$SUITCASE_RUN``, or the usual place for root or for a user."""
    if path := os.environ.get("SUITCASE_RUN"):
        return Path(path).absolute()
    if os.geteuid() == 0:
        return Path(memory_place(), "suitcase")
    if (place := os.environ.get("XDG_RUNTIME_DIR")) and os.access(place, os.W_OK | os.X_OK):  # su keeps the name of somebody else's
        return Path(place, "suitcase")
    return Path(f"/tmp/suitcase-{os.geteuid()}")  # no folder above it but /tmp: nobody else can put another in its place


def common_dir() -> Path:
    """Where all engines of a user note what they share, whatever run folders they have: in memory, and gone with a reboot."""
    return Path(memory_place(), "suitcase") if os.geteuid() == 0 else Path(f"/dev/shm/suitcase-{os.geteuid()}")


def check_name(name: str) -> None:
    """Raises ``ValueError`` for a name that, as a part of a path, would lead elsewhere."""
    if not name or "/" in name or "\0" in name or name in (".", ".."):
        raise ValueError(f"{name!r} is not a name: it becomes a part of paths, so it cannot be empty, . or .., nor have a / in it")


def new_id() -> str:
    """Twelve random hexadecimal digits, as Docker shows them."""
    return os.urandom(6).hex()


def temporary(kind: str) -> str:
    """The beginning of a temporary folder's name: it says whose it is, so that the leak check can tell ours from others'."""
    return f"suitcase-{os.getpid()}-{kind}-"
