"""Arrows point down: import-linter's contracts hold, and one that was broken would be found."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

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


def test_the_starter_stays_small():
    """What the child carries is imported once at the starter's start; heavy modules would be paid by every first container."""
    code = "import sys; sys.argv = ['x', '0']; from lib.process import starter; print(sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); {code}"], capture_output=True, text=True
    )
    for heavy in ("json", "subprocess", "dataclasses", "pathlib", "tempfile", "logging", "asyncio", "inspect", "typing"):
        assert f"'{heavy}'" not in done.stdout, heavy
