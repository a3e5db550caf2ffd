"""The same Dockerfile built by us, by Docker (its old builder and BuildKit) and by buildah: config and tree must be the same.

What a peer does otherwise stands in ``build_cases`` with the reason (``not_by``), and a test fails when it no longer does.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from helpers import build_cases
from helpers import layers as make
from helpers.build_cases import CASES
from helpers.needs import requires

from lib import bases
from lib.build import build
from lib.dockerfile import DockerfileError
from lib.images import ImageError, Library, archive, image
from lib.lab import peers

FAILED = (ImageError, DockerfileError)
CLIENT = "/usr/bin/docker"  # Debian's own: a newer one cannot speak to BuildKit without a plugin
PEERS = {"docker": 1.0, "buildkit": 1.2, "buildah": 1.2}  # which version of the Dockerfile language each knows
WORDS = (
    "Env",
    "Cmd",
    "Entrypoint",
    "User",
    "WorkingDir",
    "Labels",
    "Volumes",
    "ExposedPorts",
    "StopSignal",
    "Healthcheck",
    "Shell",
    "OnBuild",
)
BASE = {"Env": ["PATH=/sbin:/bin:/usr/bin"], "Cmd": ["sh"]}
PEOPLE = {
    "passwd": "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/usr/sbin:/bin/false\napp:x:1000:1000:app:/home/app:/bin/sh\n",
    "group": "root:x:0:\ndaemon:x:1:\napp:x:1000:\n",
}


def asks(peer: str, name: str) -> bool:
    """The old builder takes a second for each RUN, BuildKit a tenth: the old one is asked where there is none, or where it differs."""
    case = CASES[name]
    return case.needs <= PEERS[peer] and (peer != "docker" or "RUN" not in case.dockerfile or "docker" in case.not_by)


ASKED = [(peer, name) for peer in PEERS for name in CASES if asks(peer, name)]

pytestmark = requires("root", "overlay", "docker", "buildah", "busybox")


class Place:
    """Where all of it lies: the base image, the contexts, and what each builder made of each case."""

    def __init__(self, top: Path):
        self.top, self.ours = top, make.library(top / "ours")
        root = top / "root"
        shutil.copytree(bases.busybox(), root, symlinks=True)
        for name, text in PEOPLE.items():
            (root / "etc" / name).write_text(text)
        archive.from_folder(self.ours, str(root), "base", BASE)
        with open(self.base, "wb") as file:
            archive.save(self.ours, ["base"], file)
        for name, case in CASES.items():
            (top / "contexts" / name).mkdir(parents=True)
            build_cases.write(case, top / "contexts" / name)

    @property
    def base(self) -> Path:
        return self.top / "base.tar"

    def context(self, name: str) -> str:
        return str(self.top / "contexts" / name)

    def library(self, peer: str) -> Library:
        """What a peer built is looked at with our own eyes."""
        return make.library(self.top / peer)


MADE_BY = {"buildah": ("run",)}  # a folder that a RUN leaves behind there


def shape(library: Library, found: image.Image) -> tuple[dict, dict]:
    """What two builders must agree on: the words, and everything in the file system."""
    words = {word: value for word in WORDS if (value := found.runtime.get(word))}
    words["Env"] = dict(one.split("=", 1) for one in words.get("Env", ()))
    words["WorkingDir"] = words.get("WorkingDir", "/")  # to a container the same
    return words, make.tree(library.folders(found))


def arguments(name: str) -> list[str]:
    return [word for pair in CASES[name].args.items() for word in ("--build-arg", "=".join(pair))]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return Place(tmp_path_factory.mktemp("peers"))


@pytest.fixture(scope="module")
def ours(place):
    """Case → config and tree, or the error."""
    found = {}
    for name, case in CASES.items():
        try:
            done = build(place.context(name), place.ours, build_args=dict(case.args), tags=(f"{name}:ours",))
            found[name] = shape(place.ours, done.image)
        except FAILED as error:
            found[name] = error
    return found


# -- the peers ------------------------------------------------------------------------------


def complaint(done: subprocess.CompletedProcess) -> str:
    """Why a peer did not build it; nothing if it did."""
    return ((done.stderr.strip().splitlines() or ["?"])[-1]) if done.returncode else ""


def docker_builds(docker: peers.Docker, place: Place, peer: str, name: str) -> str:
    words = [CLIENT, "-H", docker.socket, "build", "--network", "none", "-t", f"{name}:{peer}", *arguments(name), place.context(name)]
    env = os.environ | {"DOCKER_BUILDKIT": str(int(peer == "buildkit"))}
    return complaint(subprocess.run(words, env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120))


def asked_of(peer: str) -> list[str]:
    return [name for one, name in ASKED if one == peer]


def by_docker(docker: peers.Docker, place: Place, peer: str) -> dict:
    """Build all of it, take it over with ``docker save``, and unpack it."""
    names = asked_of(peer)
    with ThreadPoolExecutor(3) as pool:
        why_not = dict(zip(names, pool.map(partial(docker_builds, docker, place, peer), names), strict=True))
    docker.call("save", "-o", str(place.top / f"{peer}.tar"), *(f"{name}:{peer}" for name in names if not why_not[name]))
    library = place.library(peer)
    with open(place.top / f"{peer}.tar", "rb") as file:
        archive.load(library, file)
    return {name: why_not[name] or shape(library, library.find(f"{name}:{peer}")) for name in names}


def exported(docker: peers.Docker, place: Place, name: str) -> dict:
    """The tree of an image of ours as Docker unpacks it: ``docker load``, ``docker create``, ``docker export``."""
    with open(place.top / "one.tar", "wb") as file:
        archive.save(place.ours, [f"{name}:ours"], file)
    docker.call("load", "-i", str(place.top / "one.tar"))
    container = docker.call("create", f"{name}:ours", "command")
    docker.call("export", "-o", str(place.top / "one.tar"), container)
    library = place.library(f"exported-{name}")
    with open(place.top / "one.tar", "rb") as file:
        return make.tree(library.folders(archive.import_(library, file)))


@pytest.fixture(scope="module")
def docker(place, ours):
    """What Docker made of the cases, and what it makes of images of ours. Its daemon has ended when the tests begin."""
    with peers.dockerd() as daemon:
        daemon.call("load", "-i", str(place.base))
        found = {peer: by_docker(daemon, place, peer) for peer in ("docker", "buildkit")}
        found["exported"] = {name: exported(daemon, place, name) for name in EXPORTED}
    return found


class Buildah:
    """buildah with everything of its own; each command's mounts end with it."""

    def __init__(self, top: Path):
        self.command = ["unshare", "-m", "buildah", "--root", f"{top}/root", "--runroot", f"{top}/run", "--storage-driver", "overlay"]

    def call(self, *words: str) -> str:
        """Nothing if it went well, else its last words."""
        return complaint(subprocess.run([*self.command, *words], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120))


