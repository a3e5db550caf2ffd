"""Many containers that live on, beside Docker's: looked at (``stats``, ``top``), asked after their health, and files copied in and out.

All of it stands in a file system in memory that is made for the bench. On a disk it matters to whoever comes next how much was deleted just
before, and one of the two always comes next.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lib import bases, linux
from lib.lab import peers
from lib.lab.bench.commandbench import IMAGE, THEIRS, a_store, daemons, ours, proportional, rows
from lib.lab.bench.table import Row
from lib.lab.bench.timing import interleaved
from lib.process import scratch

CROWD = 50  # containers of each
FILES = 10_000
EACH_SECOND = ("--health-cmd", "true", "--health-interval", "1s")
SECONDS = 20  # for which they are asked
TICKS = slice(11, 15)  # of proc_pid_stat(5), from the state on: utime, stime, and those of all whom it has waited for


def engine(rounds: int = 5, crowd: int = CROWD, files: int = FILES, seconds: float = SECONDS) -> list[Row]:
    """All rows of this module."""
    with in_memory() as place, a_store(), peers.dockerd() as docker:
        docker.import_folder(bases.busybox(), THEIRS)
        return [*looking(docker, rounds, crowd), *copying(docker, place, rounds, files), *asking(docker, crowd, seconds)]


@contextmanager
def in_memory() -> Iterator[Path]:
    """A file system in which nothing was ever deleted; the stores of both are in it."""
    before = os.environ.get("SUITCASE_STORE")
    with scratch("bench") as place:
        linux.mount("tmpfs", place, "tmpfs", "mode=700")
        os.environ["SUITCASE_STORE"] = f"{place}/store"
        try:
            yield Path(place)
        finally:
            os.environ.pop("SUITCASE_STORE")
            os.environ |= {"SUITCASE_STORE": before} if before else {}
            linux.umount(place)


@contextmanager
def crowd_of(call: Callable, image: str, count: int, *more: str) -> Iterator[list[str]]:
    """So many that run; their names."""
    names = [f"bench-{number}" for number in range(count)]
    try:
        for name in names:
            call("run", "-d", "--network", "none", *more, "--name", name, image, "sleep", "3600")
        yield names
    finally:
        call("rm", "-f", *names)


def looking(docker: peers.Docker, rounds: int, crowd: int) -> list[Row]:
    """``stats`` of all of them; ``top`` of each."""
    with crowd_of(ours, IMAGE, crowd) as mine, crowd_of(docker.call, THEIRS, crowd) as theirs:
        one, other = itertools.cycle(mine), itertools.cycle(theirs)
        stats = {"ours": lambda: ours("stats", "--no-stream"), "docker stats": lambda: docker.call("stats", "--no-stream")}
        top = {"ours": lambda: ours("top", next(one)), "docker top": lambda: docker.call("top", next(other))}
        return [
            *rows(f"suitcase stats --no-stream of {crowd} containers", interleaved(stats, rounds), {"docker stats": 1}),
            *rows(f"suitcase top, each of {crowd} containers", interleaved(top, crowd), {"docker top": 1}),
        ]


def copying(docker: peers.Docker, place: Path, rounds: int, files: int) -> list[Row]:
    """A tree of small files; each time to a place where there was nothing."""
    source = place / "files"
    for number in range(files):
        path = source / str(number % 100) / str(number)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{number}\n")
    fresh = itertools.count()
    with crowd_of(ours, IMAGE, 1) as (mine,), crowd_of(docker.call, THEIRS, 1) as (theirs,):
        sides = {"ours": (ours, mine), "docker cp": (docker.call, theirs)}
        into = {
            who: lambda call=call, name=name: call("cp", str(source), f"{name}:/in-{next(fresh)}") for who, (call, name) in sides.items()
        }
        times = interleaved(into, rounds)
        for call, name in sides.values():
            call("cp", str(source), f"{name}:/files")
        out = {
            who: lambda call=call, name=name: call("cp", f"{name}:/files", f"{place}/out-{next(fresh)}")
            for who, (call, name) in sides.items()
        }
        return [
            *rows(f"suitcase cp of {files} files into a container", times, {"docker cp": 0.5}),
            *rows(f"suitcase cp of {files} files out of a container", interleaved(out, rounds), {"docker cp": 0.5}),
        ]


def asking(docker: peers.Docker, crowd: int, seconds: float) -> list[Row]:
    """CPU seconds, those of the probes among them. One crowd after the other, so that neither is held up by the other's."""
    with crowd_of(ours, IMAGE, crowd, *EACH_SECOND):
        mine, share = spent(daemons, seconds), sum(map(proportional, daemons())) / 1e6
    with crowd_of(docker.call, THEIRS, crowd, *EACH_SECOND):
        theirs = spent(lambda: processes_of(docker), seconds)
    asked = f"{crowd} containers asked after their health each second"
    return [
        Row(f"{asked}, for {seconds:g} s", "05", mine, "CPU s", peer=theirs, peer_name="dockerd and its shims", reach=1),
        Row(f"{asked}, the share of memory of keeper and manager", "05", share, "MB", reach=80),
    ]


def spent(those: Callable[[], list[int]], seconds: float) -> float:
    """CPU seconds of these processes and of all that they wait for, meanwhile."""
    before = {pid: ticks(pid) for pid in those()}
    time.sleep(seconds)
    return sum(ticks(pid) - before.get(pid, 0) for pid in those()) / os.sysconf("SC_CLK_TCK")


def ticks(pid: int) -> int:
    return sum(map(int, linux.stat_of(pid)[TICKS]))


def processes_of(docker: peers.Docker) -> list[int]:
    """The daemon, its containerd, and a shim of each container: all are told where its sockets are."""
    place = os.path.dirname(docker.socket.removeprefix("unix://")).encode()
    return [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/cmdline") if is_daemon(content(path), place)]


def content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def is_daemon(command: bytes, place: bytes) -> bool:
    """No program that lives for a moment: whoever started it is told of its time when it has ended."""
    program, _, words = command.partition(b"\0")
    return place in words and os.path.basename(program).startswith((b"dockerd", b"containerd"))
