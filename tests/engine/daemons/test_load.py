"""Many containers for a while, and one that prints as fast as it can: the daemons do not grow, and nobody waits for another.

``make test`` has the short form; ``make soak`` the whole one.
"""

from __future__ import annotations

import os
import re
import threading
import time
from contextlib import suppress

import pytest
from helpers.lives import descriptors, log, pid_of, printed, state
from helpers.needs import requires
from helpers.waiting import wait_for

from lib import linux
from lib.engine import ending, lifecycle
from lib.engine.health import known
from lib.engine.log.reader import frames
from lib.engine.pipes import run_folder
from lib.engine.vitality import alive
from lib.lab.bench.commandbench import proportional
from lib.state import kept

pytestmark = [requires("root", "overlay", "busybox"), pytest.mark.timeout(1800)]
SOAK = bool(os.environ.get("SUITCASE_SOAK"))
MANY, SECONDS, PAUSE = (200, 600, 1) if SOAK else (30, 4, 0.2)
IN_A_ROW, AT_ONCE = (1000, 50) if SOAK else (20, 10)
GROWTH = 2 << 10  # KiB that a daemon's own memory may differ by, however long it runs
SHARE = 80e6  # bytes that keeper and manager take up together
MUCH = 1 << 30 if SOAK else 64 << 20  # bytes that one prints


def memory(daemon: str) -> int:
    """KiB that are the daemon's alone and no file's."""
    return int(re.search(r"RssAnon:\s*(\d+)", linux.read(f"/proc/{pid_of(daemon)}/status"))[1])


def share() -> int:
    """Bytes that keeper and manager take up, their part of what they have in common with others; told to whoever runs the soak."""
    found = sum(proportional(pid_of(daemon)) for daemon in ("keeper", "manager"))
    print(f"keeper and manager: {found / 1e6:.1f} MB")
    return found


def last_number(one: dict) -> int:
    return int((re.findall(rb"line (\d+)\n", log(one)) or [0])[-1])


def test_the_daemons_do_not_grow(lives):
    """Each prints, and is asked after its health."""
    facts = lives.facts(f"i=0; while :; do echo line $i; i=$((i+1)); sleep {PAUSE}; done")
    facts["config"]["healthcheck"] = {"Test": ["CMD", "true"], "Interval": round(PAUSE * 10**9), "Retries": 1}
    those = [lives.start(lifecycle.create(lives.library, facts)) for _ in range(MANY)]
    for one in those:
        printed(one, b"line 1\n")
        wait_for(lambda one=one: known.of(one)["Status"] == "healthy")
    before = {daemon: (descriptors(daemon), memory(daemon)) for daemon in ("keeper", "manager")}
    far = [last_number(one) for one in those]
    time.sleep(SECONDS)
    for one, number in zip(those, far, strict=True):
        wait_for(lambda one=one, number=number: last_number(one) > number)
        found = [int(number) for number in re.findall(rb"line (\d+)\n", log(one))]
        assert found == list(range(len(found))), "each line, and each once"
    assert {known.of(one)["Status"] for one in those} == {"healthy"}
    for daemon, (held, used) in before.items():
        wait_for(lambda daemon=daemon, held=held: descriptors(daemon) <= held + MANY // 2)  # those of a probe come and go
        assert memory(daemon) < used + GROWTH, daemon
    assert share() < SHARE
    lives.clean()
    kept_by_keeper = lambda: linux.read(f"/proc/{pid_of('keeper')}/task/{pid_of('keeper')}/children").split()
    wait_for(lambda: not kept_by_keeper() and descriptors("manager") < 30 and descriptors("keeper") < 30)


def beginning(one: dict) -> bytes:
    """When the newest file of its log began: another time is another file."""
    with suppress(FileNotFoundError), open(kept.place(one) / "log", "rb") as file:
        return file.read(30)
    return b""


def test_a_flood_holds_nobody_up(lives):
    flood = lives.run("yes 0123456789012345678901234567890123456789012345678901234567890", max_size=1 << 20)
    calm = lives.run("while read line; do echo heard $line; done", interactive=True)
    files = set()
    with open(run_folder(calm["id"]) / "stdin", "wb", buffering=0) as sink:
        for number in range(20):
            sink.write(b"%d\n" % number)
            printed(calm, b"heard %d\n" % number)
            files.add(beginning(flood))
        wait_for(lambda: files.add(beginning(flood)) or len(files) > 3)
    assert alive(flood) and alive(calm)
    ending.kill(flood)
    assert lives.ended(flood)["exit_code"] == 137
    assert log(calm) == b"".join(b"heard %d\n" % number for number in range(20))


def test_one_that_prints_much_loses_nothing_and_holds_nobody_up(lives):
    """All of it is in its log, which is not rotated; nothing of it stays in memory."""
    calm = lives.run("while read line; do echo heard $line; done", interactive=True)
    before, begin = memory("manager"), time.monotonic()
    much = lives.run(f"yes 0123456789012345678901234567890123456789012345678 | head -c {MUCH}; exit 3")
    heard = 0
    with open(run_folder(calm["id"]) / "stdin", "wb", buffering=0) as sink:
        while not heard or alive(much):
            sink.write(b"%d\n" % heard)
            printed(calm, b"heard %d\n" % heard)
            heard += 1
    assert lives.ended(much)["exit_code"] == 3
    print(f"{MUCH / 1e6 / (time.monotonic() - begin):.0f} MB/s of output; another answered {heard} times meanwhile")
    assert sum(len(piece.data) for piece in frames(kept.place(much))) == MUCH
    assert memory("manager") < before + GROWTH


def test_many_that_come_and_go(lives):
    """In a row, then at once: each has its code and its words, and nothing of them stays."""
    lives.ended(lives.run("true"))
    before = {daemon: descriptors(daemon) for daemon in ("keeper", "manager")}
    for number in range(IN_A_ROW):
        assert ending.wait(lives.run(f"exit {number % 200}", auto_remove=True)) == number % 200
    codes = {}

    def one(number: int) -> None:
        made = lives.run(f"echo {number}; exit {number}")
        codes[number] = lives.ended(made)["exit_code"], log(made), state(made)["status"]

    threads = [threading.Thread(target=one, args=(number,)) for number in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == {number: (number, b"%d\n" % number, "exited") for number in range(AT_ONCE)}
    lives.clean()
    wait_for(lambda: all(descriptors(daemon) <= held for daemon, held in before.items()))
