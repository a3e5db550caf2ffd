"""Containers that run and have run, beside the real Docker: what the listing verbs tell of them."""

from __future__ import annotations

import json
import os
import re
import time
from datetime import datetime

import pytest
from helpers.commands import Command, Docker, at_once, first_words, given_to, told
from helpers.facts import ZERO
from helpers.needs import requires
from helpers.waiting import wait_for

from lib.cli.main import HOMES
from lib.engine.naming import shortnames
from lib.images import Library, Store

pytestmark = [requires("root", "overlay", "busybox"), pytest.mark.skipif("create" not in HOMES, reason="waits for create, run -d and rm")]

IMAGE = "localhost/busybox:static"
PRINTS = "for i in 1 2 3; do echo $i; done; sleep 0.3; echo oh >&2; sleep 0.3; printf open; exit 3"  # so that all see one order
LINES = {
    "never": f"create --name never {IMAGE} true",
    "lives": f"run -d --name lives -l tier=front {IMAGE} sleep 600",
    "ended": f"run -d --name ended {IMAGE} sh -c '{PRINTS}'",
    "killed": f"run -d --name killed {IMAGE} sh -c 'kill -9 $$'",
    "broken": f"run -d --name broken {IMAGE} nosuchcommand",
    "silent": f"run -d --name silent --log-driver none {IMAGE} echo words",
}


@pytest.fixture
def both(capfd, docker, tmp_path):
    """The containers in both hands, where all but one have ended. Ours stand in the store that keeper and manager have."""
    shortnames.make(Library(Store()), IMAGE)
    suitcase = Command(capfd)
    given_to(docker, suitcase, tmp_path, IMAGE)
    hands = suitcase, Docker(docker)
    for hand in hands:
        for name, line in LINES.items():
            said = hand(line.replace(" --name", " --network none --name"))
            assert (said.code, bool(re.fullmatch(r"[0-9a-f]{64}\n", said.out))) == ((127, True) if name == "broken" else (0, True)), said
        wait_for(lambda hand=hand: hand("ps -q").out.count("\n") == 1)
    yield hands
    for hand in hands:
        assert hand(f"rm -f {' '.join(LINES)}").code == 0


def test_what_is_told_of_them(both):
    """One test, as these containers are costly."""
    mine, theirs = both
    assert os.readlink(f"/proc/{mine('inspect -f {{.State.Pid}} lives').out.strip()}/exe").endswith("busybox")
    for words in ("ps", "ps -a", "ps -a --no-trunc", "ps -a -f status=exited", "ps -a -f exited=137", "ps -a -f status=created"):
        assert [told(line) for line in mine(words).out.splitlines()] == [told(line) for line in theirs(words).out.splitlines()], words
    for name in LINES:
        assert state(mine, name) == state(theirs, name), name
    assert logs(mine, "") == logs(theirs, "") == (0, "1\n2\n3\nopen", "oh\n")
    for words in ("--tail 2", "-n 0", "--tail=x", "--details", "-f", "--since 1h", "--since 2100-01-01", "--until 2000-01-01", "--until=0"):
        assert logs(mine, words) == logs(theirs, words), words
    assert [re.sub(r"\d{4}-\S{10,30}Z", "TIME", logs(hand, "-t --tail 3")[1]) for hand in both] == ["TIME 3\nTIME open"] * 2
    for line in ("logs silent", "port lives 80", f"run --name lives {IMAGE} true", f"create --name lives {IMAGE}", "logs -f broken"):
        assert said(mine, line) == said(theirs, line), line
    for line in ("inspect -f '{{.Name}} {{.State.Status}} {{.State.ExitCode}} {{.Config.Image}} {{json .Config.Cmd}}' lives ended never",):
        assert mine(line).out == theirs(line).out, line


