"""The command ``suitcase``: each verb does it, fails clearly, and says what Docker says."""

from __future__ import annotations

import io
import json
import os
import pty
import shlex
import stat
import subprocess
import sys
import tarfile
import time
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from helpers import layers as make
from helpers.commands import columns, given_to
from helpers.layers import folder, member
from helpers.needs import requires
from helpers.registries import with_password

from lib import state
from lib.cli import text
from lib.cli.errors import Failed
from lib.cli.main import main
from lib.engine import finding
from lib.images import store
from lib.lab import peers
from lib.lab.registry import LocalRegistry
from lib.state import kept

pytestmark = requires("root", "overlay", "busybox")


@contextmanager
def box(suitcase, script: str):
    """A container of our busybox that runs, and is called so: its id."""
    yield suitcase(f"run -d --name box localhost/busybox:static sh -c {shlex.quote(script)}").out.strip()
    assert suitcase("rm -f box").code == 0


# -- looking ------------------------------------------------------------------------------


def test_images(suitcase, ours):
    said = suitcase("images")
    assert columns(said.out.splitlines()[0]) == ["REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE"]
    assert [columns(line)[:2] for line in said.out.splitlines()[1:]] == [["localhost/busybox", "static"], ["small", "1"]]
    assert suitcase("images -q small").out.strip() == ours.find("small:1").id[7:19]
    assert suitcase("images Small").code == 1 and "lower" in suitcase("images Small").err


def test_images_beside_docker(suitcase, docker, tmp_path):
    given_to(docker, suitcase, tmp_path, "localhost/busybox:static")
    mine = [columns(line) for line in suitcase("images localhost/busybox").out.splitlines()]
    theirs = [columns(line) for line in docker.call("images", "localhost/busybox").splitlines()]
    assert mine[0] == theirs[0]
    assert [mine[1][column] for column in (0, 1, 2, 4)] == [theirs[1][column] for column in (0, 1, 2, 4)]


def test_images_and_their_history_by_a_template(suitcase, ours):
    ident = ours.find("small:1").id
    assert suitcase("images --format '{{.Repository}}:{{.Tag}} {{.ID}}' small").out == f"small:1 {ident[7:19]}\n"
    assert json.loads(suitcase("images --no-trunc --format json small").out)["ID"] == ident
    assert suitcase("images --format 'table {{.Tag}}' small").out == "TAG\n1\n"
    first = ours.find("localhost/busybox:static").id[7:19]
    assert suitcase("history --format '{{.ID}} {{.Comment}}' localhost/busybox:static").out.startswith(f"{first} Imported from ")
    assert suitcase("images --format {{.Nosuch}}").code == 1 and suitcase("history --format {{.Nosuch}} small:1").code == 1


def test_history(suitcase, docker, tmp_path):
    (tmp_path / "c").mkdir()
    (tmp_path / "c/Dockerfile").write_text("FROM localhost/busybox:static\nRUN echo 1 > /one\nENV A=1\n")
    assert suitcase(f"build -q -t h:1 {tmp_path}/c").code == 0
    given_to(docker, suitcase, tmp_path, "h:1")
    mine = json.loads(json.dumps([columns(line) for line in suitcase("history h:1").out.splitlines()]))
    theirs = [columns(line) for line in docker.call("history", "h:1").splitlines()]
    assert mine[0] == theirs[0]
    assert [row[2] for row in mine[1:3]] == [row[2] for row in theirs[1:3]] == ["ENV A=1", "RUN /bin/sh -c echo 1 > /one"]
    assert "No such image: nosuch" in suitcase("history nosuch").err


def test_inspect(suitcase, docker, tmp_path, ours):
    given_to(docker, suitcase, tmp_path, "localhost/busybox:static")
    (mine,) = json.loads(suitcase("inspect localhost/busybox:static").out)
    (theirs,) = json.loads(docker.call("image", "inspect", "localhost/busybox:static"))
    for key in ("Id", "RepoTags", "Architecture", "Os", "RootFS", "Created"):
        assert mine[key] == theirs[key], key
    assert mine["Config"].items() <= theirs["Config"].items()
    assert suitcase("inspect -f '{{.Os}} {{json .Config.Cmd}}' localhost/busybox:static").out == 'linux ["sh"]\n'
    said = suitcase("inspect -f '{{.Nosuch}}' small:1")
    assert said.code == 1 and "no field 'Nosuch'" in said.err and "Id, RepoTags" in said.err


