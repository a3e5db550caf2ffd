"""The words of an OCI ``config.json`` as ingredients. See the OCI runtime specification, config.md.

Thin on purpose: it understands what ``runc spec`` writes, and names what it does not understand instead of leaving it out in silence.
"""

from __future__ import annotations

import json
import os
from collections.abc import Set
from pathlib import Path

from lib.ingredients import Bind, Capabilities, Cgroup, Hostname, Join, Loopback, Mount, Namespaces, RootFS
from lib.ingredients.capabilities import name_of
from lib.ingredients.cgroups import ALLOWED, PERIOD, backend
from lib.ingredients.rootfs import DEV, OWN_NULL, device_steps, mask_steps
from lib.linux import PROPAGATION
from lib.process import Step
from lib.visible import Visible

KINDS = {"network": "net", "mount": "mnt"} | {kind: kind for kind in ("pid", "ipc", "uts", "cgroup", "user", "time")}
CGROUP_MOUNT = "cgroup"
EVERY_DEVICE = ("a", "*", "*")
# The options of mounts (config.md, Linux mount options): of one mount, of a whole tree, of a file system whoever mounts it.
PLAIN = {
    *("ro", "rw", "nosuid", "suid", "nodev", "dev", "noexec", "exec", "noatime", "atime", "nodiratime", "diratime", "relatime"),
    *("norelatime", "strictatime", "nostrictatime", "nosymfollow", "symfollow", *PROPAGATION),
}
RECURSIVE = {f"r{word}": word for word in PLAIN}
OF_THE_FILE_SYSTEM = {
    *("sync", "async", "dirsync", "mand", "nomand", "silent", "loud", "iversion", "noiversion", "lazytime", "nolazytime", "defaults"),
    "remount",
}
# The words that are read here, by the part of the configuration that they stand in.
UNDERSTOOD = {
    "": {"ociVersion", "process", "root", "hostname", "mounts", "annotations", "linux"},
    "process": {"args", "env", "cwd", "user", "capabilities", "rlimits", "noNewPrivileges"},
    "linux": {"namespaces", "resources", "maskedPaths", "readonlyPaths"},
    "linux.resources": {"devices", "memory", "cpu", "pids"},
    "linux.resources.memory": {"limit", "swap"},
    "linux.resources.cpu": {"quota", "period", "cpus"},
    "linux.resources.pids": {"limit"},
}


class OciError(Visible):
    """A bundle or a command that cannot be carried out; the message names the place and the way out."""


def load(bundle: str) -> dict:
    """The bundle's ``config.json``. Raises ``OciError``."""
    path = Path(bundle, "config.json")
    try:
        config = json.loads(path.read_text())
        config["process"]["args"][0], config["root"]["path"]
    except FileNotFoundError:
        raise OciError(f"{path} does not exist: a bundle is a folder with config.json (runc spec writes one) and a rootfs") from None
    except (json.JSONDecodeError, KeyError, IndexError, TypeError) as error:
        raise OciError(f"{path} is no OCI configuration: {error!r}") from None
    return config


def ingredients(config: dict, bundle: str, name: str) -> list:
    """The configuration's words as ingredients."""
    linux_part = config.get("linux", {})
    made, joined = namespaces(linux_part.get("namespaces", []))
    parts: list = [Namespaces(*(kind for kind in made if kind != "mnt"))]  # the root brings that one
    if joined:
        parts.append(Join(paths=joined))
    if config.get("hostname"):
        parts.append(Hostname(config["hostname"]))
    if "net" in made:
        parts.append(Loopback())
    group, root = cgroup(linux_part.get("resources", {}), name), Root(config, bundle)
    return [
        *parts,
        group,
        root,
        *capabilities_of(config["process"], without={"MKNOD"} if root.unfiltered else set()),
        User(config["process"]),
    ]


def namespaces(rows: list[dict]) -> tuple[list[str], dict[str, str]]:
    """(new ones, kind → path of those to join)."""
    try:
        kinds = {KINDS[row["type"]]: row.get("path") for row in rows}
    except KeyError as error:
        raise OciError(f"linux.namespaces: unknown type {error}; known are {', '.join(KINDS)}") from None
    return [kind for kind, path in kinds.items() if not path], {kind: path for kind, path in kinds.items() if path}