# One after the other, in the same way in both hands; a ``#`` names what is tried.
PLAY = f"""
# create, start, wait, rename
create --name one {IMAGE} sh -c 'echo out; echo err >&2; exit 3'
create --name one {IMAGE} true
start one
wait one
start -a one
start nosuch
start nosuch one
start -a one two
start -a nosuch
wait one nosuch
rename one two
rename two two
rename two /three
rename two four
rename three 'two words'
rename three ''
rename '' four
start
rename three
# stop, kill, restart, rm of what runs, has ended, is not there
stop three
stop nosuch three
stop -t x three
stop -s NONSENSE three
kill three
kill nosuch
kill -s NONSENSE nosuch
restart nosuch
restart -t 0 three
wait three
run -d --name runs {IMAGE} sh -c 'trap "echo bye; exit 5" TERM; while :; do sleep 0.02; done'
rename three runs
kill -s USR9 runs
rm runs
rm nosuch three
rm -f nosuch
rm ''
rm -f ''
# exec, attach
exec runs sh -c 'echo out; echo err >&2; exit 9'
exec runs sh -c 'kill -9 $$'
exec -u nobody -w /tmp runs sh -c 'id; pwd'
exec -u 1000:50 runs id -u
exec -e A=1 -e NOWHERE runs sh -c 'echo $A; env | grep -c NOWHERE'
exec --env-file /nix runs true
exec -e =x runs true
exec -t runs sh -c 'tty; exit 4'
exec -it runs true
exec -u nobody runs grep CapEff /proc/self/status
exec runs grep CapEff /proc/self/status
exec runs cat
exec nosuch true
exec runs
attach nosuch
attach runs more
exec -d runs touch /made
MADE
# pause
pause nosuch
unpause runs
pause runs
pause runs
inspect -f '{{{{.State.Status}}}} {{{{.State.Running}}}} {{{{.State.Paused}}}}' runs
ps -f status=paused --format {{{{.Names}}}}
exec runs true
attach runs
start runs
rm runs
diff runs
unpause runs
unpause runs
pause
unpause
pause runs
stop runs
wait runs
logs runs
exec runs true
attach runs
stop -t 0 runs
inspect -f '{{{{.State.ExitCode}}}} {{{{.State.Status}}}} {{{{.State.OOMKilled}}}}' runs
rm runs
# restart policies
create --restart sometimes {IMAGE} true
create --restart always:3 {IMAGE} true
create --restart on-failure:-1 {IMAGE} true
create --restart on-failure:x {IMAGE} true
run --rm --restart always {IMAGE} true
create --restart no --rm --name again {IMAGE} true
rm again
run -d --name again --restart on-failure:1 {IMAGE} sh -c 'echo up; exit 4'
SETTLED
logs again
inspect -f '{{{{.RestartCount}}}} {{{{.State.Status}}}} {{{{.State.ExitCode}}}} {{{{json .HostConfig.RestartPolicy}}}}' again
start again
SETTLED
logs again
inspect -f '{{{{.RestartCount}}}}' again
rm again
run -d --name again --restart always {IMAGE} sh -c 'exit 7'
BACKOFF
inspect -f '{{{{.State.Status}}}} {{{{.State.Running}}}} {{{{.State.Restarting}}}} {{{{.State.ExitCode}}}} {{{{.State.Pid}}}}' again
ps -f status=restarting --format {{{{.Names}}}}
BACKOFF
exec again true
attach again
BACKOFF
pause again
start again
BACKOFF
rm again
stop again
inspect -f '{{{{.State.Status}}}} {{{{.State.ExitCode}}}}' again
start again
BACKOFF
kill again
inspect -f '{{{{.State.Status}}}} {{{{.State.ExitCode}}}}' again
rm -f again
run -d --name again --restart unless-stopped {IMAGE} sleep 1000
kill again
wait again
inspect -f '{{{{.State.Status}}}} {{{{.State.ExitCode}}}} {{{{.RestartCount}}}}' again
rm again
# health
create --no-healthcheck --health-cmd x {IMAGE} true
create --health-retries -1 --health-cmd x {IMAGE} true
create --health-interval -1s {IMAGE} true
create --health-interval x {IMAGE} true
create --health-cmd x --health-interval 1us {IMAGE} true
run -d --name again --health-cmd 'echo out; echo err >&2; exit 3' --health-interval 100ms --health-retries 2 {IMAGE} sleep 1000
UNHEALTHY
inspect -f '{{{{json .Config.Healthcheck}}}} {{{{.State.Health.Status}}}}' again
ps -f health=unhealthy --format {{{{.Names}}}}
ps -f health=healthy --format {{{{.Names}}}}
ps -f health=none -f name=again --format {{{{.Names}}}}
pause again
stop -t 0 again
inspect -f '{{{{.State.Health.Status}}}}' again
rm again
run -d --name again --health-cmd true --health-interval 100ms {IMAGE} sleep 1000
HEALTHY
inspect -f '{{{{.State.Health.Status}}}} {{{{.State.Health.FailingStreak}}}}' again
stop -t 0 again
inspect -f '{{{{.State.Health.Status}}}}' again
rm again
# starts that fail
run --name bad {IMAGE} nosuchprogram
inspect -f '{{{{.State.ExitCode}}}} {{{{.State.Status}}}}' bad
start bad
start -a bad
wait bad
logs bad
stop bad
kill bad
rm bad
run --rm {IMAGE} /etc
run --rm {IMAGE} /etc/passwd
run -d --rm {IMAGE} nosuchprogram
run --rm --entrypoint nosuch {IMAGE} true
run --rm -u nosuch {IMAGE} true
create --name bad -u nosuch {IMAGE} true
start bad
rm bad
# options
run --rm --name /slash {IMAGE} echo named
run --rm -l =b {IMAGE} true
create --name told -l a=b -l c --stop-signal USR1 --stop-timeout 7 {IMAGE} true
inspect -f '{{{{json .Config.Labels}}}} {{{{.Config.StopSignal}}}} {{{{.Config.StopTimeout}}}}' told
rm told
run --rm --env-file /nix {IMAGE} true
run --rm --entrypoint '' {IMAGE} echo cleared
run --rm --stop-signal NONSENSE {IMAGE} true
run --rm --stop-timeout x {IMAGE} true
run --rm --pull sometimes {IMAGE} true
run --rm -it {IMAGE} true
run --rm -t {IMAGE} tty
run --rm -a stdout {IMAGE} sh -c 'echo out; echo err >&2'
run --rm -a stderr {IMAGE} sh -c 'echo out; echo err >&2'
run --rm -a nosuch {IMAGE} true
run --rm -d -a stdout {IMAGE} true
run --rm --init {IMAGE} sh -c 'test $$ -gt 1'
run --rm --cidfile /dev/null {IMAGE} true
run --rm {IMAGE} cat
run
run --rm {IMAGE} sh -c 'exit 300'
run --rm {IMAGE} sh -c 'kill -9 $$; exit 6'
# what it stands on
create --name stands {IMAGE} true
rmi {IMAGE}
rm stands
"""
PROGRAM = r"failed to create (shim )?task: .*|cannot run .*"
WORDS = (  # in both, lower case: what is left out or made the same, and why
    ("[0-9a-f]{64}", "ID", "each container has its own"),
    ("error when allocating new name: |/(?=two words)", "", "the step of rename's that failed"),
    (PROGRAM, "PROGRAM", "runc's words and the kernel's; ours tell what to do"),
    ("no matching entries in .*", "no matching entries", "ours says which there are"),
    (" \\(kill -l lists them\\)|--env-file: ", "", "ours says where, and what to do"),
    ("(you )?cannot remove .*(running|paused|restarting).*", "RUNNING", "another version's words"),
    ("(invalid restart policy: )?(unknown policy|invalid restart policy '|maximum retry count c).*", "POLICY", "another version's words"),
    (
        "the input device is not a tty",
        "cannot attach stdin to a tty-enabled container because stdin is not a terminal",
        "another version's",
    ),
    ("^you cannot attach", "cannot attach", "another version's"),
    ("conflict: unable to remove .*", "CONFLICT", "theirs names one container and its image, ours the image"),
)