def from_dir(library: Library, folder: Path) -> image.Image:
    """An image in the form that skopeo and buildah call ``dir:``: a manifest, and blobs named by their digests."""
    manifest = image.document((folder / "manifest.json").read_bytes(), "manifest.json")
    for one in (manifest["config"], *manifest["layers"]):
        library.store.put((folder / one["digest"].partition(":")[2]).read_bytes())
    return image.load(library.store, library.store.put_json(manifest, manifest["mediaType"]))


@pytest.fixture(scope="module")
def buildah(place, tmp_path_factory):
    theirs, library = Buildah(tmp_path_factory.mktemp("buildah")), place.library("buildah")
    assert not theirs.call("pull", f"docker-archive:{place.base}")

    def one(name: str):
        out = place.top / "dirs" / name
        words = [
            "bud",
            "--isolation",
            "chroot",
            "--format",
            "docker",
            "--identity-label=false",
            "-t",
            f"dir:{out}",
            *arguments(name),
            place.context(name),
        ]
        return theirs.call(*words) or shape(library, from_dir(library, out))

    (place.top / "dirs").mkdir()
    return {name: one(name) for name in asked_of("buildah")}  # one after the other: side by side in one store, it loses layers at times


# -- the comparison -------------------------------------------------------------------------


def differences(mine, theirs) -> list[str]:
    """In words, what is not the same; empty if all is."""
    if isinstance(theirs, str) and isinstance(mine, FAILED):
        return []
    if isinstance(theirs, str) or isinstance(mine, FAILED):
        return [f"they: {theirs}; we do not fail" if isinstance(theirs, str) else f"they do not fail; we: {mine}"]
    found = []
    for left, right in zip(mine, theirs, strict=True):
        found += [
            f"{key}: ours {left.get(key)}, theirs {right.get(key)}" for key in sorted({*left, *right}) if left.get(key) != right.get(key)
        ]
    return found


@pytest.mark.parametrize("peer,name", ASKED, ids=[f"{peer}-{name}" for peer, name in ASKED])
def test_builds_the_same(peer, name, ours, request):
    theirs = request.getfixturevalue("buildah") if peer == "buildah" else request.getfixturevalue("docker")[peer]
    found = [
        one
        for one in differences(ours[name], theirs[name])
        if not one.startswith(tuple(f"{path}: ours None" for path in MADE_BY.get(peer, ())))
    ]
    if reason := CASES[name].not_by.get(peer):
        assert found, f"{peer} agrees with us by now: take the entry out ({reason})"
    else:
        assert not found, "\n".join(found)


@pytest.mark.parametrize("name", CASES)
def test_succeeds_or_fails_as_it_should(name, ours):
    assert isinstance(ours[name], FAILED) == CASES[name].fails, ours[name]


EXPORTED = ("run-removes-and-changes", "run-replaces-a-folder", "copy-over-a-link-to-a-file", "copy-into-a-link-to-a-folder")
ADDED = ("dev", "proc", "sys", ".dockerenv", "etc/hosts", "etc/hostname", "etc/resolv.conf", "etc/mtab")  # by Docker, to every container


@pytest.mark.parametrize("name", EXPORTED)
def test_docker_unpacks_our_layers_as_we_do(name, ours, docker):
    def without(tree: dict) -> dict:
        return {path: about for path, about in tree.items() if not path.startswith(ADDED)}

    assert without(docker["exported"][name]) == without(ours[name][1])