# -- names ---------------------------------------------------------------------------------


def test_tag_and_rmi_beside_docker(suitcase, docker, tmp_path, ours):
    given_to(docker, suitcase, tmp_path, "small:1")
    assert suitcase("tag small:1 other:2").code == 0
    docker.call("tag", "small:1", "other:2")
    assert suitcase("rmi other:2").out.strip() == docker.call("rmi", "other:2") == "Untagged: other:2"
    mine, theirs = suitcase("rmi small:1").out.split(), docker.call("rmi", "small:1").split()
    assert mine == theirs[:4] and theirs[4::2] == ["Deleted:"] * 2, "Docker counts its layers, too"
    assert "No such image: small:1" in suitcase("rmi small:1").err


def test_tag_refuses_what_is_no_name(suitcase):
    for bad in ("Upper", "a:b:c", f"x@sha256:{'0' * 64}"):
        assert suitcase(f"tag small:1 {bad}").code == 1


def test_rmi_goes_on_after_an_error(suitcase):
    said = suitcase("rmi nosuch small:1")
    assert said.code == 1 and "Deleted" in said.out and "No such image: nosuch" in said.err


def test_an_image_that_a_container_stands_on(suitcase, ours):
    with box(suitcase, "sleep 60"):
        said = suitcase("rmi localhost/busybox:static")
        assert said.code == 1 and "is being used by a container" in said.err
        assert suitcase("rmi -f localhost/busybox:static").code == 0
        assert os.listdir(ours.store.place / "chains"), "its layers stay as long as it runs"


def test_prune(suitcase, ours):
    ours.tag("small:1", "localhost/busybox:static")
    said = suitcase("prune")
    assert said.out.count("deleted: sha256:") == 1 and "Total reclaimed space: 2" in said.out
    assert suitcase("builder-prune").code == 0


def test_rmi_and_prune_say_that_a_pull_is_at_work(suitcase, ours, monkeypatch):
    monkeypatch.setattr(store, "PATIENCE", 0.05)
    with ours.store.using():
        said = suitcase("rmi small:1")
    assert said.code == 0 and "Deleted: sha256:" in said.out and "the bytes go with the next suitcase prune" in said.err
    assert "Waiting" not in suitcase("prune").err
    monkeypatch.setattr(store, "soon", lambda *words: False)  # and is done right after
    assert "Waiting: a pull, load or build is at work here" in suitcase("prune").err
    assert "Waiting: a pull, load or build is at work here" in suitcase("builder-prune").err


# -- archives --------------------------------------------------------------------------------


def test_save_and_load_beside_docker(suitcase, docker, tmp_path):
    given_to(docker, suitcase, tmp_path, "small:1")
    docker.call("save", "-o", f"{tmp_path}/theirs.tar", "small:1")
    mine = suitcase("inspect -f '{{.Id}}' small:1").out
    suitcase("rmi small:1")
    said = suitcase(f"load -i {tmp_path}/theirs.tar")
    assert said.out == "Loaded image: small:1\n" == docker.call("load", "-i", f"{tmp_path}/theirs.tar") + "\n"
    assert suitcase("inspect -f '{{.Id}}' small:1").out == mine


def test_save_fails_before_it_makes_a_file(suitcase, tmp_path):
    assert "No such image" in suitcase(f"save -o {tmp_path}/x.tar nosuch").err
    assert not (tmp_path / "x.tar").exists()


