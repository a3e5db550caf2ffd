"""Many containers on one network resolve and reach each other, while others come and go. SUITCASE_SOAK makes it larger."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from helpers.hosts import host
from helpers.lives import Lives, log
from helpers.needs import requires

from lib.engine import ending
from lib.engine.networks import connecting
from lib.network import NetworkError, Wish, create, find
from lib.state import kept

__all__ = ["host"]
pytestmark = [requires("root", "overlay", "busybox", "nft"), pytest.mark.timeout(1800)]
SOAK = bool(os.environ.get("SUITCASE_SOAK"))
MANY, SECONDS, CHANGES = (30, 300, 1000) if SOAK else (30, 3, 200)


ASK = """trap go=1 USR1; while [ -z $go ]; do sleep 0.1; done
while :; do for one in {}; do ping -c1 -W20 $one > /dev/null && echo found || echo lost $one; done; sleep 1; done"""


class Crowd(Lives):
    """Containers on the network ``shop``, made where we are."""

    def facts(self, words, **how) -> dict:
        on = {
            "mode": "shop",
            "networks": [{"network": "shop"}],
            "ports": [],
            **{word: [] for word in ("dns", "search", "dns_options", "hosts")},
        }
        return super().facts(words, **how) | {"network": on}


@pytest.fixture
def crowd(host):
    with host.place:
        create("shop")
        yield Crowd()


def test_they_find_each_other_while_others_come_and_go(crowd):
    """Each asks for three others by name, again and again, and none is ever lost."""
    boxes = []
    for number in range(MANY):
        others = " ".join(f"box{(number + step) % MANY}" for step in (1, 7, 13))
        boxes.append(crowd.run(ASK.format(others), f"box{number}"))
    for one in boxes:
        ending.kill(kept.load(kept.place(one)), "USR1")
    end, guests = time.monotonic() + SECONDS, 0
    while guests < 5 or time.monotonic() < end or min(log(one).count(b"found") for one in boxes) < 3:
        ending.remove(kept.load(kept.place(crowd.run("sleep 100", f"guest{guests}"))), force=True)
        guests += 1
    assert not any(b"lost" in log(one) for one in boxes)
    assert len({one["ipv4"] for one in find("shop").members.values()}) == MANY
    crowd.clean()


def test_connected_and_disconnected_at_once(crowd):
    """No address twice, nobody is forgotten, and in the end nobody is there."""
    boxes = [crowd.run("sleep 1000", f"box{number}") for number in range(8)]
    create("side")

    def change(number: int) -> bool:
        one = kept.load(kept.place(boxes[number % len(boxes)]))
        try:
            connecting.connect(one, Wish("side"))
        except NetworkError:  # another is faster: it is on, or off again
            return False
        there = [member["ipv4"] for member in find("side").members.values()]
        assert len(there) == len(set(there))
        with suppress(NetworkError):
            connecting.disconnect(one, "side")
        return True

    with ThreadPoolExecutor(8) as many:
        assert sum(many.map(change, range(CHANGES))) > CHANGES / 2
    assert not find("side").members and not find("side").alive.exists()
    crowd.clean()
