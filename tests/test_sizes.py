"""Sizes in Docker's words, read and written."""

from __future__ import annotations

import pytest

from lib.sizes import human, in_bytes

SIZES = [("64m", 64 << 20), ("1g", 1 << 30), ("512K", 512 << 10), (1000, 1000), ("1.5m", 3 << 19), ("7b", 7), ("2MB", 2 << 20)]
SIZES += [("64MiB", 64 << 20), ("1kib", 1 << 10), ("2 g", 2 << 30), ("1p", 1 << 50)]


@pytest.mark.parametrize("text, bytes_", SIZES)
def test_sizes_in_dockers_words(text, bytes_):
    assert in_bytes(text) == bytes_


def test_of_a_log_docker_counts_in_thousands():
    assert [in_bytes(text, 1000) for text in ("10m", "1.5g", "2kB", "1KiB", "7", "7b")] == [10**7, 15 * 10**8, 2000, 1000, 7, 7]


@pytest.mark.parametrize("text", ["", "m", "-1", "64x", "1 2", "0x10", "inf", "nan", "64ib", "64mibb", "9" * 40 + "g", "1e3"])
def test_sizes_that_cannot_be_meant(text):
    with pytest.raises(ValueError, match="invalid size"):
        in_bytes(text)


def test_sizes_as_docker_writes_them():
    told = {0: "0B", 999: "999B", 1240: "1.24kB", 72_800_000: "72.8MB", 999_600: "1000kB", 1_050_000_000: "1.05GB"}
    assert {number: human(number) for number in told} == told
