"""The words of ``run`` and ``create``, laid over an image's config: the facts of a container."""

from __future__ import annotations

import json

import click
import pytest
from helpers import layers as make
from helpers.layers import member
from helpers.runs import run

from lib.cli.containers.wished import wished
from lib.cli.flags.reading import in_full
from lib.images.image import platform_name

ON_THE_BRIDGE = {
    "mode": "bridge",
    "networks": [{"network": "bridge", "aliases": [], "ipv4": "", "ipv6": "", "mac": "", "priority": 0, "interface": ""}],
    "dns": [],
    "search": [],
    "dns_options": [],
    "hosts": [],
    "ports": [],
}
CONFIG = {
    "Entrypoint": ["/entry", "point"],
    "Cmd": ["from", "image"],
    "Env": ["PATH=/bin", "A=image", "E="],
    "User": "web",
    "WorkingDir": "/srv",
    "Labels": {"of": "image", "both": "image"},
    "StopSignal": "SIGQUIT",
    "ExposedPorts": {"80/tcp": {}},
    "Volumes": {"/data": {}},
}


@pytest.fixture
def facts(tmp_path):
    """The facts that a command line of ``run`` comes to, for an image with everything."""
    library = make.library(tmp_path / "images")
    made = make.image(library, make.tar(member("x")), name="shop:1", config=CONFIG)
    bare = make.image(library, make.tar(member("x")), name="bare:1", config={})

    def read(line: str) -> dict:
        words = in_full(click.Context(run, info_name="run", **run.context_settings), line.split())
        values = run.main(words, prog_name="run", standalone_mode=False)
        found = wished(values, bare if values["image"] == "bare:1" else made)
        assert json.loads(json.dumps(found)) == found, "as it comes back from its file"
        return found

    read.image = made
    return read


def test_what_nothing_is_said_about_is_the_image_s(facts):
    found = facts("--network bridge shop:1")
    assert found == {
        "image": facts.image.id,
        "image_name": "shop:1",
        "chains": facts.image.chain_ids,
        "platform": platform_name(facts.image.platform),
        "argv": ["/entry", "point", "from", "image"],
        "config": {
            "hostname": "",
            "domainname": "",
            "user": "web",
            "env": ["PATH=/bin", "A=image", "E="],
            "cmd": ["from", "image"],
            "entrypoint": ["/entry", "point"],
            "workdir": "/srv",
            "labels": {"of": "image", "both": "image"},
            "tty": False,
            "open_stdin": False,
            "stdin_once": False,
            "attach": ["stdout", "stderr"],
            "stop_signal": "SIGQUIT",
            "stop_timeout": None,
            "exposed_ports": {"80/tcp": {}},
            "volumes": {"/data": {}},
            "healthcheck": None,
            "shell": None,
        },
        "options": {},
        "network": ON_THE_BRIDGE,
        "auto_remove": False,
        "log": {"driver": "json-file", "max_size": None, "max_file": 1},
    }


def test_an_image_that_says_nothing(facts):
    found = facts("bare:1 sh")
    assert found["argv"] == ["sh"] and found["options"] == {}
    assert {name: value for name, value in found["config"].items() if value} == {"cmd": ["sh"], "attach": ["stdout", "stderr"]}
    assert found["config"]["volumes"] is found["config"]["entrypoint"] is found["config"]["stop_signal"] is None


@pytest.mark.parametrize(
    ("line", "part", "expected"),
    [
        ("-e B=1 -e A=2 -e E shop:1", "env", ["B=1", "A=2", "PATH=/bin"]),
        ("-u root -w /tmp shop:1", ("user", "workdir"), ("root", "/tmp")),
        ("-l mine=1 -l both=mine -l bare shop:1", "labels", {"of": "image", "both": "mine", "mine": "1", "bare": ""}),
        ("--expose 53/udp --expose 80 shop:1", "exposed_ports", {"80/tcp": {}, "53/udp": {}}),
        ("--stop-signal TERM --stop-timeout 0 shop:1", ("stop_signal", "stop_timeout"), ("TERM", 0)),
        ("--stop-signal 9 shop:1", "stop_signal", "9"),
        ("-h there shop:1", "hostname", "there"),
        ("-it shop:1", ("tty", "open_stdin", "stdin_once", "attach"), (True, True, True, ["stdin", "stdout", "stderr"])),
        ("-i shop:1", ("tty", "stdin_once", "attach"), (False, True, ["stdin", "stdout", "stderr"])),
        ("-d shop:1", ("open_stdin", "stdin_once", "attach"), (False, False, [])),
        ("-dit shop:1", ("tty", "open_stdin", "stdin_once", "attach"), (True, True, False, [])),
        ("-a stderr shop:1", "attach", ["stderr"]),
        ("-a stdin -a STDOUT shop:1", ("attach", "open_stdin"), (["stdin", "stdout"], False)),
    ],
)
def test_the_config(facts, line, part, expected, monkeypatch):
    monkeypatch.delenv("E", raising=False)
    found = facts(line)["config"]
    assert (tuple(found[one] for one in part) if isinstance(part, tuple) else found[part]) == expected


