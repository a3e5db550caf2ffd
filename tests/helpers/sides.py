"""The same lines in two hands, each on a host of its own: ``suitcase``, and the real Docker Compose with a Docker daemon.

A line begins with ``compose`` or ``docker``; ours answers to both.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

from helpers import leakcheck
from helpers.commands import Said
from helpers.hosts import BUSYBOX, Host
from helpers.needs import COMPOSE
from lib import state
from lib.engine import volumes
from lib.engine.naming import shortnames
from lib.images import Library, Store, archive
from lib.lab import peers
from lib.lab.chapters.places import Place
from lib.process import scratch


def without_compose(variables: dict[str, str]) -> dict[str, str]:
    """The environment of this process, less what would tell Compose which project is meant, and with these variables."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COMPOSE_")} | variables


class Ours:
    """``suitcase``: called in this process, or as a program of its own."""

    name = "ours"

    def __init__(self, host: Host):
        self.host, self.place = host, host.place

    def __call__(self, words: list[str], folder: Path, variables: dict[str, str]) -> Said:
        with contextlib.chdir(folder), mock.patch.dict(os.environ, without_compose(variables), clear=True):
            return self.host(shlex.join(words if words[0] == "compose" else words[1:]), None)

    def program(self, words: list[str]) -> tuple[list[str], dict[str, str]]:
        """What to start for this line, and the variables that it needs."""
        command = [sys.executable, "-P", "-m", "lib.cli", *(words if words[0] == "compose" else words[1:])]
        return command, {"PYTHONPATH": str(Path(state.__file__).parents[2])}

    def clear(self) -> None:
        self.host.clear()
        volumes.prune(every=True)


class Theirs:
    """``docker-compose`` and ``docker``, in a network of their own, with a daemon of their own."""

    name = "theirs"

    def __init__(self, place: Place, docker: peers.Docker):
        self.place, self.docker = place, docker

    def __call__(self, words: list[str], folder: Path, variables: dict[str, str]) -> Said:
        command, more = self.program(words)
        how = {"cwd": folder, "env": without_compose(variables | more), "stdin": subprocess.DEVNULL}
        done = self.place(subprocess.run, command, capture_output=True, text=True, timeout=60, **how)
        return Said(done.returncode, done.stdout, done.stderr)

    def program(self, words: list[str]) -> tuple[list[str], dict[str, str]]:
        return [str(COMPOSE) if words[0] == "compose" else "docker", *words[1:]], {"DOCKER_HOST": self.docker.socket}

    def clear(self) -> None:
        for what, remove in (("ps -aq", "rm -fv"), ("volume ls -q", "volume rm -f"), ("network ls -q -f type=custom", "network rm")):
            if there := self.docker.call(*what.split()).split():
                self.docker.call(*remove.split(), *there)
        names = set(self.docker.call("images", "--format", "{{.Repository}}:{{.Tag}}").split()) - {BUSYBOX}
        if names:
            self.docker.call("rmi", "-f", *names)


@contextmanager
def theirs() -> Iterator[Theirs]:
    """With busybox in it. Raises ``Missing``."""
    place = Place("theirs")
    try:
        with scratch("sides") as folder, contextlib.ExitStack() as undo:
            with place:
                docker = undo.enter_context(peers.dockerd(network=True))
            library = Library(Store(f"{folder}/images"))
            shortnames.make(library, BUSYBOX)
            with open(f"{folder}/given.tar", "wb") as file:
                archive.save(library, [BUSYBOX], file)
            docker.call("load", "-i", f"{folder}/given.tar")
            leakcheck.forget()  # the leak check may see it
            yield Theirs(place, docker)
    finally:
        place.close()
        leakcheck.forget()
