"""Chapter 5's engine: a store and daemons of its own, so that the machine's containers are none of its business; and eyes to watch it with.

It stands in a network namespace of its own, the chapter's server. What the chapter begins with are lives, not wires, and has no network.
"""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import TypeVar

from lib.build import build
from lib.cli import suitcase
from lib.engine import finding
from lib.engine.daemons import calling
from lib.engine.log.reader import frames
from lib.engine.naming import shortnames
from lib.images import Library, Store
from lib.lab.chapters import tempfolder
from lib.lab.chapters.places import Place
from lib.state import kept

ROOT = Path(__file__).resolve().parents[4]
SLOW = """#!/bin/sh
sleep ${OPENS:-0}
touch /tmp/open
[ -z "$CLOSES" ] || { sleep $CLOSES; rm /tmp/open; }
exec sleep 1000
"""  # in all images, as /bin/slow: it is ready after a while, and perhaps not for ever
COUNT = """#!/bin/sh
i=0
while [ $i -lt $1 ]; do i=$((i+1)); echo line $i; done
exec sleep 1000
"""  # /bin/count: as fast as it can; then it stays, or there would be nothing left to look after
LATELY = """#!/bin/sh
echo x >> /tries
[ $(wc -l < /tries) -gt $1 ] || exit 3
exec sleep 1000
"""  # /bin/lately: fails so many times, and then runs
SCRIPTS = {"slow": SLOW, "count": COUNT, "lately": LATELY}
IMAGES = {  # small images: one that does as it is told, a shop that talks, its database; and for the files' sections one or two files
    "box": "",
    "shop": 'CMD ["sh", "-c", "while :; do echo the shop is open; sleep 0.05; done"]\n',
    "db": 'RUN mkdir /data && echo 3 orders > /data/orders\nVOLUME /data\nCMD ["slow"]\n',
    "colour": "ENV COLOUR=image\n",
    "app": "RUN mkdir -p /app/modules && touch /app/app.py /app/modules/tea.py\n",
    "newapp": "RUN mkdir -p /app/modules && touch /app/app.py /app/modules/tea.py /app/modules/pot.py\n",
}
PATIENCE = 60  # seconds that something may take on the slowest machine
LOOK = 0.01
MACHINE = {name: os.environ.get(name) for name in ("SUITCASE_RUN", "SUITCASE_STORE")}
T = TypeVar("T")
_server: list[Place] = []


def begin() -> None:
    """A server whose store has the small images, and nobody in it. A second call begins anew."""
    end()
    folder = tempfolder.folder()
    _server.append(Place("server"))
    os.environ |= {"SUITCASE_RUN": str(folder / "run"), "SUITCASE_STORE": str(folder / "store")}
    with server():
        library = Library(Store())
    shortnames.make(library, "localhost/busybox:static")
    context = folder / "images"
    context.mkdir()
    for name, text in SCRIPTS.items():
        (context / name).write_text(text)
    for name, steps in IMAGES.items():
        text = f"FROM localhost/busybox:static\nCOPY --chmod=755 {' '.join(SCRIPTS)} /bin/\n{steps}"
        build(str(context), library, text=text, tags=(name,))


def begun() -> bool:
    return os.environ.get("SUITCASE_RUN") != MACHINE["SUITCASE_RUN"]


def server() -> AbstractContextManager:
    """Where the containers are, and the doors that they publish. (A Python that was started in there is there already.)"""
    return _server[0] if _server else nullcontext()


def tidy() -> None:
    """Everybody out: no container, no network, no volume, no daemon."""
    with server(), redirect_stdout(StringIO()):
        if every := " ".join(one["id"] for one in kept.every()):
            suitcase(f"rm -f {every}")
        suitcase("network prune -f")
        suitcase("volume prune -a -f")
    calling.rest()


def end() -> None:
    """Containers, daemons and folder go."""
    if begun():
        tidy()
    for one in _server:
        one.close()
    _server.clear()
    for name, value in MACHINE.items():
        os.environ.pop(name, None)
        os.environ |= {name: value} if value is not None else {}
    tempfolder.clear()


atexit.register(end)


# -- containers ---------------------------------------------------------------------------------------------------------


def up(line: str) -> None:
    """``suitcase run -d …`` with no network, and without the long number that it prints.

    In place of an older one of the same name: a cell may be run again.
    """
    words = line.split()
    older = [one["id"] for one in kept.every() if "--name" in words and one["name"] == words[words.index("--name") + 1]]
    with server(), redirect_stdout(StringIO()):
        for ident in older:
            suitcase(f"rm -f {ident}")
        suitcase(f"run -d --network none {line}")


def heard(line: str) -> str:
    """What a command prints, instead of here."""
    with server(), redirect_stdout(StringIO()) as said, redirect_stderr(StringIO()):
        suitcase(line)
    return said.getvalue().strip()


def at_a_terminal(line: str) -> str:
    """What a command says beside its output to somebody who sits at a terminal; programs are spared it."""
    with server(), redirect_stdout(StringIO()), redirect_stderr(Terminal()) as said:
        suitcase(line)
    return said.getvalue().strip()


class Terminal(StringIO):
    """What is written to it is kept, and whoever asks is told that a human being is reading."""

    def isatty(self) -> bool:
        return True


def from_another_python(line: str) -> int:
    """``up`` in a Python of its own, which has ended when this returns: the pid it had."""
    words = [sys.executable, "-c", f"from lib.lab.chapters.ch05.world import up; up({line!r})"]
    with server(), subprocess.Popen(words, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}) as child:
        return child.pid


def state(name: str) -> dict:
    """What is known of a container now."""
    return finding.current(name)["state"]


def said(name: str) -> list[str]:
    """The lines in a container's log."""
    data = b"".join(piece.data for piece in frames(kept.place(finding.find(name))))
    return data.decode(errors="replace").splitlines()


def awaited(look: Callable[[], T], what: str) -> T:
    """What ``look`` gives as soon as it gives something. Raises ``TimeoutError``."""
    deadline = time.monotonic() + PATIENCE
    while not (found := look()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{PATIENCE} seconds have passed without {what}")
        time.sleep(LOOK)
    return found


def comes_back(policy: str, end: str) -> str:
    """What becomes of a container with this restart policy: ``done`` (exit code 0), ``failed``, or ``stopped`` by hand."""
    words = {"done": "true", "failed": "false", "stopped": "sleep 1000"}
    up(f"--name short --restart {policy} box {words[end]}")
    if end == "stopped":
        heard("stop -t 0 short")
    now = awaited(lambda: (found := state("short"))["status"] != "running" and found, "its end")
    heard("rm -f short")
    return "started again" if now.get("tries", {}).get("count") else "stays down"
