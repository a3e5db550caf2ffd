"""Images beside the others: unpack, push, pull, build. ``python -m lib.lab.imagebench [ROUNDS]``

A part of ``make bench``. Every row is measured from the outside, as a command beside a command, in turn with its peer.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

from lib import state
from lib.engine import shortnames
from lib.images import archive, image, layers
from lib.images.library import Library
from lib.images.store import Store
from lib.lab import peers
from lib.lab.registry import LocalRegistry

BASE = "localhost/debian:python"
NAME = "docker.io/library/bench:1"
RECIPE = """FROM localhost/busybox:static
WORKDIR /app
COPY . .
RUN echo one > /one
RUN cat /app/f1 > /two
CMD ["sh"]
"""
FILES = 300


def seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def call(*command: str, **environment: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | environment, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise peers.Missing(f"{command[0]} {command[1]}: {(done.stderr.strip().splitlines() or ['?'])[-1]}")


def suitcase(*words: str, **environment: str) -> None:
    call(sys.executable, "-m", "lib.engine", *words, **environment)


def bench_image(library: Library) -> image.Image:
    """A Debian of some 180 MB in thousands of files, packed by gzip as it comes from a registry; and the small base."""
    shortnames.make(library, "localhost/busybox:static")
    base = shortnames.make(Library(Store()), BASE)
    (folder,) = Library(Store()).folders(base)
    with library.store.using():
        layer = layers.from_folder(library.store, folder, root=True, whiteouts=False)
        config = {**base.config, "rootfs": {"type": "layers", "diff_ids": [layer.diff_id]}}
        found = image.save(library.store, config, [layer.descriptor])
        library.store.tag(NAME, found.descriptor)
    return library.find(NAME)


def unpacking(library: Library, place: Path, docker: peers.Docker, rounds: int) -> dict[str, list[float]]:
    """The same image: by us into a store, by umoci into a folder, by Docker into its own store; digests verified by all."""
    found = library.find(NAME)
    with open(place / "bench.tar", "wb") as file:
        archive.save(library, [NAME], file)
    times: dict[str, list[float]] = {"ours": [], "umoci raw unpack": [], "docker load": []}

    def ours() -> None:
        with library.store.using():
            library.chains.unpack(found.layers, found.diff_ids)

    for _ in range(rounds):
        times["ours"].append(seconds(ours))
        library.chains.sweep(set())
        bundle = place / "bundle"
        command = ("umoci", "raw", "unpack", "--image", f"{library.store.place}:{NAME}", str(bundle))
        times["umoci raw unpack"].append(seconds(lambda command=command: call(*command)))
        shutil.rmtree(bundle)
        times["docker load"].append(seconds(lambda: docker.call("load", "-i", str(place / "bench.tar"))))
        docker.call("rmi", "-f", "bench:1")
    return times


def travelling(library: Library, place: Path, rounds: int) -> dict[str, dict[str, list[float]]]:
    """Push to a registry and pull from it, as commands; each time to and from an empty place. ``pull`` of ours unpacks, too."""
    times: dict[str, dict[str, list[float]]] = {"push": {"ours": [], "skopeo copy": []}, "pull": {"ours": [], "skopeo copy": []}}
    source = f"oci:{library.store.place}:{NAME}"
    with LocalRegistry() as registry:
        for number in range(rounds):
            mine, theirs = f"{registry.name}/mine{number}:1", f"{registry.name}/theirs{number}:1"
            library.tag("bench:1", mine)
            (library.store.place / "origins.json").unlink(missing_ok=True)  # or the second push would only be a mount
            times["push"]["ours"].append(seconds(lambda mine=mine: suitcase("push", "-q", mine, SUITCASE_IMAGES=str(library.store.place))))
            copy = ("skopeo", "copy", "--quiet", "--dest-tls-verify=false", source, f"docker://{theirs}")
            times["push"]["skopeo copy"].append(seconds(lambda copy=copy: call(*copy)))
            friend, folder = place / "friend", place / "folder"
            times["pull"]["ours"].append(
                seconds(lambda mine=mine, friend=friend: suitcase("pull", "-q", mine, SUITCASE_IMAGES=str(friend)))
            )
            copy = ("skopeo", "copy", "--quiet", "--src-tls-verify=false", f"docker://{theirs}", f"oci:{folder}:1")
            times["pull"]["skopeo copy"].append(seconds(lambda copy=copy: call(*copy)))
            shutil.rmtree(friend)
            shutil.rmtree(folder)
    return times


def building(library: Library, place: Path, docker: peers.Docker, rounds: int) -> dict[str, dict[str, list[float]]]:
    """The five-step build, cold and cached, as commands: ``COPY`` of 300 files, two RUNs."""
    context = place / "context"
    context.mkdir()
    for number in range(FILES):
        (context / f"f{number}").write_text(f"{number}\n" * 50)
    (context / "Dockerfile").write_text(RECIPE)
    with given_to_buildah(library, place) as buildah:
        given_to_docker(library, place, docker)
        works = {
            "ours": lambda *flags: suitcase("build", "-q", "-t", "five", *flags, str(context), SUITCASE_IMAGES=str(library.store.place)),
            "buildah bud": lambda *flags: call(
                *buildah, "bud", "--isolation", "chroot", "--layers", "-q", "-t", "five", *flags, str(context)
            ),
            "docker build": lambda *flags: docker.call("build", "-q", "--network=none", "-t", "five", *flags, str(context)),
        }
        times: dict[str, dict[str, list[float]]] = {kind: {name: [] for name in works} for kind in ("cold", "cached")}
        for _ in range(rounds):
            for name, work in works.items():
                times["cold"][name].append(seconds(lambda work=work: work("--no-cache")))
                work()
                times["cached"][name].append(seconds(work))
    return times


@contextmanager
def given_to_buildah(library: Library, place: Path):
    """Buildah's command with a store of its own, which has the base."""
    command = ("buildah", "--root", f"{place}/root", "--runroot", f"{place}/run", "--storage-driver", "overlay")
    call(*command, "pull", f"oci:{library.store.place}:localhost/busybox:static")
    made = subprocess.run([*command, "images", "-q"], capture_output=True, text=True).stdout.split()[0]
    call(*command, "tag", made, "localhost/busybox:static")
    try:
        yield command
    finally:
        subprocess.run([*command, "rmi", "--all", "--force"], capture_output=True)
        for folder in (f"{place}/root/overlay", f"{place}/root", f"{place}/run"):
            subprocess.run(["umount", folder], capture_output=True)


