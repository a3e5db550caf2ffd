"""``network connect`` and ``disconnect``: a container that runs is put on a network, or taken off it; one that doesn't, when it starts."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict

from lib import state
from lib.engine.daemons.calling import Manager
from lib.engine.networks import asked as asking
from lib.engine.networks import nameserver
from lib.engine.pipes import run_folder
from lib.engine.vitality import alive
from lib.ingredients import Nameserver
from lib.netfilter import rtnetlink
from lib.network import Network, NetworkError, Wish, bridges, find
from lib.network.connecting import cable, check, published, way_out
from lib.network.names import Hosts, Settings
from lib.process import callers
from lib.shield import Shield
from lib.state import events, kept, shared


def connect(facts: dict, wish: Wish) -> None:
    """Raises ``NetworkError``, ``OSError``: then nothing is as if it had been asked for."""
    network = find(wish.network)
    check(wish, network)
    with kept.locked(kept.place(facts)) as now, Shield():
        refuse(now, network)
        with plugged_in(now, wish, network) if alive(now) else nullcontext():
            now["network"]["networks"].append(asdict(wish) | {"network": network.name})
            if now["network"]["mode"] == "none":
                now["network"]["mode"] = network.name
            as_it_stands(now)
            kept.save(now)
    led_elsewhere(now)
    events.tell("network", "connect", network.id, {"container": facts["id"], "name": network.name, "type": "bridge"})


def refuse(facts: dict, network: Network) -> None:
    """Raises ``NetworkError``, in Docker's words, for a container that cannot be on this network."""
    mode = facts["network"]["mode"]
    if mode == "host":
        raise NetworkError("cannot connect container to host network - container must be created in host network mode")
    if mode.startswith("container:"):
        raise NetworkError("container sharing network namespace with another container or host cannot be connected to any other network")
    if any(find(one["network"]).id == network.id for one in facts["network"]["networks"]):
        raise NetworkError(f"endpoint with name {facts['name']} already exists in network {network.name}")


def disconnect(facts: dict, name: str) -> None:
    """Raises ``NetworkError`` for a network that it is not on."""
    network = find(name)
    with kept.locked(kept.place(facts)) as now, Shield():
        rest = [one for one in now["network"]["networks"] if find(one["network"]).id != network.id]
        if len(rest) == len(now["network"]["networks"]):
            raise NetworkError(f"container {now['id']} is not connected to network {network.name}")
        now["network"] |= {"networks": rest, "mode": rest[0]["network"] if rest else "none"}
        if alive(now):
            unplug(now, network)
        as_it_stands(now)
        kept.save(now)
    led_elsewhere(now)
    events.tell("network", "disconnect", network.id, {"container": facts["id"], "name": network.name, "type": "bridge"})


def move(facts: dict, name: str, other: str) -> None:
    """One that doesn't run will be on the ``other`` network instead, as what it was on this one: with its aliases and its addresses.

    Raises ``NetworkError`` for one that runs. One that is not on the network stays as it is.
    """
    find(other)
    with kept.locked(kept.place(facts)) as now:
        if alive(now):
            raise NetworkError(f"container {now['name']} runs: it cannot go from network {name} to {other} before it is stopped")
        those = [one | {"network": other} if one["network"] == name else one for one in now["network"]["networks"]]
        mode = other if now["network"]["mode"] == name else now["network"]["mode"]
        kept.save(now | {"network": now["network"] | {"networks": those, "mode": mode}})


# -- of one that runs ---------------------------------------------------------------------------------------------------


@contextmanager
def plugged_in(facts: dict, wish: Wish, network: Network) -> Iterator[None]:
    """The steps of a start, one after the other; what is to be undone is on record before it is done, and undone if the block fails."""
    container = {"container": facts["id"], "name": facts["name"], "hostname": facts["config"]["hostname"] or facts["id"][: kept.SHORT]}
    before = list(facts["network"]["networks"])
    with inside(facts) as there:
        used = [name for _, name in callers.called_in(there, socket.if_nameindex)]
        free = next(name for number in range(len(used) + 1) if (name := f"eth{number}") not in used)
        one = cable(container, wish, network, free, False, bool(facts["state"].get("ports")))
        undos = [list(undo) for step in one.steps() for undo in step.undo]
        on_record(facts, add=undos)
        try:
            found = callers.carried_out(
                [step for step in one.steps() if step.stage in ("prepare", "connect")], {"pid": facts["state"]["pid"]}
            )
            for step in one.steps():
                if step.stage == "names":  # in its place: it runs already
                    callers.called_in(there, callers.CALLS[step.call], *callers.filled(list(step.args), found))
            if network.user_defined:
                give_names(facts)
            yield
        except BaseException:
            shared.undo_all(undos)
            on_record(facts, take=undos)
            facts["network"]["networks"] = before
            as_it_stands(facts)
            raise


def as_it_stands(facts: dict) -> None:
    """Its way out, and what comes in by its published ports, over the networks that it is on now. Raises ``OSError``."""
    if not alive(facts):
        return
    there = asking.on(facts)
    leading = way_out(there)
    with inside(facts) as namespace:
        if leading:
            callers.called_in(namespace, rtnetlink.send, [["leads", pool["gateway"]] for pool in leading.pools])
    for _, network in sorted(there, key=lambda one: one[1] is leading):  # taken from where they were first: a port leads to one place
        own = published(facts["state"].get("ports") or (), network.pools) if network is leading else ()
        shared.own(str(network.alive), facts["id"][: kept.SHORT], *own)
    facts["state"]["networks"] = asking.endpoints(facts)


def led_elsewhere(facts: dict) -> None:
    """Tell the manager, whose relay leads from the host's loopback to its published ports."""
    if facts["state"].get("held"):
        Manager.look(kept.place(facts))


def give_names(facts: dict) -> None:
    """It is the first network with names that it is on: from now on it asks us."""
    folder, asked = run_folder(facts["id"]), facts["network"]
    if Settings.of(folder):
        return
    resolvers = Hosts().now().but(asked["dns"], asked["search"], asked["dns_options"])
    nameserver.give(facts, Nameserver(str(folder), asked["dns"], resolvers.ndots, asked.get("links") or ()))
    with open(kept.place(facts) / "scratch-files/resolv.conf", "w") as file:  # written anew in its place: it is bound into the container
        file.write(str(resolvers.ours()))


def unplug(facts: dict, network: Network) -> None:
    member = facts["id"][: kept.SHORT]
    undos = [["leave", str(network.alive), member], ["delete_link", bridges.cable_name(network, member)]]
    shared.undo_all(undos)
    on_record(facts, take=undos)


@contextmanager
def inside(facts: dict) -> Iterator[int]:
    """A descriptor of its network namespace."""
    fd = os.open(f"/proc/{facts['state']['pid']}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


def on_record(facts: dict, add: Sequence[list] = (), take: Sequence[list] = ()) -> None:
    """Change what is to be undone when the container ends."""
    path = state.runtime_dir() / f"{facts['id'][: kept.SHORT]}.json"
    with suppress(FileNotFoundError):
        record = json.loads(path.read_text())
        record["undos"] = [one for one in record["undos"] if one not in list(take)] + list(add)
        shared.written(path, record)
