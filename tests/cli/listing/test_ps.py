"""``ps``: which containers, in which columns, in which words."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta

import pytest
from helpers.commands import columns
from helpers.facts import facts, ident, keep, living

from lib import sizes
from lib.cli import reports, text
from lib.cli.listing.rows import HEADS, Row, ports, quoted, status
from lib.state import kept

SECOND, NOW = timedelta(seconds=1), datetime.now(UTC)


class Still(datetime):
    """The clock stands still: on a busy machine a second may pass between the making of a container and the look at it."""

    @classmethod
    def now(cls, zone=None):
        return NOW


@pytest.fixture(autouse=True)
def still(monkeypatch):
    monkeypatch.setattr(text, "datetime", Still)


def ago(seconds: float) -> str:
    moment = NOW - timedelta(seconds=seconds)
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}000Z"


@pytest.fixture
def shelf(library):
    """Four containers: one created, one running, two ended; the highest number is the newest."""
    image = {"image": library.find("shop:1").id, "chains": library.find("shop:1").chain_ids}
    child = library.find("localhost:5000/child:2")
    keep(facts(1, "old", ago(7200), state={"status": "exited", "exit_code": 3, "finished": ago(3700)}, **image))
    keep(facts(2, "web", ago(130), state=living(ago(65)), config={"labels": {"tier": "front", "a": ""}},
               network=facts()["network"] | {"mode": "host"},
               options={"volumes": ["/srv/a/long/folder:/data:ro", "/b:/c"]}, **image))  # fmt: skip
    keep(facts(3, "job", ago(40), state={"status": "exited", "exit_code": 0, "finished": ago(30)}, config={"labels": {"tier": "back"}},
               image=child.id, chains=child.chain_ids, image_name="localhost:5000/child:2"))  # fmt: skip
    keep(facts(4, "next", ago(2), argv=["echo", "a b", "$HOME"], **image))


# -- the table ---------------------------------------------------------------------------


def test_the_table(suitcase, shelf):
    head, *lines = suitcase("ps -a").out.splitlines()
    assert columns(head) == ["CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES"]
    assert [columns(line) for line in lines] == [
        [ident(4)[:12], "shop:1", "\"echo 'a b' $HOME\"", "2 seconds ago", "Created", "next"],
        [ident(3)[:12], "localhost:5000/child:2", "\"sh -c 'sleep 1'\"", "40 seconds ago", "Exited (0) 30 seconds ago", "job"],
        [ident(2)[:12], "shop:1", "\"sh -c 'sleep 1'\"", "2 minutes ago", "Up About a minute", "web"],
        [ident(1)[:12], "shop:1", "\"sh -c 'sleep 1'\"", "2 hours ago", "Exited (3) About an hour ago", "old"],
    ]
    assert all(line.index(line.split()[-1]) == head.index("NAMES") for line in lines)


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("", "web"),
        ("-a", "next job web old"),
        ("-l", "next"),
        ("-n 2", "next job"),
        ("-n2 -l", "next job"),
        ("-n 0", "web"),
        ("-n -1", "web"),
        ("-l --filter status=exited", "job"),
        ("-a --all=false", "web"),
        ("-f status=exited", "job old"),
        ("-f exited=0", ""),
    ],
)
def test_which_ones(suitcase, shelf, words, names):
    """Those that run; with -a all; with -n and -l the newest, whatever their state."""
    assert suitcase(f"ps --format {{{{.Names}}}} {words}").out.split() == names.split()


def test_nothing(suitcase):
    assert suitcase("ps").out.split() == ["CONTAINER", "ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES"]
    assert suitcase("ps -q").out == suitcase("ps --format {{.ID}}").out == ""


def test_ids(suitcase, shelf):
    assert suitcase("ps -aq").out.split() == [ident(number)[:12] for number in (4, 3, 2, 1)]
    assert suitcase("ps -q --no-trunc").out == ident(2) + "\n"
    said = suitcase("ps -q --format {{.Names}}")
    assert (said.out, said.err) == (
        f"{ident(2)[:12]}\n",
        "WARNING: Ignoring custom format, because both --format and --quiet are set.\n",
    )


@pytest.mark.parametrize(
    ("command", "shown", "full"),
    [
        (["sh"], '"sh"', '"sh"'),
        (["sh", "-c", "sleep 100000"], "\"sh -c 'sleep 100000'\"", "\"sh -c 'sleep 100000'\""),
        (["sh", "-c", "sleep 10000"], "\"sh -c 'sleep 10000'\"", "\"sh -c 'sleep 10000'\""),
        (["sh", "-c", "sleep 1000000"], '"sh -c \'sleep 100000…"', "\"sh -c 'sleep 1000000'\""),
        (["a b", "c"], '"a b c"', '"a b c"'),
        (["sh", 'a"b\\'], '"sh a\\"b\\\\"', '"sh a\\"b\\\\"'),
        (["\x1b[2J", "\u202e", "ü", "\udcff"], '"\\x1b[2J \\u202e ü \\xff"', '"\\x1b[2J \\u202e ü \\xff"'),
    ],
)
def test_commands(command, shown, full):
    for whole, words in ((False, shown), (True, full)):
        assert Row(facts(argv=command), "shop", whole)["Command"] == words


def test_a_command_in_quotes_as_go_writes_them():
    assert quoted("\0\a\b\f\n\r\t\v\x7f\x80\u2028\U000e0001€") == '"\\x00\\a\\b\\f\\n\\r\\t\\v\\x7f\\u0080\\u2028\\U000e0001€"'


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({"status": "created"}, "Created"),
        ({"status": "running", "started": 0.3}, "Up Less than a second"),
        ({"status": "running", "started": 1.2}, "Up 1 second"),
        ({"status": "running", "started": 59.2}, "Up 59 seconds"),
        ({"status": "running", "started": 90 * 3600}, "Up 3 days"),
        ({"status": "paused", "started": 150}, "Up 2 minutes (Paused)"),
        ({"status": "exited", "exit_code": 0, "finished": 3}, "Exited (0) 3 seconds ago"),
        ({"status": "exited", "exit_code": 137, "finished": 0.1}, "Exited (137) Less than a second ago"),
        ({"status": "exited", "exit_code": None, "finished": 3}, "Exited (unknown) 3 seconds ago"),
        ({"status": "removing"}, "Removal In Progress"),
    ],
)
def test_status(state, words):
    now = facts()["state"] | {name: ago(value) if name in ("started", "finished") else value for name, value in state.items()}
    assert status(now) == words


# -- the image's name ---------------------------------------------------------------------


def test_the_image_as_it_was_typed_as_long_as_that_means_the_same(suitcase, library):
    one, other = library.find("shop:1"), library.find("localhost:5000/child:2")
    digest = f"shop@{one.descriptor['digest']}"
    typed = {
        1: ("shop:1", "shop:1", "shop:1"),
        2: ("docker.io/library/shop:1", "shop:1", "docker.io/library/shop:1"),
        3: (one.id, one.id[7:19], one.id),
        4: (one.id[7:19], one.id[7:19], one.id[7:19]),
        5: (one.id[7:13], one.id[7:13], one.id[7:13]),
        6: (digest, "shop", digest),
        7: ("gone:1", one.id[7:19], one.id),
    }
    for number, (word, _, _) in typed.items():
        keep(facts(number, image=one.id, image_name=word))
    keep(facts(8, image=other.id, image_name="shop:1"))  # a name that means another image by now
    for flag, column, moved in (("", 1, other.id[7:19]), ("--no-trunc", 2, other.id)):
        told = suitcase(f"ps -a {flag} --format '{{{{.Names}}}} {{{{.Image}}}}'").out.splitlines()
        assert dict(line.split() for line in told) == {f"box{number}": words[column] for number, words in typed.items()} | {"box8": moved}
    library.remove("shop:1", force=True)
    assert suitcase("ps -a -f name=box1 --format {{.Image}}").out == one.id[7:19] + "\n", "and the image itself has gone"


# -- filters --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ("name=e", "next web"),
        ("name=^/we", "web"),
        ("name=^web$", "web"),
        ("name=web name=old", "web old"),
        ("name=[", ""),
        ("name=WEB", ""),
        (f"id={ident(2)[:12]}", "web"),
        (f"id={ident(2)}", "web"),
        ("id=0000", "next job web old"),
        ("id=9", ""),
        ("label=tier", "job web"),
        ("label=tier=front", "web"),
        ("label=tier label=a", "web"),
        ("label=a=", "web"),
        ("label=tier=front label=tier=back", ""),
        ("exited=0", "job"),
        ("exited=3 exited=0", "job old"),
        ("exited=7", ""),
        ("status=created", "next"),
        ("status=exited status=running", "job web old"),
        ("status=paused", ""),
        ("ancestor=shop:1", "next job web old"),
        ("ancestor=localhost:5000/child:2", "job"),
        ("ancestor=nosuch", ""),
        ("before=web", "old"),
        (f"since={ident(3)[:12]}", "next"),
        ("since=old before=next", "job web"),
        ("network=host", "web"),
        ("network=none", "next job old"),
        ("volume=/data", "web"),
        ("volume=/b", "web"),
        ("volume=/srv", ""),
        ("STATUS=exited", "job old"),
        (" name = web ", "web"),
        ("status=exited name=o", "job old"),
        ("", "next job web old"),
    ],
)
def test_filters(suitcase, shelf, filters, names):
    words = [filters] if filters.startswith(" ") or not filters else filters.split()
    line = " ".join(f"-f '{word}'" for word in words)
    said = suitcase(f"ps -a --format {{{{.Names}}}} {line}")
    assert (said.code, said.out.split(), said.err) == (0, names.split(), "")


@pytest.mark.parametrize(
    ("filters", "code", "said"),
    [
        (
            "nosuch=1",
            1,
            "invalid filter 'nosuch': there is ancestor, before, exited, health, id, label, name, network, since, status, volume\n",
        ),
        ("expose=80", 1, "--filter expose=… is a filter of Docker's that is not done here yet; there is ancestor, "),
        ("publish=80", 1, "--filter publish=… is a filter of Docker's that is not done here yet; there is "),
        ("status=up", 1, "invalid filter 'status=up': invalid value for state (up): must be one of created, running, paused, restarting, "),
        ("exited=ok", 1, "invalid filter 'exited=ok': an exit code is a number\n"),
        ("before=nosuch", 1, "No such container: nosuch\n"),
        (
            "name",
            125,
            'invalid argument "name" for "-f, --filter" flag: bad format of filter (expected name=value)\n\nUsage:',
        ),
    ],
)
def test_filters_that_cannot_be_meant(suitcase, shelf, filters, code, said):
    found = suitcase(f"ps -f {filters}")
    assert (found.code, found.out) == (code, "") and found.err.startswith(f"suitcase: {said}")


# -- formats ----------------------------------------------------------------------------------


def test_every_field_as_json(suitcase, shelf, monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    (one,) = map(json.loads, suitcase("ps --format json").out.splitlines())
    created, running = one.pop("CreatedAt"), one.pop("RunningFor")
    size = one.pop("Size")
    assert one == {
        "Command": "\"sh -c 'sleep 1'\"",
        "HealthStatus": "",
        "ID": ident(2)[:12],
        "Image": "shop:1",
        "Labels": "a=,tier=front",
        "LocalVolumes": "0",
        "Mounts": "/srv/a/long/fo…,/b",
        "Names": "web",
        "Networks": "host",
        "Platform": {"os": "linux", "architecture": "amd64"},
        "Ports": "",
        "State": "running",
        "Status": "Up About a minute",
    }
    assert running == "2 minutes ago" and created.endswith(" +0000 UTC") and size == "0B"
    assert abs(datetime.fromisoformat(created.removesuffix(" UTC")) - NOW + 130 * SECOND) < SECOND
    assert suitcase("ps --format '{{json .}}'").out == suitcase("ps --format json").out


def test_every_field_has_a_head(suitcase, shelf):
    fields = [name for name in HEADS if name != "Label"]
    line = "\\t".join(f"{{{{.{name}}}}}" for name in fields)
    said = suitcase(f"ps --no-trunc --format 'table {line}'").out.splitlines()
    assert columns(said[0]) == [HEADS[name] for name in fields] and "linux/amd64" in said[1] and "/srv/a/long/folder,/b" in said[1]
    assert suitcase("ps -a --format 'table {{.Label \"com.example.my-tier_x\"}}'").out.splitlines()[0] == "my tier x"
    assert suitcase('ps --format \'{{.Label "tier"}}/{{.Label "nosuch"}}\'').out == "front/\n"


def test_sizes_are_measured_only_when_they_are_asked_for(suitcase, shelf, library, monkeypatch):
    from lib.cli.containers import looking

    (kept.place(ident(2)) / "upper").mkdir()
    (kept.place(ident(2)) / "upper/new").write_bytes(b"x" * 1240)
    library.folders(library.find("shop:1"))
    (layer,) = reports.layer_sizes(library, library.find("shop:1"))
    library.remove("shop:1", force=True, in_use=frozenset([library.find("shop:1").id]))
    head, line = suitcase("ps -s").out.splitlines()
    assert columns(head)[-1] == "SIZE" and columns(line)[-1] == f"1.24kB (virtual {sizes.human(1240 + layer)})"
    assert suitcase("ps -as --format '{{.Names}} {{.Size}}'").out.startswith("next 0B"), "whose folder has gone"
    monkeypatch.setattr(looking, "measured", None)
    assert suitcase("ps -a").code == 0


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{{.Nosuch}}", "template parsing error: no field 'Nosuch' in {{.Nosuch}}; there is Command, CreatedAt, HealthStatus, ID, Image, "),
        ("{{.Label}}", "template parsing error: {{.Label}}: of the fields only .Label takes a word"),
        ("{{.ID", "template parsing error: unclosed action in '{{.ID'"),
        ("{{shout .ID}}", 'template parsing error: {{shout .ID}}: function "shout" not defined: what can stand between braces here are '),
    ],
)
def test_a_template_that_is_wrong_is_told_even_where_there_is_nothing_to_list(suitcase, template, said):
    found = suitcase(f"ps --format '{template}'")
    assert (found.code, found.out) == (1, "") and found.err.startswith(f"suitcase: {said}")


def test_wrong_words(suitcase):
    assert suitcase("ps x").err.startswith("suitcase: 'suitcase ps' accepts no arguments\n\nUsage:  suitcase ps [OPTIONS]\n")
    said = suitcase("ps --last many")
    assert (said.code, said.err.split("\n")[0]) == (
        125,
        'suitcase: invalid argument "many" for "-n, --last" flag: strconv.ParseInt: parsing "many": invalid syntax',
    )


# -- ports: what Docker tells of the same -------------------------------------------------------------------------------------

TOLD = {
    "8000:80 8001:81": "0.0.0.0:8000->80/tcp, [::]:8000->80/tcp, 0.0.0.0:8001->81/tcp, [::]:8001->81/tcp",
    "8000:8000 8001:8001": "0.0.0.0:8000-8001->8000-8001/tcp, [::]:8000-8001->8000-8001/tcp",
    "8080:80 90:90 70 71": "70-71/tcp, 0.0.0.0:90->90/tcp, [::]:90->90/tcp, 0.0.0.0:8080->80/tcp, [::]:8080->80/tcp",
    "90:90 91:91 95:95 60:60/udp 40 41 61": "40-41/tcp, 0.0.0.0:90-91->90-91/tcp, [::]:90-91->90-91/tcp, 61/tcp, "
    "0.0.0.0:60->60/udp, [::]:60->60/udp, 0.0.0.0:95->95/tcp, [::]:95->95/tcp",
    "127.0.0.1:8001:81 81:81 80:80 53:53/udp 53:53": "0.0.0.0:53->53/tcp, [::]:53->53/tcp, 0.0.0.0:80-81->80-81/tcp, "
    "0.0.0.0:53->53/udp, [::]:80-81->80-81/tcp, [::]:53->53/udp, 127.0.0.1:8001->81/tcp",
}  # fmt: skip


@pytest.mark.parametrize("words", TOLD)
def test_ports(words):
    published, exposed = [], {}
    for word in words.split():
        numbers, _, protocol = word.partition("/")
        *front, port = numbers.split(":")
        exposed[f"{port}/{protocol or 'tcp'}"] = {}
        if front:
            *ip, host = front
            published.append({"protocol": protocol or "tcp", "ip": "".join(ip), "host": int(host), "port": int(port)})
    state = {"networks": {"front": {"leads": True}, "back": {"leads": False}}, "ports": published}
    there = facts(config={"exposed_ports": exposed}, state=state)
    assert ports(there) == TOLD[words]
    there["state"]["networks"]["front"]["leads"] = False
    assert ports(there) == "", "all of its networks are internal"
