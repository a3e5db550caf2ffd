"""The five verbs of an OCI runtime: create, start, state, kill, delete. See the OCI runtime specification, runtime.md."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

from lib import linux, state
from lib.oci.translation import OciError, ingredients, load, not_understood
from lib.process import Plan, Step, signal_number

VERSION = "1.0.2"


def place(name: str) -> Path:
    """The container's folder. Its name becomes a part of paths, so it is checked first (runc's rule)."""
    if not re.fullmatch(r"[\w+.][\w+.-]*", name, re.ASCII) or name in (".", ".."):
        raise OciError(f"{name!r} is not a container name: letters, digits, _ + . and -, and no - at the start")
    folder = state.our_runtime_dir() / f"oci-{name}"
    if folder.exists():
        state.check_ours(folder)  # somebody else's would say what to remove, and whom to kill
    return folder


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
    process = start_waiting(config, bundle, name, folder)
    about = {"id": name, "pid": process.pid, "start_time": state.start_time(process.pid), "bundle": os.path.abspath(bundle)}
    draft = folder / "state.new"
    draft.write_text(json.dumps(about | {"undos": process.undos, "annotations": config.get("annotations", {})}))
    draft.replace(folder / "state.json")  # whole or not at all
    process.let_go()


def start_waiting(config: dict, bundle: str, name: str, folder: Path):
    try:
        for word in not_understood(config):
            print(f"oci: {word} is not carried out yet", file=sys.stderr)
        env = dict(word.partition("=")[::2] for word in config["process"].get("env", []))
        parts = [Gate(str(folder)), *ingredients(config, bundle, f"oci-{name}")]
        plan = Plan(config["process"]["args"], parts, env, gate="gate", name=f"oci-{name}")
    except (KeyError, TypeError, AttributeError, IndexError) as error:  # something has another shape than config.md says
        raise OciError(f"{bundle}/config.json is no OCI configuration: {error!r}") from None
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
    """created, running or stopped: from the kernel, and from our own note that it was started. (Its name is its own to choose.)"""
    try:
        rest = linux.read(f"/proc/{about['pid']}/stat").rpartition(")")[2]
    except (FileNotFoundError, ProcessLookupError):
        return "stopped"
    if rest.split()[0] in "ZX" or state.start_time(about["pid"]) != about["start_time"]:
        return "stopped"
    return "running" if (place(about["id"]) / "started").exists() else "created"


def start(name: str) -> None:
    about = facts(name)
    if (now := status(about)) != "created":
        raise OciError(f"cannot start container {name!r}: it is {now}")
    with suppress(FileExistsError):
        os.close(os.open(place(name) / "started", os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        open_gate(place(name) / "start", b"s")
    deadline = time.monotonic() + 5
    while open_gate(place(name) / "start") and time.monotonic() < deadline:  # its exec closes the other end
        time.sleep(0.001)


def open_gate(pipe: Path, word: bytes = b"") -> bool:
    """Write to the pipe that a created process waits at; False if nobody waits there any more. Never waits itself. See fifo(7)."""
    try:
        gate = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return False
        raise
    try:
        os.write(gate, word)
    finally:
        os.close(gate)
    return True


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
        value = signal_number(number)
    except ValueError as error:
        raise OciError(str(error)) from None
    with suppress(ProcessLookupError), state.same_process(about) as pidfd:
        signal.pidfd_send_signal(pidfd, value)
        if value == signal.SIGKILL:
            state.thaw_groups(about["undos"])  # a paused container goes on, to its end
            state.kill_tracers(about["pid"])


def delete(name: str, force: bool = False) -> None:
    if force and not (place(name) / "state.json").exists():
        return  # as rm -f, and as runc
    about = facts(name)
    if (now := status(about)) != "stopped":
        if not force:
            raise OciError(f"cannot delete container {name!r}: it is {now} (kill it first, or use --force)")
        state.kill_recorded(about)
    with suppress(ChildProcessError):
        os.waitid(os.P_PID, about["pid"], os.WEXITED | os.WNOHANG)  # only if this very process made it; else somebody else waits for it
    state.undo_all(about["undos"])
    state.unlink(str(state.runtime_dir() / f"oci-{name}.json"))
