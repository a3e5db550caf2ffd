"""The command ``suitcase`` beside ``docker`` and ``podman``: run, exec, ps, and the way of a container's output to the disk.

Everything is measured as it is typed, in a process of its own; a daemon's first start is nobody's row.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import lib
from lib import bases, linux, state
from lib.engine.daemons import calling
from lib.lab import peers
from lib.lab.bench.table import Row
from lib.lab.bench.timing import interleaved, spread, timed
from lib.process import scratch

COMMAND = [sys.executable, "-I", "-S", "-X", "utf8", f"{lib.__path__[0]}/cli/__main__.py"]
IMAGE = "localhost/busybox:static"  # ours
THEIRS = "bench-base"
ROOTFS = ("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096", "--rootfs", f"{bases.busybox()}:O")  # as peers.podman_run
SHOWN = 100  # containers in the list
PRINTED = 200 << 20  # bytes of one container's output
PRINT = f"yes 0123456789012345678901234567890123456789012345678 | head -c {PRINTED}"
CROWD = 200  # containers that keeper and manager look after


def ours(*words: str) -> str:
    return said([*COMMAND, *words])


def podman(*words: str) -> str:
    return said([*peers.PODMAN, *words])


def said(argv: list[str]) -> str:
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise RuntimeError(f"{' '.join(argv)} ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout.strip()


@contextmanager
def a_store() -> Iterator[None]:
    """A store for the bench alone; its containers go with it, and so do their keeper and manager."""
    before = os.environ.get("SUITCASE_STORE")
    with scratch("bench", state.folder("bases").parent) as place:
        os.environ["SUITCASE_STORE"] = place
        try:
            ours("run", "--rm", IMAGE, "true")
            yield
        finally:
            if names := ours("ps", "-aq").split():
                ours("rm", "-f", *names)
            calling.rest()
            os.environ.pop("SUITCASE_STORE")
            os.environ |= {"SUITCASE_STORE": before} if before else {}


def commands(rounds: int, shown: int = SHOWN, crowd: int = CROWD) -> list[Row]:
    """All rows of this module."""
    with a_store(), peers.dockerd() as docker:
        docker.import_folder(bases.busybox(), THEIRS)
        return [*running(docker, rounds), *joining(docker, rounds), *printing(docker), *listing(docker, rounds, shown), *minding(crowd)]


def rows(name: str, times: dict[str, list[float]], reaches: dict[str, float]) -> list[Row]:
    mine = times.pop("ours")
    return [
        Row(name, "04", statistics.median(mine), "ms", spread(mine), statistics.median(theirs), peer, reaches.get(peer))
        for peer, theirs in times.items()
    ]


def running(docker: peers.Docker, rounds: int) -> list[Row]:
    works = {
        "ours": lambda: ours("run", "--rm", "--network", "none", IMAGE, "true"),
        "docker run": lambda: docker.call("run", "--rm", "--network", "none", THEIRS, "true"),
        "podman run": lambda: podman("run", "--rm", "--network", "none", *ROOTFS, "true"),
    }
    return rows("suitcase run --rm, start to exit", interleaved(works, rounds), {"docker run": 0.4, "podman run": 0.4})


def joining(docker: peers.Docker, rounds: int) -> list[Row]:
    name = state.temporary("bench")
    ours("run", "-d", "--name", name, IMAGE, "sleep", "3600")
    docker.call("run", "-d", "--network", "none", "--name", name, THEIRS, "sleep", "3600")
    works = {"ours": lambda: ours("exec", name, "true"), "docker exec": lambda: docker.call("exec", name, "true")}
    times = interleaved(works, rounds)
    ours("rm", "-f", name)
    docker.call("rm", "-f", name)
    return rows("suitcase exec", times, {"docker exec": 1})


def printing(docker: peers.Docker, rounds: int = 3) -> list[Row]:
    """From the start of a container that prints to its end, when the log has all of it."""

    def logged(call, *image: str) -> None:
        ident = call("run", "-d", "--network", "none", *image, "sh", "-c", PRINT)
        call("wait", ident)
        call("rm", ident)

    works = {"ours": lambda: logged(ours, IMAGE), "docker, json-file": lambda: logged(docker.call, THEIRS)}
    return rows(f"{PRINTED >> 20} MiB of output, all of it in the log", interleaved(works, rounds), {"docker, json-file": 1})


def listing(docker: peers.Docker, rounds: int, shown: int) -> list[Row]:
    for _ in range(shown):
        ours("create", IMAGE, "true")
        docker.call("create", "--network", "none", THEIRS, "true")
        podman("create", "--label", "bench", "--network", "none", *ROOTFS, "true")
    try:
        works = {
            "ours": lambda: ours("ps", "-a"),
            "docker ps": lambda: docker.call("ps", "-a"),
            "podman ps": lambda: podman("ps", "-a"),
            "python": lambda: said([sys.executable, "-c", "pass"]),
        }
        times = interleaved(works, rounds)
    finally:
        podman("rm", "-f", *podman("ps", "-aq", "--filter", "label=bench").split())
        ours("rm", *ours("ps", "-aq").split())
    beyond = statistics.median(times["ours"]) - statistics.median(times.pop("python"))
    found = rows(f"suitcase ps with {shown} containers", times, {"docker ps": 1.5, "podman ps": 1.5})
    return [*found, Row(f"suitcase ps with {shown} containers, beyond a bare Python", "04", beyond, "ms", reach=60)]


def minding(crowd: int) -> list[Row]:
    """The memory of keeper and manager, as their share of it (PSS, proc_pid_smaps(5))."""
    took = timed(lambda: [ours("run", "-d", IMAGE, "sleep", "3600") for _ in range(crowd)]) / crowd
    time.sleep(1)
    share = sum(proportional(pid) for pid in daemons()) / 1e6
    return [
        Row(f"keeper and manager of {crowd} containers, their share of memory", "04", share, "MB", reach=80),
        Row(f"suitcase run -d, each of {crowd}", "04", took, "ms"),
    ]


def daemons() -> list[int]:
    """Those of this store: whoever is behind the doors. A child that the keeper is just making has its words, too, and is none."""
    found = []
    for name in ("keeper", "manager"):
        with calling.knock(name) as line:
            found.append(linux.peer_of(line))
    return found


def proportional(pid: int) -> int:
    line = next(line for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines() if line.startswith("Pss:"))
    return int(line.split()[1]) << 10
