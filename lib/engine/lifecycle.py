"""A container that outlives its caller: created, started, and (by the manager) settled when it has ended.

``create`` only writes down what it is to be. ``start`` makes the process: a child of the keeper's, with named pipes for its output. From
then on nobody need be there. Each verb takes the container's lock, so two commands at a time do not meet half-way.
"""

from __future__ import annotations

import errno
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from types import MappingProxyType

from lib import state
from lib.container import check_name
from lib.engine import making, moments
from lib.engine.daemons.calling import Keeper, Manager, settled
from lib.engine.pipes import NamedPipes, run_folder
from lib.engine.typists import Caller, hand_over, typed_by
from lib.engine.vitality import alive, begun, boot
from lib.images import Library
from lib.ingredients import Mount, users
from lib.shield import Shield
from lib.state import events, kept

NOT_YET = {
    "status": "created", "pid": 0, "start_time": None, "boot": "", "exit_code": 0, "error": "", "oom_killed": False,
    "started": moments.NEVER, "finished": moments.NEVER,
}  # fmt: skip
NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN}
NOTHING: Mapping = MappingProxyType({})
REAPED, LOOK = 5, 0.01  # seconds that it takes to reap what a dead caller has left, and between two looks


class NameTaken(ValueError):
    """In Docker's words."""

    def __init__(self, name: str, holder: dict):
        super().__init__(
            f'Conflict. The container name "/{name}" is already in use by container "{holder["id"]}". '
            "You have to remove (or rename) that container to be able to reuse that name."
        )


# -- creating -----------------------------------------------------------------------------------------------------------


def create(
    library: Library, facts: dict, name: str | None = None, opened: Callable[[], AbstractContextManager] = nullcontext,
    volumes: Mapping[str, dict] = NOTHING, tell: Callable[[str], object] = lambda text: None,
) -> dict:  # fmt: skip
    """Write down a new container: ``facts`` are what it is to be (see ``engine.wishes.wished``). Returns them, with id and name.

    Raises ``NameTaken``, ``ValueError``. The image's layers are unpacked already, or are now. A new volume may take long to fill: within
    ``opened`` an interrupt may come meanwhile (see ``Shield``), and takes the container away again. ``volumes`` are the words of
    ``volumes.create`` for those that have a name, should they be missing. ``tell`` hears of what this kernel cannot do, and is left out.
    """
    if name is not None:
        check_name(name)
    for chain in facts["chains"]:
        if not library.chains.find(chain):
            library.folders(library.find(facts["image"]))
    facts = facts | {"options": making.without_what_lacks(facts["options"], tell)}
    facts |= {"version": kept.VERSION, "id": os.urandom(32).hex(), "created": moments.now(), "state": dict(NOT_YET)}
    place = kept.place(facts)
    record = state.new_record(f"create-{place.name}", [("rmtree", f"{place}.new")], image=facts["image"], chains=facts["chains"])
    try:
        with suppress(users.UnknownUser):  # that is for its start to say
            making.container(library, facts | {"name": name or facts["id"], "mounts": (), "options": making.without_others(facts)})
        with mounts_resolved(library, facts, volumes, record), kept.naming(), kept.new(facts["id"]) as draft:
            (draft / "upper").mkdir(0o755)
            if facts.get("files"):
                from lib.engine.volumes import given  # few have any

                given.write(facts, draft, place)
            facts["name"] = free(name)
            kept.save(facts, draft)
        events.of_container("create", facts)
    finally:
        record.remove()
    filled(library, facts, opened)
    return facts


@contextmanager
def mounts_resolved(library: Library, facts: dict, volumes: Mapping[str, dict], record: state.Record) -> Iterator[None]:
    """What it has mounted stands in its facts, and no volume of these goes, as long as this lasts. Most have nothing, and load nothing.

    A volume that is made for it alone is on ``record``: should it not come to be, that goes, too.
    """
    if not (facts["options"].get("volumes") or facts["config"]["volumes"] or facts.get("asked")):
        yield
        return
    from lib.engine import finding
    from lib.engine.volumes import asked, store

    def on_record(one: store.Volume) -> None:
        record.save(undos=[*record.facts["undos"], ("rmtree_unless", str(one.place), str(kept.place(facts)))])

    def new(name: str | None, *words) -> store.Volume:
        if name is None:
            return store.create(None, *words, before=on_record)
        return store.create(name, **volumes[name]) if name in volumes else store.create(name, *words)

    asked.unpack(library, facts)
    try:
        with store.using():
            asked.resolve(library, facts, making.layers_of(library, facts), lambda name: finding.mounts(finding.find(name)), new)
            yield
    except BaseException:
        store.remove_anonymous(facts)
        raise


def filled(library: Library, facts: dict, opened: Callable[[], AbstractContextManager]) -> None:
    """New volumes get what the image has at their places. If that cannot be, the container goes again."""
    if not facts.get("mounts"):
        return
    from lib.engine.volumes import asked

    try:
        with opened():
            asked.fill(making.layers_of(library, facts), facts)
    except BaseException:
        from lib.engine.daemons import settling

        with Shield(), kept.locked(kept.place(facts)) as now:
            settling.remove(now | {"auto_remove": True})
        raise


def mounts_of(library: Library, facts: dict) -> Sequence[Mount]:
    """What a start mounts; what must be there before is made."""
    if not facts.get("mounts"):
        return ()
    from lib.engine.volumes import asked

    asked.prepare(making.layers_of(library, facts), facts)
    return asked.ingredients(library, facts, str(kept.place(facts) / "scratch"))


