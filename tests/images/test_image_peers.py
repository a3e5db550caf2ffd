"""Images between us and the others: ours in podman and under dive's eyes, theirs here; Dockerfiles under hadolint's."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest
from helpers import build_cases, leakcheck
from helpers import layers as make
from helpers.needs import requires

from lib import linux, run
from lib.build import build
from lib.engine.naming import shortnames
from lib.images import archive
from lib.lab import peers
from lib.lab.registry import LocalRegistry
from lib.registry import transfer

pytestmark = requires("root", "overlay", "busybox")
BIN = Path(sys.executable).parent  # dive and hadolint come from pip
RECIPE = """FROM localhost/busybox:static
COPY --chmod=750 hello /hello
RUN ln /hello /again && ln -s hello /link && rm /bin/vi && mkdir -m 1777 /shared && chown 12:34 /shared
ENV A=1
CMD ["/hello"]
"""


@pytest.fixture
def ours(tmp_path):
    library = make.library(tmp_path / "images")
    shortnames.make(library, "localhost/busybox:static")
    (tmp_path / "context").mkdir()
    (tmp_path / "context/hello").write_text("#!/bin/sh\necho hello $A\n")
    build(str(tmp_path / "context"), library, text=RECIPE, tags=("hello:1",))
    return library


def saved(library, tmp_path: Path, name: str) -> Path:
    with open(tmp_path / "saved.tar", "wb") as file:
        archive.save(library, [name], file)
    return tmp_path / "saved.tar"


def said(library, image) -> str:
    """What a container of the image says, run by us."""
    command = [*(image.runtime.get("Entrypoint") or []), *(image.runtime.get("Cmd") or [])]
    env = dict(word.split("=", 1) for word in image.runtime["Env"])
    return run([library.chains.mountpoints(), *library.folders(image)], command, env=env, show=False).text


@contextmanager
def store_of(tool: str, tmp_path: Path):
    """A command of podman or buildah with a store of its own, which is gone afterwards."""
    short = tempfile.mkdtemp(prefix="st-")  # podman takes no long path there
    command = [tool, "--root", f"{tmp_path}/root", "--runroot", short, "--storage-driver", "vfs"]
    command += ["--cgroup-manager", "cgroupfs", "--runtime", "runc", "--events-backend", "none"] if tool == "podman" else []
    try:
        yield command
    finally:
        subprocess.run([*command, "rmi", "--all", "--force"], capture_output=True, timeout=60)
        shutil.rmtree(short)


@requires("podman")
def test_podman_loads_and_runs_ours(ours, tmp_path):
    with store_of("podman", tmp_path) as podman:
        peers.ask([*podman, "load", "-i", str(saved(ours, tmp_path, "hello:1"))], timeout=60, check=True)
        limits = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096", "--network", "none"]
        done = peers.ask([*podman, "run", "--rm", *limits, "hello:1"], timeout=60, check=True)
        assert done.stdout == "hello 1\n" == said(ours, ours.find("hello:1"))
        assert (
            peers.ask([*podman, "image", "inspect", "-f", "{{.Id}}", "hello:1"], check=True).stdout.strip() == ours.find("hello:1").id[7:]
        )


@requires("buildah", "docker-registry")
def test_we_pull_and_run_what_buildah_built_and_pushed(ours, tmp_path):
    with LocalRegistry() as registry, store_of("buildah", tmp_path) as buildah:
        ours.tag("localhost/busybox:static", f"{registry.name}/base:1")
        transfer.push(ours, f"{registry.name}/base:1")
        (tmp_path / "context/Dockerfile").write_text(RECIPE.replace("localhost/busybox:static", f"{registry.name}/base:1"))
        plain = ["--tls-verify=false"]
        peers.ask([*buildah, "bud", *plain, "--isolation", "chroot", "-t", "theirs", str(tmp_path / "context")], timeout=60, check=True)
        peers.ask([*buildah, "push", *plain, "theirs", f"docker://{registry.name}/theirs:1"], timeout=60, check=True)
        pulled = transfer.pull(ours, f"{registry.name}/theirs:1")
        assert said(ours, pulled) == "hello 1\n"
        mine = {
            path: one for path, one in make.tree(ours.folders(ours.find("hello:1"))).items() if not path.startswith(("proc", "sys", "dev"))
        }
        theirs = make.tree(ours.folders(pulled))
        assert {path: theirs.get(path) for path in mine} == mine


@pytest.mark.timeout(120)
def test_we_load_and_run_what_docker_built(ours, tmp_path):
    with peers.dockerd() as docker:
        leakcheck.forget()
        docker.call("load", "-i", str(saved(ours, tmp_path, "localhost/busybox:static")))
        (tmp_path / "context/Dockerfile").write_text(RECIPE.replace("--chmod=750 ", "").replace("RUN ", "RUN chmod 750 /hello && "))
        docker.call("build", "-q", "--network=none", "-t", "theirs:1", str(tmp_path / "context"))
        docker.call("save", "-o", f"{tmp_path}/theirs.tar", "theirs:1")
        inspected = json.loads(docker.call("image", "inspect", "theirs:1"))[0]
    leakcheck.forget()
    other = make.library(tmp_path / "other")
    with open(tmp_path / "theirs.tar", "rb") as file:
        (loaded,) = archive.load(other, file)
    assert loaded.id == inspected["Id"] and loaded.diff_ids == inspected["RootFS"]["Layers"]
    assert said(other, loaded) == "hello 1\n"


@requires("docker")
@pytest.mark.timeout(120)
def test_a_daemon_of_our_own_leaves_the_machines_containerd_alone():
    """Where Docker is installed with its services, one runs; here one that never answers."""
    place = Path("/run/containerd")
    place.mkdir(exist_ok=True)
    linux.mount("tmpfs", str(place), "tmpfs")
    try:
        with socket.socket(socket.AF_UNIX) as silent:
            silent.bind(str(place / "containerd.sock"))
            silent.listen()
            with peers.dockerd(timeout=40) as docker:
                leakcheck.forget()
                assert docker.call("version", "--format", "{{.Server.Os}}").strip() == "linux"
        leakcheck.forget()
    finally:
        linux.umount(str(place))


def program(name: str) -> str:
    path = BIN / name
    if not path.exists():
        pytest.skip(f"{name} comes by pip for x86-64 only")
    return str(path)


def test_dive_sees_our_layers_and_what_they_waste(ours, tmp_path):
    """A file that is changed in a later layer counts twice; dive finds it in what ``save`` writes."""
    (tmp_path / "context/big").write_bytes(b"x" * 3_000_000)
    text = "FROM localhost/busybox:static\nCOPY big /big\nRUN chmod 600 /big\nRUN rm /big\n"
    image = build(str(tmp_path / "context"), ours, text=text, tags=("wasteful:1",)).image
    report = tmp_path / "report.json"
    command = [program("dive"), "--source", "docker-archive", str(saved(ours, tmp_path, "wasteful:1")), "--json", str(report)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(report.read_text())
    assert len(found["layer"]) == len(image.layers) == 4
    assert found["image"]["inefficientBytes"] == 6_000_000
    assert [one["sizeBytes"] for one in found["layer"]][1:] == [3_000_000, 3_000_000, 0]


# what BuildKit (and we) read and hadolint does not; a line that becomes unnecessary fails the test
NOT_BY_HADOLINT = {"healthcheck": "missing whitespace"}  # a time of two units, 1m30s, is unknown to it


def test_hadolint_reads_every_dockerfile_that_we_read(tmp_path):
    """No DL1000 (a parse error) for what we build; and its warnings are told by rule, so both read the same instructions."""
    unread = {}
    for name, case in build_cases.CASES.items():
        text = case.dockerfile
        done = subprocess.run([program("hadolint"), "-f", "json", "-"], input=text, capture_output=True, text=True, timeout=60)
        if errors := [one["message"] for one in json.loads(done.stdout or "[]") if one["code"] == "DL1000"]:
            unread[name] = errors[0].splitlines()[0]
    assert unread == NOT_BY_HADOLINT