@pytest.mark.parametrize("verb", ["save -o {} small:1", "export -o {} box"])
def test_a_device_a_pipe_and_a_link_are_never_replaced(suitcase, ours, tmp_path, verb):
    """With -o /dev/null, root lost the machine's /dev/null."""
    (tmp_path / "target").touch()
    (tmp_path / "link").symlink_to("target")
    os.mkfifo(tmp_path / "pipe")
    os.mknod(tmp_path / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    with box(suitcase, "sleep 60"):
        for name, kind in (("null", "a device"), ("pipe", "a named pipe")):
            said = suitcase(verb.format(tmp_path / name))
            assert (said.code, f'invalid output path: "{tmp_path}/{name}" must be a regular file: got {kind}' in said.err) == (1, True)
        assert suitcase(verb.format(tmp_path / "link")).code == 0
        missing = suitcase(verb.format(tmp_path / "no/such"))
        assert f'invalid output path: directory "{tmp_path}/no" does not exist' in missing.err
    assert sorted(os.listdir(tmp_path)) == ["images", "link", "null", "pipe", "target"], "no draft stays"
    assert stat.S_ISCHR(os.stat(tmp_path / "null").st_mode) and stat.S_ISFIFO(os.stat(tmp_path / "pipe").st_mode)
    assert (tmp_path / "link").is_symlink() and tarfile.is_tarfile(tmp_path / "target")


def test_load_of_what_is_no_archive(suitcase, tmp_path):
    (tmp_path / "x.tar").write_bytes(b"nonsense")
    assert suitcase(f"load -i {tmp_path}/x.tar").code == 1
    assert "no such file" in suitcase(f"load -i {tmp_path}/nosuch.tar").err


def test_import_beside_docker(suitcase, docker, tmp_path):
    (tmp_path / "fs.tar").write_bytes(make.tar(folder("etc"), member("etc/motd", b"hello")))
    flags = ["--change", 'CMD ["sh"]', "--change", "ENV A=1 B=2", "--change", "EXPOSE 80", "-m", "made by hand"]
    line = " ".join(map(shlex.quote, ["import", *flags, f"{tmp_path}/fs.tar", "imported:1"]))
    assert suitcase(line).out.startswith("sha256:")
    docker.call("import", *flags, f"{tmp_path}/fs.tar", "imported:1")
    (mine,), (theirs,) = json.loads(suitcase("inspect imported:1").out), json.loads(docker.call("image", "inspect", "imported:1"))
    assert {key: value for key, value in theirs["Config"].items() if value and key in ("Cmd", "Env", "ExposedPorts")} == mine["Config"]
    assert "CMD RUN" not in suitcase(f"import -c 'RUN x' {tmp_path}/fs.tar y").err
    assert "RUN does not change" in suitcase(f"import -c 'RUN x' {tmp_path}/fs.tar y").err


# -- containers --------------------------------------------------------------------------------

RUNS = [
    "sh -c 'echo hello'",
    "sh -c 'exit 7'",
    "-e A=1 -e B IMAGE sh -c 'echo $A-$B-$HOME-$PATH'",
    "-w /tmp IMAGE pwd",
    "-w /made/on/the/way IMAGE pwd",
    "-u nobody IMAGE sh -c 'id; touch /x'",
    "-u 1234:50 IMAGE id -u",
    "--entrypoint echo IMAGE one two",
    "-h there IMAGE hostname",
    "--read-only IMAGE touch /x",
    "nosuchcommand",
    "/etc/passwd",
    "-i IMAGE cat",
]


@contextmanager
def at_0(data: bytes):
    """Within this block these bytes, and then the end, can be read at our own 0: a container reads there, not at Python's ``sys.stdin``."""
    before, (reader, writer) = os.dup(0), os.pipe()
    os.write(writer, data)
    os.close(writer)
    os.dup2(reader, 0)
    os.close(reader)
    try:
        yield
    finally:
        os.dup2(before, 0)
        os.close(before)


@pytest.mark.parametrize("words", RUNS)
def test_run_beside_docker(suitcase, docker, tmp_path, words, monkeypatch):
    given_to(docker, suitcase, tmp_path, "localhost/busybox:static")
    monkeypatch.setenv("B", "from outside")
    line = words.replace("IMAGE", "localhost/busybox:static") if "IMAGE" in words else f"localhost/busybox:static {words}"
    with at_0(b"typed\n"):
        mine = suitcase(f"run --rm --network none {line}")
    command = ["docker", "-H", docker.socket, "run", "--rm", "--network", "none", *shlex.split(line)]
    theirs = subprocess.run(command, input="typed\n", capture_output=True, text=True, timeout=60)
    assert mine.code == theirs.returncode, (mine, theirs)
    assert mine.out == theirs.stdout
    assert bool(mine.err) == bool(theirs.stderr)


@pytest.mark.parametrize("most", [17, 20])
def test_run_where_descriptors_run_out_says_so_in_one_line(ours, most):
    """In the moment in which the process is made, too."""
    words = [sys.executable, "-m", "lib.cli", "run", "--rm", "localhost/busybox:static", "true"]
    done = subprocess.run(["prlimit", f"--nofile={most}", *words], capture_output=True, text=True, timeout=60)
    assert "Traceback" not in done.stderr and (done.returncode == 0 or "too many open files" in done.stderr.lower()), done.stderr


def test_run_of_an_image_that_is_not_here(suitcase):
    said = suitcase("run nosuch:1 true")
    assert said.code == 125 and "nosuch" in said.err
    assert suitcase("run --pull never busybox true").code == 125


def test_a_short_name_leads_to_a_stand_in_and_it_is_said(suitcase):
    said = suitcase("run --rm busybox:1.36 echo hello")
    assert said.out == "hello\n" and "localhost/busybox:static, made on this machine, stands in" in said.err
    assert suitcase("run mysql true").code == 125, "there is none for that"


def test_a_container_by_its_name_before_any_id(monkeypatch):
    known = [{"id": ident, "name": name} for ident, name in (("feed01", "one"), ("feed02", "two"), ("0ff000", "feed"), ("abc000", "four"))]
    monkeypatch.setattr(kept, "every", lambda: known)
    assert [finding.find(word)["id"] for word in ("feed", "feed0" + "1", "0ff")] == ["0ff000", "feed01", "0ff000"]
    for word, words in (("feed0", "multiple IDs found with provided prefix: feed0"), ("nobody", "No such container: nobody")):
        with pytest.raises(finding.NoSuchContainer, match=words):
            finding.find(word)


def test_diff_and_export_of_a_running_container(suitcase, ours, docker, tmp_path):
    given_to(docker, suitcase, tmp_path, "localhost/busybox:static")
    change = "echo 1 > /new; rm /bin/vi; chmod 700 /tmp; echo 2 >> /etc/passwd; echo done; sleep 60"
    with box(suitcase, change) as ident:
        docker.call("run", "-d", "--name", "box", "--network", "none", "localhost/busybox:static", "sh", "-c", change)
        while "done" not in suitcase("logs box").out or "done" not in docker.call("logs", "box"):
            time.sleep(0.02)
        mine, theirs = suitcase("diff box").out.split("\n"), docker.call("diff", "box").split("\n")
        assert sorted(filter(None, mine)) == sorted(filter(None, theirs))
        assert suitcase(f"export -o {tmp_path}/x.tar {ident[:6]}").code == 0
        with tarfile.open(tmp_path / "x.tar") as tar:
            assert "new" in tar.getnames() and "bin/vi" not in tar.getnames() and "bin/sh" in tar.getnames()
    assert "No such container: box" in suitcase("diff box").err


# -- registries -------------------------------------------------------------------------------


@requires("docker-registry", "skopeo")
def test_push_and_pull_beside_skopeo(suitcase, ours, tmp_path):
    with LocalRegistry() as registry:
        name = f"{registry.name}/small"
        suitcase(f"tag small:1 {name}:1")
        pushed = suitcase(f"push {name}:1")
        assert pushed.code == 0 and f"The push refers to repository [{name}]" in pushed.out and ": Pushed" in pushed.out
        seen = json.loads(peers.ask(["skopeo", "inspect", "--tls-verify=false", f"docker://{name}:1"], check=True).stdout)
        assert f"1: digest: {seen['Digest']} size: " in pushed.out
        peers.ask(
            ["skopeo", "copy", "--dest-tls-verify=false", f"oci:{ours.store.place}:localhost/busybox:static", f"docker://{name}:2"],
            check=True,
        )
        pulled = suitcase(f"pull {name}:2")
        assert "2: Pulling from small\n" in pulled.out and f"Status: Downloaded newer image for {name}:2" in pulled.out
        assert "Image is up to date" in suitcase(f"pull {name}:2").out
        assert suitcase(f"run --rm {name}:2 echo it runs").out == "it runs\n"
        assert "manifest unknown" in suitcase(f"pull {name}:nosuch").err.lower()
    assert suitcase(f"pull {name}:2").code == 1


@requires("docker-registry")
def test_all_tags_are_told_one_by_one(suitcase):
    with LocalRegistry() as registry:
        name = f"{registry.name}/deep/small"
        for tag in ("1", "2"):
            suitcase(f"tag small:1 {name}:{tag}")
        assert suitcase(f"push -a {name}").code == 0
        said = suitcase(f"pull -a {name}")
        heads = [line for line in said.out.splitlines() if "Pulling from" in line]
        assert sorted(heads) == [f"{tag}: Pulling from deep/small" for tag in "12"]
        assert said.out.splitlines()[-1] == name and "latest" not in said.out and not said.err


@requires("docker-registry")
def test_login_and_logout(suitcase, tmp_path):
    with with_password(tmp_path) as registry:
        suitcase(f"tag small:1 {registry.name}/small:1")
        refused = suitcase(f"push {registry.name}/small:1")
        assert refused.code == 1 and "suitcase login" in refused.err
        assert suitcase(f"login -u ada -p wrong {registry.name}").code == 1
        said = suitcase(f"login -u ada -p secret {registry.name}")
        assert "Login Succeeded" in said.out and "unencrypted" in said.err
        assert suitcase(f"push -q {registry.name}/small:1").out == f"{registry.name}/small:1\n"
        assert "Removing login" in suitcase(f"logout {registry.name}").out
        assert suitcase(f"pull {registry.name}/small:1").code == 1


# -- building ---------------------------------------------------------------------------------


def test_build_says_what_it_does(suitcase, tmp_path):
    (tmp_path / "c").mkdir()
    (tmp_path / "c/Dockerfile").write_text("FROM localhost/busybox:static\nARG WHO=you\nRUN echo hello $WHO > /hello\n")
    said = suitcase(f"build -t b:1 --build-arg WHO=me --build-arg TYPO=1 --iidfile {tmp_path}/id {tmp_path}/c")
    assert "RUN echo hello" in said.err and "named b:1" in said.err and "TYPO" in said.err
    assert Path(tmp_path, "id").read_text() == suitcase("inspect -f '{{.Id}}' b:1").out.strip()
    assert "CACHED" in suitcase(f"build -t b:1 --build-arg WHO=me {tmp_path}/c").err
    explained = suitcase(f"build --explain --build-arg WHO=us {tmp_path}/c").err
    assert "not cached, env: a variable the command sees has a different value: WHO was 'me', is 'us'" in explained
    plain = suitcase(f"build --progress=plain --no-cache {tmp_path}/c")
    assert "=> [0 2/2] RUN echo hello" in plain.err
    assert suitcase("run --rm b:1 cat /hello").out == "hello me\n"


def test_a_name_that_is_none_is_refused_before_the_work(suitcase, tmp_path):
    (tmp_path / "Dockerfile").write_text("FROM localhost/busybox:static\nRUN touch /x\n")
    said = suitcase(f"build -t fine:1 -t Web:1 {tmp_path}")
    assert said.code == 1 and "in lower case" in said.err and "RUN" not in said.err
    (tmp_path / "no.tar").write_bytes(b"nonsense")
    assert "in lower case" in suitcase(f"import {tmp_path}/no.tar Web:1").err


def test_off_a_terminal_a_build_tells_what_its_commands_print(suitcase, tmp_path):
    (tmp_path / "Dockerfile").write_text("FROM localhost/busybox:static\nRUN echo $((6*7))\n")
    assert "| 42" in suitcase(f"build {tmp_path}").err
    main, side = pty.openpty()
    words = [sys.executable, "-m", "lib.cli", "build", "--no-cache", str(tmp_path)]
    with subprocess.Popen(words, stdout=side, stderr=side, stdin=subprocess.DEVNULL) as child:
        os.close(side)
        said = b""
        with suppress(OSError):  # EIO: the other end is closed
            while piece := os.read(main, 1 << 16):
                said += piece
    os.close(main)
    assert child.returncode == 0 and b"RUN echo" in said and b"| 42" not in said


def fed(words: str, stdin: bytes) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "lib.cli", *shlex.split(words)], input=stdin, capture_output=True, timeout=60)