def played(hand, line: str) -> tuple[int, str, str]:
    found = hand(line + " < /dev/null" if isinstance(hand, Docker) else line)
    out, err = found.out.replace("\r\n", "\n"), first_words(found.err) if found.err.strip() else ""
    for pattern, instead, _ in WORDS:
        out, err = re.sub("[0-9a-f]{64}", "ID", out), re.sub(pattern, instead, err)
    return found.code, out, err


def rests(hand) -> bool:
    """Does it wait for its next start, and long enough for the lines that follow? Not if its pause of some seconds is nearly over."""
    restarting, count, ended = hand("inspect -f '{{.State.Restarting}} {{.RestartCount}} {{.State.FinishedAt}}' again").out.split()
    pause = min(0.1 * 2 ** int(count), 60)
    return restarting == "true" and pause > 6 and time.time() - instant(ended) < pause - 5


def instant(moment: str) -> float:
    """Seconds since 1970, of a moment as ``inspect`` tells it."""
    return datetime.fromisoformat(moment[:19] + "+00:00").timestamp()


# Lines that wait for a state, not played: when it has done its work; when all tries are used up; when its health is known; when it waits
# for long enough.
WAITS = {
    "MADE": lambda hand: hand("exec runs test -e /made").code == 0,
    "SETTLED": lambda hand: hand("inspect -f {{.State.Status}} again").out == "exited\n",
    "UNHEALTHY": lambda hand: hand("inspect -f {{.State.Health.Status}} again").out == "unhealthy\n",
    "HEALTHY": lambda hand: hand("inspect -f {{.State.Health.Status}} again").out == "healthy\n",
    "BACKOFF": rests,
}


