"""What chapter 1 needs beside its exercises: a moment in words, a suitcase's contents, folders for layers."""

import tarfile
import time
from pathlib import Path

import pytest

from lib.lab.chapters import ch01, tempfolder


@pytest.mark.parametrize(
    "seconds, words",
    [(0.4, "just now"), (45, "45 seconds ago"), (300, "5 minutes ago"), (80_000, "22 hours ago"), (400_000, "5 days ago")],
)
def test_a_moment_is_told_in_the_largest_unit_that_fits(monkeypatch, seconds, words):
    now = time.time()
    monkeypatch.setattr(ch01.time, "time", lambda: now)
    assert ch01.ago(now - seconds) == words


def test_a_suitcase_is_sorted_into_piles_the_heaviest_first(tmp_path):
    sizes = {"srv/shop.py": 53, "usr/lib/python3/dist-packages/till.py": 50, "usr/lib/python3.11/os.py": 900, "usr/lib/x/libc.so.6": 1000}
    for name, size in sizes.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(bytes(size))
    with tarfile.open(tmp_path / "suitcase.tar", "w") as tar:
        for name in sizes:
            tar.add(tmp_path / name, name)
    found = ch01.goods(tmp_path / "suitcase.tar")
    assert list(found.values()) == [1000, 900, 53, 50] and list(found)[2] == "Ann's program"


def test_a_layer_is_a_folder_that_goes_with_the_others():
    place = Path(ch01.layer("front", {"var/www/index.html": "hello"}))
    assert (place / "var/www/index.html").read_text() == "hello"
    tempfolder.clear()
    assert not place.exists()
