"""``create run start``: what is made, what is said, what stays when it cannot start."""

from __future__ import annotations

import json
import os
import re
import threading
from pathlib import Path

import pytest
from helpers.lives import BUSYBOX, log
from helpers.needs import requires
from helpers.waiting import wait_for

from lib.engine import ending, finding, lifecycle
from lib.process import StepError
from lib.state import kept

pytestmark = requires("root", "overlay", "busybox")
IDENT = re.compile(r"[0-9a-f]{64}\n")
FOR_EVER = "while :; do sleep 1000; done"


def facts(name: str) -> dict:
    """Of the container that is called so, or has this id, as it is now."""
    return finding.now(finding.find(name.strip()))


def state(name: str) -> dict:
    return facts(name)["state"]


def run(suitcase, words: str):
    return suitcase(f"run --rm {words}")


# -- create, start ------------------------------------------------------------------------------------------------------


def test_created_and_started(suitcase):
    made = suitcase(f"create --name box {BUSYBOX} sh -c 'echo out; echo err >&2; exit 3'")
    assert made.code == 0 and IDENT.fullmatch(made.out) and state("box")["status"] == "created"
    assert suitcase("start box").out == "box\n"
    assert suitcase("wait box").out == "3\n"
    again = suitcase("start -a box")
    assert (again.code, again.out, again.err) == (3, "out\n", "err\n"), "what it printed before is not shown again"


def test_started_by_its_id_and_several_at_a_time(suitcase):
    ids = [suitcase(f"create {BUSYBOX} true").out.strip() for _ in range(2)]
    words = f"{ids[0][:12]} {ids[1]}"
    assert suitcase(f"start {words}").out.split() == words.split()
    assert suitcase(f"wait {words}").out == "0\n0\n"


def test_those_that_are_there_are_started_whoever_is_not(suitcase):
    suitcase(f"create --name box {BUSYBOX} true")
    said = suitcase("start nosuch box other")
    assert (said.code, said.out) == (1, "box\n")
    assert said.err.splitlines() == [
        "suitcase: No such container: nosuch",
        "suitcase: No such container: other",
        "suitcase: failed to start containers: nosuch, other",
    ]


def test_start_attaches_to_one_only(suitcase):
    for flag in ("-a", "-i", "-ai"):
        said = suitcase(f"start {flag} one two")
        assert (said.code, said.err) == (1, "suitcase: you cannot start and attach multiple containers at once\n")


def test_starting_one_that_runs_is_no_error(suitcase):
    suitcase(f"run -d --name box {BUSYBOX} sleep 600")
    before = state("box")
    assert suitcase("start box").out == "box\n" and state("box") == before


# -- run ----------------------------------------------------------------------------------------------------------------


def test_in_the_background_its_id_is_all_that_is_said(suitcase):
    said = suitcase(f"run -d --name box {BUSYBOX} sh -c 'echo words; sleep 600'")
    assert said.code == 0 and IDENT.fullmatch(said.out) and said.err == ""
    assert said.out.strip() == facts("box")["id"] and state("box")["status"] == "running"


def test_in_the_foreground_it_stays_until_the_end_and_the_container_stays_too(suitcase):
    said = suitcase(f"run --name box {BUSYBOX} sh -c 'echo out; echo err >&2; exit 3'")
    assert (said.code, said.out, said.err) == (3, "out\n", "err\n")
    assert (state("box")["status"], state("box")["exit_code"]) == ("exited", 3)
    assert suitcase("logs box").out == "out\n"


def test_rm_has_taken_it_away_when_the_command_ends(suitcase):
    for _ in range(10):
        assert run(suitcase, f"--name box {BUSYBOX} true").code == 0 and kept.every() == []