def free(name: str | None) -> str:
    """This name, if nobody has it; without one, a made-up one. Only within ``kept.naming``."""
    taken = kept.names()
    if name is None:
        from lib.engine.naming import names

        return names.made_up(set(taken))
    if name in taken:
        with suppress(FileNotFoundError):  # it has just gone
            raise NameTaken(name, kept.load(kept.place(taken[name])))
    return name


# -- starting -----------------------------------------------------------------------------------------------------------


def start(library: Library, place: Path, caller: Caller | None = None, again: bool = False) -> dict:
    """Make its process and let it run; returns the facts. One that runs already, or is to be started again soon, stays as it is.

    ``again`` is the manager's word: only one that waits for its next try is started, and that counts on. Raises ``StepError``, which is on
    record then, too.
    """
    while True:
        settled(kept.load(place))  # what has ended a moment ago does not run
        with kept.locked(place) as facts, Shield():  # a start takes some hundredths of a second, and what it makes has to be on record
            if to_be_started(facts["state"]["status"], again):
                return tried(library, facts, caller or Caller())
            if facts["state"]["status"] not in kept.UP or (alive(facts) and begun(facts)):
                return facts  # else whoever was about to start it has been killed


def tried(library: Library, facts: dict, caller: Caller) -> dict:
    """Start it; what it fails of is written down."""
    before = facts["state"]
    try:
        return made_to_run(library, facts, caller)
    except BaseException as error:
        caller.close()
        with suppress(OSError):  # a full disk: the error itself is told
            kept.save(facts | {"state": before | blame(error, before["status"])})
        Keeper.drop(facts["id"])
        raise


def to_be_started(status: str, again: bool) -> bool:
    if status == "paused" and not again:
        raise ValueError("cannot start a paused container, try unpause instead")
    if status == "removing":
        raise ValueError("container is marked for removal and cannot be started")
    return status == "restarting" if again else status not in ("running", "restarting")


def blame(error: BaseException, status: str) -> dict:
    """What the state of a container says that could not be started; of an interrupt nothing.

    A further try there is, unlike in Docker, where room was missing: somebody may make some.
    """
    if not isinstance(error, (OSError, LookupError, ValueError)):
        return {}
    if status == "restarting" and getattr(error, "errno", None) in NO_ROOM:
        return {"error": str(error)}
    given_up = {"status": "exited"} if status == "restarting" else {}
    return {"error": str(error), "exit_code": getattr(error, "exit_code", 128), **given_up}


def made_to_run(library: Library, facts: dict, caller: Caller) -> dict:
    """Everything up to the exec; then it is nobody's but the keeper's.

    It is called running, and nobody's, before it is let go: whoever is killed in between leaves one that has ended, or one that runs,
    and the manager sees to it. The other way round there would be a moment in which it ran, and nobody knew.
    """
    leftovers(kept.place(facts))
    with held(facts) as ports:
        return let_run(library, facts, caller, ports)


@contextmanager
def held(facts: dict) -> Iterator:
    """Its published ports, ours as long as this lasts; whoever publishes none loads nothing for it."""
    if not facts["network"].get("ports"):
        yield None
        return
    from lib.engine.networks.publishing import Held

    ports = Held(facts["network"]["ports"])
    try:
        yield ports
    finally:
        ports.close()


def let_run(library: Library, facts: dict, caller: Caller, ports) -> dict:
    place, config = kept.place(facts), facts["config"]
    made = making.container(library, facts, making.networks_of(facts, ports), mounts_of(library, facts))
    with typed_by(caller, facts) as stdin:
        named = config["open_stdin"] and stdin == subprocess.DEVNULL
        made.plan.ingredients = [*made.plan.ingredients, NamedPipes(run_folder(facts["id"]), config["tty"], named, made.user.uid)]
        process = made.plan.create(stdin, stdout=subprocess.DEVNULL, maker=Keeper)  # until it opens the pipes
    try:
        hand_over(facts, process, caller)
        if ports:
            ports.hand_over(facts["id"])
        facts["state"] = NOT_YET | {
            "status": "running", "pid": process.pid, "start_time": state.start_time(process.pid), "boot": boot(), "started": moments.now(),
            **on_networks(facts, ports), **tries(facts["state"]),
        }  # fmt: skip
        if config.get("healthcheck"):
            from lib.engine.health import request  # few are asked

            request.write(facts, made, process.pid)
        kept.save(facts)
        process.record.save(owner=None)
        Manager.look(place, process.master)  # before it runs: what it prints would go with it if it ended while nobody else held its pipes
        process.start()
        process.let_go()
        events.of_container("start", facts)
    except BaseException:
        process.remove()
        raise
    return facts


def tries(before: dict) -> dict:
    """How often it was started again, and how it ended the last time; whoever starts one by hand begins to count anew."""
    last = {"started": before["started"], "exit_code": before["exit_code"]}
    return {"tries": before["tries"], "last": last} if before["status"] == "restarting" else {}


def on_networks(facts: dict, ports) -> dict:
    """What its state says of networks as long as it runs."""
    if not facts["network"]["networks"]:
        return {}
    from lib.engine.networks import asked

    return {"networks": asked.endpoints(facts), "ports": ports.ports if ports else [], "held": list(ports.sockets) if ports else []}


def leftovers(place: Path) -> None:
    """What only lives while it runs, and was left by a machine that stopped, or by a caller who was killed before it ran."""
    deadline = time.monotonic() + REAPED
    while (state.runtime_dir() / f"{place.name}.json").exists() and time.monotonic() < deadline:
        with suppress(ExceptionGroup):  # other rubbish must not keep us from starting
            state.gc()  # or somebody else does just now: then it is gone in a moment
        time.sleep(LOOK)
    for name in ("scratch", "scratch-files"):
        state.rmtree(str(place / name))
