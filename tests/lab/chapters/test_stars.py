"""The ★ table, played: with the feature a cell passes, without it it fails for the stated reason."""

import json
import shutil
from pathlib import Path

import pytest
from helpers.needs import requires
from helpers.replay import replay, sources, tags
from helpers.stars import STARS

from lib.lab.jupyter.chapterlist import CHAPTERS, home
from lib.lab.nbval.measured import IGNORED, MEASURED, words

ROOT = Path(__file__).parents[3]
FILES = {chapter.number: chapter.path(home()) for chapter in CHAPTERS}
PLAYED = [pytest.param(star, id=star.name, marks=requires(*star.needs)) for star in STARS]


def play(star, lib: Path):
    return replay(sources(FILES[star.chapter], star.tag), lib, home())


def lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]


def stored(star) -> list[tuple[str, bool]]:
    """The lines that the star's cells have printed in the committed notebook, and whether each is a measured one."""
    found = []
    for cell in json.loads(FILES[star.chapter].read_text())["cells"]:
        if star.tag in tags(cell) and IGNORED not in tags(cell):
            for output in cell["outputs"]:
                text = "".join(output.get("text") or output.get("data", {}).get("text/plain", ""))
                found += [(line, MEASURED in tags(cell)) for line in lines(text)]
    return found


def missing(star, printed: list[str]) -> list[str]:
    """Which of the stored lines were not printed; of a measured one the words count, as they do for nbval."""
    spoken = {words(line) for line in printed}
    return [line for line, measured in stored(star) if not (words(line) in spoken if measured else line in printed)]


def broken_lib(star, folder: Path) -> Path:
    """A copy of ``lib`` without the feature. The change must fit exactly once, or the table is stale."""
    shutil.copytree(ROOT / "lib", folder / "lib", ignore=shutil.ignore_patterns("__pycache__"))
    file = folder / "lib" / star.module
    text = file.read_text()
    assert text.count(star.old) == 1, f"{star.module} has {text.count(star.old)} places with {star.old!r}"
    file.write_text(text.replace(star.old, star.new))
    return folder


def test_every_star_of_the_notebooks_is_in_the_table_and_the_other_way_round():
    written = [path for path in FILES.values() if path.exists()]
    cells = [cell for path in written for cell in json.loads(path.read_text())["cells"]]
    assert {tag for cell in cells for tag in tags(cell) if tag.startswith("star:")} == {star.tag for star in STARS}


@pytest.mark.parametrize("star", PLAYED)
def test_with_the_feature_the_cells_print_what_the_notebook_holds(star):
    done = play(star, ROOT)
    printed = lines(done.out)
    gone = missing(star, printed)
    assert not done.failed and not gone, f"missing: {gone}\nprinted: {printed}\n{done.err[-1000:]}"


@pytest.mark.parametrize("star", PLAYED)
def test_without_the_feature_they_fail_for_the_stated_reason(star, tmp_path):
    done = play(star, broken_lib(star, tmp_path))
    printed = lines(done.out)
    assert star.symptom in done.out, f"{printed}\n{done.err[-1000:]}"
    assert done.failed or missing(star, printed), "the cells did not notice"