def test_rm_in_the_background(suitcase, monkeypatch):
    suitcase(f"run -d --rm --name box {BUSYBOX} sh -c 'until [ -e /over ]; do sleep 0.02; done'")
    over, ends = Path(f"/proc/{kept.every()[0]['state']['pid']}/root/over"), ending.ends
    monkeypatch.setattr(ending, "ends", lambda *words: over.touch() or ends(*words))  # it is waited for, and not before
    assert suitcase("wait box").out == "0\n"
    wait_for(lambda: not kept.every())


CANNOT_START = [
    ("nosuchprogram", 127),
    ("/no/such/program", 127),
    ("/etc", 126),
    ("/etc/passwd", 126),
]


@pytest.mark.parametrize(("words", "code"), CANNOT_START)
def test_one_that_cannot_start_stays_created_with_its_error(suitcase, words, code):
    said = suitcase(f"run --name box {BUSYBOX} {words}")
    assert (said.code, said.out) == (code, "") and words in said.err
    now = state("box")
    assert (now["status"], now["exit_code"]) == ("created", code) and words in now["error"]
    for line in ("start box", "start -a box"):
        assert suitcase(line).code == 1, line
    assert suitcase("rm box").out == "box\n"


@pytest.mark.parametrize("flags", ["", "-d", "-u nosuch", "-w /etc/passwd"])
def test_of_one_that_cannot_start_nothing_stays_with_rm(suitcase, flags):
    program = "true" if flags.startswith(("-u", "-w")) else "nosuchprogram"
    said = run(suitcase, f"{flags} {BUSYBOX} {program}")
    assert said.code in (125, 126, 127) and said.err and kept.every() == []


def test_of_one_whose_start_is_interrupted_nothing_stays_with_rm(suitcase, monkeypatch):
    def interrupted(*words):
        raise KeyboardInterrupt

    monkeypatch.setattr(lifecycle, "made_to_run", interrupted)
    assert run(suitcase, f"{BUSYBOX} true").code == 1 and kept.every() == []
    assert suitcase(f"run --name box {BUSYBOX} true").code == 1 and state("box")["status"] == "created"


def test_words_that_contradict_each_other(suitcase):
    """As in Docker, what the command itself refuses ends with 1, what an engine would refuse with 125."""
    for flags, words in (
        ("-d -a stdout", "conflicting options: cannot specify both --attach and --detach"),
        ("-it", "cannot attach stdin to a TTY-enabled container because stdin is not a terminal"),
    ):
        said = run(suitcase, f"{flags} {BUSYBOX} true")
        assert (said.code, said.err) == (1, f"suitcase: {words}\n") and kept.every() == []


def test_what_is_wrong_with_the_words_makes_nothing(suitcase):
    for words in (f"--name 'x y' {BUSYBOX} true", f"--pull sometimes {BUSYBOX}", "nosuch:1 true", f"--stop-signal NONSENSE {BUSYBOX} true"):
        said = suitcase(f"run {words}")
        assert said.code == 125 and said.err and kept.every() == [], words


# -- options ------------------------------------------------------------------------------------------------------------


def test_a_name_is_one_containers(suitcase):
    first = suitcase(f"create --name box {BUSYBOX} true").out.strip()
    for line, code in ((f"run --name box {BUSYBOX} true", 125), (f"create --name /box {BUSYBOX} true", 1)):
        said = suitcase(line)
        assert said.code == code and f'The container name "/box" is already in use by container "{first}"' in said.err
    assert len(kept.every()) == 1
    suitcase("rm box")
    assert suitcase(f"create --name box {BUSYBOX} true").code == 0


def test_without_a_name_it_gets_one(suitcase):
    ident = suitcase(f"create {BUSYBOX} true").out
    assert re.fullmatch("[a-z]+_[a-z]+", facts(ident)["name"])


def test_cidfile(suitcase, tmp_path):
    path = tmp_path / "cid"
    ident = suitcase(f"create --cidfile {path} {BUSYBOX} true").out.strip()
    assert path.read_text() == ident
    again = suitcase(f"run --rm --cidfile {path} {BUSYBOX} true")
    assert again.code == 125 and f"container ID file found, make sure the other container isn't running or delete {path}" in again.err
    assert path.read_text() == ident and len(kept.every()) == 1


