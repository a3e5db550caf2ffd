"""The same build by others: what Buildah makes of a Dockerfile's line, what Docker lets into a build context."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from lib import state
from lib.images import Library, Merged, Store, archive
from lib.lab import peers
from lib.lab.chapters.ch03 import look
from lib.process import scratch


def buildah_tree(base: str, line: str) -> dict:
    """What Buildah makes of a base (a folder) and one line of a Dockerfile: the tree, as ``look`` tells it. Raises ``Missing``."""
    with scratch("buildah", state.folder("bases").parent) as place:
        peers.ask(["tar", "-C", base, "-cf", f"{place}/base.tar", "."], check=True)
        Path(place, "Dockerfile").write_text(f"FROM scratch\nADD base.tar /\n{line}\n")
        command = ["buildah", "--root", f"{place}/root", "--runroot", f"{place}/run", "--storage-driver", "vfs"]
        try:
            peers.ask([*command, "bud", "--isolation", "chroot", "-t", "theirs", place], timeout=60, check=True)
            container = peers.ask([*command, "from", "theirs"], timeout=60, check=True).stdout.strip()
            folder = peers.ask([*command, "mount", container], check=True).stdout.strip()
            return look([folder])
        finally:
            with suppress(peers.Missing):
                peers.ask([*command, "rm", "--all"], timeout=60)


def docker_context(docker: peers.Docker, paths: list[str], rules: list[str]) -> set[str]:
    """Which of the files Docker lets into an image by ``COPY . /``, under these lines of a ``.dockerignore``."""
    with scratch("context") as place:
        for path in paths:
            file = Path(place, path)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("x")
        Path(place, "Dockerfile").write_text("FROM scratch\nCOPY . /\n")
        Path(place, ".dockerignore").write_text("\n".join(rules))
        made = docker.call("build", "-q", place)
        try:
            docker.call("save", "-o", f"{place}/saved.tar", made)
        except peers.Missing as error:
            if "empty export" in str(error):  # nothing was let in, so there is no layer
                return set()
            raise
        with open(f"{place}/saved.tar", "rb") as file:
            ours = Library(Store(f"{place}/store"))
            (image,) = archive.load(ours, file)
        return {path for path, _, _ in Merged(ours.folders(image)).walk()} & set(paths)


def docker_contexts(paths: list[str], rules: dict[str, list[str]]) -> dict[str, set[str]]:
    """The same for several ``.dockerignore`` files, asked of one daemon."""
    with peers.dockerd() as docker:
        return {name: docker_context(docker, paths, lines) for name, lines in rules.items()}
