"""``suitcase compose`` beside the real Docker Compose: a stack of five services, and many replicas of one.

Both live in a network namespace made for the bench, and in a file system in memory (see ``enginebench``); images, files and probes are the
same. What the programs themselves need until they are healthy is nobody's merit, so it is taken off both sides: in each round they are
started by hand, too, each when those are healthy that it depends on, with no engine at all.
"""

from __future__ import annotations

import os
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from lib import bases, linux
from lib.compose.model import Service
from lib.compose.reading import Request, load
from lib.compose.services import naming
from lib.engine.naming import shortnames
from lib.images import Library, Store, archive
from lib.lab import peers
from lib.lab.bench.commandbench import COMMAND, IMAGE, THEIRS, a_store, ours, said
from lib.lab.bench.enginebench import in_memory
from lib.lab.bench.table import Row
from lib.lab.bench.timing import spread, timed
from lib.lab.chapters import ch05
from lib.lab.chapters.places import Place
from lib.process import scratch

SHOP = Path(ch05.__path__[0]) / "shop"
DEBIAN = "localhost/debian:shop"
BUILT = {"web": "web", "api": "app", "worker": "app", "queue": "queue", "db": "db"}  # service → the folder of its image
PEER = "Docker Compose"
REAL = Path(sys.executable).parent / "docker-compose"
REPLICAS = 100
SETTLES = 0.5  # seconds for what is taken apart after a round
# So that both ask as often: dockerd 20.10 knows no interval for the start, and where that is left out, a newer one takes 5 seconds.
OFTEN = {"ours": "interval: 100ms, start_interval: 100ms", PEER: "interval: 100ms, start_interval: !reset null"}
SMALL = """
name: bench
services:
  web: &box {image: IMAGE, stop_signal: SIGKILL, command: sleep 3600, depends_on: {api: {condition: service_healthy}}}
  api: &server
    <<: *box
    command: sh -c 'touch /tmp/open; exec sleep 3600'
    healthcheck: {test: test -e /tmp/open, interval: 100ms}
    depends_on: &ready {db: {condition: service_healthy}, queue: {condition: service_healthy}}
  worker: {<<: *box, depends_on: *ready}
  queue: {<<: *server, depends_on: {}}
  db: {<<: *server, depends_on: {}}
"""
MANY = """
name: bench
services:
  one: {image: IMAGE, stop_signal: SIGKILL, command: sleep 3600}
"""


def composed(rounds: int = 5, replicas: int = REPLICAS, crowds: int = 2, small: bool = False) -> list[Row]:
    """All rows of this module; ``small``: a stack of busybox instead of the shop."""
    debian = "" if small else bases.find("shop")  # before the store is another one
    host = Place("host")
    try:
        with host, in_memory() as memory, a_store(), peers.dockerd(network=True) as docker:
            sides = Sides(docker, memory)
            docker.import_folder(bases.busybox(), THEIRS)
            stack = sides.written("small", SMALL) if small else shop(sides, debian)
            with hand_over(stack, memory) as by_hand:
                found = of_stack(sides, stack, by_hand, rounds)
            return [*found, *of_crowd(sides, replicas, crowds)]
    finally:
        host.close()


@dataclass
class Sides:
    """Who is measured: the call of each, and each one's files, which differ only in how the image of busybox is called."""

    docker: peers.Docker
    place: Path

    def written(self, name: str, text: str) -> dict[str, list[str]]:
        files = {}
        for who, image in (("ours", IMAGE), (PEER, THEIRS)):
            path = self.place / f"{name}-{image.partition('/')[0]}.yaml"
            path.write_text(text.replace("IMAGE", image))
            files[who] = ["-f", str(path)]
        return files

    def call(self, who: str, files: list[str], *words: str) -> str:
        begin = [*COMMAND, "compose"] if who == "ours" else [str(REAL)]
        before = os.environ.get("DOCKER_HOST")
        os.environ["DOCKER_HOST"] = self.docker.socket
        try:
            return said([*begin, *files, "--progress", "quiet", *words])
        finally:
            os.environ.pop("DOCKER_HOST")
            os.environ |= {"DOCKER_HOST": before} if before else {}


