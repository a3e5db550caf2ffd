"""What we read and what the real Docker Compose reads from the same files: ``config --format json``, letter by letter."""

from __future__ import annotations

import pytest
from helpers.composing import CORPUS, Case, has_place, ours, theirs
from helpers.needs import requires

pytestmark = requires("compose")
CASES = sorted(folder.name for folder in CORPUS.iterdir() if folder.is_dir())


@pytest.mark.parametrize("name", CASES)
def test_the_same_is_read(name):
    case = Case.of(CORPUS / name)
    their, our = theirs(case), ours(case)
    if their.error:
        assert our.error, f"they refuse it: {their.error}"
        assert has_place(our.error), our.error
    else:
        assert our.error == ""
        assert our.document == their.document
        assert our.text == their.text.rstrip("\n"), "the order of keys, or the way of writing"
