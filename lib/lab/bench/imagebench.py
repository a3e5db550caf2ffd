"""Images beside the others: unpack, push, pull, build. ``python -m lib.lab.bench.imagebench [ROUNDS]``

A part of ``make bench``. Every row is measured from the outside, as a command beside a command, in turn with its peer.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

from lib import state
from lib.engine.naming import shortnames
from lib.images import Library, Store, archive, image, layers, pack
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


# what, beside whom → the share of the peer's time that we want to stay below
UMOCI, DOCKER, SKOPEO, BUILDAH = "umoci raw unpack", "docker", "skopeo copy", "buildah bud"
REACHES = {
    ("unpack", UMOCI): 0.5, ("unpack", DOCKER): 0.5, ("push", SKOPEO): 1, ("pull, not unpacked", SKOPEO): 1,
    ("build, cold", BUILDAH): 0.25, ("build, cold", DOCKER): 0.25, ("build, cached", BUILDAH): 0.3, ("build, cached", DOCKER): 0.3,
}  # fmt: skip
BEYOND_PYTHON = 0.06  # s that a cached build may take besides the start of the interpreter


def seconds(work: Callable[[], object]) -> float:
    """How long it takes, begun with nothing left to be written to the disk."""
    os.sync()
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def call(*command: str, **environment: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | environment, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise peers.Missing(f"{command[0]} {command[1]}: {(done.stderr.strip().splitlines() or ['?'])[-1]}")


def suitcase(*words: str, **environment: str) -> None:
    call(sys.executable, "-m", "lib.cli", *words, **environment)


def bench_image(library: Library, number: int = 0) -> image.Image:
    """A Debian of some 180 MB in thousands of files, packed by gzip as it comes from a registry. Each ``number`` has other time stamps."""
    base = shortnames.make(Library(Store()), BASE)
    (folder,) = Library(Store()).folders(base)
    with library.store.using():
        layer = layers.write(library.store, lambda sink: pack.pack(folder, sink, 1_700_000_000 + number, root=True, whiteouts=False))
        config = {**base.config, "rootfs": {"type": "layers", "diff_ids": [layer.diff_id]}}
        found = image.save(library.store, config, [layer.descriptor])
        library.store.tag(NAME, found.descriptor)
    return library.find(NAME)


def unpacking(library: Library, place: Path, docker: peers.Docker, rounds: int) -> dict[str, list[float]]:
    """The same image: by us into a store, by umoci into a folder, by Docker into its own store; digests verified by all.

    Each round has another image, and nothing is removed before the end: for minutes after files were removed, ext4 takes three times as
    long to make new ones (``recently_deleted`` in fs/ext4/ialloc.c), whoever asks.
    """
    times: dict[str, list[float]] = {"ours": [], UMOCI: [], DOCKER: []}
    packed = place / "bench.tar"

    def ours(found: image.Image) -> None:
        with library.store.using():
            library.chains.unpack(found.layers, found.diff_ids)

    for number in range(rounds):
        found = bench_image(library, number)
        with open(packed, "wb") as file:
            archive.save(library, [NAME], file)
        command = ("umoci", "raw", "unpack", "--image", f"{library.store.place}:{NAME}", str(place / f"unpacked-{number}"))
        times["ours"].append(seconds(lambda found=found: ours(found)))
        times[UMOCI].append(seconds(lambda command=command: call(*command)))
        times[DOCKER].append(seconds(lambda: docker.call("load", "-i", str(packed))))
    return times


def fetch(name: str, place: str, unpack: bool = True, durable: bool = True) -> None:
    """A pull into an empty store; ``unpack=False`` leaves out what skopeo does not do either."""
    from lib.registry import transfer

    library = Library(Store(place, durable))
    if not unpack:
        library.chains.unpack = lambda layers, diff_ids, told, ready, stopping: [ready(one) for one in layers] and []
    transfer.pull(library, name)


def fetched(name: str, place: Path, *flags: bool) -> float:
    """``fetch`` as a program of its own, as skopeo is one."""
    code = f"from lib.lab.bench.imagebench import fetch; fetch({name!r}, {str(place)!r}, *{flags})"
    return seconds(lambda: call(sys.executable, "-c", code))


def travelling(library: Library, place: Path, rounds: int) -> dict[str, dict[str, list[float]]]:
    """Push to a registry and pull from it, as commands; each time to and from an empty one."""
    push: dict[str, list[float]] = {"ours": [], SKOPEO: []}
    pull: dict[str, list[float]] = {"ours": [], SKOPEO: []}
    more: dict[str, list[float]] = {"ours": [], "ours, without fsync": [], f"{SKOPEO}, {UMOCI}": []}
    for number in range(rounds):
        folder, bundle = place / f"folder-{number}", place / f"bundle-{number}"
        friends = [place / f"friend-{number}-{one}" for one in range(3)]
        with LocalRegistry() as registry:
            mine, theirs = f"{registry.name}/mine:1", f"{registry.name}/theirs:1"
            library.tag("bench:1", mine)
            push["ours"].append(seconds(lambda mine=mine: suitcase("push", "-q", mine, SUITCASE_IMAGES=str(library.store.place))))
            copy = ("skopeo", "copy", "--quiet", "--dest-tls-verify=false", f"oci:{library.store.place}:{NAME}", f"docker://{theirs}")
            push[SKOPEO].append(seconds(lambda copy=copy: call(*copy)))
            pull["ours"].append(fetched(mine, friends[0], False))
            copy = ("skopeo", "copy", "--quiet", "--src-tls-verify=false", f"docker://{theirs}", f"oci:{folder}:1")
            pull[SKOPEO].append(seconds(lambda copy=copy: call(*copy)))
            more["ours"].append(fetched(mine, friends[1]))
            more["ours, without fsync"].append(fetched(mine, friends[2], True, False))
            command = ("umoci", "raw", "unpack", "--image", f"{folder}:1", str(bundle))
            unpack = seconds(lambda command=command: call(*command))
            more[f"{SKOPEO}, {UMOCI}"].append(pull[SKOPEO][-1] + unpack)
    return {"push": push, "pull, not unpacked": pull, "pull": more}


def building(library: Library, place: Path, docker: peers.Docker, rounds: int) -> dict[str, dict[str, list[float]]]:
    """The five-step build, cold and cached, as commands: ``COPY`` of 300 files, two RUNs."""
    context = place / "context"
    context.mkdir()
    for number in range(FILES):
        (context / f"f{number}").write_text(f"{number}\n" * 50)
    (context / "Dockerfile").write_text(RECIPE)
    with open(place / "base.tar", "wb") as file:
        archive.save(library, ["localhost/busybox:static"], file)
    docker.call("load", "-i", f"{place}/base.tar")
    with given_to_buildah(place) as buildah:
        works = {
            "ours": lambda *flags: suitcase(
                "build", "-q", "--network=none", "-t", "five", *flags, str(context), SUITCASE_IMAGES=str(library.store.place)
            ),
            BUILDAH: lambda *flags: call(*buildah, "bud", "--isolation", "chroot", "--layers", "-q", "-t", "five", *flags, str(context)),
            DOCKER: lambda *flags: docker.call("build", "-q", "--network=none", "-t", "five", *flags, str(context)),
        }
        times: dict[str, dict[str, list[float]]] = {kind: {name: [] for name in works} for kind in ("cold", "cached")}
        for _ in range(rounds):
            for name, work in works.items():
                times["cold"][name].append(seconds(lambda work=work: work("--no-cache")))
                work()
                times["cached"][name].append(seconds(work))
    return times


@contextmanager
def given_to_buildah(place: Path):
    """Buildah's command with a store of its own, which has the base."""
    command = ("buildah", "--root", f"{place}/root", "--runroot", f"{place}/run", "--storage-driver", "overlay")
    # The archive says the image's name. From an OCI layout, Buildah makes a name of the folder's path, and not every path can be one.
    call(*command, "pull", f"docker-archive:{place}/base.tar")
    try:
        yield command
    finally:
        subprocess.run([*command, "rmi", "--all", "--force"], capture_output=True)
        for folder in (f"{place}/root/overlay", f"{place}/root", f"{place}/run"):
            subprocess.run(["umount", folder], capture_output=True)


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
        shortnames.make(library, "localhost/busybox:static")
        with peers.dockerd() as docker:
            found = {"unpack": unpacking(library, place, docker, rounds), **travelling(library, place, rounds)}
            found |= {f"build, {kind}": times for kind, times in building(library, place, docker, rounds).items()}
    return found | {"start of Python": {"ours": startup(rounds)}}


def main(rounds: str = "3") -> None:
    for what, times in measure(int(rounds)).items():
        ours = statistics.median(times["ours"])
        for who, values in times.items():
            each = " ".join(f"{one:.3f}" for one in values)
            reach = REACHES.get((what, who))
            wanted = f"; reach ≤ {reach}" if reach else ""
            theirs = statistics.median(values)
            print(f"{what:18} {who:30} {theirs:6.3f} s of {each}: ours is {ours / theirs:.2f} of it{wanted}")


if __name__ == "__main__":
    main(*sys.argv[1:])