def shop(sides: Sides, debian: str) -> dict[str, list[str]]:
    """Chapter 5's shop: its images are made by our builder, and handed to Docker."""
    archive.from_folder(Library(Store()), debian, DEBIAN, shortnames.SHELL)
    folder = sides.place / "shop"
    shutil.copytree(SHOP, folder)
    images = [f"bench-{name}" for name in dict.fromkeys(BUILT.values())]
    for image in images:
        ours("build", "-t", image, str(folder / image.removeprefix("bench-")))
    ours("save", "-o", str(sides.place / "images.tar"), *images)
    sides.docker.call("load", "-i", str(sides.place / "images.tar"))
    probed = load(Request(directory=str(folder))).project.services
    files = {}
    for number, (who, often) in enumerate(OFTEN.items()):
        more = {name: f", healthcheck: {{{often}}}" if probed[name].healthcheck else "" for name in BUILT}
        lines = [f"  {name}: {{build: !reset null, image: bench-{image}{more[name]}}}" for name, image in BUILT.items()]
        (folder / f"bench-{number}.yaml").write_text("\n".join(["services:", *lines, ""]))
        files[who] = ["-f", str(folder / "compose.yaml"), "-f", str(folder / f"bench-{number}.yaml")]
    return files


# -- up, again, down ----------------------------------------------------------------------------------------------------


def cycle(sides: Sides, who: str, files: list[str], *more: str) -> dict[str, float]:
    """Milliseconds of ``up`` until all are healthy, of another one, and of ``down``. What is then left of it goes, too."""
    call = sides.call
    try:
        return {
            "up": timed(lambda: call(who, files, "up", "-d", "--wait", *more)),
            "again": timed(lambda: call(who, files, "up", "-d", *more)),
            "down": timed(lambda: call(who, files, "down")),
        }
    finally:
        call(who, files, "down", "-v", "-t", "0")
        time.sleep(SETTLES)


def in_turn(sides: Sides, files: dict[str, list[str]], rounds: int, *more: str) -> dict[str, dict[str, list[float]]]:
    found: dict[str, dict[str, list[float]]] = {who: {"up": [], "again": [], "down": []} for who in files}
    for _ in range(rounds):
        for who, own in files.items():
            for what, took in cycle(sides, who, own, *more).items():
                found[who][what].append(took)
    return found


def of_stack(sides: Sides, files: dict[str, list[str]], by_hand: Callable[[], object], rounds: int) -> list[Row]:
    in_turn(sides, files, 1)  # to warm up
    bare, times = [], {who: {"up": [], "again": [], "down": []} for who in files}
    for _ in range(rounds):
        bare.append(timed(by_hand))
        for who, found in in_turn(sides, files, 1).items():
            for what, took in found.items():
                times[who][what] += took
    alone = statistics.median(bare)
    less = {who: [took - alone for took in found["up"]] for who, found in times.items()}
    mine, theirs = times["ours"], times[PEER]
    return [
        Row("five services by hand, without an engine", "05", alone, "ms", spread(bare)),
        beside("compose up of five services to healthy, less that", less["ours"], less[PEER], 0.3),
        beside("compose down of five services", mine["down"], theirs["down"], 0.3),
        Row("compose up with nothing to change", "05", statistics.median(mine["again"]), "ms", spread(mine["again"]), reach=300),
        beside("compose up with nothing to change, beside", mine["again"], theirs["again"]),
    ]


def of_crowd(sides: Sides, replicas: int, rounds: int) -> list[Row]:
    times = in_turn(sides, sides.written("many", MANY), rounds, "--scale", f"one={replicas}")
    mine, theirs = times["ours"], times[PEER]
    return [beside(f"compose {what} of {replicas} replicas", mine[what], theirs[what], 0.1) for what in ("up", "down")]


