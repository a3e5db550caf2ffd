"""The volumes on disk: a folder each, with its files in ``data`` and what is known of it in ``volume.json``.

A volume is there or not, never half: it is made under another name and then renamed, and renamed again before it is removed. Who is about
to use volumes holds ``using``, who removes one ``alone``: so nobody takes one away between the moment that it is found and the moment that
a container's file says whose it is. Both are short: nothing is copied meanwhile.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from lib import linux, state
from lib.engine import moments
from lib.state import events, kept, undos

VERSION = 1
NAME = "volume.json"
FILLING = "filling"  # it is there as long as what the image has at the volume's place was not copied as a whole
OPTIONS = ("device", "o", "size", "type")  # that Docker's local driver knows
PAGE = 4096  # bytes: of each of its words mount(2) takes as many at most, with their end
OTHER_DEEDS = {"remount", "move", *linux.PROPAGATION, *(f"r{word}" for word in linux.PROPAGATION)}  # of mount(2), that mount nothing new
TOGETHER = {"device": ("type",), "type": ("device",), "o": ("device", "type")}


class NoSuchVolume(LookupError):
    """In Docker's words."""


class VolumeInUse(ValueError):
    """In Docker's words."""


class Volume(NamedTuple):
    """``anonymous``: made for a container that gave it no name, and removed with that one."""

    name: str
    created: str
    labels: dict[str, str]
    options: dict[str, str]
    anonymous: bool

    @property
    def place(self) -> Path:
        return volumes() / self.name

    @property
    def data(self) -> str:
        """The folder that is mounted."""
        return str(self.place / "data")

    @property
    def source(self) -> str:
        """What a container has mounted: the volume's own folder, or (``o=bind``) the one of this machine that its options name."""
        return self.options["device"] if is_bind(self.options) else self.data

    @property
    def is_mounted(self) -> bool:
        """Is it a file system of its own, mounted at its folder as long as a container that has it runs? See ``mounted``."""
        return bool(self.options) and not is_bind(self.options)


def volumes() -> Path:
    """Where they all lie."""
    return state.store() / "volumes"


# -- nobody comes between -----------------------------------------------------------------------------------------------


@contextmanager
def holding(kind: int) -> Iterator[None]:
    with kept.holding(state.folder("volumes") / ".lock", kind, create=True):
        yield


def using():
    """No volume is removed as long as this lasts."""
    return holding(fcntl.LOCK_SH)


@contextmanager
def alone() -> Iterator[None]:
    """Nobody begins to use a volume as long as this lasts. What was left half made, or half removed, goes."""
    with holding(fcntl.LOCK_EX):
        for path in volumes().glob(".*.tmp"):
            state.rmtree(str(path))
        yield


@contextmanager
def filling(one: Volume) -> Iterator[bool]:
    """Only one at a time fills a volume; says whether there is anything left to do."""
    with kept.holding(one.place / "lock", fcntl.LOCK_EX, create=True):
        yield (one.place / FILLING).exists()


# -- making and finding -------------------------------------------------------------------------------------------------


def create(
    name: str | None = None, labels: dict | None = None, options: dict | None = None, before: Callable[[Volume], object] | None = None
) -> Volume:  # fmt: skip
    """A volume of this name, made unless it is there; without a name, a new one with 64 digits. Raises ``ValueError``, ``OSError``.

    ``before`` is told of it before it is made.
    """
    try:
        if name is not None:
            check_name(name)
        check_options(options or {})
    except ValueError as error:
        raise ValueError(f"create {name}: {error}" if name else str(error)) from None
    one = Volume(name or os.urandom(32).hex(), moments.now(), labels or {}, options or {}, name is None)
    with using():
        if not (one.place / NAME).exists():
            if before:
                before(one)
            make(one)
            events.tell("volume", "create", one.name, {"driver": "local"})
        return find(one.name)


def make(one: Volume) -> None:
    draft = state.folder("volumes") / f".{state.new_id()}.tmp"
    record = state.new_record(f"volume-{draft.name[1:-4]}", [("rmtree", str(draft))])
    try:
        draft.mkdir(0o701)
        (draft / "data").mkdir(0o755)
        os.chmod(draft / "data", 0o755)
        (draft / NAME).write_text(json.dumps({"version": VERSION, **one._asdict()}))
        os.rename(draft, one.place)
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):  # somebody else was faster
            raise
    finally:
        state.rmtree(str(draft))
        record.remove()


def check_name(name: str) -> None:
    """Raises ``ValueError``, in Docker's words."""
    if len(name) == 1:
        raise ValueError("volume name is too short, names should be at least two alphanumeric characters")
    if not re.fullmatch("[a-zA-Z0-9][a-zA-Z0-9_.-]+", name):
        raise ValueError(
            f'"{name}" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. '
            "If you intended to pass a host directory, use absolute path"
        )