def left() -> set[str]:
    return {path.name for path in state.folder("containers").glob("context-*")}


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_a_context_from_standard_input(suitcase, ours, tmp_path, mode):
    out, before = io.BytesIO(), left()
    with tarfile.open(fileobj=out, mode=mode) as tar:
        for info, data in (folder("."), member("./Dockerfile", b"nonsense"), member("./sub/file", b"hello\n"),
                           member("./sub/Dockerfile", b"FROM scratch\nCOPY sub/file /there\n")):  # fmt: skip
            tar.addfile(info, io.BytesIO(data))
    done = fed("build -q -t fed -f sub/Dockerfile -", out.getvalue())
    assert done.returncode == 0, done.stderr
    assert make.tree(ours.folders(ours.find("fed")))["there"][4] == b"hello\n"
    assert left() == before and not list((ours.store.place / "contexts").glob("*")), "nothing of it is kept"


def test_a_dockerfile_from_standard_input_needs_no_context(suitcase, ours, tmp_path):
    done = fed("build -q -t words -", b"FROM scratch\nLABEL a=b\n")
    assert done.returncode == 0 and ours.find("words").runtime["Labels"] == {"a": "b"}
    assert b"can't use stdin for both" in fed("build -f - -", b"FROM scratch\n").stderr
    assert b"is not in the build context" in fed("build -", b"FROM scratch\nCOPY etc /\n").stderr