def beside(name: str, mine: list[float], theirs: list[float], reach: float | None = None) -> Row:
    return Row(name, "05", statistics.median(mine), "ms", spread(mine), statistics.median(theirs), PEER, reach)


# -- by hand ------------------------------------------------------------------------------------------------------------


@contextmanager
def hand_over(files: dict[str, list[str]], disk: Path) -> Iterator[Callable[[], None]]:
    """Gives what starts the stack's programs and waits until they are healthy; each time in fresh file systems, on one network."""
    project = load(Request(files=tuple(files["ours"][1::2]))).project
    library, alone = Library(Store()), Place("alone")

    def all_of_them() -> None:
        with alone, scratch("hand", disk) as place:
            programs: list[Program] = []
            try:
                for one in project.services.values():
                    programs.append(Program(one, library, project, Path(place, one.name)))
                in_order({one.service.name: one for one in programs})
            finally:
                for one in programs:
                    one.end()

    try:
        yield all_of_them
    finally:
        alone.close()


def in_order(programs: dict[str, Program]) -> None:
    """Raises what keeps one from being started."""
    ready = {name: Event() for name in programs}

    def begin(one: Program) -> None:
        for other in one.service.depends_on:
            ready[other].wait(60)
        one.start()
        one.wait()
        ready[one.service.name].set()

    with ThreadPoolExecutor(len(programs)) as pool:
        for done in [pool.submit(begin, one) for one in programs.values()]:
            done.result()


class Program:
    """A service's process, in its image's file system, with the environment that the file says."""

    def __init__(self, service: Service, library: Library, project, place: Path):
        self.service, self.root, self.process = service, place / "root", None
        image = library.find(naming.image(project, service))
        said = image.runtime
        pairs = [*said.get("Env", ()), *(f"{name}={value}" for name, value in service.environment.items())]
        self.user, self.folder, self.env = said.get("User") or "root", said.get("WorkingDir") or "/", pairs
        self.command = [*(said.get("Entrypoint") or ()), *(service.command or said["Cmd"])]
        for name in ("upper", "work", "root"):
            (place / name).mkdir(parents=True)
        lower = ":".join(reversed(library.folders(image)))
        linux.mount("overlay", str(self.root), "overlay", f"lowerdir={lower},upperdir={place}/upper,workdir={place}/work")
        (self.root / "etc/hosts").write_text("".join(f"127.0.0.1 {name}\n" for name in ["localhost", *project.services]))

    def within(self, command: list[str]) -> list[str]:
        words = ["sh", "-c", 'cd "$0" && exec "$@"', self.folder, *command]
        return ["chroot", f"--userspec={self.user}", str(self.root), "env", "-i", *self.env, *words]

    def start(self) -> None:
        own = 'mount -t tmpfs shm "$0/dev/shm"'  # PostgreSQL has memory there, and in its IPC namespace, that outlives it when it is killed
        script = f'mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" && {own} && exec "$@"'
        words = ["unshare", "-impf", "--kill-child", "sh", "-c", script, str(self.root), *self.within(self.command)]
        self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def wait(self) -> None:
        """Until its probe says that it is healthy; it is asked as often as the file says. Raises ``TimeoutError``."""
        if self.service.healthcheck:
            kind, *words = self.service.healthcheck.test
            probe = self.within(words if kind == "CMD" else ["sh", "-c", *words])
            for _ in range(300):
                time.sleep(self.service.healthcheck.interval / 1e9)
                if subprocess.run(probe, stdin=subprocess.DEVNULL, capture_output=True).returncode == 0:
                    return
            raise TimeoutError(f"{self.service.name} does not get healthy by hand")

    def end(self) -> None:
        if self.process:
            number = self.process.pid
            for child in linux.read(f"/proc/{number}/task/{number}/children").split():  # who becomes another user outlives ``--kill-child``
                os.kill(int(child), signal.SIGKILL)
            self.process.kill()
            self.process.wait()
        linux.umount(str(self.root), linux.MNT_DETACH)
