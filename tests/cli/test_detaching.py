"""The keys that leave a container: their names, and how they are found in what is typed."""

from __future__ import annotations

import random

import pytest

from lib.cli.attached.detaching import DetachKeys, parsed


@pytest.mark.parametrize(
    ("words", "sent"),
    [
        ("", b"\x10\x11"),
        ("ctrl-p,ctrl-q", b"\x10\x11"),
        ("a", b"a"),
        ("a,b,c", b"abc"),
        ("ctrl-@", b"\0"),
        ("ctrl-a,ctrl-z", b"\x01\x1a"),
        ("ctrl-[,ctrl-\\,ctrl-],ctrl-^,ctrl-_", b"\x1b\x1c\x1d\x1e\x1f"),
        ("DEL", b"\x7f"),
    ],
)
def test_names_of_keys(words, sent):
    assert parsed(words) == sent


@pytest.mark.parametrize(
    ("words", "key"), [("shift-a", "shift-a"), ("ctrl-A,a", "ctrl-A"), ("ctrl-", "ctrl-"), ("a,", ""), ("é", "é"), ("del", "del")]
)
def test_what_is_no_key(words, key):
    with pytest.raises(ValueError) as raised:
        parsed(words)
    assert str(raised.value) == f"invalid detach keys ({words}): Unknown character: '{key}'"


@pytest.mark.parametrize(
    ("keys", "typed", "passed", "detached", "rest"),
    [
        ("", b"ls\r", b"ls\r", False, b""),
        ("", b"ls\x10\x11", b"ls", True, b""),
        ("", b"\x10\x11and what follows", b"", True, b""),
        ("", b"\x10", b"", False, b"\x10"),
        ("", b"\x10a", b"\x10a", False, b""),
        ("", b"\x10\x10\x11", b"\x10", True, b""),
        ("a,a,b", b"aaaab", b"aa", True, b""),
        ("a,b,a,c", b"ababac", b"ab", True, b""),
        ("a,b,a,c", b"ababa", b"ab", False, b"aba"),
        ("x", b"12x", b"12", True, b""),
    ],
)
def test_the_keys_are_found_however_the_bytes_come(keys, typed, passed, detached, rest):
    for size in range(1, len(typed) + 1):
        machine, out, gone = DetachKeys(keys), b"", False
        for start in range(0, len(typed), size):
            some, gone = machine.typed(typed[start : start + size])
            out += some
            if gone:
                break
        assert (out, gone) == (passed, detached)
        assert gone or machine.finish() == rest


def test_nothing_is_lost_or_made_up():
    chance = random.Random(17)
    for _ in range(300):
        typed = bytes(chance.choices(b"\x10\x11a", k=12))
        found = typed.find(b"\x10\x11")
        machine = DetachKeys()
        passed, detached = machine.typed(typed)
        assert detached == (found >= 0)
        assert passed + (b"" if detached else machine.finish()) == (typed[:found] if detached else typed)
