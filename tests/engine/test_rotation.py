"""When a log begins a new file, played without any file: every branch."""

from __future__ import annotations

import pytest

from lib.engine.log.frames import HEAD
from lib.engine.log.rotation import LEAST, Remove, Rename, Wait, full, room, rotation


def played(numbers: set[int], max_file: int, *answers: bool) -> list:
    """The commands; ``answers`` are those to each ``Remove``, then all are True."""
    play, said, left, answer = rotation(numbers, max_file), [], list(answers), None
    while True:
        try:
            said.append(play.send(answer))
        except StopIteration:
            return said
        answer = (left.pop(0) if left else True) if isinstance(said[-1], Remove) else None


def test_the_files_move_up_from_the_oldest_on():
    assert played({0}, 3) == [Rename(0, 1)]
    assert played({0, 1}, 3) == [Rename(1, 2), Rename(0, 1)]


def test_the_oldest_goes_when_all_numbers_are_taken():
    assert played({0, 1, 2}, 3) == [Remove(2), Rename(1, 2), Rename(0, 1)]
    assert played({0, 1}, 2) == [Remove(1), Rename(0, 1)]


def test_it_waits_as_long_as_somebody_reads_the_oldest():
    assert played({0, 1}, 2, False, False) == [Remove(1), Wait(), Remove(1), Wait(), Remove(1), Rename(0, 1)]


def test_one_that_was_broken_off_closes_its_gap():
    assert played({0, 1, 3}, 4) == [Rename(1, 2), Rename(0, 1)]
    assert played({0, 2, 3}, 4) == [Rename(0, 1)]


def test_of_a_single_file_the_old_one_stays_only_while_it_is_read():
    assert played({0}, 1) == [Rename(0, 1), Remove(1)]
    assert played({0, 1}, 1, False) == [Remove(1), Wait(), Remove(1), Rename(0, 1), Remove(1)]


@pytest.mark.parametrize("size, max_size, is_full", [(10**9, None, False), (0, 10, False), (HEAD, 4000, False), (4000 - HEAD, 4000, True)])
def test_a_file_is_full_when_not_even_a_head_fits(size, max_size, is_full):
    assert full(size, max_size) == is_full


def test_a_frame_takes_what_room_there_is():
    assert room(100, None, 70_000) == 70_000
    assert room(100, 4000, 70_000) == 4000 - HEAD - 100
    assert room(100, 4000, 5) == 5
    assert room(0, 10, 70_000) == LEAST, "but a new file takes some in any case"
