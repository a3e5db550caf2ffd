"""The real Docker Compose and ours, asked the same of the same files.

The corpus has folders, and ``.cases``: small ones, many in a file. There, ``##### NAME | OPTIONS | VARIABLES`` begins a case and
``#### NAME`` a file of it; without the latter it is ``compose.yaml``. ``␍`` is a carriage return, ``␃`` the end of a file that does not
end in a line feed.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from helpers.needs import COMPOSE
from lib.compose.reading import ComposeError, Request, load
from lib.compose.reading.canonical import as_json

CORPUS = Path(__file__).parents[1] / "compose" / "corpus"
FOLDERS = sorted(path for path in CORPUS.iterdir() if path.is_dir())
FAMILIES = sorted(path.stem for path in CORPUS.glob("*.cases"))


@dataclass(frozen=True)
class Answer:
    """The document, or the error. ``text`` is the document as it was printed."""

    text: str = ""
    error: str = ""

    @property
    def document(self):
        return json.loads(self.text) if self.text else None


@dataclass(frozen=True)
class Case:
    """A folder, the options of the command line, the variables of the shell."""

    name: str
    folder: Path
    options: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()

    @classmethod
    def of(cls, folder: Path) -> Case:
        """The file ``options`` of a folder has a line of options, and a line for each variable."""
        lines = (folder / "options").read_text().splitlines() if (folder / "options").exists() else [""]
        return cls(folder.name, folder, tuple(lines[0].split()), tuple(lines[1:]))

    @property
    def environ(self) -> dict[str, str]:
        return {"PATH": "/usr/bin:/bin", "HOME": "/home/reader", **dict(line.split("=", 1) for line in self.variables)}

    def request(self, **more) -> Request:
        pairs = list(zip(self.options[::2], self.options[1::2], strict=True))
        several = {key: tuple(value for name, value in pairs if name == option) for key, option in SEVERAL.items()}
        return Request(**several, name=dict(pairs).get("-p", ""), environ=self.environ, cwd=str(self.folder), **more)


SEVERAL = {"files": "-f", "profiles": "--profile", "env_files": "--env-file"}


def family(name: str, folder: Path) -> Iterator[Case]:
    """The cases of a ``.cases`` file, written out below ``folder``."""
    for block in (CORPUS / f"{name}.cases").read_text().split("##### ")[1:]:
        head, _, body = block.partition("\n")
        called, options, variables = (*(part.strip() for part in head.split("|")), "", "")[:3]
        own = folder / called
        own.mkdir()
        for file, content in _files(body):
            (own / file).parent.mkdir(exist_ok=True)
            (own / file).write_text(content.replace("␍", "\r").replace("␃\n", ""), newline="")
        yield Case(called, own, tuple(options.split()), tuple(variables.split()))


def _files(body: str) -> Iterator[tuple[str, str]]:
    first, *others = re.split(r"^#### (.*)\n", body, flags=re.MULTILINE)
    if first:
        yield "compose.yaml", first
    yield from zip(others[::2], others[1::2], strict=True)


def theirs(case: Case, *more: str) -> Answer:
    command = [COMPOSE, *case.options, "config", *(more or ("--format", "json"))]
    done = subprocess.run(command, cwd=case.folder, env=case.environ, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=30)
    return Answer(done.stdout) if done.returncode == 0 else Answer(error=done.stderr.strip() or "?")


def ours(case: Case) -> Answer:
    try:
        return Answer(as_json(load(case.request()).project))
    except ComposeError as error:
        return Answer(error=str(error))


def difference(case: Case) -> str:
    """In what way do the two answers differ? Both may refuse; then ours has to say where."""
    their, our = theirs(case), ours(case)
    if their.error and our.error:
        placed = re.match(r"\S+:\d+:\d+: ", our.error) or case.name in NO_PLACE
        return "" if placed else f"{case.name}: this error names no place: {our.error}"
    if their.error or our.error:
        who, error = ("they", their.error) if their.error else ("we", our.error)
        return f"{case.name}: {who} refuse it: {error.splitlines()[-1]}"
    if our.document != their.document:
        return f"{case.name}:\n  they {json.dumps(their.document)}\n  we   {json.dumps(our.document)}"
    return "" if our.text == their.text.rstrip("\n") else f"{case.name}: another order, or another way of writing"


NO_PLACE = {"name-bad"}  # it came from the command line

# What is known to differ, and why it stays so.
DIFFERENCES = {
    "name-alone-without-end-of-line": "They make a variable without a name of it, whose value is that name.",
    "yaml-directive": "`%YAML 1.2` is the version that the specification asks for; their parser knows 1.1 alone.",
    "an-escaped-slash": "`\\/` is in YAML 1.2, as it is in JSON; their parser knows 1.1 alone.",
    "include-with-an-unknown-key": "They do not check the keys of an include, and then include nothing, without a word.",
    "include-without-a-path": "They include nothing, without a word.",
    "mem_limit-beyond-64-bits": "They drop a limit that is too large, without a word.",
    "cpus-beyond-64-bits": "They take it; no kernel could.",
    "size-as-a-float": "They drop a size that is written with a point, without a word.",
    "size-in-scientific-notation": "They drop it, without a word.",
    "size-as-a-large-float": "They drop it, without a word.",
    "labels-that-look-like-extensions": "They take `x-…` for an extension where names are the author's own, too: it becomes `#extensions`.",
    "names-that-look-like-extensions": "The same with a network: it is gone, and they look for one that is called `#extensions`.",
    "pools-several": "They write into a pool what belongs to another one, and lose the first.",
}
