"""The same thing done by others: podman, runc, and util-linux, where they are on this machine.

A comparison never decides whether a chapter goes on. Where the peer is missing, or cannot work here, the cell says so
in one line; with ``SUITCASE_PEERS=required`` (the project's own tests set it) that is an error instead.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from lib import bases, state

PODMAN = ["podman", "--cgroup-manager", "cgroupfs", "--runtime", "runc", "--events-backend", "none"]


class Missing(RuntimeError):
    """The peer is not here, or cannot work here."""


def ask(argv: list[str], timeout: float = 20, check: bool = False) -> subprocess.CompletedProcess:
    """Run a peer's command. Raises ``Missing`` if it is not installed, takes too long, or (with ``check``) fails."""
    if shutil.which(argv[0]) is None:
        raise Missing(f"{argv[0]} is not installed here")
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        raise Missing(f"{argv[0]} did not answer within {timeout:g} s") from None
    if check and done.returncode:
        raise Missing(f"{argv[0]} cannot do it here: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
    return done


def podman_run(command: list[str], *flags: str) -> tuple[int, str, dict]:
    """``podman run`` of the busybox base with Docker's flags: (exit code, output, its record of how it ended)."""
    folder = Path(tempfile.mkdtemp(prefix=state.temporary("podman")))
    name = folder.name
    limits = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096", "--network", "none", "--name", name]
    try:
        done = ask([*PODMAN, "run", *limits, *flags, "--rootfs", f"{bases.busybox()}:O", *command])
        seen = ask([*PODMAN, "inspect", name], check=True)
        return done.returncode, done.stdout, json.loads(seen.stdout)[0]["State"]
    finally:
        if shutil.which("podman"):
            subprocess.run([*PODMAN, "rm", "-f", "-t", "0", name], capture_output=True, timeout=60)
        shutil.rmtree(folder)


def runc_run(command: list[str]) -> str:
    """``runc run`` of the busybox base with the configuration that ``runc spec`` writes: its output."""
    with tempfile.TemporaryDirectory(prefix=state.temporary("runc")) as bundle:
        ask(["runc", "spec", "--bundle", bundle], check=True)
        path = Path(bundle, "config.json")
        config = json.loads(path.read_text())
        config["process"] |= {"terminal": False, "args": command, "rlimits": []}
        config["root"] = {"path": bases.busybox(), "readonly": True}
        path.write_text(json.dumps(config))
        return ask(["runc", "run", "--bundle", bundle, Path(bundle).name], check=True).stdout


def compare(run_peer):
    """Call ``run_peer``; a missing peer is one printed line and None, unless peers are required."""
    try:
        return run_peer()
    except Missing as reason:
        if os.environ.get("SUITCASE_PEERS") == "required":
            raise
        print(f"no comparison: {reason}")
        return None
