"""Compose projects of chapter 5: folders with a file in them, what ``suitcase compose`` says in there, and what became of their containers."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from textwrap import dedent
from urllib.request import Request, urlopen

from lib import bases
from lib.cli import suitcase
from lib.engine import finding, moments
from lib.engine.health import known
from lib.engine.naming import shortnames
from lib.images import Library, Store, archive
from lib.images.store import StoreError
from lib.lab.chapters import tempfolder
from lib.lab.chapters.ch05 import watching, world
from lib.state import kept

SHOP = Path(__file__).parent / "shop"
FILE = "compose.yaml"
RUNS = {"created": "created", "running": "running"}


def shop() -> Path:
    """The shop's folder, as the reader gets it, and in the store the Debian that its images begin with. (Made once, it takes seconds.)"""
    library = Library(Store())
    try:
        library.find("localhost/debian:shop")
    except StoreError:
        archive.from_folder(library, base(), "localhost/debian:shop", shortnames.SHELL)
    place = tempfolder.folder() / "shop"
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(SHOP, place)
    return place


def base() -> str:
    """The root file system with all the servers, where set-up has put it: in the machine's store, not in the chapter's."""
    own = os.environ["SUITCASE_STORE"]
    try:
        os.environ.pop("SUITCASE_STORE")
        os.environ |= {name: value for name, value in world.MACHINE.items() if name == "SUITCASE_STORE" and value is not None}
        return bases.find("shop")
    finally:
        os.environ["SUITCASE_STORE"] = own


def project(name: str, text: str, **others: str) -> Path:
    """A folder ``name`` with a Compose file and, by name, others: ``{".env": …}``. What was in it is gone."""
    place = tempfolder.folder() / name
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    for file, lines in {FILE: text, **others}.items():
        (place / file).parent.mkdir(parents=True, exist_ok=True)
        (place / file).write_text(dedent(lines).lstrip("\n"))
    return place


@contextmanager
def there(place: Path, shell: dict[str, str]) -> Iterator[None]:
    """On the server, in a folder, with some variables in the shell."""
    before = {name: os.environ.get(name) for name in shell}
    with world.server(), chdir(place):
        try:
            os.environ |= shell
            yield
        finally:
            for name, value in before.items():
                os.environ.pop(name, None)
                os.environ |= {name: value} if value is not None else {}


def compose(place: Path, line: str, **shell: str) -> None:
    """``suitcase compose LINE`` in a project's folder, with these variables in the shell."""
    with there(place, shell):
        suitcase(f"compose {line}")


def told(place: Path, line: str, **shell: str) -> str:
    """What ``compose`` prints, instead of here. Progress and complaints are left out."""
    with redirect_stdout(StringIO()) as said, redirect_stderr(StringIO()):
        compose(place, line, **shell)
    return said.getvalue().strip()


def page(path: str = "/", port: int = 8080, order: str = "") -> str:
    """What the laptop next door would read at a port of the server; with ``order`` it posts one."""

    def asked() -> str:
        where = f"http://127.0.0.1:{port}/{order}" if order else f"http://127.0.0.1:{port}{path}"
        with urlopen(Request(where, method="POST" if order else "GET"), timeout=10) as answer:
            return answer.read().decode().strip()

    with world.server():
        return asked()


# -- what became of them ------------------------------------------------------------------------------------------------


def members(place: Path) -> dict[str, dict]:
    """The project's containers, the newest of each service: service → facts as they are now."""
    found = {}
    for one in kept.every():
        mark = one.get("compose") or {}
        if mark.get("project") == place.name:
            found[mark["service"]] = finding.current(one["id"])
    return found


def states(place: Path) -> dict[str, str]:
    """Each service in a word or two: running, healthy, exited (1) …"""
    return {service: now(facts) for service, facts in members(place).items()}


def now(facts: dict) -> str:
    health, state = known.of(facts), facts["state"]
    if state["status"] == "exited":
        return f"exited ({state['exit_code']})"
    return health["Status"] if health and state["status"] == "running" else state["status"]


def lives(place: Path, began: float, *services: str) -> dict[str, list[tuple[float, str]]]:
    """What each service's container went through, in seconds from ``began`` (``time.time()``) on, as ``show.gantt`` draws it."""
    found = members(place)
    return {name: life(found[name], began) for name in services or sorted(found)}


def life(facts: dict, began: float) -> list[tuple[float, str]]:
    checked = facts["config"].get("healthcheck")
    words = {"create": "created", "start": "starting" if checked else "started", "die": "ended"}
    words |= {f"health_status: {one}": one for one in ("healthy", "unhealthy")}
    told = watching.happenings(facts["id"])
    return [(one["timeNano"] / 1e9 - began, words[one["Action"]]) for one in told if one["Action"] in words]


def since(facts: dict) -> float:
    """How long ago a container was started, in seconds."""
    return time.time() - moments.seconds(facts["state"]["started"])