def test_a_context_from_a_stranger_leads_nowhere(suitcase, tmp_path):
    (tmp_path / "secret").write_text("FROM topsecret\n")
    for name in ("Dockerfile", "other"):
        tar = make.tar(make.link(name, str(tmp_path / "secret")))
        said = fed(f"build {'' if name == 'Dockerfile' else '-f other'} -", tar).stderr
        assert b"leads out of the build context" in said and b"topsecret" not in said


def test_an_image_of_words_alone_was_made_now(suitcase, ours, tmp_path):
    (tmp_path / "Dockerfile").write_text("FROM scratch\nLABEL a=b\nENV C=d\n")
    suitcase(f"build -t words {tmp_path}")
    age = datetime.now(UTC) - datetime.fromisoformat(ours.find("words").config["created"])
    assert timedelta() <= age < timedelta(minutes=5)
    assert len({one["created"] for one in ours.find("words").history}) == 1
    (tmp_path / "Dockerfile").write_text("FROM scratch\nLABEL a=b\nCOPY Dockerfile /\nENV C=d\n")
    first, second = (suitcase(f"build -q {tmp_path}").out for _ in range(2))
    assert first == second, "what comes from the cache is the same image again"


def test_build_fails_where_the_line_is(suitcase, tmp_path):
    (tmp_path / "Dockerfile").write_text("FROM localhost/busybox:static\nRUN echo before; exit 3\n")
    said = suitcase(f"build {tmp_path}")
    assert said.code == 3 and "Dockerfile:2:1" in said.err and "returned a non-zero code: 3" in said.err and "| before" in said.err
    (tmp_path / "Dockerfile").write_text("FRM busybox\n")
    assert "did you mean FROM?" in suitcase(f"build {tmp_path}").err
    assert "no such file" in suitcase(f"build {tmp_path}/nosuch").err
    assert "there is no file" in suitcase(f"build --secret id=x,src=/nosuch {tmp_path}").err
    assert "unexpected key 'file' in 'id=x,file=y': there are id, src" in suitcase(f"build --secret id=x,file=y {tmp_path}").err
    assert "failed to get build context path x=/nosuch" in suitcase(f"build --build-context x=/nosuch {tmp_path}").err
    assert "expected key=value" in suitcase(f"build --build-context /nosuch {tmp_path}").err
    assert "--ssh work needs a running agent: there is no /nosuch" in suitcase(f"build --ssh work=/nosuch {tmp_path}").err


