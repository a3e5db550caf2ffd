"""What chapter 3 builds with: a tiny package index, an app whose build is slow, and the chapter's exercises.

A check never trusts a Python object of the reader: it builds, unpacks and looks.
"""

from __future__ import annotations

import atexit
import io
import os
import stat
import tarfile
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from lib import bases, state
from lib.build.build import build, plan
from lib.dockerfile.dockerfile import DockerfileError
from lib.engine import shortnames
from lib.images import archive, compression, layers
from lib.images.digests import ImageError
from lib.images.image import Image
from lib.images.library import Library
from lib.images.merged import Merged
from lib.images.overlays import walk
from lib.images.store import Store
from lib.lab import peers
from lib.lab.chapters import tempfolder
from lib.lab.chapters.exercises import Exercise, NotYet
from lib.lab.registry import LocalRegistry
from lib.process import Shield, StepError, scratch

# A package manager in fifteen lines: `update` fetches the list, `install` fetches, "compiles" (that is what takes time), unpacks.
PKG = """#!/bin/sh
set -e
list=/var/lib/pkg/list cache=/var/cache/pkg
case $1 in
update)
    mkdir -p /var/lib/pkg && wget -q -O $list http://127.0.0.1:$PKG_PORT/list ;;
install)
    shift; mkdir -p $cache /opt
    for name; do
        file=$(grep "^$name-" $list) || { echo "pkg: there is no package $name" >&2; exit 1; }
        if [ ! -e $cache/$file ]; then
            wget -q -O $cache/part http://127.0.0.1:$PKG_PORT/$file || { echo "pkg: $file: not found on the server" >&2; exit 4; }
            dd if=/dev/zero bs=1M count=WORK 2>/dev/null | sha256sum > /dev/null
            mv $cache/part $cache/$file
        fi
        tar -x -C /opt -f $cache/$file && echo "installed $file"
    done ;;
esac
"""


class Index:
    """A package index on a free port of the loopback: ``/list`` and one tar file for each package. ``asked`` is what was fetched."""

    def __init__(self, **versions: str):
        self.versions, self.asked = dict(versions), []
        index = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                index.asked.append(self.path)
                body = index.content(self.path.lstrip("/"))
                self.send_response(404 if body is None else 200)
                self.end_headers()
                self.wfile.write(body or b"")

            def log_message(self, *words):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def content(self, name: str) -> bytes | None:
        if name == "list":
            return "".join(f"{package}-{version}.tar\n" for package, version in self.versions.items()).encode()
        package, _, version = name.removesuffix(".tar").rpartition("-")
        return package_of(package, version) if self.versions.get(package) == version else None

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def package_of(name: str, version: str) -> bytes:
    """A package: one file that says what it is, and half a megabyte of weight."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for path, data in ((f"{name}/version", f"{version}\n".encode()), (f"{name}/code", bytes(range(256)) * 2048)):
            info = tarfile.TarInfo(path)
            info.size, info.mode = len(data), 0o644
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def begin(work: int) -> tuple[Library, Index]:
    """A store for this notebook alone, with the base image and ``shop`` in it, and the index that ``shop`` buys from.

    A second call begins anew: every build of the chapter is the first one again.
    """
    end()
    os.environ["SUITCASE_IMAGES"] = str(tempfolder.folder() / "images")
    library, index = Library(Store()), Index(json="1.0", log="2.1", web="3.3")
    shortnames.make(library, "localhost/busybox:static")
    shop(library, index, work)
    _open.append(index)
    return library, index


def registry() -> LocalRegistry:
    """A registry of this notebook's own; one that it had before is ended."""
    for one in [one for one in _open if isinstance(one, LocalRegistry)]:
        _open.remove(one)
        one.__exit__(None, None, None)
    found = LocalRegistry()
    with Shield():  # between the start and the note nothing may come
        _open.append(found.__enter__())
    return found


def end() -> None:
    """Close the index and the registry, and remove the store with all that is in the temporary folder."""
    while _open:
        one = _open.pop()
        one.close() if isinstance(one, Index) else one.__exit__(None, None, None)
    tempfolder.clear()


_open: list[Index | LocalRegistry] = []
atexit.register(end)  # who closes the notebook without its last cell leaves no registry running


def shop(library: Library, index: Index, work: int) -> None:
    """The image ``shop``: the base with ``pkg`` and a large compiler. ``work`` in MiB that each package's compilation hashes."""
    place = tempfolder.folder() / "shop"
    place.mkdir(exist_ok=True)
    (place / "pkg").write_text(PKG.replace("WORK", str(work)))
    (place / "pkg").chmod(0o755)
    with open(place / "compiler", "wb") as file:
        file.truncate(30 << 20)
    recipe = f"FROM localhost/busybox:static\nCOPY pkg compiler /bin/\nENV PKG_PORT={index.port}\n"
    build(str(place), library, text=recipe, tags=("shop",))


