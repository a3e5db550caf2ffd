"""What several share: made by the first who joins, unmade by the last who leaves. A network's bridge is, and the firewall's table.

It is a folder in memory, and whoever holds its lock may change it:

    lock            see flock(2)
    undos.json      what the last one has to undo; written before the first deed
    members/ID      who uses it, and with which addresses and names
    addresses/IP    which of its addresses are taken, and by whom

A reboot empties it, as it empties the kernel's tables. Whoever is killed while it joins leaves again by the undo on its own record.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from lib import linux
from lib.netfilter import rtnetlink
from lib.state.leases import ADDRESSES, MEMBERS, PLACES, everybody, leased
from lib.state.places import make_folder
from lib.state.removal import rmtree
from lib.state.undos import PRIMITIVES, later

LOCK, TO_UNDO = "lock", "undos.json"


@contextmanager
def locked(place: Path) -> Iterator[None]:
    """Nobody else joins or leaves meanwhile."""
    lock = its_lock(place)
    try:
        yield
    finally:
        os.close(lock)


def its_lock(place: Path) -> int:
    """The folder's lock, held. The last one who left took it away with the folder, perhaps while we waited: then once more."""
    while True:
        with suppress(FileNotFoundError):
            make_folder(place)
            lock = os.open(place / LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            fcntl.flock(lock, fcntl.LOCK_EX)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(lock), (place / LOCK).stat()):
                    return lock
            os.close(lock)


