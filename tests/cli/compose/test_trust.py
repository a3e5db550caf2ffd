"""A stranger's file gets nothing of this machine before somebody has agreed: no variable, no file, no folder."""

from __future__ import annotations

import os
import re
import subprocess

import pytest
from helpers.commands import Command
from helpers.needs import COMPOSE, requires

from lib.cli.compose import artifact
from lib.cli.compose.artifact import ENV_FILE, FILE, Layer
from lib.cli.compose.asked import Asked
from lib.cli.compose.remote import trust
from lib.compose.reading import Request, load
from lib.lab.registry import LocalRegistry

HARMLESS = """
services:
  web:
    image: busybox
    environment: {A: "${NOT_SET_ANYWHERE:-b}"}
    volumes: ["data:/data"]
volumes: {data: {}}
"""
GREEDY = """
services:
  web:
    image: busybox:${MY_TAG}
    command: echo ${MY_TAG:+$MY_KEY} $$MY_HOME
    environment: [MY_TOKEN]
    env_file: [OUTSIDE/my.env, theirs.env]
    label_file: OUTSIDE/my.labels
    volumes: ["/etc:/host-etc", "./here:/here:ro", "data:/data", "mine:/mine"]
    build: {context: OUTSIDE, additional_contexts: {more: /home, own: ., far: "https://there/x.git"}, args: [MY_ARG], ssh: [default]}
    networks: [default, office]
    secrets: [word, key]
    pid: host
    privileged: true
    cap_add: [SYS_ADMIN]
    volumes_from: ["container:db"]
    develop: {watch: [{path: OUTSIDE, action: sync, target: /x}]}
networks: {office: {external: true}}
volumes:
  data: {driver_opts: {type: none, o: bind, device: /srv}}
  mine: {external: true, name: photos}
secrets:
  word: {file: OUTSIDE/word}
  key: {environment: MY_KEY}
"""
MINE = {"MY_TAG": "1", "MY_TOKEN": "t\x1bken", "MY_ARG": "arg", "MY_KEY": "key", "MY_THEIRS": "x", "MY_HOME": "home", "MY_OWN": "o"}


def read(folder, text: str, environ=MINE, **more) -> trust.Wanted:
    (folder / "compose.yaml").write_text(text)
    loaded = load(Request(files=[str(folder / "compose.yaml"), *more.pop("files", ())], environ=environ, **more))
    return trust.wanted(loaded, (str(folder),))


@pytest.fixture
def places(tmp_path):
    outside, folder = tmp_path / "outside", tmp_path / "theirs"
    outside.mkdir()
    folder.mkdir()
    for name in ("my.env", "my.labels"):
        (outside / name).write_text("INSIDE=1\n")
    (outside / "word").write_text("secret")
    (folder / "theirs.env").write_text("B=${MY_THEIRS}\nC=$$MY_OWN\n")
    return outside, folder


def test_what_it_wants_is_found(places):
    outside, folder = places
    found = read(folder, GREEDY.replace("OUTSIDE", str(outside)))
    assert {*found.variables} == {"MY_TAG", "MY_KEY", "MY_TOKEN", "MY_ARG", "MY_THEIRS"}
    assert found.variables["MY_TAG"] == ("1", "the shell")
    assert {re.sub(r" \(service web\)", "", one) for one in found.things} == {
        f"what is in the file {outside}/my.env",
        f"what is in the file {outside}/my.labels",
        "/etc of this machine, to write to",
        f"{folder}/here of this machine",
        f"the folder {outside}, from which its image is built",
        "the folder /home, from which its image is built",
        "the network office, and who is on it",
        "your SSH agent, while its image is built",
        f"the files below {outside}, as they change",
        "pid: host",
        "privileged: true",
        "cap_add: SYS_ADMIN",
        "the volumes of container:db",
        f"the file {outside}/word (secret word)",
        "the variable MY_KEY (secret key)",
        "/srv of this machine (volume data)",
        "the volume photos, and what is in it",
    }


def test_who_wants_nothing_is_not_asked_about(places):
    assert read(places[1], HARMLESS, {"A": "b"}) == ({}, [])


