"""From what is written down of a container to the list of its ingredients: as whom, with what, where. Nothing is started here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

from lib.container import Container
from lib.engine.vitality import alive
from lib.images import Library, Merged
from lib.ingredients import Mount, users
from lib.state import kept

RARE = {"memory_swappiness", "oom_kill_disable", "blkio_weight", "blkio_weight_devices", "device_cgroup_rules"}
NOFILE = (1024, 524288)  # open files: what containerd gives to a container since version 2.1.5


def container(library: Library, facts: dict, network=None, mounts: Sequence[Mount] = ()) -> Container:
    """The container of these facts, not started. Raises ``LookupError`` for a user that its files do not know, ``ValueError``.

    ``network`` and ``mounts`` are needed for its start alone: whoever looks or joins need not load what makes them.
    """
    place, config = kept.place(facts), facts["config"]
    with library.store.using():  # a prune beside us would sweep what is only being made
        layers = [library.chains.mountpoints(), *layers_of(library, facts)]
    user = in_more_groups(who(library, facts, config["user"]), library, facts)
    made = Container(
        layers, facts["argv"], name=facts["name"], env={"HOME": user.home, **variables(config["env"])}, workdir=config["workdir"] or "/",
        user=user, tty=config["tty"], hostname=config["hostname"] or None, kept=str(place), synced=not facts["auto_remove"],
        network=network or ("host" if facts["network"]["mode"] == "host" else "none"), mounts=mounts, hosts=lines(facts),
        **options_of(facts),
    )  # fmt: skip
    made.plan.about = {"called": facts["name"], "image": facts["image"], "chains": facts["chains"]}
    return made


def options_of(facts: dict) -> dict:
    """Those of ``Container``; the words of ``-v`` only where an earlier suitcase has not resolved them.

    Raises ``ValueError`` if the container whose processes it is to see, or whose memory it is to share, does not run.
    """
    found = {name: value for name, value in facts["options"].items() if name != "volumes" or facts.get("mounts") is None}
    found |= {"ulimits": {"nofile": nofile(), **(facts["options"].get("ulimits") or {})}}
    for name, kind in (("pid_mode", "PID"), ("ipc", "IPC")):
        _, colon, other = str(found.get(name, "")).partition(":")
        if colon:
            found[name] = pid_of(other, kind)
    return found


def without_others(facts: dict) -> dict:
    """Its options, but for the namespaces of other containers: those need to run only when it starts."""
    return {name: value for name, value in facts["options"].items() if not str(value).startswith("container:")}


def without_what_lacks(options: dict, tell: Callable[[str], object]) -> dict:
    """Those that this machine can do; ``tell`` hears of each of the others, in Docker's words. Raises ``ValueError``."""
    if not options.keys() & RARE:
        return options
    from lib.ingredients.cgroups import rare  # few ask for any of it

    return rare.without_what_lacks(options, tell)


def pid_of(ident: str, kind: str) -> int:
    """The first process of another container. Raises ``ValueError``, for one too that has not said that its memory may be shared."""
    with suppress(FileNotFoundError):
        other = kept.load(kept.place(ident))
        if kind == "IPC" and other["options"].get("ipc", "private") in ("private", "none"):
            raise ValueError(
                f"can't join IPC of container {ident}: non-shareable IPC (hint: use IpcMode:shareable for the donor container)"
            )
        if alive(other):
            return other["state"]["pid"]
    if kind == "IPC":
        raise ValueError(f"can't join IPC of container {ident}: container {ident} is not running")
    raise ValueError(f"cannot join {kind} namespace of container {ident[: kept.SHORT]}: it is not running")


def networks_of(facts: dict, ports):
    """As ``Container`` takes it; whoever is on none need not load what knows them."""
    if facts["network"]["mode"] in ("none", "host"):
        return facts["network"]["mode"]
    from lib.engine.networks import asked

    return asked.of(facts, ports.ports if ports else ())


def lines(facts: dict) -> list[tuple[str, str]]:
    """``--add-host``, as ``/etc/hosts`` has it, of one that is on no network of ours: those say it themselves."""
    asked = facts["network"]
    hosts = asked.get("hosts", ()) if asked["mode"] in ("none", "host") else ()
    return [(gateway() if where == "host-gateway" else where, name) for name, where in hosts]


def gateway() -> str:
    """The machine, as containers on the default bridge see it."""
    from lib.network import find

    network = find("bridge")
    return network.gateway(4) or network.gateway(6) or ""


def who(library: Library, facts: dict, text: str) -> users.RunAs:
    """A user as the container's own files know him, the written ones above the image's. Raises ``users.UnknownUser``."""
    return users.find(text or "", reader(library, facts))


def in_more_groups(user: users.RunAs, library: Library, facts: dict) -> users.RunAs:
    """``--group-add``, by number or by a name of the container's own. Raises ``users.UnknownUser``."""
    if not (words := facts.get("groups")):
        return user
    more = [users.find_group(word, reader(library, facts)) for word in words]
    return user._replace(groups=(*user.groups, *(gid for gid in dict.fromkeys(more) if gid not in user.groups)))


def reader(library: Library, facts: dict):
    """What gives the text of a file as the container sees it."""
    return Merged([*layers_of(library, facts), str(kept.place(facts) / "upper")]).read


def nofile() -> tuple[int, int]:
    import resource

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    most = NOFILE[1] if hard == resource.RLIM_INFINITY else min(NOFILE[1], hard)
    return min(NOFILE[0], most), most


def layers_of(library: Library, facts: dict) -> list[str]:
    """The folders of its image's layers, the lowest first. Raises ``LookupError``."""
    found = [library.chains.find(chain) for chain in facts["chains"]]
    if None in found:
        raise LookupError(f"layers of the image {facts['image_name']} are gone from {library.store.place}: pull or build it again")
    return found


def variables(words: Sequence[str]) -> dict[str, str]:
    return {name: value for name, _, value in (word.partition("=") for word in words) if name}
