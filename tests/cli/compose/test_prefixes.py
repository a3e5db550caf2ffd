"""Lines of several containers in one stream: whole ones, and whose they are."""

from __future__ import annotations

from lib.cli.compose.logs.prefixes import Prefix, prefixes


def containers(*names: str) -> dict[str, str]:
    return {f"id of {name}": name for name in names}


def test_the_names_are_of_one_width():
    found = prefixes(containers("db-1", "worker-12"), False, True, False)
    assert found.keys() == containers("db-1", "worker-12").keys()
    assert [one.words for one in found.values()] == [b"db-1       | ", b"worker-12  | "]


def test_each_has_a_colour_and_after_ten_they_begin_anew():
    found = prefixes(containers(*(f"a-{number}" for number in range(11))), True, True, False)
    colours = [one.words[:5] for one in found.values()]
    assert colours[0] == colours[10] == b"\x1b[36m" and len(set(colours)) == 10


def test_a_line_that_comes_in_two_halves_is_one_line():
    """And those of the two streams are not mixed."""
    one = Prefix("web  | ")
    assert one.lines("stdout", b"hel", "t1") == b"" and one.lines("stderr", b"oh\n", "t2") == b"web  | oh\n"
    assert one.lines("stdout", b"lo\nrest", "t3") == b"web  | hello\n"
    assert one.rests() == [("stdout", b"web  | rest\n")] and one.rests() == []


def test_timestamps_and_no_prefix():
    assert Prefix("", True).lines("stdout", b"a\n\nb\n", "t") == b"t a\nt \nt b\n"
