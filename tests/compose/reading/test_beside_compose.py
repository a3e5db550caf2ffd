"""What we read and what the real Docker Compose reads from the same files: ``config --format json``, letter by letter."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from helpers.composing import DIFFERENCES, FAMILIES, FOLDERS, Case, difference, family
from helpers.needs import requires

pytestmark = requires("compose")


def compare(cases: list[Case]) -> None:
    """All cases are read alike, and those on the list of differences are not."""
    with ThreadPoolExecutor(2) as pool:
        found = dict(zip((case.name for case in cases), pool.map(difference, cases), strict=True))
    assert [text for name, text in found.items() if text and name not in DIFFERENCES] == []
    assert [name for name, text in found.items() if not text and name in DIFFERENCES] == [], "these differ no more: take them off the list"


def test_folders_are_read_alike():
    compare([Case.of(folder) for folder in FOLDERS])


@pytest.mark.parametrize("name", FAMILIES)
def test_small_cases_are_read_alike(name, tmp_path):
    compare(list(family(name, tmp_path)))


def test_all_differences_are_of_the_corpus(tmp_path):
    names = {folder.name for folder in FOLDERS}
    for index, name in enumerate(FAMILIES):
        (tmp_path / str(index)).mkdir()
        names |= {case.name for case in family(name, tmp_path / str(index))}
    assert set(DIFFERENCES) <= names
