"""ARCHITECTURE.md and its picture are true of the imports; the tests lie where the code does; the workflow is what GitHub understands."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "ARCHITECTURE.md").read_text()
sys.path.insert(0, str(ROOT / "tools"))

import picture  # noqa: E402


def test_the_picture_is_that_of_the_imports():
    assert picture.main(["--check"]) == 0


def test_no_box_of_the_picture_covers_another():
    for row in picture.floors():
        middles = sorted(x for x, _ in picture.places([row]).values())
        assert all(right - left > picture.BOX for left, right in pairwise(middles)), row


def points(start: picture.Point, end: picture.Point, many: int = 40) -> list[picture.Point]:
    """Points of an arrow, by Bernstein's polynomials."""
    found = []
    for part in (number / many for number in range(many + 1)):
        weights = (1 - part) ** 3, 3 * part * (1 - part) ** 2, 3 * part**2 * (1 - part), part**3
        found.append(
            tuple(sum(weight * one[axis] for weight, one in zip(weights, picture.curve(start, end), strict=True)) for axis in (0, 1))
        )
    return found


def test_no_arrow_goes_through_another_box():
    rows = picture.floors()
    places = picture.places(rows)
    hidden = {
        (one, two, name)
        for one, two in picture.drawn(picture.imports(list(places)))
        for x, y in points(places[one], places[two])
        for name, (left, top) in places.items()
        if name not in (one, two) and abs(x - left) < picture.BOX / 2 and abs(y - top) < picture.HIGH / 2
    }
    assert hidden == set()


def test_no_arrow_points_up():
    rows = picture.floors()
    assert picture.upward(rows, picture.imports([name for row in rows for name in row])) == []


def test_an_arrow_that_points_up_is_found():
    assert picture.upward([["top"], ["low", "beside"]], {"top": {"low"}, "low": {"top", "beside"}, "beside": set()}) == [
        "low → beside",
        "low → top",
    ]


def test_the_table_has_the_floors_of_the_contract_from_the_top_down():
    """Two floors that the text tells together may stand in one row, never in another order."""
    told = [name for line in re.findall(r"^\| (`.*?) \|", TEXT, re.MULTILINE) for name in re.findall(r"`(\w+)(?:/|\.py)`", line)]
    order = {name: number for number, row in enumerate(picture.floors()) for name in row}
    assert set(told) == set(order) and [order[name] for name in told] == sorted(order.values())


def test_every_module_that_is_named_exists():
    wings = "|".join(path.name for path in (ROOT / "lib").iterdir() if path.is_dir())
    for path in re.findall(rf"`((?:{wings})/[\w/]+\.py)`", TEXT):
        assert (ROOT / "lib" / path).is_file(), path
    for path in re.findall(r"`(lib/[\w/]+|tests/[\w/]+)(?:\.py|/)?`", (ROOT / "CONTRIBUTING.md").read_text()):
        if path != "tests/build/test_ignore":
            assert (ROOT / path).is_dir() or (ROOT / f"{path}.py").is_file() or (ROOT / f"{path}.txt").is_file(), path


def test_tests_lie_in_the_wings_of_what_they_test():
    """In a folder of a wing, or beside this one: of a module that belongs to no wing."""
    for path in (ROOT / "tests").rglob("test_*.py"):
        wing = path.parent.relative_to(ROOT / "tests")
        alone = wing == Path(".") and (ROOT / "lib" / f"{path.stem.removeprefix('test_')}.py").is_file()
        assert alone or (wing != Path(".") and ((ROOT / "lib" / wing).is_dir() or wing.parts[0] in ("house", "attacks"))), path


def test_the_workflow_is_what_githubs_published_schema_allows(tmp_path):
    tool = shutil.which("check-jsonschema", path=str(Path(sys.executable).parent))
    if not tool:
        pytest.skip("needs check-jsonschema (make setup-peers brings it)")
    workflow = ROOT / ".github/workflows/test.yml"
    (tmp_path / "broken.yml").write_text(workflow.read_text().replace("runs-on:", "runs-at:"))
    for path, code in ((workflow, 0), (tmp_path / "broken.yml", 1)):
        done = subprocess.run([tool, "--builtin-schema", "vendor.github-workflows", str(path)], capture_output=True, text=True)
        assert done.returncode == code, done.stdout
    commands = re.findall(r"^sudo (make tutorial|make test)\b", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert commands and all(f"sudo {command}\n" in workflow.read_text() for command in commands), "both commands of the README"


def test_every_promise_of_the_security_page_names_a_test_that_exists():
    text = (ROOT / "SECURITY.md").read_text()
    known = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    named = set(re.findall(r"`(test_\w+)`", text))
    assert len(named) > 15 and [name for name in named if f"def {name}(" not in known] == []
    assert all((ROOT / "tests/attacks" / name).is_file() for name in re.findall(r"`(test_\w+\.py)`", text))
