"""Which files make up the project, which variables they see, and what it is called: as Compose finds all that when nobody says so."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from io import TextIOWrapper
from typing import TextIO

from lib.compose.reading import dotenv
from lib.compose.reading.interpolation import Variables
from lib.compose.reading.nodes import ComposeError, Node, Place, Problem
from lib.compose.reading.paths import joined
from lib.compose.reading.yaml import LARGEST
from lib.regularfile import open_regular

NAMES = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
OVERRIDES = ("compose.override.yml", "compose.override.yaml", "docker-compose.override.yml", "docker-compose.override.yaml")
STDIN = "-"


@dataclass(frozen=True)
class Request:
    """What is to be read. What is empty is found as Compose finds it.

    Args:
        files: Of ``-f``; ``-`` is the standard input. Else COMPOSE_FILE, or ``compose.yaml`` here or in a folder above.
        directory: Of ``--project-directory``. Else the folder of the first file.
        name: Of ``-p``. Else COMPOSE_PROJECT_NAME, the file's ``name``, or the folder's name.
        profiles: Of ``--profile``. Else COMPOSE_PROFILES.
        env_files: Of ``--env-file``. Else COMPOSE_ENV_FILES, or ``.env`` in the folder.
        environ: The shell's variables.
        services: Named on the command line: their profiles are on, too.
        stdin: For ``-``.
        cwd: Where relative paths of the command line begin.
        fetch: Brings a file of another kind (``oci://…``) here, and says where it is.
        interpolate: ``False`` leaves variables as they are written.
        normalize: ``False`` leaves unsaid what the file leaves unsaid: names, the default network.
        consistency: ``False`` lets pass what cannot be together.
        paths: ``False`` leaves paths as they are written.
        env: ``False`` leaves files of variables unread.
    """

    files: tuple[str, ...] | list[str] = ()
    directory: str = ""
    name: str = ""
    profiles: tuple[str, ...] = ()
    env_files: tuple[str, ...] = ()
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    services: tuple[str, ...] = ()
    stdin: TextIO | None = None
    cwd: str = ""
    fetch: Callable[[str], str] | None = None
    interpolate: bool = True
    normalize: bool = True
    consistency: bool = True
    paths: bool = True
    env: bool = True


@dataclass(slots=True)
class Found:
    """The files (absolute, or ``-``), the folder, the variables, the profiles."""

    files: list[str]
    folder: str
    variables: Variables
    profiles: tuple[str, ...]
    warnings: list[Problem]


def find(request: Request) -> Found:
    """Raises: ComposeError when there is no file, or one of them is not there."""
    cwd = os.path.abspath(request.cwd or os.getcwd())
    variables = Variables(dict(request.environ), dict.fromkeys(request.environ, "the shell"))
    warnings: list[Problem] = []
    files = [_local(file, cwd, request.fetch) for file in request.files]
    _add_env_files(request, variables, cwd, _folder(request, files, cwd))
    files = files or _of_variable(variables.values, cwd, request.fetch) or _beside(request, cwd, warnings)
    folder = _folder(request, files, cwd)
    _add_env_files(request, variables, cwd, folder)
    profiles = tuple(request.profiles) or tuple(name.strip() for name in variables.values.get("COMPOSE_PROFILES", "").split(","))
    return Found(files, folder, variables, tuple(name for name in profiles if name), warnings)


def _local(file: str, cwd: str, fetch: Callable[[str], str] | None) -> str:
    if file == STDIN:
        return file
    if "://" in file:
        if fetch is None:
            raise ComposeError(f"{file[:80]} can't be fetched here; give a file of this machine")
        return os.path.abspath(fetch(file))
    return joined(cwd, file, "")


def _of_variable(values: Mapping[str, str], cwd: str, fetch: Callable[[str], str] | None) -> list[str]:
    given = values.get("COMPOSE_FILE", "")
    return [_local(file, cwd, fetch) for file in given.split(values.get("COMPOSE_PATH_SEPARATOR") or ":")] if given else []


def _folder(request: Request, files: Iterable[str], cwd: str) -> str:
    if request.directory:
        return joined(cwd, request.directory, "")
    return next((os.path.dirname(file) for file in files if file != STDIN), cwd)


def _beside(request: Request, cwd: str, warnings: list[Problem]) -> list[str]:
    folder = joined(cwd, request.directory, "") if request.directory else cwd
    while True:
        if found := _first(folder, NAMES, warnings):
            return found + _first(folder, OVERRIDES, warnings)
        if folder == (folder := os.path.dirname(folder)):
            raise ComposeError("no configuration file provided: not found; there is no compose.yaml here or in a folder above, use -f FILE")


def _first(folder: str, names: Iterable[str], warnings: list[Problem]) -> list[str]:
    found = [path for name in names if os.path.exists(path := os.path.join(folder, name))]
    if len(found) > 1:
        warnings.append(Problem(f"there are several: {', '.join(map(os.path.basename, found))}; the first one is used", Place(found[0])))
    return found[:1]


def _add_env_files(request: Request, variables: Variables, cwd: str, folder: str) -> None:
    """The shell's variables win over those of the files, and of two files the later one."""
    named = request.env_files or [name for name in request.environ.get("COMPOSE_ENV_FILES", "").split(",") if name]
    paths = [joined(cwd, path, "") for path in named]
    if not paths and request.environ.get("COMPOSE_DISABLE_ENV_FILE", "").lower() not in ("1", "true", "t"):
        default = os.path.join(folder, ".env")
        paths = [default] if os.path.isfile(default) else []
    more = read_env_files(paths, variables)
    variables.values, variables.sources = more.values, more.sources


def read_env_files(paths: Iterable[str], variables: Variables, node: Node | None = None) -> Variables:
    """``variables``, and those of the files. Raises: ComposeError."""
    found: dict[str, str] = {}
    sources: dict[str, str] = {}
    for path in paths:
        try:
            read = dotenv.read(path, variables.values.get, found)
        except FileNotFoundError:
            raise ComposeError(f"couldn't find env file: {path}", node.place if node else None) from None
        except ComposeError:
            raise
        except (OSError, ValueError) as error:
            raise ComposeError(f"the env file {path} can't be read: {why(error)}", node.place if node else None) from None
        found |= read.values
        sources |= {name: f"{os.path.basename(path)}:{line}" for name, line in read.lines.items()}
    return variables.extended(found, sources)


def text_of(path: str, stdin: TextIO | None, node: Node | None = None) -> str:
    """A file's text. Raises: ComposeError."""
    try:
        if path == STDIN:
            return (stdin or sys.stdin).read(LARGEST + 1)
        with open_regular(path) as file, TextIOWrapper(file, "utf-8-sig") as text:
            return text.read(LARGEST + 1)
    except FileNotFoundError:
        raise ComposeError(f"there is no file {path}", node.place if node else None) from None
    except UnicodeDecodeError:
        raise ComposeError("this is not a text in UTF-8", Place(path)) from None
    except (OSError, ValueError) as error:
        raise ComposeError(f"{path} can't be read: {why(error)}", node.place if node else None) from None


def why(error: OSError | ValueError) -> str:
    """What the kernel says; or, for a name that no file can have, Python."""
    return getattr(error, "strerror", None) or str(error)


def normal(name: str) -> str:
    """A name as a project can have it: small letters, digits, ``-`` and ``_``; the first one is a letter or a digit."""
    return "".join(re.findall(r"[a-z0-9_-]", name.lower())).lstrip("_-")


def named(request: Request, found: Found, in_files: Node | None) -> str:
    """The project's name.

    Args:
        request: The user's wish.
        found: The folder, and the variables.
        in_files: The ``name`` of the files, its variables filled in.
    """
    given = request.name or found.variables.values.get("COMPOSE_PROJECT_NAME", "")
    if given:
        if normal(given) != given:
            wanted = (
                "must consist only of lowercase alphanumeric characters, hyphens, and underscores as well as start with a letter or number"
            )
            raise ComposeError(f"invalid project name '{given[:60]}': {wanted}")
        return given
    name = normal(str(in_files.value)) if in_files and in_files.value else ""
    fetched = "://" in next(iter(request.files), found.variables.values.get("COMPOSE_FILE", ""))  # its folder is nobody's, and has no name
    name = name or normal(os.path.basename(os.path.abspath(request.cwd or os.getcwd()) if fetched else found.folder))
    if not name:
        raise ComposeError("the project needs a name: the folder has none that can be used, so give one with -p, or `name:` in the file")
    return name
