"""Questions on a stream, in pieces and in heaps; and who has been idle longest."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from lib.network.names.ages import Ages
from lib.network.names.streams import Stream


@given(st.lists(st.binary(max_size=300), max_size=8), st.lists(st.integers(1, 50), min_size=1))
def test_messages_come_out_whole_however_they_were_cut(messages, sizes):
    sent = b"".join(struct.pack("!H", len(one)) + one for one in messages)
    stream, found = Stream(), []
    while sent:
        size = sizes[len(found) % len(sizes)]
        found += stream.take(sent[:size])
        sent = sent[size:]
    assert found == messages and not stream.come


class Narrow:
    """A socket that takes three bytes at a time, and then none until it is emptied."""

    def __init__(self):
        self.sent, self.full = b"", False

    def send(self, data) -> int:
        if self.full:
            raise BlockingIOError
        self.sent, self.full = self.sent + bytes(data[:3]), True
        return min(3, len(data))


def test_what_cannot_go_now_goes_later():
    stream, narrow = Stream(), Narrow()
    stream.put(b"hello")
    while stream.to_go:
        stream.flush(narrow)
        stream.flush(narrow)
        narrow.full = False
    assert Stream().take(narrow.sent) == [b"hello"]


def test_the_oldest_is_over_first():
    now = [0.0]
    ages = Ages(10, lambda: now[0])
    assert ages.left() is None and list(ages.over()) == []
    for moment, thing in enumerate("abc"):
        now[0] = moment
        ages.touch(thing)
    ages.touch("a")
    now[0] = 11
    assert ages.left() == 0
    over = []
    for thing in ages.over():
        over.append(thing)
        ages.drop(thing)
    assert over == ["b"] and ages.left() == 1 and len(ages) == 2
