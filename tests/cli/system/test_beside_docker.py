"""Beside the real Docker: the events of a container's life, what ``update`` and ``prune`` say, and the columns of ``system df``."""

from __future__ import annotations

import json
import re
import time

import pytest
from helpers.commands import Docker, columns, first_words, given_to
from helpers.lives import BUSYBOX
from helpers.needs import requires
from helpers.waiting import wait_for

pytestmark = requires("root", "overlay", "busybox", "docker")
WAITS = "trap 'exit 4' TERM; echo up; while :; do sleep 0.02; done"


@pytest.fixture
def hands(suitcase, lives, docker, tmp_path):
    """Both, with the same image."""
    given_to(docker, suitcase, tmp_path, BUSYBOX)
    theirs = Docker(docker)
    yield suitcase, theirs
    if left := theirs("ps -aq").out.split():
        assert theirs(f"rm -f {' '.join(left)}").code == 0
    assert theirs("image prune -af").code == 0


# -- events -----------------------------------------------------------------------------------------------------------

LIFE = f"""
create --name box -l tier=back --network none {BUSYBOX} sh -c "{WAITS}"
start box
UP
pause box
unpause box
exec box sh -c 'exit 3'
update --memory 64m --memory-swap 64m box
rename box other
restart other
UP
kill other
wait other
start other
UP
stop other
rm other
run --name other --network none {BUSYBOX} sh -c 'exit 5'
rm -f other
run -d --name other --network none {BUSYBOX} sleep 600
rm -f other
run -d --rm --name other --network none {BUSYBOX} true
GONE
create --name other --network none {BUSYBOX} true
container prune -f
run -d --name other --network none --restart on-failure:1 {BUSYBOX} sh -c 'exit 6'
EXITED
rm other
"""
OF_EACH = {  # attributes that differ, and why
    "execID": "each has its own",
    "execDuration": "ours does not measure it",
}
MINE = {"box", "other", ""}  # in the same second another test may have taken away its own; a prune has no name
BESIDE = {"die", "destroy", "exec_die"}  # whoever sees the end tells of it, in theirs sometimes later than the command that waited for it
WAITED = {
    "UP": lambda hand: "up" in hand(f"logs {name(hand)}").out,
    "GONE": lambda hand: name(hand) == "",
    "EXITED": lambda hand: hand("inspect -f '{{.State.Status}} {{.RestartCount}}' other").out == "exited 1\n",
}


def name(hand) -> str:
    return hand("ps -a --format {{.Names}}").out.strip()


def lived(hand) -> list[tuple[str, dict]]:
    """A container's life, as it is told. Theirs hears of whole seconds only."""
    begin = hand(f"run --rm --name clock --network none {BUSYBOX} date +%s").out.strip()
    for line in filter(None, LIFE.splitlines()):
        if line in WAITED:
            wait_for(lambda line=line: WAITED[line](hand), 30)
        else:
            hand(line)
    said = hand(f"events --since {begin} --until {int(time.time()) + 1} --filter type=container --format '{{{{json .}}}}'")
    assert said.code == 0, said.err
    found = [(one["Action"], one["Actor"]["Attributes"]) for one in map(json.loads, said.out.splitlines()) if told_of(one) in MINE]
    return [(action, {key: value for key, value in words.items() if key not in OF_EACH}) for action, words in found]


def told_of(event: dict) -> str:
    assert event["Type"] == "container"
    return event["Actor"]["Attributes"].get("name", "")


def regardless_of_order(events: list[tuple[str, dict]]) -> list:
    return sorted((action, sorted(words.items())) for action, words in events)


def test_a_containers_life_is_told_in_the_same_words_and_order(hands):
    mine, theirs = map(lived, hands)
    assert [action for action, _ in mine if action not in BESIDE] == [action for action, _ in theirs if action not in BESIDE]
    assert regardless_of_order(mine) == regardless_of_order(theirs)
    ours = [action for action, _ in mine]
    assert {ours[at - 1] for at, action in enumerate(ours) if action == "stop"} == {"die"}


# -- what is said -----------------------------------------------------------------------------------------------------

PLAY = f"""
container prune -f
create --name one --network none -l tier=back {BUSYBOX} true
create --name two --network none {BUSYBOX} true
run -d --name runs --network none {BUSYBOX} sleep 600
container prune -f --filter label=tier=front
container prune -f --filter label=tier=back
container prune -f --filter until=24h
container prune -f
container prune -f more
ps -a --format {{{{.Names}}}}
update runs
update
update nosuch --memory 64m
update -m 64m --memory-swap 128m runs
inspect -f '{{{{.HostConfig.Memory}}}} {{{{.HostConfig.MemorySwap}}}}' runs
update -m 1k runs
update -m x runs
update --cpus 0.5 runs
inspect -f '{{{{.HostConfig.NanoCpus}}}}' runs
update --cpu-shares 512 --pids-limit 50 runs
inspect -f '{{{{.HostConfig.CpuShares}}}} {{{{.HostConfig.PidsLimit}}}}' runs
exec runs true
update --restart always runs
inspect -f '{{{{json .HostConfig.RestartPolicy}}}}' runs
update --restart sometimes runs
update --restart no runs
rename runs
rename nosuch other
restart nosuch
restart -t x runs
restart -t 0 runs
inspect -f '{{{{.RestartCount}}}} {{{{.State.Status}}}}' runs
pause runs
container prune -f
unpause runs
events --until x
events --filter nonsense --until 0s
system df --format x more
"""
WORDS = (  # what is left out or made the same, and why
    ("[0-9a-f]{64}", "ID", "each container has its own"),
    ("minimum memory limit allowed is 6mb|memory=1024 bytes: the smallest limit is 6 mib.*", "TOO LITTLE", "ours says what may be meant"),
    (r"(invalid size: 'x').*", r"\1", "ours says what a size looks like"),
    ("(invalid restart policy: )?unknown policy .*|invalid restart policy '.*", "POLICY", "another version's words"),
    ('invalid value for "until": ', "", "another version's words"),
    ("invalid filter 'nonsense'.*", "NO SUCH FILTER", "ours says which there are"),
)


def played(hand, line: str) -> tuple[int, str, str]:
    found = hand(line)
    out, err = found.out, first_words(found.err) if found.err.strip() else ""
    for pattern, instead, _ in WORDS:
        out, err = re.sub(pattern, instead, out), re.sub(pattern, instead, err)
    return found.code, out, err


def test_each_verb_says_and_does_the_same(hands):
    mine, theirs = hands
    differ = []
    for line in filter(None, PLAY.splitlines()):
        if (ours := played(mine, line)) != (other := played(theirs, line)):
            differ.append((line, ours, other))
    assert not differ, "\n".join(map(str, differ))


def test_how_much_room_each_kind_takes(hands):
    """The columns, the kinds, how many there are; sizes are each one's own, and so is how they are packed."""
    shapes = []
    for hand in hands:
        assert hand(f"run --name wrote --network none {BUSYBOX} sh -c 'head -c 5000 /dev/zero > /f'").code == 0
        assert hand(f"run -d --name runs --network none {BUSYBOX} sleep 600").code == 0
        rows = [json.loads(line) for line in hand("system df --format '{{json .}}'").out.splitlines()]
        head, *lines = [columns(line) for line in hand("system df").out.splitlines()]
        box = next(row for row in rows if row["Type"] == "Containers")
        counts = [(row["Type"], row["TotalCount"], row["Active"], sorted(row)) for row in rows]
        shapes.append((head, [line[:3] for line in lines], counts, box["Size"], box["Reclaimable"]))
    assert shapes[0] == shapes[1]