@pytest.mark.parametrize(
    ("line", "argv", "entrypoint", "cmd"),
    [
        ("shop:1 -x y", ["/entry", "point", "-x", "y"], ["/entry", "point"], ["-x", "y"]),
        ("--entrypoint sh shop:1", ["sh"], ["sh"], None),
        ("--entrypoint sh shop:1 -c true", ["sh", "-c", "true"], ["sh"], ["-c", "true"]),
        ("--entrypoint= shop:1 ls", ["ls"], None, ["ls"]),
    ],
)
def test_entrypoint_and_command(facts, line, argv, entrypoint, cmd):
    found = facts(line)
    assert (found["argv"], found["config"]["entrypoint"], found["config"]["cmd"]) == (argv, entrypoint, cmd)


def test_the_options_of_a_container_as_json_has_them(facts):
    found = facts(
        "-m 64m --memory-swap -1 --cpus 1.5 --cpuset-cpus 0-1 --pids-limit 10 --cap-add NET_ADMIN --cap-drop ALL --read-only --init "
        "--privileged --network host -v /a:/b:ro -v /c:/d --tmpfs /run -t -h there --rm --log-driver none shop:1"
    )  # fmt: skip
    assert found["options"] == {
        "memory": 64 << 20,
        "memory_swap": -1,
        "cpus": 1.5,
        "cpuset": "0-1",
        "pids_limit": 10,
        "cap_add": ["NET_ADMIN"],
        "cap_drop": ["ALL"],
        "read_only": True,
        "init": True,
        "privileged": True,
        "volumes": ["/a:/b:ro", "/c:/d"],
        "tmpfs": ["/run"],
    }, "what the config says stands there alone: whoever makes a container of both would say it twice"
    assert (found["config"]["hostname"], found["config"]["tty"], found["network"]["mode"]) == ("there", True, "host")
    assert found["auto_remove"] is True and found["log"] == {"driver": "none", "max_size": None, "max_file": 1}


def test_files_of_variables_and_labels(facts, tmp_path):
    (tmp_path / "env").write_text("A=file\nB=file\n")
    (tmp_path / "labels").write_text("both=file\nmore=file\n")
    found = facts(f"--env-file {tmp_path}/env -e B=word --label-file {tmp_path}/labels -l more=word shop:1")["config"]
    assert found["env"] == ["A=file", "B=word", "PATH=/bin", "E="]
    assert found["labels"] == {"of": "image", "both": "file", "more": "word"}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--pull often shop:1", 'invalid pull option: \'often\': must be one of "always", "missing" or "never"'),
        ("--stop-signal SIGNIX shop:1", "invalid signal: SIGNIX (kill -l lists them)"),
        ("--stop-signal 99 shop:1", "invalid signal: 99 (kill -l lists them)"),
        ("--log-opt max-files=1 shop:1", "unknown log opt 'max-files' for json-file log driver (there are max-size and max-file)"),
        ("--expose http shop:1", "invalid range format for --expose: invalid start port 'http': invalid syntax"),
        ("--env-file /nix shop:1", "--env-file: open /nix: no such file or directory"),
        ("--entrypoint= shop:1", "no command specified: the image has neither CMD nor ENTRYPOINT, so say what to run"),
        ("bare:1", "no command specified: the image has neither CMD nor ENTRYPOINT, so say what to run"),
    ],
)
def test_what_cannot_be_meant(facts, line, said):
    with pytest.raises(ValueError) as caught:
        facts(line)
    assert str(caught.value) == said