def capabilities_of(process: dict, without: Set[str] = frozenset()) -> list:
    """``process.capabilities``: what is permitted is effective, too; none, if it says nothing of them, as runc does it.

    Raises ``ValueError`` for one that Linux does not have.
    """
    asked = process.get("capabilities") or {}
    given = set(asked.get("bounding", [])) & set(asked.get("permitted", asked.get("bounding", [])))
    return [Capabilities({name_of(name) for name in given} - without)]


def devices(rows: list[dict]) -> tuple[str, ...] | None:
    """``linux.resources.devices`` as rules, with the harmless ones that runc adds itself; None if everything may be opened in the end.

    As runc reads them: nothing is allowed at first, and a row of all kinds makes those before it void. Raises ``OciError``.
    """
    everything, allowed = False, {}
    for place, row in enumerate(rows):
        node, access, allow = *device(row, place), bool(row.get("allow"))
        if node == EVERY_DEVICE:
            everything, allowed = allow, {}
        elif not everything and allow:
            allowed[node] = allowed.get(node, set()) | access
        elif not everything:
            take_away(allowed, node, access, place)
        elif not allow:
            raise OciError(f"linux.resources.devices[{place}]: all were allowed before it; deny all first, then allow what may be opened")
    more = (
        f"{kind} {major}:{minor} {''.join(sorted(access, key='rwm'.index))}" for (kind, major, minor), access in allowed.items() if access
    )
    return None if everything else (*ALLOWED, *more)


def device(row: dict, place: int) -> tuple[tuple[str, str, str], set[str]]:
    """((kind, major, minor), what of it) of one row; a ``*`` is any. Raises ``OciError``."""
    kind, access = {"u": "c"}.get(row.get("type") or "a", row.get("type") or "a"), set(row.get("access") or "rwm")
    major, minor = ("*" if row.get(name) in (-1, None) else str(int(row[name])) for name in ("major", "minor"))
    if kind not in ("a", "b", "c") or not access <= set("rwm"):
        raise OciError(f"linux.resources.devices[{place}]: the type is a, b or c, the access of the letters r, w and m")
    if kind == "a" and row.get("allow") and (major, minor) != ("*", "*"):  # the kernel would overlook the numbers
        raise OciError(f"linux.resources.devices[{place}]: whoever allows one number says the type, b or c")
    return (kind, major, minor) if kind != "a" else EVERY_DEVICE, access


def take_away(allowed: dict, node: tuple[str, str, str], access: set[str], place: int) -> None:
    """What a row denies of the rows before it. Raises ``OciError`` for one device of many: the kernel's list has no holes."""
    for other in allowed:
        if covers(node, other):
            allowed[other] -= access
        elif meets(node, other) and allowed[other] & access:
            raise OciError(f"linux.resources.devices[{place}]: {' '.join(other)} was allowed before it, and no single one can be left out")


def covers(many: tuple[str, ...], one: tuple[str, ...]) -> bool:
    return all(word in ("*", other) for word, other in zip(many, one, strict=True))


