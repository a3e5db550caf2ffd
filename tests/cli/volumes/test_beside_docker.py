"""Volumes and mounts beside the real Docker: exit codes, outputs, the first words on failure."""

from __future__ import annotations

import json
import re

from helpers.commands import Command, Docker, at_once, first_words, given_to
from helpers.lives import BUSYBOX
from helpers.needs import requires

pytestmark = [requires("root", "overlay", "busybox")]

PLAY = """
volume create data
volume create data
volume create --label a=b more
volume create x
volume create a/b
volume create -o colour=red other
volume create -d nosuch other
volume ls
volume ls -q
volume ls -q -f label=a
volume ls -q -f name=da
volume ls --format '{{.Name}} {{.Driver}} {{.Scope}} {{.Labels}} {{.Links}} {{.Size}}'
volume ls -f colour=red
volume inspect -f '{{.Name}} {{.Driver}} {{.Scope}} {{json .Labels}} {{json .Options}}' more
volume inspect nosuch
volume rm nosuch
volume rm -f nosuch
volume rm nosuch more
run --name one -v data:/srv IMAGE sh -c 'echo kept > /srv/file'
run --rm -v data:/srv:ro IMAGE sh -c 'cat /srv/file; touch /srv/x 2>&1 | grep -o Read-only'
volume rm data
volume ls -q -f dangling=true
volume ls -q -f dangling=false
ps -aq -f volume=nosuch
ps -a --format '{{.Names}} {{.LocalVolumes}} {{.Mounts}}' -f volume=data
ps -a --format '{{.Names}}' -f volume=/srv
volume prune -f
rm -v one
volume rm data
run --rm -v /srv IMAGE ls /srv
volume ls -q
run --rm -v data:/srv:nosuch IMAGE true
run --rm -v data:/ IMAGE true
run --rm -v data:srv IMAGE true
run --rm -v /srv:ro IMAGE true
run --rm -v data:/a -v data:/a:ro IMAGE true
run --rm -v data:/a --tmpfs /a IMAGE true
run --rm --volumes-from nosuch IMAGE true
run --rm --mount type=bind,source=/nix,target=/x IMAGE true
run --rm --mount type=bind,target=/x IMAGE true
run --rm --mount type=bind,source=x,target=/x IMAGE true
run --rm --mount type=nosuch,target=/x IMAGE true
run --rm --mount type=volume IMAGE true
run --rm --mount target=x IMAGE true
run --rm --mount target=/ IMAGE true
run --rm --mount target=/x,colour=red IMAGE true
run --rm --mount target=/x,readonly=maybe IMAGE true
run --rm --mount target IMAGE true
run --rm --mount type=tmpfs,source=a,target=/x IMAGE true
run --rm --mount type=tmpfs,target=/x,tmpfs-size=much IMAGE true
run --rm --mount type=tmpfs,target=/x,volume-nocopy IMAGE true
run --rm --mount type=bind,source=/,target=/x,bind-propagation=wild IMAGE true
run --rm --mount type=tmpfs,target=/x,tmpfs-size=1m,tmpfs-mode=1770 IMAGE stat -f -c '%T %b %S' /x
run --rm --tmpfs /x:size=64k,mode=1770,uid=7,gid=8 IMAGE stat -c '%a %u %g' /x
run --rm --mount source=kept,target=/x IMAGE touch /x/a
run --rm -v kept:/y IMAGE ls /y
volume rm -f data
volume ls -q
volume rm kept
volume create -o type=tmpfs -o device=tmpfs -o o=size=1m,mode=1770 mem
volume inspect -f '{{json .Options}}' mem
run --rm -v mem:/m IMAGE stat -f -c '%T %b %S' /m
run --rm -v mem:/m IMAGE stat -c '%a' /m
volume rm mem
volume create -o type=tmpfs mem
volume create -o size=1m -o colour=red mem
"""
WORDS = (  # what is left out or made the same in both, and why
    ("[0-9a-f]{64}", "ID", "each container has its own"),
    (r"invalid mode: (\S+).*", r"invalid mode: \1", "ours says which there are"),
    (r'.*plugin "?nosuch"? not found.*|.*plugin nosuch.*', "NO PLUGIN", "theirs looks for its socket"),
    (r"invalid filter '?colour'?.*|invalid filter 'colour'.*", "INVALID FILTER", "another version's"),
    (r'invalid argument ("[^"]*") for "--mount" flag: ', "", "whose words they are"),
    (r"invalid value for readonly: .*|invalid value for 'readonly'.*", "NOT TRUE, NOT FALSE", "another version's"),
    (r"unexpected key '(\S+)' in.*|unknown option '(\S+)' in.*", "UNKNOWN OPTION", "another version's"),
    ("target is required|invalid mount config.*field target must not be empty", "NO TARGET", "another version's"),
    (r"get nosuch: ", "", "the daemon's step"),
)


def played(hand, line: str) -> tuple[int, str, str]:
    found = hand(line)
    out, err = found.out, first_words(found.err) if found.err.strip() else ""
    for pattern, instead, _ in WORDS:
        out, err = re.sub("[0-9a-f]{64}", "ID", out), re.sub(pattern, instead, err)
    return found.code, out, err


def test_each_line_says_and_does_the_same(docker, tmp_path, capfd, lives):
    mine, theirs = Command(capfd), Docker(docker)
    given_to(docker, mine, tmp_path, BUSYBOX)
    lines = [re.sub("^(run|create) ", r"\1 --network none ", line).replace("IMAGE", BUSYBOX) for line in PLAY.splitlines() if line]
    answers = at_once(*(lambda hand=hand: [played(hand, line) for line in lines] for hand in (mine, theirs)))
    differ = [told for told in zip(lines, *answers, strict=True) if told[1] != told[2]]
    assert not differ, "\n".join(map(str, differ))


def test_what_inspect_says_of_mounts(docker, tmp_path, capfd, lives):
    mine, theirs = Command(capfd), Docker(docker)
    given_to(docker, mine, tmp_path, BUSYBOX)
    words = f"-v data:/srv -v /anon -v {tmp_path}:/host:ro --mount type=tmpfs,target=/t --mount source=more,target=/more,readonly"
    told = []
    for hand in (mine, theirs):
        assert hand(f"create --network none --name told {words} {BUSYBOX} true").code == 0
        mounts = json.loads(hand("inspect told").out)[0]["Mounts"]
        told.append(sorted((as_told(one) for one in mounts), key=lambda one: one["Destination"]))
        hand("rm -v told")
    assert told[0] == told[1]


def as_told(one: dict) -> dict:
    """Where it lies differs, and the names that are made up."""
    return one | {"Source": bool(one["Source"]), "Name": re.sub("[0-9a-f]{64}", "ID", one.get("Name", ""))}
