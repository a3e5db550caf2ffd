"""The same command lines in Docker's hands and in ours: what is listed and told of the containers afterwards, and what is said of mistakes.

The Docker here is older (a daemon of 20.10, say) than the one whose words we take (29); the tables say where that shows.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from itertools import pairwise

import click
import pytest
from helpers import layers as make
from helpers.commands import first_words, told
from helpers.facts import facts, keep
from helpers.needs import requires

from lib.cli.containers import options
from lib.cli.containers.wished import wished
from lib.cli.flags.reading import in_full
from lib.engine.naming import shortnames
from lib.images import archive

pytestmark = requires("root", "overlay", "busybox")

IMAGE = "localhost/busybox:static"
LINES = {
    "plain": f"{IMAGE} sleep 60",
    "words": f"-e A=1 -e B= -w /srv -u 1000:50 -h there -l tier=front -l x= --stop-signal SIGINT --stop-timeout 3 {IMAGE} "
    "sh -c 'echo \"a b\"; sleep 60'",
    "limits": "-m 64m --memory-swap 128m --cpus 0.5 --pids-limit 50 --cap-add NET_ADMIN --cap-drop MKNOD --read-only --init "
    f"-v /usr:/data:ro --tmpfs /run:size=1m --memory-swappiness 5 --oom-kill-disable --device-cgroup-rule 'c 10:229 r' {IMAGE} true",
    "streams": f"-it --rm --entrypoint echo --log-opt max-size=1m --log-opt max-file=2 --expose 80 --expose 53/udp {IMAGE} a b c",
}


@click.command("create", context_settings={"allow_interspersed_args": False, "help_option_names": ["--help"]})
@options.creating
@click.argument("image")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def create(**values):
    return values


def ours_made(library, line: str, number: int, created: str) -> None:
    """A container as the words come to it, though there is none."""
    words = in_full(click.Context(create, info_name="create", **create.context_settings), shlex.split(line))
    values = create.main(words, prog_name="create", standalone_mode=False)
    keep(facts(number, values["name"], created) | wished(values, library.find(values["image"])))


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """The image, as a file that both read."""
    place = tmp_path_factory.mktemp("given")
    library = make.library(place / "images")
    shortnames.make(library, IMAGE)
    with open(place / "given.tar", "wb") as file:
        archive.save(library, [IMAGE], file)
    return place / "given.tar"


@pytest.fixture(scope="module")
def theirs(docker, given):
    """What Docker tells of a container of each line."""
    docker.call("load", "-i", str(given))
    for name, line in LINES.items():
        docker.call("create", "--name", name, "--network", "none", *shlex.split(line))
    yield {one["Name"][1:]: one for one in json.loads(docker.call("inspect", *LINES))}
    docker.call("rm", *LINES)


@pytest.fixture
def both(library, given, theirs):
    """The same containers in our store."""
    with open(given, "rb") as file:
        archive.load(library, file)
    for number, (name, line) in enumerate(LINES.items(), 1):
        ours_made(library, f"--name {name} --network none {line}", number, theirs[name]["Created"])
    return theirs


# -- inspect ----------------------------------------------------------------------------------

# What is different, and why.
DIFFERENT = {
    "Id": "each container has its own",
    "Config.Hostname": "of one that was given no other it is the beginning of the id",
    "HostConfig.LogConfig.Config.max-size": "ours is told in bytes",
    "LogPath": "each keeps its logs in its own place",
    "Driver": "their driver for the same file system is called overlay2",
    "GraphDriver": "theirs tells of every layer",
    "HostConfig.CgroupnsMode": "of 20.10 on cgroup v1 it is the host's",
    "NetworkSettings.Networks": "20.10 tells of more addresses",
}


def differences(mine, theirs, path: str = "") -> list[str]:
    """Where a document of ours is no part of theirs."""
    if path in DIFFERENT:
        return []
    if isinstance(mine, dict) and isinstance(theirs, dict):
        below = [differences(one, theirs.get(name, "not there"), f"{path}.{name}".lstrip(".")) for name, one in mine.items()]
        return [one for found in below for one in found]
    return [] if mine == theirs else [f"{path}: {mine!r}, of theirs {theirs!r}"]


@pytest.mark.parametrize("name", LINES)
def test_inspect(suitcase, both, name):
    (mine,), theirs = json.loads(suitcase(f"inspect {name}").out), both[name]
    for one in (mine, theirs):
        one["Config"]["Env"].sort()  # their client hands the variables over in a different order each time
    assert "\n".join(differences(mine, theirs)) == ""


# -- ps --------------------------------------------------------------------------------------

OF_29 = {"HealthStatus", "Platform"}  # a daemon of 20.10 does not tell


def rows(said: str) -> dict[str, dict]:
    return {one["Names"]: one for one in map(json.loads, said.splitlines())}


def test_ps_as_json(suitcase, docker, both):
    mine = rows(suitcase("ps -a --no-trunc --format '{{json .}}'").out)
    theirs = rows(docker.call("ps", "-a", "--no-trunc", "--format", "{{json .}}"))
    for name in LINES:
        assert mine[name].keys() - OF_29 == theirs[name].keys() - OF_29
        different = {field for field in theirs[name].keys() - OF_29 if mine[name][field] != theirs[name][field]}
        assert different <= {"ID", "RunningFor", "Size"}, "its own id, seconds that passed, layers that are not unpacked"


@pytest.mark.parametrize(
    "words",
    [
        ["-a"],
        ["-as"],
        ["-a", "--no-trunc"],
        ["-l"],
        ["-n", "2"],
        ["-aq", "-f", "name=nosuch"],
        ["-a", "--format", "table {{.Names}}\\t{{.Image}}\\t{{.Status}}"],
        ["-a", "--format", 'table {{.Names}}\\t{{.Label "tier"}}\\t{{.Labels}}'],
        ["-a", "--format", "{{.Names}}: {{.Command}} {{.Mounts}} {{.LocalVolumes}} {{.Networks}} {{.Ports}} {{.State}}"],
        ["-a", "--format", "{{.CreatedAt}}"],
        ["-a", "--filter", "label=tier", "--format", "{{.Names}}"],
        ["-a", "--filter", "label=tier=back", "--format", "{{.Names}}"],
        ["-a", "--filter", "name=m", "--filter", "name=^/s", "--format", "{{.Names}}"],
        ["-a", "--filter", f"ancestor={IMAGE}", "--filter", "status=created", "--format", "{{.Names}}"],
        ["-a", "--filter", "before=limits", "--format", "{{.Names}}"],
        ["-a", "--filter", "since=words", "--format", "{{.Names}}"],
        ["-a", "--filter", "volume=/data", "--format", "{{.Names}}"],
        ["-a", "--filter", "network=none", "--filter", "exited=0", "--format", "{{.Names}}"],
        ["--filter", "status=exited"],
    ],
    ids=" ".join,
)
def test_ps(suitcase, docker, both, words):
    mine, theirs = suitcase(f"ps {shlex.join(words)}").out.rstrip("\n"), docker.call("ps", *words)
    assert [told(line) for line in mine.splitlines()] == [told(line) for line in theirs.splitlines()]
    assert [heads(line) for line in mine.splitlines()[:1]] == [heads(line) for line in theirs.splitlines()[:1]], "the columns"


def heads(line: str) -> dict[str, int]:
    """The columns and how wide each is, but for those of which the width hangs on the second: an age may be "Less than a second"."""
    found = [*re.finditer(r"(?:(?<=  )|^)\S+( \S+)*", line)] if "NAMES" in line and "SIZE" not in line else []
    return {one[0]: after.start() - one.start() for one, after in pairwise(found) if one[0] not in ("CREATED", "STATUS")}


# -- what is said of mistakes ---------------------------------------------------------------------


MISTAKES = [
    "inspect nosuch",
    "inspect --type container nosuch",
    "logs nosuch",
    "port nosuch",
    "port plain 80",
    "ps --nosuch",
    "ps -Z",
    "ps --all=maybe",
    "ps --last many",
    "ps --filter name",
    "ps --filter nosuch=1",
    "logs --tail",
    "logs --since yesterday plain",
    "logs --until 5x plain",
    "logs -n",
    "logs",
    "port one two three",
    "inspect",
    "ps plain",
]


@pytest.mark.parametrize("line", MISTAKES)
def test_mistakes(suitcase, docker, both, line):
    mine = suitcase(line)
    done = subprocess.run(["docker", "-H", docker.socket, *line.split()], capture_output=True, text=True, timeout=60)
    assert (mine.code, mine.out, first_words(mine.err)) == (done.returncode, done.stdout, first_words(done.stderr))