# -- the command itself -------------------------------------------------------------------------


def test_every_verb_has_help_and_an_unknown_one_is_an_error(suitcase):
    for name in main.list_commands(None):
        said = suitcase(f"{name} --help")
        assert said.code == 0 and "Usage: suitcase" in said.out
    said = suitcase("nosuch")
    assert said.err == "suitcase: unknown command: suitcase nosuch\n\nRun 'suitcase --help' for more information\n"
    assert (said.code, said.out) == (1, "")
    assert {"pull", "push", "build", "images", "history", "inspect", "tag", "rmi", "save", "load", "run"} <= set(main.list_commands(None))


@pytest.mark.parametrize(
    "line, words",
    [
        ("run --network name=a,colour=red small:1", 'invalid argument "name=a,colour=red" for "--network" flag: invalid field key colour'),
        ("run --cpus inf small:1", "failed to parse inf as a rational number"),
        ("run --cpus 1/0 small:1", "failed to parse 1/0 as a rational number"),
        ("run --cpus 100000 small:1 true", "range of CPUs is from 0.01 to"),
        ("run --pids-limit many small:1", 'invalid argument "many" for "--pids-limit" flag: strconv.ParseInt'),
        ("run --name", "--name"),
        ("images --nosuch", "--nosuch"),
        ("--nosuch", "--nosuch"),
        ("run -e =A small:1 true", "invalid environment variable: =A"),
        ("run -e '' small:1 true", "invalid environment variable: "),
        ("run -w foo small:1 true", "the working directory 'foo' is invalid, it needs to be an absolute path"),
        ("run --name .. small:1 true", "Invalid container name (..)"),
        ("run -m 64x small:1 true", "invalid size: '64x'"),
        ("run --tmpfs new small:1 true", "mount path must be absolute"),
        ("run small:1", "no command specified"),
    ],
)
def test_a_wrong_word_is_told_and_ends_with_125(suitcase, line, words):
    said = suitcase(line)
    assert said.code == 125 and words in said.err and not said.out