def check_options(options: dict[str, str]) -> None:
    """Of a folder of this machine under another name (``o=bind``), or of a file system to be mounted. Raises ``ValueError``."""
    for name in options:
        if name not in OPTIONS:
            raise ValueError(f'invalid option: "{name}"')
    for name in options:
        for other in TOGETHER.get(name, ()):
            if other not in options:
                raise ValueError(f'missing required option: "{other}"')
    if "size" in options:
        raise ValueError("quota size requested but no quota support (of a tmpfs it is: -o type=tmpfs -o device=tmpfs -o o=size=64m)")
    if is_bind(options) and not options["device"].startswith("/"):
        raise ValueError(f"invalid device path {options['device']}: a bind needs an absolute one")
    if options and not is_bind(options):
        check_file_system(options)


def is_bind(options: dict[str, str]) -> bool:
    return not {"bind", "rbind"}.isdisjoint(options.get("o", "").split(","))


def check_file_system(options: dict[str, str]) -> None:
    """What is in it the kernel says when it is mounted; but it must get there whole, and be no other deed. Raises ``ValueError``."""
    if os.geteuid():
        raise ValueError(f"a volume of type={options['type']} has to be mounted, which only root may do; o=bind shows a folder of yours")
    if options["type"] == "none":
        raise ValueError("invalid option: type=none is for a folder of this machine, with o=bind; else it is a file system: tmpfs, nfs")
    for name, value in options.items():
        if "\0" in value or len(os.fsencode(value)) >= PAGE:
            raise ValueError(f'invalid option: "{name}": it is no text of less than {PAGE} bytes, which is what mount(2) takes')
    if other := next((word for word in options.get("o", "").split(",") if word in OTHER_DEEDS), None):
        raise ValueError(f'invalid mount option "{other}": that changes a mount that there is, and this one is new')


def find(name: str) -> Volume:
    """Raises ``NoSuchVolume``, ``ValueError`` for one that this suitcase cannot read."""
    try:
        check_name(name)
        text = (volumes() / name / NAME).read_bytes()
    except (FileNotFoundError, ValueError):
        raise NoSuchVolume(f"get {name}: no such volume") from None
    try:
        facts = json.loads(text)
        version = facts.pop("version")
        if version == VERSION:
            return Volume(**facts)
    except (ValueError, KeyError, TypeError, AttributeError):
        version = None
    words = f"was written by another suitcase (version {version!r}; this one reads {VERSION})" if version else "is damaged"
    raise ValueError(f"{volumes() / name / NAME} {words}")


def every() -> list[Volume]:
    """All of them, by name. What cannot be read is left out: ``find`` says why."""
    found = []
    with suppress(FileNotFoundError):
        for name in sorted(os.listdir(volumes())):
            with suppress(NoSuchVolume, ValueError):
                found.append(find(name))
    return found


# -- who has it, and its end --------------------------------------------------------------------------------------------


def users(name: str) -> list[str]:
    """The ids of the containers that have it mounted, whether they run or not, those of another suitcase's version included."""
    found = []
    for path in sorted(kept.containers().glob(f"*/{kept.NAME}")):
        with suppress(OSError, ValueError, KeyError, TypeError):
            facts = json.loads(path.read_bytes())
            found += [facts["id"]] if name in names(facts) else []
    return found


def names(facts: dict) -> list[str]:
    """The volumes that a container has mounted."""
    return [one["name"] for one in facts.get("mounts") or () if one["type"] == "volume"]


def remove(name: str, but: str = "") -> None:
    """Take it away, with all that is in it. Raises ``NoSuchVolume``, ``VolumeInUse`` if a container has it that is not the one ``but``."""
    with alone():
        take_away(name, but)


def take_away(name: str, but: str = "") -> None:
    """As ``remove``, within ``alone``."""
    one = find(name)
    if left := [ident for ident in users(name) if ident != but]:
        raise VolumeInUse(f"remove {name}: volume is in use - [{', '.join(left)}]")
    gone = volumes() / f".{state.new_id()}.tmp"
    if one.is_mounted:
        undos.umount(one.data)  # its last container may not be undone yet, and what is on another machine stays there
    os.rename(one.place, gone)
    state.rmtree(str(gone))
    events.tell("volume", "destroy", name, {"driver": "local"})


def remove_anonymous(facts: dict) -> None:
    """Take a container's volumes without a name away, but those that another container has."""
    for one in facts.get("mounts") or ():
        if one["type"] == "volume" and one["anonymous"]:
            with suppress(NoSuchVolume, VolumeInUse):
                remove(one["name"], but=facts["id"])
