"""The words of an OCI ``config.json`` as ingredients. See the OCI runtime specification, config.md.

Thin on purpose: it understands what ``runc spec`` writes, and names what it does not understand instead of leaving it out in silence.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from lib.ingredients import Bind, Capabilities, Cgroup, Hostname, Join, Loopback, Mount, Namespaces, RootFS
from lib.ingredients.cgroups import ALLOWED, PERIOD, backend
from lib.ingredients.rootfs import OWN_NULL, device_steps, mask_steps
from lib.linux import PROPAGATION
from lib.process import Step
from lib.visible import Visible

KINDS = {"network": "net", "mount": "mnt"} | {kind: kind for kind in ("pid", "ipc", "uts", "cgroup", "user", "time")}
CGROUP_MOUNT = "cgroup"
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
    parts.append(cgroup(linux_part.get("resources", {}), name))
    return [*parts, Root(config, bundle), *capabilities_of(config["process"]), User(config["process"])]


def namespaces(rows: list[dict]) -> tuple[list[str], dict[str, str]]:
    """(new ones, kind → path of those to join)."""
    try:
        kinds = {KINDS[row["type"]]: row.get("path") for row in rows}
    except KeyError as error:
        raise OciError(f"linux.namespaces: unknown type {error}; known are {', '.join(KINDS)}") from None
    return [kind for kind, path in kinds.items() if not path], {kind: path for kind, path in kinds.items() if path}


def capabilities_of(process: dict) -> list:
    """``process.capabilities``: what is permitted is effective, too; none, if it says nothing of them, as runc does it.

    Raises ``ValueError`` for one that Linux does not have.
    """
    asked = process.get("capabilities") or {}
    return [Capabilities(set(asked.get("bounding", [])) & set(asked.get("permitted", asked.get("bounding", []))))]


def devices(rows: list[dict]) -> tuple[str, ...] | None:
    """``linux.resources.devices`` as rules, with the harmless ones that runc adds itself; None if all of them are allowed first."""
    if not rows:
        return ALLOWED
    if rows[0].get("allow") or rows[0].get("type", "a") != "a":
        return None
    given = (row for row in rows[1:] if row.get("allow"))
    more = (f"{row.get('type', 'a')} {number(row, 'major')}:{number(row, 'minor')} {row.get('access', 'rwm')}" for row in given)
    return (*ALLOWED, *more)


def number(row: dict, name: str) -> str:
    return "*" if row.get(name, -1) in (-1, None) else str(row[name])


def cgroup(resources: dict, name: str) -> Cgroup:
    """``linux.resources`` in Docker's words."""
    memory, cpu, pids = (resources.get(key, {}) for key in ("memory", "cpu", "pids"))
    cpus = cpu["quota"] / cpu.get("period", PERIOD) if cpu.get("quota", 0) > 0 else None
    limit = memory.get("limit", -1)
    return Cgroup(
        memory=limit if limit > 0 else None, memory_swap=memory.get("swap"), cpus=cpus, cpuset=cpu.get("cpus") or None,
        pids=pids.get("limit") if pids.get("limit", 0) > 0 else None, name=name, devices=devices(resources.get("devices", [])),
    )  # fmt: skip


class Root:
    """``root``, ``mounts``, ``maskedPaths`` and ``readonlyPaths``."""

    def __init__(self, config: dict, bundle: str):
        self.config, self.bundle = config, os.path.abspath(bundle)
        path = os.path.join(self.bundle, config["root"]["path"])
        if not os.path.isdir(path):
            raise OciError(f"root.path: {path} is not a folder")
        mounts = [self.mount(row) for row in config.get("mounts", []) if row.get("type") != CGROUP_MOUNT]
        own_dev = any(os.path.normpath(one.target) == "/dev" for one in mounts)  # else the nodes that we make lie in the root itself
        self.nodev = own_dev and not backend().filters_devices  # where the cgroup filters, the root is as runc leaves it
        self.rootfs = RootFS([path], mounts=mounts, read_only=config["root"].get("readonly", False), bare=True)

    def mount(self, row: dict) -> Mount:
        options = list(row.get("options") or [])
        if unknown := set(options) & {"idmap", "ridmap", "tmpcopyup"}:
            raise OciError(f"mounts: {row['destination']}: the option {min(unknown)!r} is not carried out yet")
        if row.get("type") == "bind" or {"bind", "rbind"} & set(options):
            return self.bind(row, options)
        plain = ",".join(RECURSIVE.get(word, word) for word in options)  # below a new file system nothing is mounted yet
        return Mount(row["destination"], row["type"], row.get("source", ""), plain)

    def bind(self, row: dict, options: list[str]) -> Bind:
        """A word with an r before it is for the whole tree, the word alone for its topmost mount; what is a file system's is its own."""
        every, own = [RECURSIVE[word] for word in options if word in RECURSIVE], [word for word in options if word in PLAIN]
        if unknown := [word for word in options if word not in {*RECURSIVE, *PLAIN, *OF_THE_FILE_SYSTEM, "bind", "rbind"}]:
            raise OciError(f"mounts: {row['destination']}: a bind mount has no option {unknown[0]!r}")
        source = os.path.join(self.bundle, row["source"])  # a relative one is meant from the bundle (config.md, Mounts)
        recursive = "rbind" in options or "bind" not in options
        return Bind(row["destination"], source=source, options=",".join(every), recursive=recursive, own=",".join(own))

    def steps(self) -> list[Step]:
        linux_part, root = self.config.get("linux", {}), self.rootfs.root
        nodes = device_steps(root)
        closed = [Step("root", "restrict", (root, "nodev"), "a bundle may bring a node of the host's disk along")] if self.nodev else []
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
    """What the configuration asks for and this translation does not do yet."""
    process, linux_part = config["process"], config.get("linux", {})
    asked = {
        "process.apparmorProfile": process.get("apparmorProfile"),
        "linux.seccomp": linux_part.get("seccomp"),
        "linux.resources.cpu.shares": linux_part.get("resources", {}).get("cpu", {}).get("shares"),
        "linux.resources.memory.reservation": linux_part.get("resources", {}).get("memory", {}).get("reservation"),
        "linux.sysctl": linux_part.get("sysctl"),
        "linux.uidMappings": linux_part.get("uidMappings"),
        "linux.rootfsPropagation": linux_part.get("rootfsPropagation"),
        "process.oomScoreAdj": process.get("oomScoreAdj"),
        "hooks": config.get("hooks"),
        "process.terminal": process.get("terminal"),
    }
    return [word for word, value in asked.items() if value]