def meets(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    return all("*" in pair or pair[0] == pair[1] for pair in zip(one, other, strict=True))


def cgroup(resources: dict, name: str) -> Cgroup:
    """``linux.resources`` in Docker's words."""
    memory, cpu, pids = (resources.get(key, {}) for key in ("memory", "cpu", "pids"))
    cpus = cpu["quota"] / cpu.get("period", PERIOD) if cpu.get("quota", 0) > 0 else None
    limit = memory.get("limit", -1)
    return Cgroup(
        memory=limit if limit > 0 else None, memory_swap=memory.get("swap"), cpus=cpus, cpuset=cpu.get("cpus") or None,
        pids=pids.get("limit") if pids.get("limit", 0) > 0 else None, name=name, devices=devices(resources.get("devices", [])),
    )  # fmt: skip


def device_rows(config: dict) -> list[dict]:
    return config.get("linux", {}).get("resources", {}).get("devices", [])


class Root:
    """``root``, ``mounts``, ``maskedPaths`` and ``readonlyPaths``.

    Where no cgroup filters devices (v2) they are closed by ``nodev`` on all but /dev itself and its terminals, and nobody may make one.
    """

    def __init__(self, config: dict, bundle: str):
        self.config, self.bundle = config, os.path.abspath(bundle)
        path = os.path.join(self.bundle, config["root"]["path"])
        if not os.path.isdir(path):
            raise OciError(f"root.path: {path} is not a folder")
        rules = devices(device_rows(config))
        self.unfiltered = rules is not None and not backend().filters_devices
        mounts = [self.mount(row) for row in config.get("mounts", []) if row.get("type") != CGROUP_MOUNT]
        if self.unfiltered and not any(os.path.normpath(one.target) == "/dev" for one in mounts):
            mounts.insert(0, DEV)  # the nodes that we make cannot lie in the root itself
        self.rootfs = RootFS([path], mounts=mounts, read_only=config["root"].get("readonly", False), bare=True)

    def mount(self, row: dict) -> Mount:
        options = list(row.get("options") or [])
        if unknown := set(options) & {"idmap", "ridmap", "tmpcopyup"}:
            raise OciError(f"mounts: {row['destination']}: the option {min(unknown)!r} is not carried out yet")
        if row.get("type") == "bind" or {"bind", "rbind"} & set(options):
            return self.bind(row, options)
        furnished = row["type"] == "devpts" or (row["type"] == "tmpfs" and os.path.normpath(row["destination"]) == "/dev")
        options += ["nodev"] if self.unfiltered and not furnished else []
        plain = ",".join(RECURSIVE.get(word, word) for word in options)  # below a new file system nothing is mounted yet
        return Mount(row["destination"], row["type"], row.get("source", ""), plain)

    def bind(self, row: dict, options: list[str]) -> Bind:
        """A word with an r before it is for the whole tree, the word alone for its topmost mount; what is a file system's is its own."""
        every, own = [RECURSIVE[word] for word in options if word in RECURSIVE], [word for word in options if word in PLAIN]
        if unknown := [word for word in options if word not in {*RECURSIVE, *PLAIN, *OF_THE_FILE_SYSTEM, "bind", "rbind"}]:
            raise OciError(f"mounts: {row['destination']}: a bind mount has no option {unknown[0]!r}")
        if self.unfiltered:
            every, own = [*every, "nodev"], [*own, "nodev"]
        source = os.path.join(self.bundle, row["source"])  # a relative one is meant from the bundle (config.md, Mounts)
        recursive = "rbind" in options or "bind" not in options
        return Bind(row["destination"], source=source, options=",".join(every), recursive=recursive, own=",".join(own))

    def steps(self) -> list[Step]:
        linux_part, root = self.config.get("linux", {}), self.rootfs.root
        nodes = device_steps(root)
        closed = (
            [Step("root", "restrict", (root, "nodev"), "a bundle may bring a node of the host's disk along")] if self.unfiltered else []
        )
        masks = mask_steps(root, linux_part.get("maskedPaths", []), linux_part.get("readonlyPaths", []))
        return self.rootfs.steps() + closed + nodes + masks + [OWN_NULL]


class User:
    """``process``: working directory, umask, rlimits, who runs it."""

    def __init__(self, process: dict):
        self.process = process

    def steps(self) -> list[Step]:
        user = self.process.get("user", {})
        steps = [
            Step("names", "make_cwd", (self.process.get("cwd", "/"),), "process.cwd"),
            Step("rights", "umask", (user.get("umask", 0o022),), "process.user; runc, too, takes this one if none is asked for"),
        ]
        for row in self.process.get("rlimits", []):
            steps.append(Step("rights", "setrlimit", (row["type"].removeprefix("RLIMIT_"), row["soft"], row["hard"]), "process.rlimits"))
        steps += [
            Step("rights", "setgroups", (user.get("additionalGids", []),), "process.user"),
            Step("rights", "setgid", (user.get("gid", 0),), "process.user"),
            Step("rights", "setuid", (user.get("uid", 0),), "process.user"),
        ]
        if self.process.get("noNewPrivileges"):
            steps.append(Step("rights", "no_new_privs", (), "process.noNewPrivileges"))
        return steps


def not_understood(config: dict) -> list[str]:
    """What the configuration asks for and this translation does not do yet: every word that nobody here reads."""
    found = []
    for path, known in UNDERSTOOD.items():
        part = config
        for name in filter(None, path.split(".")):
            part = part.get(name) or {}
        found += [f"{path}.{name}".lstrip(".") for name, value in part.items() if value and name not in known]
    more = set(devices(device_rows(config)) or ()) - set(ALLOWED)
    return found + (["linux.resources.devices"] if more and not backend().filters_devices else [])