def test_each_verb_says_and_does_the_same(docker, tmp_path, capfd):
    """Exit code, output, and the first words on failure."""
    compared(docker, tmp_path, capfd, PLAY)


MEMORY = f"""
run -d --name own {IMAGE} sleep 600
run --rm --ipc container:own {IMAGE} true
run -d --name lends --ipc shareable {IMAGE} sh -c 'echo word > /dev/shm/word; exec sleep 600'
run --rm --ipc container:lends {IMAGE} sh -c 'until test -s /dev/shm/word; do :; done; cat /dev/shm/word'
create --name never --ipc shareable {IMAGE} true
run --rm --ipc container:never {IMAGE} true
run --rm --ipc none {IMAGE} ls /dev/shm
inspect -f {{{{.HostConfig.IpcMode}}}} own lends
rm -f own lends never
"""


def test_whose_memory_may_be_shared(docker, tmp_path, capfd):
    compared(docker, tmp_path, capfd, MEMORY)


def compared(docker, tmp_path, capfd, play: str) -> None:
    shortnames.make(Library(Store()), IMAGE)
    mine, theirs = Command(capfd), Docker(docker)
    given_to(docker, mine, tmp_path, IMAGE)
    lines = [re.sub("^(run|create) ", r"\1 --network none ", line) for line in play.splitlines() if line and not line.startswith("#")]
    answers = at_once(lambda: told_by(mine, lines), lambda: told_by(theirs, lines))
    differ = [told for told in zip(lines, *answers, strict=True) if told[1] != told[2]]
    assert not differ, "\n".join(map(str, differ))


def told_by(hand, lines: list[str]) -> list[tuple[int, str, str] | None]:
    """To each line its answer; to one that waits, none."""
    answers = []
    for line in lines:
        if question := WAITS.get(line):
            wait_for(lambda question=question: question(hand), 60)
        answers.append(None if question else played(hand, line))
    return answers


def state(hand, name: str) -> dict:
    """Of an error that there is one; of a moment whether it is one; of a pid whether it is there."""
    (one,) = json.loads(hand(f"inspect {name}").out)
    now = one["State"] | {"Error": bool(one["State"]["Error"]), "Pid": bool(one["State"]["Pid"])}
    del now["StartedAt"], now["FinishedAt"]
    return now | {when: one["State"][when] == ZERO for when in ("StartedAt", "FinishedAt")}


def logs(hand, words: str) -> tuple[int, str, str]:
    found = hand(f"logs {words} ended")
    return found.code, found.out, found.err


def said(hand, line: str) -> tuple[int, str]:
    """The exit code and the first words, ids left out."""
    found = hand(line)
    return found.code, re.sub("[0-9a-f]{64}", "ID", first_words(found.err or "\n.")) if found.err else ""
