"""Compose projects of chapter 5: folders with a file in them, and what ``suitcase compose`` says in there."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout, suppress
from io import StringIO
from pathlib import Path
from textwrap import dedent
from urllib import error, request

from lib import bases
from lib.cli import suitcase
from lib.compose.reading import Loaded, Request, load
from lib.compose.reading.canonical import provenance
from lib.engine.naming import shortnames
from lib.images import Library, Store, archive
from lib.images.store import StoreError
from lib.lab import peers
from lib.lab.chapters import tempfolder
from lib.lab.chapters.ch05 import world

SHOP = Path(__file__).parent / "shop"
FILE = "compose.yaml"
SMALL_PRINT = (".mode", ".protocol", ".type", ".create_host_path", ".networks.default")  # what nobody wrote


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


def copied(place: Path, name: str) -> Path:
    """The same folder under another name, as a colleague has it."""
    other = place.with_name(name)
    shutil.rmtree(other, ignore_errors=True)
    return Path(shutil.copytree(place, other))


def edit(place: Path, old: str, new: str, file: str = FILE) -> None:
    """Write something else into a project's file. Raises ``ValueError`` if what is to go isn't there."""
    text = (place / file).read_text()
    if old not in text:
        raise ValueError(f"{file} has no {old!r}")
    (place / file).write_text(text.replace(old, new))


def read(place: Path, **shell: str) -> Loaded:
    """The project as Compose reads it, with these variables in the shell and no others."""
    return load(Request(directory=str(place), environ=shell))


def origins(place: Path, service: str, **shell: str) -> list[tuple[str, str, str]]:
    """Each value of a service that somebody wrote: key, value, file and line (and variables, and where those are from)."""
    found = []
    for one in provenance(read(place, **shell)):
        key, where = one.path.removeprefix(f"services.{service}."), one.source.replace(f"{place}/", "")
        if key != one.path and not one.path.endswith(SMALL_PRINT):
            found.append((key, one.value.replace(f"{place}/", "./"), re.sub(r":\d+(?= \(|$)", "", where, count=1)))
    return found


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
    """``suitcase compose LINE`` in a project's folder, with these variables in the shell; of its progress it says nothing."""
    with there(place, shell):
        suitcase(f"compose --progress quiet {line}")


def told(place: Path, line: str, **shell: str) -> str:
    """What ``compose`` prints, instead of here. Progress and complaints are left out."""
    with redirect_stdout(StringIO()) as said, redirect_stderr(StringIO()):
        compose(place, line, **shell)
    return said.getvalue().strip()


def complaint(place: Path, line: str, **shell: str) -> str:
    """What ``compose`` complains of, instead of here; "" if all is well. The project's folder is left out."""
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()) as said:
        compose(place, line, **shell)
    return said.getvalue().replace(f"{place}/", "").removeprefix("suitcase: ").strip()


def page(path: str = "/", port: int = 8080, host: str = "127.0.0.1", method: str = "GET") -> str:
    """What is to be read at a port of the server, or of a ``host`` on it, as soon as somebody answers."""
    asked = request.Request(f"http://{host}:{port}{path}", method=method)

    def answer() -> str:
        with suppress(ConnectionError, error.URLError), request.urlopen(asked, timeout=10) as answer:
            return answer.read().decode().strip()
        return ""

    with world.server():
        return world.awaited(answer, f"an answer at port {port}")


def volume_at(folder: str, place: Path) -> str:
    """Which volume a project's database has mounted at a folder."""
    said = world.heard("inspect -f '{{range .Mounts}}{{.Destination}} {{.Name}}\n{{end}}' " + f"{place.name}-db-1")
    found = dict(line.split() for line in said.splitlines() if line.strip()).get(folder, "")
    return "one that nobody has named" if re.fullmatch("[0-9a-f]{64}", found) else found


# -- the other Compose --------------------------------------------------------------------------------------------------


def of_docker(place: Path) -> dict[str, str]:
    """Each value of a project's services as Docker's own Compose reads the file. Raises ``Missing``."""
    program = shutil.which("docker-compose", path=os.path.dirname(sys.executable)) or "docker-compose"
    done = peers.ask([program, "config", "--format", "json"], check=True, cwd=place)
    return flat(json.loads(done.stdout)["services"])


def of_suitcase(place: Path) -> dict[str, str]:
    return flat(json.loads(told(place, "config --format json"))["services"])


def flat(value: object, key: str = "services") -> dict[str, str]:
    """A document as one table: ``services.web.ports.0.target`` → 80."""
    if not isinstance(value, dict | list):
        return {key: str(value)}
    rows = value.items() if isinstance(value, dict) else enumerate(value)
    return {name: text for inner, one in rows for name, text in flat(one, f"{key}.{inner}").items()}
