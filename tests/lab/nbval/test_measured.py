"""Cells that are tagged ``measured`` and ``holds``, through nbval: which changes turn them red, and which do not."""

import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from lib.lab.nbval import claims
from lib.lab.nbval.measured import words

ROOT = Path(__file__).parents[3]
HOLDS = "assert vm > 20 * box"
NAMES = {"seconds": 3.0, "code": 137, "kinds": ["pid", "mnt"], "sizes": [6, 7], "here": True, "there": [], "gone": None, "name": "suitcase"}


def notebook(folder: Path, printed: str, source: str, holds: str = HOLDS) -> Path:
    """Two cells: one measured, whose stored output is ``printed``, and the claim after it."""
    cells = [
        new_code_cell(
            source, metadata={"tags": ["measured"]}, execution_count=1, outputs=[new_output("stream", name="stdout", text=printed)]
        ),
        new_code_cell(holds, metadata={"tags": ["holds"]} if holds else {}, execution_count=2),
    ]
    path = folder / "one.ipynb"
    nbformat.write(new_notebook(cells=cells), path)
    return path


def nbval(path: Path) -> tuple[bool, str]:
    how = ["-p", "lib.lab.jupyter.nbval_sockets", "-p", "no:cacheprovider", "--nbval", "--nbval-current-env", "-c", "/dev/null"]
    done = subprocess.run([sys.executable, "-m", "pytest", *how, str(path)], cwd=ROOT, capture_output=True, text=True)
    return done.returncode == 0, done.stdout


SOURCE = "vm, box = {vm}, {box}\nprint(f'{{vm:.2f}} s against {{1000 * box:.1f}} ms: {{vm / box:,.0f}} times')"


@pytest.mark.parametrize(
    "printed, source, holds, right, told",
    [
        ("2.61 s against 12.8 ms: 204 times\n", SOURCE.format(vm=3.5, box=0.0091), HOLDS, True, ""),
        ("2.61 s instead of 12.8 ms: 204 times\n", SOURCE.format(vm=3.5, box=0.0091), HOLDS, False, "Cell outputs differ"),
        ("2.61 s against 12.8 ms: 204 times, 7\n", SOURCE.format(vm=3.5, box=0.0091), HOLDS, False, "Cell outputs differ"),
        ("2.61 s against 12.8 ms: 204 times\n", SOURCE.format(vm=3.5, box=0.91), HOLDS, False, "AssertionError"),
        ("2.61 s against 12.8 ms: 204 times\n", SOURCE.format(vm=3.5, box=0.0091), "assert vm > 0", False, "cannot fail"),
        ("2.61 s against 12.8 ms: 204 times\n", SOURCE.format(vm=3.5, box=0.0091), "", False, "tag holds"),
    ],
    ids=["another number", "another word", "one number more", "a broken claim", "a claim that cannot break", "no claim"],
)
def test_what_turns_a_measured_cell_red(tmp_path, printed, source, holds, right, told):
    good, said = nbval(notebook(tmp_path, printed, source, holds))
    assert good == right and told in said, said


@pytest.mark.parametrize(
    "one, other",
    [
        ("2.61 s", "980 ms"),
        ("64 MiB", "1.5 GiB"),
        ("  12  processes", "1,204 processes"),
        ("name   12\n-------", "name  1200\n---------"),
        ("▏", "████"),
        ("-3.5e-05 x", "7 x"),
    ],
)
def test_a_different_number_is_the_same_words(one, other):
    assert words(one) == words(other)


@pytest.mark.parametrize(
    "one, other", [("12 ms", "12 MiB"), ("cgroup v1", "cgroup v2"), ("1 2", "1"), ("sha256", "sha512"), ("3 of 4", "3 or 4")]
)
def test_a_different_word_is_not(one, other):
    assert words(one) != words(other)


@pytest.mark.parametrize(
    "claim",
    ["assert seconds < 10", "assert code == 137", "assert 'pid' in kinds", "assert all(one > 5 for one in sizes)",
     "assert here", "assert not there", "for one in sizes: assert one > 5",
     "assert gone is None or gone == 3", "assert name != 'host'", "assert name.startswith('suit')"],
)  # fmt: skip
def test_a_claim_that_another_value_breaks(claim):
    claims.check(
        claim,
        {
            "seconds": 3.0,
            "code": 137,
            "kinds": ["pid", "mnt"],
            "sizes": [6, 7],
            "here": True,
            "there": [],
            "gone": None,
            "name": "suitcase",
        },
    )


@pytest.mark.parametrize(
    "claim", ["assert True", "assert seconds >= 0", "assert len(kinds) >= 0", "print(seconds)", "assert kinds or True"]
)
def test_a_claim_that_nothing_breaks(claim):
    with pytest.raises(AssertionError, match=r"cannot fail|must assert"):
        claims.check(claim, NAMES)