def test_cidfile_of_what_is_not_made(suitcase, tmp_path):
    assert suitcase(f"run --cidfile {tmp_path}/cid nosuch:1 true").code == 125
    assert suitcase(f"run --cidfile {tmp_path}/cid --name 'x y' {BUSYBOX} true").code == 125
    assert os.listdir(tmp_path) == []
    missing = suitcase(f"run --cidfile {tmp_path}/no/cid {BUSYBOX} true")
    assert (
        missing.code == 125 and f"failed to create the container ID file: open {tmp_path}/no/cid: no such file or directory" in missing.err
    )


def test_cidfile_of_what_was_made_and_cannot_start_tells_it(suitcase, tmp_path):
    """As there is a container, somebody may want to know which."""
    assert suitcase(f"run --cidfile {tmp_path}/cid {BUSYBOX} nosuchprogram").code == 127
    assert (tmp_path / "cid").read_text() == kept.every()[0]["id"]


def test_labels_and_what_inspect_tells_of_stopping(suitcase):
    suitcase(f"create --name box -l a=b --label c --stop-signal USR1 --stop-timeout 7 {BUSYBOX} true")
    (one,) = json.loads(suitcase("inspect box").out)
    assert one["Config"]["Labels"] == {"a": "b", "c": ""}
    assert (one["Config"]["StopSignal"], one["Config"]["StopTimeout"]) == ("USR1", 7)


def test_variables(suitcase, tmp_path, monkeypatch):
    monkeypatch.setenv("OURS", "from here")
    (tmp_path / "env").write_text("# no line\n\nA=file\nOURS\n B=x y \nNOWHERE\n")
    said = run(suitcase, f"--env-file {tmp_path}/env -e A=word {BUSYBOX} sh -c 'echo [$A][$B][$OURS]; env | grep -c NOWHERE'")
    assert said.out == "[word][x y ][from here]\n0\n"
    (tmp_path / "env").write_text("A B=1\n")
    assert run(suitcase, f"--env-file {tmp_path}/env {BUSYBOX} true").code == 125
    assert "no such file" in run(suitcase, f"--env-file {tmp_path}/nosuch {BUSYBOX} true").err


@pytest.mark.parametrize(
    ("flags", "program", "out"),
    [
        ("-u nobody", "id -un", "nobody\n"),
        ("-u 1234:50", "sh -c 'id -u; id -g'", "1234\n50\n"),
        ("-u 1234", "sh -c 'echo hi > /dev/stdout'", "hi\n"),
        ("-w /made/on/the/way", "pwd", "/made/on/the/way\n"),
        ("--entrypoint echo", "one two", "one two\n"),
        ("--entrypoint ''", "echo one", "one\n"),
        ("--init", "sh -c 'echo $$'", None),
        ("-h there", "hostname", "there\n"),
        ("--platform linux/amd64", "echo one", "one\n"),
        ("--pull never", "echo one", "one\n"),
        ("-t", "tty", "/dev/pts/0\r\n"),
        ("-a stdout", "sh -c 'echo out; echo err >&2'", "out\n"),
    ],
)
def test_options_reach_it(suitcase, flags, program, out):
    said = run(suitcase, f"{flags} {BUSYBOX} {program}")
    assert (said.code, said.err) == (0, ""), said
    assert said.out == out if out else int(said.out) > 1, "with an init it is not process 1"


WORDED = """FROM {}
ENTRYPOINT ["sh", "-c"]
CMD ["echo $A; pwd; id -un"]
USER nobody
WORKDIR /tmp
ENV A=1
LABEL a=image b=image
STOPSIGNAL SIGUSR2
"""


