"""Many idle containers at once: what each start, each removal and each container's memory costs, ours beside Docker's."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

from lib import bases
from lib.advice import mountinfo
from lib.container import Container, start
from lib.lab import peers
from lib.lab.bench.startbench import run_ours
from lib.lab.bench.table import Row
from lib.lab.bench.timing import available, spread, timed
from lib.process import remove_all


@dataclass
class Crowd:
    """What many idle containers cost: milliseconds of each start, of each removal, bytes of memory each, lines in mount tables."""

    starts: list[float]
    removal: float
    memory: float
    mounts: int


def our_crowd(count: int) -> Crowd:
    boxes, starts = [], []
    run_ours()  # the starter is there, the base is cached
    lines, before = mount_lines(), available()
    try:
        for _ in range(count):
            starts.append(timed(lambda: boxes.append(start("busybox", ["sleep", "3600"]))))
        time.sleep(1)
        memory, grown = (before - available()) / count, mount_lines() - lines
    finally:
        removal = timed(remove_all) / count
    return Crowd(starts, removal, memory, grown)


def mount_lines() -> int:
    """Lines in the mount tables of this process and of its starter."""
    from lib.process import Starter

    return len(mountinfo()) + len(mountinfo(str(Starter.current().process.pid)))


def docker_crowd(docker: peers.Docker, count: int) -> Crowd:
    before, starts = available(), []
    for number in range(count):
        name = f"bench-{number}"
        starts.append(timed(lambda name=name: docker.call("run", "-d", "--network=none", "--name", name, "bench-base", "sleep", "3600")))
    time.sleep(1)
    memory = (before - available()) / count
    names = [f"bench-{number}" for number in range(count)]
    return Crowd(starts, timed(lambda: docker.call("rm", "-f", *names)) / count, memory, 0)


def crowds(count: int, docker_count: int) -> list[Row]:
    """``count`` of ours alive at once, then fewer of Docker's; both are divided by their number."""
    ours = our_crowd(count)
    with peers.dockerd() as docker:
        docker.import_folder(bases.busybox(), "bench-base")
        theirs = docker_crowd(docker, docker_count)
    first, last = statistics.median(ours.starts[:50]), statistics.median(ours.starts[-50:])
    version = Container("busybox", ["true"]).cgroup.backend.version
    mean, theirs_mean, mb = statistics.mean(ours.starts), statistics.mean(theirs.starts), 1e6
    return [
        Row(f"start of the last 50 of {count} alive", "02", last, "ms", spread(ours.starts[-50:]), first, "the first 50", 1.3),
        Row(f"start of each of {count}", "02", mean, "ms", spread(ours.starts), theirs_mean, "docker run -d", 0.03),
        Row("memory of an idle container", "02", ours.memory / mb, "MB", 0, theirs.memory / mb, "docker run -d"),
        Row("memory of an idle container", "02", ours.memory / mb, "MB", 0, reach=0.5 if version == 2 else 0.6),
        Row("removal of each", "02", ours.removal, "ms", 0, theirs.removal, "docker rm -f"),
        Row("removal of each", "02", ours.removal, "ms", reach=3),
        Row(f"lines in mount tables for {count} containers", "02", ours.mounts, "lines", reach=0),
    ]
