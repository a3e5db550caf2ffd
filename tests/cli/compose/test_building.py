"""``build``, ``up --build`` and ``watch``: images made from the file's ``build``, and containers that follow the files."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.hosts import BUSYBOX
from helpers.needs import requires
from helpers.waiting import wait_for

from lib import state

pytestmark = [requires("root", "overlay", "busybox", "nft", "ip"), pytest.mark.timeout(120)]

FILE = """
services:
  web:
    build: {context: ., args: {WORD: first}}
    stop_grace_period: 0s
    develop:
      watch:
        - {path: ./src, target: /src, action: sync, ignore: ["*.tmp"]}
        - {path: ./etc, target: /etc/web, action: sync+restart}
        - {path: ./hook, target: /hook, action: sync+exec, exec: {command: [sh, -c, "cp /hook/a /hooked"]}}
        - {path: ./Dockerfile, action: rebuild}
"""
DOCKERFILE = f'FROM {BUSYBOX}\nARG WORD\nCOPY . /built\nRUN echo $WORD > /word\nCMD ["sleep", "1000"]\n'


@pytest.fixture
def web(compose):
    folder = compose.file.parent
    compose.write(FILE)
    (folder / "Dockerfile").write_text(DOCKERFILE)
    (folder / ".dockerignore").write_text("*.secret\n")
    (folder / "a.secret").write_text("x")
    for name in ("src", "etc", "hook"):
        (folder / name).mkdir()
        (folder / name / "a").write_text("old")
    return compose


def inside(stack, script: str) -> str:
    return stack.host.inside("demo-web-1", script, None).strip()


def test_build(web):
    """The image has the project's name and the service's; what .dockerignore names is not seen."""
    said = web("build --build-arg OTHER=1")
    assert "Image demo-web Building" in said.err and "RUN echo $WORD" in said.err and "Image demo-web Built" in said.err
    web("--progress quiet build --no-cache -q")
    assert "demo-web" in web.host("images").out
    web("up -d --no-build")
    assert inside(web, "cat /word; ls /built") == "first\nDockerfile\ncompose.yaml\netc\nhook\nsrc"
    assert web("build nosuch", 1).err.endswith("no such service: nosuch\n")
    (web.file.parent / "Dockerfile").write_text(f"FROM {BUSYBOX}\nRUN false\n")
    assert web("build", 1).err.count("\n") > 1


def test_a_build_knows_the_hosts_that_the_file_names(web):
    (web.file.parent / "Dockerfile").write_text(f"FROM {BUSYBOX}\nRUN grep -w -e db -e me /etc/hosts > /hosts\nCMD sleep 1000\n")
    web.write(FILE.replace("{WORD: first}", "{}, extra_hosts: ['db=10.1.2.3', 'me:host-gateway']"))
    web("up -d")
    gateway = web.host("network inspect bridge --format '{{(index .IPAM.Config 0).Gateway}}'").out.strip()
    assert [line.split() for line in inside(web, "cat /hosts").splitlines()] == [["10.1.2.3", "db"], [gateway, "me"]]
    web.write(FILE.replace("{WORD: first}", "{}, network: none, extra_hosts: ['db=10.1.2.4']"))
    web("up -d --build")
    assert inside(web, "cat /hosts").split() == ["10.1.2.4", "db"], "another address, and the step is run anew"


def test_up_builds_what_is_not_there_and_again_if_it_is_to(web):
    assert "is to be built, and --no-build says that it is not" in web("up -d --no-build", 1).err
    web("up -d")
    first = web("ps -q").out
    web.write(FILE.replace("first", "second"))
    web("up -d")
    assert web("ps -q").out == first, "an image that is there will do"
    web("up -d --build")
    assert inside(web, "cat /word") == "second" and web("ps -q").out != first
    assert "demo-web" in web("--dry-run down --rmi local").out
    web("down -t 0 --rmi local")
    assert "demo-web" not in web.host("images").out


def test_an_image_may_be_made_from_another_services(web):
    """Which is built first, named or not."""
    (web.file.parent / "Dockerfile.base").write_text(f"FROM {BUSYBOX}\nRUN echo of the base > /base\n")
    (web.file.parent / "Dockerfile").write_text('FROM base\nRUN cp /base /word\nCMD ["sleep", "1000"]\n')
    web.write(
        "services:\n  web: {build: {context: ., additional_contexts: {base: 'service:zero'}}, stop_grace_period: 0s}\n"
        "  zero: {build: {context: ., dockerfile: Dockerfile.base}, command: 'true'}\n"
    )
    assert web("--progress json build web").err.index("demo-zero") < web("--progress json build web").err.index("demo-web")
    web.host("rmi -f demo-web demo-zero")
    web("up -d")
    assert inside(web, "cat /word") == "of the base"


def test_push_skips_what_was_not_built_here(web):
    web.write(f"services: {{web: {{image: {BUSYBOX}}}}}")
    assert web("push").err == "  web Skipped \n"
    assert web("pull -q").err == "" and "Pulled" in web("pull").err


@pytest.mark.parametrize("words", [("watch", "--quiet"), ("up", "--watch")])
def test_watch(web, words):
    """A file is copied, one is taken away, one restarts, one has a command run, one has the image built anew."""
    folder = web.file.parent

    def told() -> str:
        return (folder.parent / "log").read_text()

    def replaced(name: str, text: str) -> None:
        """All at once: who looks while a file is written may see two changes, and do all of it twice."""
        (folder.parent / "draft").write_text(text)
        (folder.parent / "draft").rename(folder / name)

    env = os.environ | {"PYTHONPATH": str(Path(state.__file__).parents[2])}
    with open(folder.parent / "log", "w") as log:
        line = [sys.executable, "-P", "-m", "lib.cli", "compose", "-f", str(web.file), *words]
        child = web.host.place(subprocess.Popen, line, env=env, stdout=log, stderr=subprocess.STDOUT)
    try:
        wait_for(lambda: "Watch enabled" in told())
        (folder / "src/sub").mkdir()
        (folder / "src/sub/b").write_text("new")
        (folder / "src/no.tmp").write_text("new")
        wait_for(lambda: inside(web, "cat /src/sub/b") == "new")
        assert inside(web, "ls /src") == "sub", "what has not changed is not copied, nor what is ignored"
        (folder / "src/sub/b").unlink()
        wait_for(lambda: inside(web, "ls /src/sub") == "")
        (folder / "hook/a").write_text("hooked")
        wait_for(lambda: inside(web, "cat /hooked") == "hooked")
        started = web.host("inspect -f {{.State.StartedAt}} demo-web-1").out
        replaced("etc/a", "newer")
        wait_for(lambda: web.host("inspect -f {{.State.StartedAt}} demo-web-1").out != started)
        wait_for(lambda: inside(web, "cat /etc/web/a") == "newer")
        ident = web("ps -q").out
        replaced("Dockerfile", DOCKERFILE.replace("/word", "/word2"))
        wait_for(lambda: web("ps -q").out not in ("", ident))
        wait_for(lambda: "successfully built" in told())
        assert inside(web, "cat /word2") == "first"
    finally:
        child.send_signal(2)
        code = child.wait(30)
    if words[0] == "watch":
        assert code == 0 and told().endswith("Watch disabled\n"), told()
    else:
        assert code == 130 and told().count("exited with code") == 3, told()  # it was started again, made anew, and stopped
        assert web("ps -a --format {{.State}}").out == "exited\n"


def test_up_watches_only_what_there_is_to_watch(web):
    web.write(f"services: {{web: {{image: {BUSYBOX}}}}}\n")
    assert "none of the selected services is configured for watch" in web("up --watch", 1).err
    assert "--no-build and --watch are incompatible" in web("up -w --no-build", 1).err
    assert "or --watch" in web("up -dw", 1).err and web("ps -aq").out == ""


def test_a_dockerfile_is_checked_and_nothing_is_built(web):
    said = web("build --check")
    assert said.out == "Check complete, no warnings found.\n" and "demo-web" not in web.host("images").out
    (web.file.parent / "Dockerfile").write_text(f"FROM {BUSYBOX}\nRUN true && \\\n\n  true\n")
    said = web("build --check", 1)
    assert "WARNING: service web, line " in said.out and re.search("Check complete, [0-9]+ warnings? ha(s|ve) been found!", said.err)
    (web.file.parent / "Dockerfile").write_text(f"FROM {BUSYBOX}\nRUNN x\n")
    assert "RUNN" in web("build --check", 1).err


UNCOVERED = """
services:
  web: {build: &db {dockerfile_inline: "FROM BUSYBOX\\nVOLUME /data\\nCMD sleep 1000\\n"}, stop_grace_period: 0s}
  other: {build: *db, stop_grace_period: 0s, volumes: ["kept:/data/"]}
volumes: {kept: {}}
"""


def test_somebody_at_a_terminal_hears_of_data_in_a_volume_without_a_name(compose, monkeypatch):
    """Once, when the first container is made; and nobody else does."""
    compose.write(UNCOVERED.replace("BUSYBOX", BUSYBOX))
    assert "NOTE" not in compose("up -d").err
    monkeypatch.setattr("lib.cli.volumes.mounting.at_a_terminal", lambda: True)
    assert "NOTE" not in compose("up -d --force-recreate").err
    compose("down -t 0 -v")
    notes = [line for line in compose("up -d").err.splitlines() if line.startswith("NOTE")]
    words = "its image keeps /data in a volume, and the file gives that no name: `volumes: [NAME:/data]` lets the next container find it"
    assert notes == [f"NOTE: service web: {words}"]