def test_the_words_of_the_image(suitcase, tmp_path):
    (tmp_path / "Dockerfile").write_text(WORDED.format(BUSYBOX))
    assert suitcase(f"build -q -t worded:1 {tmp_path}").code == 0
    assert run(suitcase, "worded:1").out == "1\n/tmp\nnobody\n"
    assert run(suitcase, "-e A=2 -w / -u 0 worded:1").out == "2\n/\nroot\n"
    assert run(suitcase, "worded:1 'echo mine'").out == "mine\n"
    suitcase("create --name box -l b=mine worded:1")
    assert suitcase("inspect -f '{{.Config.StopSignal}} {{json .Config.Labels}}' box").out == 'SIGUSR2 {"a":"image","b":"mine"}\n'


def test_a_platform_that_it_is_not_for(suitcase):
    said = run(suitcase, f"--pull never --platform linux/s390x {BUSYBOX} true")
    assert said.code == 125 and "s390x" in said.err and kept.every() == []


# -- the command and the library ----------------------------------------------------------------------------------------


def test_what_the_command_starts_the_library_sees_and_stops(suitcase):
    suitcase(f"run -d --name box {BUSYBOX} sh -c 'echo up; {FOR_EVER}'")
    one = finding.find("box")
    wait_for(lambda: log(one) == b"up\n")
    ending.stop(one, 0)
    assert suitcase("ps -a --format '{{.Names}} {{.Status}}'").out.startswith("box Exited (137)")


def test_what_the_library_starts_the_command_sees_and_stops(suitcase, lives):
    one = lives.run(f"echo up; {FOR_EVER}", "box")
    wait_for(lambda: log(one) == b"up\n")
    assert suitcase("ps --format {{.Names}}").out == "box\n" and suitcase("logs box").out == "up\n"
    assert suitcase("exec box echo in there").out == "in there\n"
    assert suitcase("stop -t 0 box").out == "box\n"
    assert state("box")["exit_code"] == 137


def test_what_the_command_makes_the_library_starts(suitcase, lives):
    suitcase(f"create --name box {BUSYBOX} sh -c 'exit 4'")
    assert ending.wait(lifecycle.start(lives.library, kept.place(finding.find("box")))) == 4
    suitcase(f"create --name broken {BUSYBOX} nosuchprogram")
    with pytest.raises(StepError):
        lifecycle.start(lives.library, kept.place(finding.find("broken")))
    assert suitcase("inspect -f {{.State.ExitCode}} broken").out == "127\n"


# -- what it stands on --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["create", "run -d", "run"])
def test_an_image_that_a_container_stands_on_stays(suitcase, lives, how):
    """Running or not."""
    suitcase(f"tag {BUSYBOX} stood:1")
    suitcase(f"rmi -f {BUSYBOX}")
    program = "sleep 600" if how == "run -d" else "true"
    assert suitcase(f"{how} --name box stood:1 {program}").code == 0
    refused = suitcase("rmi stood:1")
    assert refused.code == 1 and facts("box")["image"] and "is being used by a container" in refused.err
    suitcase("prune -a -f")
    assert "stood" in suitcase("images").out
    suitcase("stop -t 0 box")
    assert suitcase("start box").code == 0
    suitcase("rm -f box")
    assert suitcase("rmi stood:1").code == 0


# -- several at once ----------------------------------------------------------------------------------------------------


def test_one_name_and_many_who_want_it(lives):
    """Exactly one gets it, and the others are told."""
    made, refused = [], []

    def make() -> None:
        try:
            made.append(lives.create("true", "box"))
        except lifecycle.NameTaken as error:
            refused.append(str(error))

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(made), len(refused), len(kept.every())) == (1, 7, 1)


def test_started_by_several_at_once_it_runs_once(lives):
    one = lives.create(FOR_EVER)
    pids = []
    threads = [threading.Thread(target=lambda: pids.append(lives.start(one)["state"]["pid"])) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(pids) == 8 and len(set(pids)) == 1
