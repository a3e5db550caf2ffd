"""Arrows point down: import-linter's contracts hold, and one that was broken would be found."""

from __future__ import annotations

import importlib
import os
import pkgutil
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import lib

ROOT = Path(__file__).parents[2]


def lint(folder: Path) -> subprocess.CompletedProcess:
    tool = Path(sys.executable).parent / "lint-imports"
    if not tool.exists():
        pytest.skip("needs import-linter")
    env = os.environ | {"PYTHONPATH": str(folder)}
    return subprocess.run([tool, "--no-cache"], cwd=folder, env=env, capture_output=True, text=True, timeout=60)


def test_the_floors_hold():
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout


def test_an_arrow_that_points_up_is_found(tmp_path):
    shutil.copytree(ROOT / "lib", tmp_path / "lib", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with open(tmp_path / "lib/ingredients/namespaces.py", "a") as file:
        file.write("\nfrom lib.ingredients import cgroups  # noqa\n")
    done = lint(tmp_path)
    assert done.returncode == 1 and "lib.ingredients.namespaces -> lib.ingredients.cgroups" in done.stdout, done.stdout


WINGS = [name for _, name, is_wing in pkgutil.walk_packages(lib.__path__, "lib.") if is_wing]


@pytest.mark.parametrize("wing", WINGS)
def test_what_a_wing_hands_on_is_not_called_as_one_of_its_modules(wing):
    """Once that module is imported, Python puts it under its name into the wing: the second ``show.luggage(…)`` would call a module."""
    package = importlib.import_module(wing)
    modules = {name for _, name, _ in pkgutil.iter_modules(package.__path__)}
    assert modules & set(getattr(package, "__all__", ())) == set()


def test_the_starter_stays_small():
    """What the child carries is imported once at the starter's start; heavy modules would be paid by every first container."""
    code = "import sys; sys.argv = ['x', '0']; from lib.process import starter; print(sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); {code}"], capture_output=True, text=True
    )
    for heavy in ("json", "subprocess", "dataclasses", "pathlib", "tempfile", "logging", "asyncio", "inspect", "typing"):
        assert f"'{heavy}'" not in done.stdout, heavy