def written(path: Path, facts) -> None:
    """Write a small file as a whole or not at all."""
    draft = path.with_name(f".{path.name}")
    try:
        draft.write_text(json.dumps(facts))
        os.replace(draft, path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


# -- joining ------------------------------------------------------------------------------------------------------------


def join(
    place: str, member: str, facts: dict, pools: Sequence[dict] = (), deeds: Sequence[Sequence] = (), undos: Sequence[Sequence] = (),
    own: Sequence[Sequence] = ((), ()),
) -> dict:  # fmt: skip
    """Become a member; the first does the ``deeds``. Gives the facts, with an address of each pool. Raises ``OSError``, with nothing done.

    ``pools`` are ``{"subnet", "range", "gateway", "want"}``. ``deeds`` and ``undos`` are ``(name, word…)``, see ``DEEDS`` and ``UNDOS``.
    ``own`` are both for this member alone, with ``leases.PLACES`` where its addresses come; they stay on record as long as it does.
    """
    where = Path(place)
    with locked(where):
        try:
            make_folder(where / MEMBERS)
            make_folder(where / ADDRESSES)
            facts = facts | leased(where, member, facts, pools)
            its_deeds, its_undos = filled([list(some) for some in own], facts)
            written(where / MEMBERS / member, facts | {"deeds": its_deeds, "undos": its_undos})
            if not (where / TO_UNDO).exists():
                written(where / TO_UNDO, [one for undo in undos if (one := as_things_are(undo))])
                its_deeds = [*deeds, *its_deeds]
            do_all(its_deeds)
        except BaseException:
            with suppress(ExceptionGroup):  # what cannot be done cannot be undone either, and why it cannot is told
                gone(where, member)
            raise
    return facts


def filled(words, facts: dict):
    """The addresses in their places."""
    if isinstance(words, (list, tuple)):
        return [filled(word, facts) for word in words]
    for kind, place in PLACES.items():
        words = words.replace(place, facts.get(kind) or place) if isinstance(words, str) else words
    return words


def as_things_are(undo: Sequence) -> Sequence | None:
    """An undo that puts back what there was must look at it before; None if there is nothing to put back."""
    name, *words = undo
    return LOOKS[name](*words) if name in LOOKS else undo


def amend(place: str, member: str, **facts) -> None:
    """A member is called otherwise from now on, say. Who is none stays none."""
    where = Path(place)
    if where.exists():
        with locked(where):
            if before := known(where, member):
                written(where / MEMBERS / member, before | facts)


def own(place: str, member: str, deeds: Sequence[Sequence] = (), undos: Sequence[Sequence] = ()) -> None:
    """A member has these for itself from now on, as ``join`` takes them; what it had until now is undone. Who is none stays none.

    Raises ``OSError`` or ``ExceptionGroup``; then it has none. Whoever is killed on the way leaves on record what was to be.
    """
    where = Path(place)
    with standing_still(place):
        before = known(where, member)
        its_deeds, its_undos = filled([list(deeds), list(undos)], before)
        if not before or its_deeds == before["deeds"]:
            return
        undo_all(before["undos"])
        written(where / MEMBERS / member, before | {"deeds": its_deeds, "undos": its_undos})
        try:
            do_all(its_deeds)
        except BaseException:
            with suppress(ExceptionGroup):  # what cannot be done cannot be undone either, and why it cannot is told
                undo_all(its_undos)
            written(where / MEMBERS / member, before | {"deeds": [], "undos": []})
            raise


# -- leaving ------------------------------------------------------------------------------------------------------------


def leave(place: str, member: str) -> None:
    """Be a member no longer; the last one undoes it all. Who is none (any more) changes nothing. Raises ``ExceptionGroup`` at the end."""
    where = Path(place)
    if where.exists():
        with locked(where):
            gone(where, member)


def gone(where: Path, member: str) -> None:
    """Its own undos first, then, if nobody is left, all of them. An undo that fails keeps nothing back, but is told."""
    facts, errors = known(where, member), ()
    try:
        undo_all([*([] if others(where, member) else to_undo(where)), *facts.get("undos", ())])
    except ExceptionGroup as group:
        errors = group.exceptions
    for address in addresses_of(where, member, facts):
        (where / ADDRESSES / address).unlink(missing_ok=True)
    (where / MEMBERS / member).unlink(missing_ok=True)
    clear(where)
    if errors:
        raise ExceptionGroup("some undos failed", errors)


def clear(where: Path) -> None:
    """Nothing stays of what nobody is a member of.

    The lock goes last. Without it the next one who joins makes another, and would be in here with us while we remove what he writes down.
    """
    if everybody(where):
        return
    for path in where.iterdir():
        if path.is_dir():
            rmtree(str(path))
        elif path.name != LOCK:
            path.unlink(missing_ok=True)
    (where / LOCK).unlink()
    with suppress(OSError):  # somebody has just joined it anew; or there are others
        os.rmdir(where)
        os.rmdir(where.parent)


@contextmanager
def standing_still(place: str) -> Iterator[None]:
    """Nobody joins or leaves meanwhile; where nobody has been, nothing is made for it."""
    where = Path(place)
    if not where.exists():
        yield
        return
    with locked(where):
        try:
            yield
        finally:
            clear(where)


def note(place: str, undos: Iterable[Sequence]) -> None:
    """More that the last one has to undo, after all else; to be written down before it is done. Only who holds it still may do this."""
    known = to_undo(Path(place))
    names = {name for name, *_ in known}
    written(Path(place, TO_UNDO), [*(undo for undo in undos if undo[0] not in names), *known])


def known(where: Path, member: str) -> dict:
    with suppress(FileNotFoundError):
        return json.loads((where / MEMBERS / member).read_bytes())
    return {}


def others(where: Path, member: str) -> set[str]:
    return everybody(where).keys() - {member}


def to_undo(where: Path) -> list:
    with suppress(FileNotFoundError):
        return json.loads((where / TO_UNDO).read_bytes())
    return []


def addresses_of(where: Path, member: str, facts: dict) -> list[str]:
    """What it says itself; one that was killed before it could: each address tells whose it is."""
    if facts:
        return [facts[kind] for kind in PLACES if facts.get(kind)]
    return [path.name for path in (where / ADDRESSES).glob("*") if path.read_text() == member]


# -- by name ------------------------------------------------------------------------------------------------------------


def switch(path: str, word: str) -> None:
    """Write a switch of the kernel's in /proc/sys; one that this kernel does not have (it knows no IPv6, say) is off already."""
    with suppress(FileNotFoundError):
        linux.write(path, word)


def mount(source: str, target: str, fstype: str, options: str) -> None:
    """As ``linux.mount``; the error says in Docker's words of what."""
    try:
        linux.mount(source, target, fstype, options)
    except OSError as error:
        words = f"failed to mount local volume: mount {source}:{target}, type: {fstype}, data: {options}: {os.strerror(error.errno)}"
        hints = {errno.ENODEV: "; /proc/filesystems lists those that this kernel has", errno.EINVAL: "; dmesg may tell what of it"}
        raise OSError(error.errno, words + hints.get(error.errno, ""), target) from None


DEEDS = {
    "netlink": rtnetlink.send, "switch": switch, "join": join, "mount": mount, "nft": later("netfilter.nft", "carry_out"),
    "let_pass": later("netfilter.foreign", "let_pass"), "forward": later("netfilter.forwarding", "switch_on"),
    "forget_ports": later("netfilter.flows", "forget_ports"), "let_in": later("netfilter.slirp", "let_in"),
}  # fmt: skip
LOOKS = {"forwarding_as_it_was": later("netfilter.forwarding", "undo")}
UNDOS = PRIMITIVES | {"leave": leave, "end_all": later("state.reaping", "end_all")}


def together(deeds: Iterable[Sequence]) -> list[list]:
    """Texts for nft that follow each other become one transaction: starting nft, and the kernel's clearing up, take most of their time."""
    found: list[list] = []
    for name, *words in deeds:
        if found and name == found[-1][0] == "nft":
            found[-1] += words
        else:
            found.append([name, *words])
    return found


def do_all(deeds: Iterable[Sequence]) -> None:
    """Raises the ``OSError`` of the first that fails."""
    for name, *words in together(deeds):
        DEEDS[name](*words)


def undo_all(undos) -> None:
    """Do the undos, the last one first; go on after an error, and raise all errors together at the end."""
    errors = []
    for call, *args in together(reversed(list(undos))):
        try:
            UNDOS[call](*args)
        except Exception as error:
            errors.append(error)
    if errors:
        raise ExceptionGroup("some undos failed", errors)