def given_to_docker(library: Library, place: Path, docker: peers.Docker) -> None:
    with open(place / "base.tar", "wb") as file:
        archive.save(library, ["localhost/busybox:static"], file)
    docker.call("load", "-i", str(place / "base.tar"))


def startup(rounds: int) -> list[float]:
    """Starting this Python for nothing: what a command of ours cannot save."""
    return [seconds(lambda: call(sys.executable, "-c", "pass")) for _ in range(rounds)]


def measure(rounds: int = 3) -> dict[str, dict[str, list[float]]]:
    """Seconds: what was done → by whom → each round's."""
    with tempfile.TemporaryDirectory(
        prefix=state.temporary("bench"), dir=state.folder("bases").parent, ignore_cleanup_errors=True
    ) as folder:
        place = Path(folder)
        library = Library(Store(place / "images"))
        bench_image(library)
        with peers.dockerd() as docker:
            found = {"unpack": unpacking(library, place, docker, rounds), **travelling(library, place, rounds)}
            found |= {f"build, {kind}": times for kind, times in building(library, place, docker, rounds).items()}
    return found | {"start of Python": {"ours": startup(rounds)}}


def main(rounds: str = "3") -> None:
    for what, times in measure(int(rounds)).items():
        ours = statistics.median(times["ours"])
        for who, values in times.items():
            each = " ".join(f"{one:.3f}" for one in values)
            print(f"{what:16} {who:18} {statistics.median(values):7.3f} s of {each}; ours is {ours / statistics.median(values):.2f} of it")


if __name__ == "__main__":
    main(*sys.argv[1:])