def test_a_file_that_it_includes_or_extends_is_a_file_that_it_reads(places):
    outside, folder = places
    (outside / "base.yaml").write_text("services: {base: {image: busybox, environment: {PASSWORD: x}}}\n")
    for text in (
        f"include: [{outside}/base.yaml]\nservices: {{web: {{image: busybox}}}}\n",
        f"services: {{web: {{extends: {{file: {outside}/base.yaml, service: base}}}}}}\n",
    ):
        assert read(folder, text).things == [f"what is in the file {outside}/base.yaml"]


def test_what_your_own_file_says_beside_it_is_no_concern(places):
    outside, folder = places
    (outside / "own.yaml").write_text("services: {web: {volumes: ['/etc:/etc'], environment: {A: '${MY_TAG}'}}}\n")
    assert read(folder, HARMLESS, {"MY_TAG": "1"}, files=[str(outside / "own.yaml")]) == ({}, [])


class Sits:
    """Somebody at a terminal, who answers."""

    def __init__(self, monkeypatch, answer: str):
        monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
        monkeypatch.setattr(trust.click, "confirm", lambda *words, **how: answer == "y")


@pytest.fixture
def asked(places, monkeypatch) -> Asked:
    outside, folder = places
    (folder / "compose.yaml").write_text(GREEDY.replace("OUTSIDE", str(outside)))
    for name, value in MINE.items():
        monkeypatch.setenv(name, value)
    return Asked(files=(str(folder / "compose.yaml"),), fetched={"oci://shop/app": str(folder)})


def test_nobody_to_be_asked_is_no_yes(asked, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", open(os.devnull))
    with pytest.raises(ValueError, match="nobody is there to be asked whether oci://shop/app may have this: up -y and create -y agree"):
        trust.confirm(asked)
    said = capsys.readouterr().err
    assert re.search(r"VARIABLE +VALUE +SOURCE\n", said) and re.search(r"MY_TAG +1 +the shell\n", said)
    assert "- /etc of this machine, to write to (service web)" in said and "\x1b" not in said
    trust.confirm(asked, yes=True)


@pytest.mark.parametrize("answer", ["y", "n"])
def test_who_sits_there_is_asked(asked, monkeypatch, answer):
    Sits(monkeypatch, answer)
    if answer == "y":
        return trust.confirm(asked)
    with pytest.raises(ValueError, match="operation cancelled by user"):
        trust.confirm(asked)


VERBS = ("up -d", "create", "run web", "scale web=2", "watch", "build")


@requires("docker-registry")
def test_each_verb_that_would_hand_it_over_asks_first(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("SUITCASE_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("MY_TAG", "1")
    text = "services:\n  web:\n    image: busybox:${MY_TAG}\n    build: .\n    develop: {watch: [{path: ., action: rebuild}]}\n"
    suitcase = Command(capfd)
    with LocalRegistry() as registry:
        name = f"oci://{registry.name}/shop/app:1"
        artifact.sent(name, [Layer(FILE, "compose.yaml", text.encode()), Layer(ENV_FILE, "x.env", b"A=1\n")])
        for verb in VERBS:
            said = suitcase(f"compose -f {name} {verb}")
            assert said.code == 1 and "nobody is there to be asked" in said.err, verb
        assert suitcase(f"compose -f {name} config --quiet").code == 0, "who only looks at it hands nothing over"
        assert suitcase(f"compose -f {name} --dry-run up").code == 0


@requires("docker-registry", "compose")
def test_the_real_compose_asks_of_the_variables_too(tmp_path, monkeypatch, docker):
    monkeypatch.setenv("SUITCASE_STORE", str(tmp_path / "store"))
    with LocalRegistry() as registry:
        name = f"oci://{registry.name}/shop/app:1"
        artifact.sent(name, [Layer(FILE, "compose.yaml", b"services: {web: {image: 'busybox:${MY_TAG}'}}\n")])
        line = [COMPOSE, "--insecure-registry", registry.name, "-f", name, "up", "-d"]
        env = os.environ | {"MY_TAG": "1", "DOCKER_HOST": docker.socket}
        said = subprocess.run(line, capture_output=True, text=True, timeout=60, input="n\n", env=env)
    assert said.returncode == 1 and "Found the following variables in configuration:" in said.stdout, said
    assert re.search("MY_TAG +1 +environment", said.stdout) and "operation cancelled by user" in said.stderr
