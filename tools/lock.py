"""Write what derives from pyproject.toml: requirements.lock, environment.yml and binder/ (``make lock``).

The pins are what is installed in the Python that runs this, reached from pyproject.toml's requirements; anything else that lies in
that environment is left out. To have newer ones: ``.venv/bin/pip install --upgrade …``, ``make test``, ``make lock``.
``--check`` writes nothing and exits with 1 if a file is out of date (a test calls it).
"""

from __future__ import annotations

import re
import sys
import tomllib
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
# What only older Pythons need is pinned too, whichever one makes the lock (pyproject.toml, requires-python).
OLDEST = {"python_version": "3.11", "python_full_version": "3.11.0"}
HEAD = "# Made by `make lock` from {source}. Do not edit.\n"


def wanted() -> list[str]:
    """Every requirement of pyproject.toml: to run, to test, to build."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = project["project"].get("optional-dependencies", {})
    return [*project["project"]["dependencies"], *(one for group in extras.values() for one in group), *project["build-system"]["requires"]]


def pins() -> dict[str, str]:
    """Name and version of each distribution that the requirements lead to."""
    found: dict[str, str] = {}
    todo = [(Requirement(one), "") for one in wanted()]
    while todo:
        need, extra = todo.pop()
        if need.marker and not need.marker.evaluate({"extra": extra, **OLDEST}):
            continue
        name = canonicalize_name(need.name)
        first = name not in found
        dist = distribution(need.name)
        found[name] = dist.version
        inner = [Requirement(one) for one in dist.requires or []]
        todo += [(one, "") for one in inner if first]
        todo += [(one, extra) for extra in need.extras for one in inner if one.marker and "extra" in str(one.marker)]
    return dict(sorted(found.items()))


def rows_of_packages() -> list[list[str]]:
    """The words of each row of tools/packages.txt: name, group, and what for."""
    return [line.split(maxsplit=2) for line in (ROOT / "tools/packages.txt").read_text().splitlines() if line and line[0] != "#"]


def system_packages(group: str, architecture: str) -> list[str]:
    """Names of one group for a machine of ``architecture`` (Debian's word for it)."""
    return [name for name, where, _ in rows_of_packages() if where in (group, f"{group}:{architecture}")]


def conda(lines: list[str]) -> str:
    """A conda environment: Python from conda, everything else by pip with the same pins as everywhere."""
    head = HEAD.format(source="pyproject.toml")
    body = "name: suitcase\nchannels:\n  - conda-forge\ndependencies:\n  - python >=3.11\n  - pip\n  - pip:\n"
    return head + body + "".join(f"      - {line}\n" for line in lines)


def lines_of_the_lock() -> list[str]:
    """The pins, with the condition of those that only some machines can have. What this one cannot have stays as it was written."""
    found = {name: f"{name}=={version}" for name, version in pins().items()}
    written = {line.split("==")[0]: line for line in (ROOT / "requirements.lock").read_text().splitlines()}
    for need in map(Requirement, wanted()):
        name = canonicalize_name(need.name)
        if need.marker:
            found[name] = f"{found[name]} ; {need.marker}" if name in found else written[name]
    return [found[name] for name in sorted(found)]


def files() -> dict[str, str]:
    """Path and text of every derived file."""
    lines = lines_of_the_lock()
    # Binder's machines are amd64, and bring a Python of their own.
    apt = [name for name in system_packages("chapters", "amd64") if not re.match("python3", name)]
    return {
        "requirements.lock": HEAD.format(source="pyproject.toml") + "".join(f"{line}\n" for line in lines),
        "environment.yml": conda(lines),
        "binder/environment.yml": conda(lines),
        "binder/apt.txt": "".join(f"{name}\n" for name in apt),
    }


def main(argv: list[str]) -> int:
    texts = files()
    stale = [path for path, text in texts.items() if not (ROOT / path).exists() or (ROOT / path).read_text() != text]
    if "--check" in argv:
        print(f"out of date: {', '.join(stale)} (run: make lock)" if stale else "the derived files agree with pyproject.toml")
        return bool(stale)
    for path in stale:
        (ROOT / path).parent.mkdir(exist_ok=True)
        (ROOT / path).write_text(texts[path])
    print(f"written: {', '.join(stale) or 'nothing, all agree'}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
