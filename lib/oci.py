"""An OCI runtime as a translation of words: ``config.json`` in, the same plan as ever, state JSON out.

Thin on purpose: it understands what ``runc spec`` writes, and names what it does not understand instead of
leaving it out in silence. See the OCI runtime specification, config.md and runtime.md.

    python -m lib.oci create --bundle DIR ID | start ID | state ID | kill ID [SIGNAL] | delete ID
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

from lib import linux, state
from lib.ingredients import Bind, Cgroup, Hostname, Join, Loopback, Mount, Namespaces, RootFS
from lib.ingredients.cgroups import PERIOD
from lib.ingredients.rootfs import device_steps, mask_steps
from lib.process import Plan, Step, StepError

VERSION = "1.0.2"
KINDS = {"network": "net", "mount": "mnt"} | {kind: kind for kind in ("pid", "ipc", "uts", "cgroup", "user", "time")}
CGROUP_MOUNT = "cgroup"


class OciError(Exception):
    """A bundle or a command that cannot be carried out; the message names the place and the way out."""


# -- words ---------------------------------------------------------------------------------


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
    parts: list = [Namespaces(*made)]
    if joined:
        parts.append(Join(paths=joined))
    if config.get("hostname"):
        parts.append(Hostname(config["hostname"]))
    if "net" in made:
        parts.append(Loopback())
    parts.append(cgroup(linux_part.get("resources", {}), name))
    return [*parts, Root(config, bundle), User(config["process"])]


def namespaces(rows: list[dict]) -> tuple[list[str], dict[str, str]]:
    """(new ones, kind → path of those to join)."""
    try:
        kinds = {KINDS[row["type"]]: row.get("path") for row in rows}
    except KeyError as error:
        raise OciError(f"linux.namespaces: unknown type {error}; known are {', '.join(KINDS)}") from None
    return [kind for kind, path in kinds.items() if not path], {kind: path for kind, path in kinds.items() if path}


def cgroup(resources: dict, name: str) -> Cgroup:
    """``linux.resources`` in Docker's words. ``devices`` is chapter 6's."""
    memory, cpu, pids = (resources.get(key, {}) for key in ("memory", "cpu", "pids"))
    cpus = cpu["quota"] / cpu.get("period", PERIOD) if cpu.get("quota", 0) > 0 else None
    limit = memory.get("limit", -1)
    return Cgroup(
        memory=limit if limit > 0 else None, memory_swap=memory.get("swap"), cpus=cpus, cpuset=cpu.get("cpus") or None,
        pids=pids.get("limit") if pids.get("limit", 0) > 0 else None, name=name,
    )  # fmt: skip


class Root:
    """``root``, ``mounts``, ``maskedPaths`` and ``readonlyPaths``."""

    def __init__(self, config: dict, bundle: str):
        self.config, self.bundle = config, os.path.abspath(bundle)
        path = os.path.join(self.bundle, config["root"]["path"])
        if not os.path.isdir(path):
            raise OciError(f"root.path: {path} is not a folder")
        mounts = [self.mount(row) for row in config.get("mounts", []) if row.get("type") != CGROUP_MOUNT]
        self.rootfs = RootFS([path], mounts=mounts, read_only=config["root"].get("readonly", False), bare=True)

    def mount(self, row: dict) -> Mount:
        options = [word for word in row.get("options", []) if word not in ("relatime", "rw")]
        if row.get("type") == "bind" or {"bind", "rbind"} & set(options):
            plain = [word for word in options if word not in ("bind", "rbind", "rprivate", "private")]
            source = os.path.join(self.bundle, row["source"])  # a relative one is meant from the bundle (config.md, Mounts)
            return Bind(row["destination"], source=source, options=",".join(plain))
        return Mount(row["destination"], row["type"], row.get("source", ""), ",".join(options))

    def steps(self) -> list[Step]:
        linux_part, root = self.config.get("linux", {}), self.rootfs.root
        nodes = device_steps(root)
        masks = mask_steps(root, linux_part.get("maskedPaths", []), linux_part.get("readonlyPaths", []))
        return self.rootfs.steps() + nodes + masks


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
        "process.capabilities": process.get("capabilities"),
        "process.apparmorProfile": process.get("apparmorProfile"),
        "linux.seccomp": linux_part.get("seccomp"),
        "linux.resources.devices": linux_part.get("resources", {}).get("devices"),
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


# -- the five verbs --------------------------------------------------------------------------


def place(name: str) -> Path:
    """The container's folder. Its name becomes a part of paths, so it is checked first (runc's rule)."""
    if not re.fullmatch(r"[\w+.][\w+.-]*", name, re.ASCII) or name in (".", ".."):
        raise OciError(f"{name!r} is no container name: letters, digits, _ + . and -, and no - at the start")
    return state.runtime_dir() / f"oci-{name}"


def facts(name: str) -> dict:
    try:
        return json.loads((place(name) / "state.json").read_text())
    except FileNotFoundError:
        raise OciError(f"container {name!r} does not exist") from None


def create(name: str, bundle: str) -> None:
    """Set everything up and leave the process waiting; it outlives this caller."""
    config, folder = load(bundle), place(name)
    if folder.exists():
        raise OciError(f"container {name!r} exists already: delete it first, or choose another name")
    for word in not_understood(config):
        print(f"oci: {word} is not carried out yet", file=sys.stderr)
    process = start_waiting(config, bundle, name, folder)
    about = {"pid": process.pid, "start_time": state.start_time(process.pid), "bundle": os.path.abspath(bundle)}
    draft = folder / "state.new"
    draft.write_text(json.dumps(about | {"undos": process.undos, "annotations": config.get("annotations", {})}))
    draft.replace(folder / "state.json")  # whole or not at all
    process.let_go()


def start_waiting(config: dict, bundle: str, name: str, folder: Path):
    gate = Gate(str(folder))
    env = dict(word.partition("=")[::2] for word in config["process"].get("env", []))
    plan = Plan(config["process"]["args"], [gate, *ingredients(config, bundle, f"oci-{name}")], env, gate="gate", name=f"oci-{name}")
    return plan.create(0, 1, 2)


class Gate:
    """A folder with a named pipe that the process waits at, so that another program can start it; it goes with the container."""

    def __init__(self, folder: str):
        self.folder = folder

    def steps(self) -> list[Step]:
        pipe = f"{self.folder}/start"
        return [
            Step("prepare", "mkdir", (self.folder,), "the container's own, until delete", undo=(("rmtree", self.folder),)),
            Step("prepare", "mkfifo", (pipe,), "a named pipe"),
            Step("prepare", "open_rw", (pipe,), "start writes one byte here", gives="gate"),
        ]


def status(about: dict) -> str:
    """created, running or stopped, from the process itself."""
    try:
        name, _, rest = linux.read(f"/proc/{about['pid']}/stat").rpartition(")")
    except (FileNotFoundError, ProcessLookupError):
        return "stopped"
    if rest.split()[0] in "ZX" or state.start_time(about["pid"]) != about["start_time"]:
        return "stopped"
    return "created" if "suitcase:wait" in name else "running"


def start(name: str) -> None:
    about = facts(name)
    if (now := status(about)) != "created":
        raise OciError(f"cannot start container {name!r}: it is {now}")
    with open(place(name) / "start", "wb", buffering=0) as gate:
        gate.write(b"s")
    deadline = time.monotonic() + 5
    while status(about) == "created" and time.monotonic() < deadline:
        time.sleep(0.001)


def state_json(name: str) -> str:
    """The state as the specification wants it (runtime.md, State)."""
    about = facts(name)
    now = status(about)
    shown = {"ociVersion": VERSION, "id": name, "status": now, "pid": 0 if now == "stopped" else about["pid"]}
    return json.dumps(shown | {"bundle": about["bundle"], "annotations": about["annotations"]}, indent=2)


def kill(name: str, number: str = "TERM") -> None:
    about = facts(name)
    if status(about) == "stopped":
        raise OciError(f"cannot kill container {name!r}: it is stopped")
    try:
        value = signal.Signals(int(number)) if number.isdigit() else signal.Signals[f"SIG{number.upper().removeprefix('SIG')}"]
    except (KeyError, ValueError):
        raise OciError(f"no signal is called {number!r}: kill -l lists them") from None
    with suppress(ProcessLookupError), state.same_process(about) as pidfd:
        signal.pidfd_send_signal(pidfd, value)


def delete(name: str, force: bool = False) -> None:
    about = facts(name)
    if (now := status(about)) != "stopped":
        if not force:
            raise OciError(f"cannot delete container {name!r}: it is {now} (kill it first, or use --force)")
        state.kill_recorded(about)
    with suppress(ChildProcessError):
        os.waitpid(about["pid"], 0)  # only if this very process made it; else somebody else waits for it
    state.undo_all(about["undos"])
    state.unlink(str(state.runtime_dir() / f"oci-{name}.json"))


def main(argv: list[str]) -> int:
    """The command line; exit code 1 with one line on stderr when something is wrong."""
    words = [word for word in argv if not word.startswith("-")]
    try:
        match argv:
            case ["create", "--bundle" | "-b", bundle, name]:
                create(name, bundle)
            case ["start", name]:
                start(name)
            case ["state", name]:
                print(state_json(name))
            case ["kill", name, *number]:
                kill(name, *number)
            case ["delete", *_] if len(words) == 2:
                delete(words[1], force="--force" in argv or "-f" in argv)
            case _:
                print(__doc__.split("\n\n")[-1].strip(), file=sys.stderr)
                return 2
    except (OciError, StepError, ValueError) as error:
        print(f"oci: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