def test_a_machine_without_cgroups_is_one_line_and_ctrl_c_is_no_error(suitcase, monkeypatch):
    import click

    from lib.cli import errors

    monkeypatch.setattr("lib.container.Container.choose_cgroup", cgroups_missing)
    said = suitcase("run localhost/busybox:static true")
    assert said.code == 125 and said.err == "suitcase: no cgroup file system is mounted\n"
    with pytest.raises(click.Abort), errors.errors():
        raise click.Abort


def test_an_error_of_the_kernels_is_told_in_words(tmp_path):
    from lib.cli.errors import errors

    for deed, words in {
        lambda: open(tmp_path / "nosuch"): f"{tmp_path}/nosuch: no such file or directory",
        lambda: os.rename(tmp_path / "a", tmp_path / "b"): f"{tmp_path}/a: {tmp_path}/b: no such file or directory",
        lambda: os.close(-1): "bad file descriptor",
    }.items():
        with pytest.raises(Failed) as caught, errors():
            deed()
        assert caught.value.message == words


def cgroups_missing(container, limits):
    raise RuntimeError("no cgroup file system is mounted")


def test_an_error_that_was_told_holds_nothing_open(tmp_path):
    """Its frames would, and those of its causes, until the garbage collector comes: meanwhile the disk cannot be unmounted."""
    from lib.cli.errors import errors

    def deep():
        file = open(tmp_path / "x", "w")
        raise OSError(28, f"full: {file.name}")

    def caller():
        try:
            deep()
        except OSError:
            raise ValueError("wrapped") from None

    with pytest.raises(Failed, match="wrapped") as caught, errors():
        caller()
    held = [os.readlink(place) for place in Path("/proc/self/fd").iterdir() if place.is_symlink() and place.exists()]
    assert caught.value and str(tmp_path / "x") not in held


def test_who_has_no_home_is_told_what_to_set():
    """A uid that /etc/passwd does not know, and no HOME: the usual place of the store cannot even be named."""
    code = "import os, runpy, sys; os.setgroups([]); os.setgid(54321); os.setuid(54321); sys.argv[1:] = ['images']; "
    code += "runpy.run_module('lib.cli', run_name='__main__')"
    env = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, cwd=Path(__file__).parents[2])
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1, done.stderr
    assert all(word in done.stderr for word in ("uid 54321 has no home folder", "HOME=", "SUITCASE_STORE="))


def test_as_a_program(ours, tmp_path):
    done = subprocess.run([sys.executable, "-m", "lib.cli", "images"], capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.returncode == 0 and "small" in done.stdout


def test_what_a_listing_imports():
    """A command that lists images waits neither for HTTP nor for netlink, nor for what runs containers."""
    code = "import sys; from lib.cli import images, library; library.library(); print(sorted(sys.modules))"
    env = os.environ | {"SUITCASE_IMAGES": os.environ["SUITCASE_STORE"] + "/listing"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, cwd=Path(__file__).parents[2])
    for heavy in ("urllib3", "pyroute2", "http.client", "ssl", "zstandard", "isal", "tqdm", "lib.container", "lib.build.builder"):
        assert f"'{heavy}'" not in done.stdout, heavy


def test_ages_as_docker_writes_them():
    words = [text.duration(seconds) for seconds in (0.5, 1, 30, 61, 150, 3700, 7300, 3 * 86400, 20 * 86400, 100 * 86400, 800 * 86400)]
    assert words == [
        "Less than a second", "1 second", "30 seconds", "About a minute", "2 minutes", "About an hour", "2 hours", "3 days", "2 weeks",
        "3 months", "2 years",
    ]  # fmt: skip
    assert text.age("nonsense") == "N/A"


def test_a_name_that_is_nearly_right(suitcase):
    said = suitcase("run localhost/busybox:statc true")
    assert said.code and "here is localhost/busybox:static: is that meant?" in said.err