APP = {
    "app.sh": "#!/bin/sh\necho the app says hello, with $(ls /opt | wc -l) packages\n",
    "needs.txt": "json\nlog\nweb\n",
    "README.md": "# An app\n",
    "test/check.sh": "#!/bin/sh\n./app.sh | grep -q hello\n",
    ".git/HEAD": "ref: refs/heads/main\n",
    ".git/index": "\0binary\n" * 100,
}


def app(name: str = "app") -> Path:
    """The app in a folder of its own."""
    place = tempfolder.folder() / name
    for path, text in APP.items():
        file = place / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(0o755 if path.endswith(".sh") else 0o644)
    return place


def edit(place: Path, name: str, text: str = "# edited\n") -> None:
    """Change a file of the app, as its author would: something is added at the end."""
    with open(place / name, "a") as file:
        file.write(text)


def bases_here() -> list[tuple[str, int, int]]:
    """The bases that set-up has made on this machine, the smallest first: name, megabytes, Debian packages."""
    found = []
    for name, (base, _) in shortnames.HERE.items():
        try:
            folder = bases.find(base)
        except FileNotFoundError:
            continue
        size = sum(about.st_size for _, _, about in walk(folder) if stat.S_ISREG(about.st_mode))
        status = Path(folder, "var/lib/dpkg/status")
        packages = status.read_text().count("\nPackage: ") + 1 if status.exists() else 0
        found.append((name, size // 1_000_000, packages))
    return sorted(found, key=lambda row: row[1])


# -- what is in an image ----------------------------------------------------------------------------


def contents(library: Library, image: Image) -> list[bytes]:
    """Everything that travels with an image: its documents, and its layers unpacked. Who has the image has these bytes."""
    found = [library.store.get(image.descriptor["digest"]), library.store.get(image.id)]
    for one in image.layers:
        with library.store.open(one["digest"]) as file:
            reader, data = compression.unpacked(file), b""
            while piece := reader.read(1 << 20):
                data += piece
        found.append(data)
    return found


def text_of(answer, words: str) -> str:
    if not isinstance(answer, str):
        raise NotYet(f"the answer must be {words}, and this is a {type(answer).__name__}")
    return answer


def function(answer, words: str):
    if not callable(answer):
        raise NotYet(f"the answer must be a function {words}, and this is a {type(answer).__name__}")
    return answer


def built(library: Library, place: Path, text: str, **options):
    """The reader's Dockerfile, built; what is wrong with it is told as a NotYet."""
    try:
        return build(str(place), library, text=text, **options)
    except (ImageError, DockerfileError, StepError) as error:
        raise NotYet(f"it cannot be built: {str(error).strip().splitlines()[0]}") from None


def check_order(answer, name: str) -> str:
    """A Dockerfile that installs what needs.txt says, and does not install it again when only the app has changed."""
    text = text_of(answer, "the text of a Dockerfile")
    ours = Library(Store())
    place = app(f"order-{name}")
    first = built(ours, place, text)
    tree = Merged(ours.folders(first.image))
    if not tree.find("opt/web/version"):
        raise NotYet("the image does not have the packages of needs.txt in /opt: RUN pkg update && pkg install $(cat needs.txt)")
    if not tree.find("app/app.sh"):
        raise NotYet("the image does not have the app in /app")
    edit(place, "app.sh", f"echo {name}\n")
    again = [one for one in plan(str(place), ours, text=text) if one.kind == "run" and "install" in one.text]
    if any(not one.cached for one in again):
        raise NotYet("app.sh was changed, and that installs all packages again: what does the RUN need, and what is copied before it?")
    new = built(ours, place, text)
    if name not in Merged(ours.folders(new.image)).read("/app/app.sh"):
        raise NotYet("the change of app.sh does not reach the image any more")
    edit(place, "needs.txt", f"{name}\n")  # never seen before, by no build of this notebook
    if all(one.cached for one in plan(str(place), ours, text=text) if one.kind == "run"):
        raise NotYet("a new package in needs.txt is not installed: the RUN must depend on that file")
    return "the app may change as often as it likes, and a new package is still installed"


def with_secret(library: Library, secret: str, decoys: int) -> Image:
    """An image in which a secret lies, deleted by a later layer, among files that only look like one."""
    place = tempfolder.folder() / f"leaky-{secret[:6]}"
    place.mkdir(exist_ok=True)
    (place / "credentials").write_text(f"token={secret}\n")
    lines = "".join(f"RUN echo token=decoy-{number} > /tmp/note{number}\n" for number in range(decoys))
    recipe = f"FROM localhost/busybox:static\n{lines}COPY credentials /srv/.credentials\nRUN sha256sum /srv/.credentials\n"
    recipe += "RUN rm /srv/.credentials\n"
    return build(str(place), library, text=recipe, tags=("leaky",)).image


def check_secret(answer, secret: str, decoys: int) -> str:
    """What stood in /srv/.credentials, which the image ``leaky`` does not show any more."""
    found = text_of(answer, "the secret, as a text").strip().removeprefix("token=")
    if found.startswith("decoy"):
        raise NotYet("that is one of the notes in /tmp; the secret was in /srv/.credentials, which a later layer deletes")
    if found != secret:
        raise NotYet("that is not what stood in the file: each layer is a tar file of its own, and the one before the last holds it")
    return "deleted, and yet delivered to everybody who pulls the image"


def check_whiteout(answer, victim: str) -> str:
    """A layer, as the bytes of a tar file, that deletes one file of the base and leaves all others."""
    if not isinstance(answer, bytes):
        raise NotYet(f"the answer must be the bytes of a tar file, and this is a {type(answer).__name__}")
    ours = Library(Store())
    base = ours.find("localhost/busybox:static")
    if not Merged(ours.folders(base)).find(victim):
        raise NotYet(f"{victim} is not in the base image any more")
    before = {path for path, _, _ in Merged(ours.folders(base)).walk()}
    with ours.store.using():
        try:
            layer = layers.write(ours.store, lambda sink: sink.write(answer))
            folders = ours.chains.unpack([*base.layers, layer.descriptor], [*base.diff_ids, layer.diff_id])
        except ImageError as error:
            raise NotYet(f"it cannot be unpacked: {error}") from None
    after = {path for path, _, _ in Merged(folders).walk()}
    if victim in after:
        raise NotYet(f"/{victim} is still there: a whiteout is an empty file called .wh. and the name, in the same folder")
    if before - after != {victim}:
        raise NotYet(f"too much is gone: {len(before - after)} paths instead of one")
    if after - before:
        raise NotYet(f"something new is there: {sorted(after - before)[0]}")
    return f"/{victim} is gone, and the layer that does it has {len(answer)} bytes"


def check_squash(answer, number: int) -> str:
    """A function that makes an image of one layer that shows the same tree."""
    squash = function(answer, "squash(library, image)")
    ours = Library(Store())
    place = tempfolder.folder() / f"squash-{number}"
    place.mkdir(exist_ok=True)
    recipe = f"FROM localhost/busybox:static\nRUN echo {number} > /kept && mkdir /d && echo 1 > /d/gone\n"
    recipe += 'RUN rm -r /d /bin/vi && chmod 750 /tmp\nCMD ["cat", "/kept"]\n'
    image = build(str(place), ours, text=recipe).image
    flat = squash(ours, image)
    if not isinstance(flat, Image):
        raise NotYet(f"it gave a {type(flat).__name__}, not an image: image.save(store, config, layers) makes one")
    if len(flat.layers) != 1:
        raise NotYet(f"the new image has {len(flat.layers)} layers")
    if look(ours.folders(flat)) != look(ours.folders(image)):
        raise NotYet("the trees are not equal: is a deleted file back, or a mode another?")
    if flat.runtime != image.runtime:
        raise NotYet("the container would not start as before: Cmd, Env and the rest belong to the config")
    return f"{len(image.layers)} layers became one, and nothing else changed"


def look(folders: list[str]) -> dict:
    """Path → mode, owner, size of everything in a tree."""
    return {
        path: (about.st_mode, about.st_uid, about.st_gid, about.st_size if stat.S_ISREG(about.st_mode) else 0)
        for path, _, about in Merged(folders).walk()
    }


def exercises() -> list[Exercise]:
    """The chapter's exercises with fresh numbers."""
    return [
        Exercise(
            "order", "a Dockerfile that does not install everything again", check_order,
            ["What does `pkg install` read? Copy that, and nothing else, before the RUN.",
             "COPY needs.txt . comes first, then the RUN, then COPY . . with all the rest."],
            lambda dice: {"name": f"n{dice.randrange(10**6):06d}"},
        ),
        Exercise(
            "secret", "what stood in a deleted file", check_secret,
            ["image.layers are the layers' descriptors; store.open(digest) opens one, compression.unpacked(file) reads it.",
             "tarfile.open(fileobj=…, mode=\"r|\") goes through its members; look for srv/.credentials."],
            lambda dice: {"secret": f"{dice.getrandbits(64):016x}", "decoys": dice.randrange(2, 5)},
        ),
        Exercise(
            "whiteout", "a layer that deletes one file", check_whiteout,
            ["A layer is a tar file. One empty member is enough.", "The member's name: the folder, a slash, .wh. and the file's name."],
            lambda dice: {"victim": f"bin/{dice.choice(['vi', 'wc', 'tail', 'sort', 'head', 'cut'])}"},
        ),
        Exercise(
            "squash", "an image of one layer", check_squash,
            ["archive.export(folders, out) writes the whole tree as one tar file, without whiteouts.",
             "layers.write(store, fill) makes a layer of what fill(sink) writes to the sink.",
             "The config stays, but rootfs.diff_ids names one layer now, and the history tells of one."],
            lambda dice: {"number": dice.randrange(10**6)},
        ),
    ]  # fmt: skip


# -- the same by others ---------------------------------------------------------------------------


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
