"""Chapter 2 whole in a real cgroup v2 kernel, and it prints the same words as on v1: ``make outputs`` in the guest is a no-op."""

import sys
from pathlib import Path

import pytest
from needs import requires

from lib.lab.uml import run_in_uml

ROOT = Path(__file__).parents[1]


@requires("linux.uml")
@pytest.mark.timeout(300)
def test_the_chapter_prints_the_same_on_v2():
    done = run_in_uml([sys.executable, "-m", "lib.lab.notebooks", "outputs", "--check", "--only", "02"], cwd=str(ROOT), timeout=280)
    assert done.code == 0, done.text[-4000:]
