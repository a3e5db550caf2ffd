"""The exercises of chapter 3. A check never trusts a Python object of the reader: it builds, unpacks and looks."""

from __future__ import annotations

from pathlib import Path

from lib.build import build, plan
from lib.dockerfile import DockerfileError
from lib.images import Image, ImageError, Library, Merged, Store, layers
from lib.lab.chapters import tempfolder
from lib.lab.chapters.ch03 import look
from lib.lab.chapters.exercises import Exercise, NotYet, in_kind
from lib.lab.chapters.slowapp import LETTER, app, edit
from lib.process import StepError


def text_of(answer, words: str) -> str:
    if not isinstance(answer, str):
        raise NotYet(f"the answer must be {words}, and this is {in_kind(answer)}")
    return answer


def function(answer, words: str):
    if not callable(answer):
        raise NotYet(f"the answer must be a function {words}, and this is {in_kind(answer)}")
    return answer


def built(library: Library, place: Path, text: str, **options):
    """The reader's Dockerfile, built; what is wrong with it is told as a NotYet."""
    try:
        return build(str(place), library, text=text, **options)
    except (ImageError, DockerfileError, StepError) as error:
        raise NotYet(f"it cannot be built: {str(error).strip().splitlines()[0]}") from None


def check_order(answer, name: str) -> str:
    """A Dockerfile for the newsletter in which each change runs again only what it must."""
    text = text_of(answer, "the text of a Dockerfile")
    ours = Library(Store())
    place = app(f"letter-{name}", LETTER)
    tree = Merged(ours.folders(built(ours, place, text).image))
    for path, words in WANTED.items():
        if not tree.find(path):
            raise NotYet(words)
    installs, shrinks = after(ours, place, text, "letter.sh", f"echo {name}\n")
    if installs:
        raise NotYet("letter.sh was changed, and that installs all packages again: what does that RUN read, and what is copied before it?")
    if shrinks:
        raise NotYet("letter.sh was changed, and that shrinks all pictures again: they need nothing but art/")
    new = built(ours, place, text)
    if name not in Merged(ours.folders(new.image)).read("/app/letter.sh"):
        raise NotYet("the change of letter.sh does not reach the image any more")
    installs, shrinks = after(ours, place, text, "art/logo.txt", f"{name}\n")
    if installs:
        raise NotYet("a picture was changed, and that installs all packages again: the pictures come too early")
    if not shrinks:
        raise NotYet("a new picture is not shrunk: that RUN must depend on art/")
    installs, _ = after(ours, place, text, "needs.lock", f"{name}\n")  # never seen before, by no build of this notebook
    if not installs:
        raise NotYet("a new package in needs.lock is not installed: the RUN must depend on that file")
    return "each change now costs what it must and no more. Ann asks why the coffee breaks have become so short"


WANTED = {
    "opt/json/version": "the image does not have the packages of needs.lock in /opt: RUN pkg update && pkg install $(cat needs.lock)",
    "app/small/logo.txt": "the image does not have the small pictures in /app/small: RUN sh art/shrink.sh, in /app",
    "app/letter.sh": "the image does not have letter.sh in /app",
    "app/test/check.sh": "the image does not have all the rest in /app: where is test/check.sh?",
}


def after(ours: Library, place: Path, text: str, name: str, words: str) -> tuple[bool, bool]:
    """Change a file. Would the packages be installed again, and would the pictures be shrunk again?"""
    edit(place, name, words)
    again = " ".join(one.text for one in plan(str(place), ours, text=text) if one.kind == "run" and not one.cached)
    return "install" in again, "shrink" in again


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
    return "deleted, and yet delivered to everybody who pulls. Bots search public images for such lines all day; you did it by hand"


def check_whiteout(answer, victim: str) -> str:
    """A layer, as the bytes of a tar file, that deletes one file of the base and leaves all others."""
    if not isinstance(answer, bytes):
        raise NotYet(f"the answer must be the bytes of a tar file, and this is {in_kind(answer)}")
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
    return f"/{victim} is gone: it took {len(answer)} bytes, all zeros but for a name, to make the kernel look away"


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
        raise NotYet("the trees are not equal: is a deleted file back, or has a mode changed?")
    if flat.runtime != image.runtime:
        raise NotYet("the container would not start as before: Cmd, Env and the rest belong to the config")
    return f"{len(image.layers)} layers became one. Docker keeps --squash for its old builder, as an experiment; yours is shorter"


def exercises() -> list[Exercise]:
    """The chapter's exercises with fresh numbers."""
    return [
        Exercise(
            "order", "a Dockerfile in which each change costs what it must", check_order,
            ["Two RUNs, and each reads something else. What does `pkg install` read? What does `art/shrink.sh` read?",
             "What changes most often comes last: needs.lock hardly ever, the pictures now and then, letter.sh every day.",
             "COPY art art copies a folder under its own name; COPY . . at the end brings all the rest."],
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
