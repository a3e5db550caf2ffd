"""The store: whole blobs only, however it ends; names; archives; what is removed when nobody needs it."""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest
from helpers import layers as make
from helpers.layers import folder, member
from helpers.needs import requires

from lib import processor
from lib.images import Cache, DigestError, ImageError, ManifestError, Merged, Record, Store, StoreError, archive, digests, image, store
from lib.images.archive import ArchiveError

pytestmark = requires("root")


@pytest.fixture
def ours(tmp_path):
    return make.library(tmp_path / "images")


def simple(ours, name: str = "test:1", text: bytes = b"1"):
    return make.image(
        ours, make.tar(folder("etc"), member("etc/motd", text)), make.tar(member("etc/.wh.motd"), member("new", text)), name=name
    )


# -- blobs ----------------------------------------------------------------------------------


def test_a_blob_is_there_whole_or_not_at_all(ours):
    data = os.urandom(5000)
    with ours.store.draft(digests.of(data), len(data)) as draft:
        draft.write(data[:2000])
        assert not ours.store.has(digests.of(data))
        draft.write(data[2000:])
        draft.commit()
    assert ours.store.get(digests.of(data)) == data
    assert os.listdir(ours.store.place / "ingest") == []


@pytest.mark.parametrize("data,size", [(b"123", 3), (b"12", 4), (b"12345", 4)], ids=["digest", "short", "long"])
def test_a_wrong_blob_is_refused(ours, data, size):
    with pytest.raises(DigestError), ours.store.draft(digests.of(b"1234"), size) as draft:
        draft.write(data)
        draft.commit()
    assert os.listdir(ours.store.place / "ingest") == [] and not ours.store.has(digests.of(b"1234"))


@pytest.mark.parametrize("digest", ["sha256:../../../etc/passwd", "sha256:ABC", "md5:" + "0" * 32, "", None, 5, "sha256:" + "0" * 63])
def test_what_is_no_digest_never_becomes_a_path(ours, digest):
    with pytest.raises(DigestError):
        ours.store.path(digest)


def test_two_who_write_the_same_blob(ours):
    data = b"the same" * 100
    with ours.store.draft() as one, ours.store.draft() as two:
        one.write(data)
        two.write(data)
        assert one.commit() == two.commit()
    assert ours.store.get(digests.of(data)) == data


WRITER = """
import os, sys
from lib.images.store import Store
store = Store(sys.argv[1])
print("ready", flush=True)
number = 0
while True:
    number += 1
    descriptor = store.put_json({"number": number, "pid": os.getpid(), "fill": "x" * 20000}, "text/json")
    store.tag(f"docker.io/library/w{os.getpid()}:{number % 7}", descriptor)
"""


def test_killed_at_any_moment_nothing_is_half(tmp_path):
    """Three writers at once, each killed in the middle, again and again: every blob fits its name, the index is whole."""
    place = tmp_path / "images"
    Store(place)
    for round_ in range(6):
        writers = [
            subprocess.Popen([sys.executable, "-c", WRITER, str(place)], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
            for _ in range(3)
        ]
        for writer in writers:
            writer.stdout.readline()
        time.sleep(0.02 * round_ + 0.03)
        while round_ == 5 and len(Store(place).names()) < 3:
            time.sleep(0.01)
        for writer in writers:
            writer.send_signal(signal.SIGKILL)
            writer.wait()
            writer.stdout.close()
        store = Store(place)
        for path in (place / "blobs/sha256").iterdir():
            assert digests.of(path.read_bytes()) == f"sha256:{path.name}"
        for descriptor in store.index():
            assert store.has(descriptor["digest"])
    assert len(store.names()) >= 3
    with store.locked("use"):
        store.sweep({one["digest"] for one in store.index()})
    assert os.listdir(place / "ingest") == []
    assert len(list((place / "blobs/sha256").iterdir())) == len({one["digest"] for one in store.index()})


def test_many_writers_lose_no_name(tmp_path):
    place = tmp_path / "images"
    Store(place)
    script = WRITER.replace("while True:", "while number < 30:").replace("number % 7", "number")
    writers = [
        subprocess.Popen([sys.executable, "-c", script, str(place)], stdout=subprocess.DEVNULL, cwd=Path(__file__).parents[2])
        for _ in range(4)
    ]
    assert [writer.wait(60) for writer in writers] == [0] * 4
    assert len(Store(place).names()) == 4 * 30


def test_a_store_of_another_format_is_refused(tmp_path):
    Store(tmp_path / "images")
    (tmp_path / "images/format").write_text("7")
    with pytest.raises(StoreError, match=r"format '7'.*format 1"):
        Store(tmp_path / "images")


def test_the_store_is_for_nobody_else(ours):
    assert ours.store.place.stat().st_mode & 0o077 == 0


def test_without_fsync_it_works_too(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(os, "fsync", calls.append)
    Store(tmp_path / "a", durable=False).put(b"1")
    assert calls == []
    Store(tmp_path / "b").put(b"1")
    assert len(calls) >= 2, "the file, and the folder that names it"


# -- names ----------------------------------------------------------------------------------


def test_a_tag_is_only_a_label(ours):
    """It moves to another image; the first one stays, without a name."""
    one, two = simple(ours), simple(ours, "test:2", b"2")
    ours.tag("test:2", "test:1")
    assert ours.find("test:1").id == two.id != one.id
    assert [found.names for found in ours.images() if found.id == one.id] == [()]
    assert ours.find(one.id[7:19]).id == one.id


def test_an_image_by_the_beginning_of_its_id(ours):
    one = simple(ours)
    assert ours.find(one.id).id == ours.find(one.id[7:15]).id == one.id
    with pytest.raises(StoreError, match=r"No such image: test:3.*tag 1"):
        ours.find("test:3")


def test_no_id_takes_the_place_of_a_name(ours):
    """Whoever makes an image can try until its id begins with the letters of a name (feed, cafe, 2048)."""
    one, strange = simple(ours), simple(ours, "stranger/tool:1", b"2")
    name = strange.id[7:13]
    assert ours.find(name).id == strange.id  # nothing is called so, yet
    ours.tag("test:1", name)
    assert ours.find(name).id == one.id and ours.find(strange.id[7:14]).id == strange.id
    assert ours.remove(name) == [f"Untagged: {name}:latest"] and ours.find(name).id == strange.id


def test_an_id_of_two_manifests(ours):
    """The same image, pulled and loaded: it is one all the same."""
    one = simple(ours)
    document = {**json.loads(ours.store.get(one.descriptor["digest"])), "annotations": {"a": "b"}}
    ours.store.tag("localhost/loaded:1", ours.store.put_json(document, one.descriptor["mediaType"]))
    assert len(ours.images()) == 2 and ours.find(one.id[7:19]).id == ours.find(one.id).id == one.id


def test_rmi_takes_a_name_and_with_the_last_name_the_image(ours):
    one = simple(ours)
    ours.folders(one)
    ours.tag("test:1", "other:1")
    assert ours.remove("other:1") == ["Untagged: other:1"]
    assert ours.remove("test:1") == ["Untagged: test:1", f"Deleted: {one.id}"]
    assert ours.images() == [] and os.listdir(ours.store.place / "blobs/sha256") == []
    assert os.listdir(ours.store.place / "layers") == [] and os.listdir(ours.store.place / "chains") == []


def test_rmi_by_id_of_an_image_with_two_names_must_be_forced(ours):
    one = simple(ours)
    ours.tag("test:1", "other:1")
    with pytest.raises(StoreError, match="must be forced"):
        ours.remove(one.id[7:19])
    assert len(ours.remove(one.id[7:19], force=True)) == 3


def test_rmi_of_an_image_in_use(ours):
    one = simple(ours)
    with pytest.raises(StoreError, match="being used by a container"):
        ours.remove("test:1", in_use=frozenset([one.id]))
    assert ours.find("test:1").id == one.id


def just_before(monkeypatch, name: str, deed) -> None:
    """Another command does something, at the last moment before the store does what it is asked for."""
    method = getattr(Store, name)

    def later(*words):
        deed()
        return method(*words)

    monkeypatch.setattr(Store, name, later)


@pytest.mark.parametrize("moment", ["untag", "forget"])
def test_rmi_leaves_an_image_that_gets_another_name_meanwhile(ours, monkeypatch, moment):
    one = simple(ours)
    just_before(monkeypatch, moment, lambda: ours.store.tag("localhost/keep:1", one.descriptor))
    assert ours.remove("test:1") == ["Untagged: test:1"]
    assert ours.find("localhost/keep:1").id == one.id and ours.folders(one)


def test_rmi_leaves_a_name_that_is_another_images_meanwhile(ours, monkeypatch):
    one, two = simple(ours), simple(ours, "test:2", b"2")
    just_before(monkeypatch, "untag", lambda: ours.store.tag(one.names[0], two.descriptor))
    with pytest.raises(StoreError, match="No such image"):
        ours.remove(one.id[7:19])
    assert ours.find("test:1").id == two.id


def test_prune_leaves_an_image_that_gets_a_name_meanwhile(ours, monkeypatch):
    one = simple(ours)
    ours.store.untag(one.names[0], one.descriptor["digest"])
    just_before(monkeypatch, "forget", lambda: ours.store.tag("localhost/keep:1", one.descriptor))
    assert ours.prune() == [] and ours.find("localhost/keep:1").id == one.id and ours.folders(one)


def test_tag_keeps_gc_out(ours, monkeypatch):
    """Else what it has found may be gone when it gets its name."""
    simple(ours)
    held = []

    def look():
        with open(ours.store.place / ".use.lock") as file, pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        held.append(True)

    just_before(monkeypatch, "tag", look)
    ours.tag("test:1", "other:1")
    assert held == [True]


def test_gc_leaves_what_a_name_or_the_cache_leads_to(ours):
    one, two = simple(ours), simple(ours, "test:2", b"2")
    kept, gone = ours.store.put(b"of the cache"), ours.store.put(b"of nobody")
    record = Record("0" * 64, "RUN x", {}, {"descriptor": {"digest": kept, "size": 12, "mediaType": "x"}, "diff_id": kept}, [], "now")
    Cache(ours.store).keep(record)
    ours.folders(one), ours.folders(two)
    ours.store.untag(two.names[0], two.descriptor["digest"])
    ours.store.forget(two.descriptor["digest"])
    ours.gc()
    assert ours.store.has(kept) and not ours.store.has(gone) and not ours.store.has(two.id)
    assert ours.find("test:1") == one and ours.chains.find(one.chain_ids[-1]) and not ours.chains.find(two.chain_ids[-1])


def test_gc_waits_for_whoever_adds_something(ours):
    """What has no name yet is held by the lock, not by luck."""
    script = "import sys\nfrom lib.images.library import Library\nfrom lib.images.store import Store\nLibrary(Store(sys.argv[1])).gc()"
    with ours.store.using():
        blob = ours.store.put(b"not named yet")
        collector = subprocess.Popen([sys.executable, "-c", script, str(ours.store.place)], cwd=Path(__file__).parents[2])
        with pytest.raises(subprocess.TimeoutExpired):
            collector.wait(0.7)
        assert ours.store.has(blob)
    assert collector.wait(60) == 0 and not ours.store.has(blob)


# -- documents from strangers -----------------------------------------------------------------

GOOD = {"schemaVersion": 2, "config": {"mediaType": "x", "digest": "sha256:" + "0" * 64, "size": 2}, "layers": []}
BAD_MANIFESTS = {
    "not json": b"{",
    "a list": b"[]",
    "deep": b"[" * 100_000,
    "schema 1": json.dumps({"schemaVersion": 1}).encode(),
    "an index": json.dumps({"mediaType": image.INDEX, "manifests": []}).encode(),
    "manifests inside": json.dumps({**GOOD, "manifests": []}).encode(),
    "no config": json.dumps({"schemaVersion": 2}).encode(),
    "size is a text": json.dumps({**GOOD, "config": {**GOOD["config"], "size": "2"}}).encode(),
    "size is negative": json.dumps({**GOOD, "config": {**GOOD["config"], "size": -1}}).encode(),
    "digest is a path": json.dumps({**GOOD, "config": {**GOOD["config"], "digest": "sha256:../../x"}}).encode(),
    "layers are no list": json.dumps({**GOOD, "layers": {}}).encode(),
    "1000 layers": json.dumps({**GOOD, "layers": [GOOD["config"]] * 1000}).encode(),
    "a layer that is a chart": json.dumps(
        {**GOOD, "layers": [{**GOOD["config"], "mediaType": "application/vnd.cncf.helm.chart"}]}
    ).encode(),
    "huge": b" " * (5 << 20),
}


@pytest.mark.parametrize("kind", BAD_MANIFESTS)
def test_a_bad_manifest_gets_one_clear_error(kind):
    with pytest.raises(ImageError) as caught:
        image.manifest(BAD_MANIFESTS[kind], "sha256:x")
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("words", [{"Env": "A=1"}, {"Env": [1]}, {"Cmd": {}}, {"Labels": []}, {"User": 5}, {"Volumes": "x"}])
def test_a_bad_config_gets_one_clear_error(words):
    with pytest.raises(ManifestError):
        image.config(json.dumps({"rootfs": {"diff_ids": []}, "config": words}).encode(), "config", 0)


HALF = {"author": "half \ud800"}  # a character of which the other half is missing


@pytest.mark.parametrize(
    "data",
    [json.dumps(HALF).encode(), json.dumps(HALF, ensure_ascii=False).encode("utf-8", "surrogatepass"), json.dumps({}).encode("utf-16")],
)
def test_a_document_that_could_not_be_written_again(ours, data):
    with pytest.raises(ManifestError, match="is not valid JSON"):
        image.document(data, "config")
    evil = make.tar(member("manifest.json", b"[" + data + b"]" if data.startswith(b"{") else data))
    with pytest.raises(ArchiveError, match="is not valid JSON"):
        archive.load(ours, io.BytesIO(evil))


def test_a_config_that_names_other_layers_than_the_manifest():
    with pytest.raises(ManifestError, match="names 1 layers, the manifest 2"):
        image.config(json.dumps({"rootfs": {"diff_ids": ["sha256:" + "0" * 64]}}).encode(), "config", 2)


def test_the_platform_is_chosen():
    place = {"mediaType": image.MANIFEST, "digest": "sha256:" + "0" * 64, "size": 2}
    index = {"manifests": [{**place, "platform": {"os": "linux", "architecture": "s390x"}}, {**place, "size": 3, "platform": image.here()}]}
    assert image.choose(index)["size"] == 3
    assert image.choose(index, image.parse_platform("linux/s390x"))["size"] == 2
    with pytest.raises(ManifestError, match=r"nothing for linux/riscv64; it has .*linux/s390x"):
        image.choose(index, image.parse_platform("linux/riscv64"))


def offer(size: int, **place) -> dict:
    about = {"mediaType": image.MANIFEST, "digest": "sha256:" + f"{size:064}", "size": size}
    return about | ({"platform": {"os": "linux", **place}} if place else {})


@pytest.mark.parametrize(
    ("kind", "can", "variants", "wanted", "chosen"),
    [
        ("amd64", 1, ["v9", ""], "", 1),
        ("amd64", 3, ["", "v2", "v4", "v3", "v1"], "", 3),
        ("amd64", 4, ["v2", ""], "", 0),
        ("amd64", 2, ["v3", "v2"], "v3", 0),
        ("amd64", 1, ["", "v2"], "v1", 0),
        ("amd64", 2, ["odd", ""], "", 1),
        ("arm", 7, ["v8", "v5", "v7", "v6"], "", 2),
        ("arm", 6, ["v7", "v6", ""], "", 1),
        ("arm64", 8, ["v9", "v8"], "", 1),
        ("arm64", 8, [""], "v8", 0),
        ("riscv64", 0, ["rva20"], "", 0),
    ],
)
def test_the_highest_variant_that_the_processor_can_do(monkeypatch, kind, can, variants, wanted, chosen):
    monkeypatch.setattr(processor, "architecture", lambda: kind)
    monkeypatch.setattr(processor, "highest", lambda: can)
    entries = [offer(number, architecture=kind, **({"variant": one} if one else {})) for number, one in enumerate(variants)]
    asked = {"os": "linux", "architecture": kind} | ({"variant": wanted} if wanted else {})
    assert image.choose({"manifests": [offer(99, architecture="s390x"), *entries]}, asked)["size"] == chosen


@pytest.mark.parametrize(
    ("says", "wanted", "suits"),
    [
        ({}, "linux/arm64", True),
        ({"os": "linux", "architecture": "arm64", "variant": "8"}, "linux/arm64", True),
        ({"os": "linux", "architecture": "arm64"}, "linux/arm64/v8", True),
        ({"architecture": "arm64", "variant": "v8"}, "linux/aarch64", True),
        ({"os": "linux", "architecture": "arm", "variant": "v6"}, "linux/arm/v7", False),
        ({"os": "linux", "architecture": "amd64"}, "linux/arm64", False),
        ({"os": "windows", "architecture": "amd64"}, "amd64", False),
    ],
)
def test_what_an_image_says_of_itself(says, wanted, suits):
    assert image.suits(image.platform_of(says), image.parse_platform(wanted)) == suits


def test_no_variant_that_the_processor_can_do(monkeypatch):
    monkeypatch.setattr(processor, "highest", lambda: 1)
    monkeypatch.setattr(processor, "architecture", lambda: "amd64")
    with pytest.raises(ManifestError, match=r"nothing for linux/amd64; it has linux/amd64/v3"):
        image.choose({"manifests": [offer(1, architecture="amd64", variant="v3")]})
    other = {"manifests": [offer(1, architecture="arm64", variant="v9"), offer(2, architecture="arm64", variant="v8")]}
    assert image.choose(other, image.parse_platform("linux/aarch64"))["size"] == 2  # of another machine's: the usual one


def test_an_entry_that_does_not_say_what_it_is_for():
    """Its config does, and is read only if nothing else fits."""
    configs = {1: {"os": "linux", "architecture": "s390x"}, 2: {**image.here(), "variant": ""}, 3: image.here()}
    read = []

    def config(entry: dict) -> dict:
        read.append(entry["size"])
        if entry["size"] not in configs:
            raise ManifestError("no image")
        return configs[entry["size"]]

    index = {"manifests": [offer(0), offer(1, architecture="", variant=None), offer(2, architecture=""), offer(3)]}
    assert image.choose(index, config=config)["size"] == 2 and read == [0, 1, 2]
    with pytest.raises(ManifestError, match=r"nothing for linux/riscv64; it has linux/.*, linux/s390x"):
        image.choose(index, image.parse_platform("riscv64"), config=config)
    said = {"manifests": [offer(1), offer(7, **image.here())]}
    assert image.choose(said, config=lambda entry: pytest.fail("it is said"))["size"] == 7
    many = {"manifests": [offer(0)] * 100 + [offer(2)]}
    read.clear()
    with pytest.raises(ManifestError):
        image.choose(many, config=config)
    assert len(read) == image.LOOKED_AT


# -- archives ---------------------------------------------------------------------------------


def saved(ours, *names: str) -> bytes:
    out = io.BytesIO()
    archive.save(ours, names, out)
    return out.getvalue()


@requires("overlay")
def test_what_is_saved_is_loaded(ours, tmp_path):
    one = simple(ours)
    other = make.library(tmp_path / "other")
    (found,) = archive.load(other, io.BytesIO(saved(ours, "test:1")))
    assert found.id == one.id and found.names == ("docker.io/library/test:1",)
    assert make.tree(other.folders(found)) == make.tree(ours.folders(one))


def layout(blobs: dict[str, bytes], entry: dict) -> bytes:
    """An OCI layout as an archive."""
    index = json.dumps({"schemaVersion": 2, "manifests": [entry | {"annotations": {"org.opencontainers.image.ref.name": "odd:1"}}]})
    files = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": index.encode()}
    return make.tar(*(member(name, data) for name, data in (files | blobs).items()))


def by(kind: str, data: bytes, media: str, blobs: dict[str, bytes], **more) -> dict:
    """Put something among the blobs under a digest of that kind; returns its descriptor."""
    name = hashlib.new(kind, data).hexdigest()
    blobs[f"blobs/{kind}/{name}"] = data
    return {"mediaType": media, "digest": f"{kind}:{name}", "size": len(data), **more}


def odd_image(kinds: tuple[str, str, str], blobs: dict[str, bytes], **config) -> dict:
    """An image whose layer, config and manifest are named by digests of these kinds."""
    tar = make.tar(member("etc/motd", b"hello"))
    about = {**image.here(), "rootfs": {"type": "layers", "diff_ids": [f"{kinds[0]}:{hashlib.new(kinds[0], tar).hexdigest()}"]}, **config}
    layer = by(kinds[0], tar, image.OCI + "layer.v1.tar", blobs)
    words = {"schemaVersion": 2, "config": by(kinds[1], json.dumps(about).encode(), image.CONFIG, blobs), "layers": [layer]}
    return by(kinds[2], json.dumps(words).encode(), image.MANIFEST, blobs)


@requires("overlay")
@pytest.mark.parametrize("kinds", [("sha512", "sha256", "sha256"), ("sha256", "sha512", "sha512"), ("sha512",) * 3])
def test_an_archive_named_by_sha512(ours, tmp_path, kinds):
    blobs: dict[str, bytes] = {}
    entry = odd_image(kinds, blobs)
    (found,) = archive.load(ours, io.BytesIO(layout(blobs, entry)))
    assert Merged(ours.folders(found)).read("etc/motd") == "hello" and found.id.startswith(kinds[1])
    assert ours.find(found.id).id == ours.find(found.id.partition(":")[2][:12]).id == found.id
    (again,) = archive.load(make.library(tmp_path / "again"), io.BytesIO(saved(ours, "odd:1")))
    assert again.id == found.id
    damaged = {name: data.replace(b"hello", b"hallo") for name, data in blobs.items()}
    with pytest.raises(ImageError):
        archive.load(make.library(tmp_path / "other"), io.BytesIO(layout(damaged, entry)))


@requires("overlay")
def test_an_archive_with_an_index_without_platforms(ours):
    blobs: dict[str, bytes] = {}
    kinds = ("sha256",) * 3
    gone = by("sha256", b"{}", image.MANIFEST, {})
    entries = [gone, odd_image(kinds, blobs, architecture="s390x"), odd_image(kinds, blobs)]
    index = by("sha256", json.dumps({"schemaVersion": 2, "manifests": entries}).encode(), image.INDEX, blobs)
    (found,) = archive.load(ours, io.BytesIO(layout(blobs, index)))
    assert found.config["architecture"] == image.here()["architecture"] and ours.find("odd:1").id == found.id


def test_an_image_saved_by_its_id_has_no_name(ours, tmp_path):
    one = simple(ours)
    (found,) = archive.load(make.library(tmp_path / "other"), io.BytesIO(saved(ours, one.id[7:19])))
    assert found.id == one.id and found.names == ()


def without(data: bytes, *gone: str, **changed: bytes) -> bytes:
    """The archive without some members, or with other contents in them."""
    out = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(data)) as source, tarfile.open(fileobj=out, mode="w") as target:
        for info in source:
            content = changed.get(info.name.replace(".", "_"), source.extractfile(info).read())
            info.size = len(content)
            if not any(word in info.name for word in gone):
                target.addfile(info, io.BytesIO(content))
    return out.getvalue()


def test_either_half_of_the_archive_is_enough(ours, tmp_path):
    """Docker's manifest.json and OCI's index.json say the same."""
    one, data = simple(ours), saved(ours, "test:1")
    for number, gone in enumerate(("manifest.json", "index.json")):
        (found,) = archive.load(make.library(tmp_path / str(number)), io.BytesIO(without(data, gone)))
        assert (found.id, found.names) == (one.id, ("docker.io/library/test:1",))


@pytest.mark.parametrize(
    "change,words",
    [
        ({"gone": ["manifest.json", "index.json"]}, "neither index.json nor manifest.json"),
        ({"gone": ["blobs/"]}, "no such file"),
        ({"manifest_json": b"{}"}, "not a list"),
        ({"manifest_json": b"nonsense"}, "not valid JSON"),
        ({"manifest_json": b'[{"Config": "../../etc/passwd", "Layers": []}]'}, "leads out"),
        ({"manifest_json": b'[{"Config": 5}]'}, "names a file by"),
        ({"manifest_json": b"[[]]"}, "not a list of objects"),
    ],
)
def test_a_bad_archive_gets_one_clear_error(ours, tmp_path, change, words):
    simple(ours)
    data = without(saved(ours, "test:1"), *change.pop("gone", []), **change)
    other = make.library(tmp_path / "other")
    with pytest.raises(ImageError, match=words):
        archive.load(other, io.BytesIO(data))
    assert other.images() == [] and os.listdir(other.store.place / "ingest") == []


@pytest.mark.parametrize("half", ["manifest.json", "index.json"])
def test_an_archive_that_lacks_a_file_was_cut_off_and_nobody_can_pull_it(ours, tmp_path, half):
    one = simple(ours)
    data = without(saved(ours, "test:1"), half)
    missing = [one.id, one.layers[-1]["digest"], *([one.descriptor["digest"]] if half == "manifest.json" else [])]
    for digest in missing:
        other = make.library(tmp_path / digest)
        with pytest.raises(ArchiveError, match="it was cut off") as caught:
            archive.load(other, io.BytesIO(without(data, digest[7:])))
        assert "pull" not in str(caught.value)
        assert other.images() == [] and os.listdir(other.store.place / "ingest") == []


def test_an_archive_that_ends_early_is_no_image(ours, tmp_path):
    simple(ours)
    data, other = saved(ours, "test:1"), make.library(tmp_path / "other")
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        end = tar.getmember("index.json").offset_data  # with that it is whole: manifest.json only says it again
    for size in range(0, end, end // 9):
        with pytest.raises(ImageError) as caught:
            archive.load(other, io.BytesIO(data[:size]))
        assert "pull the image again" not in str(caught.value), size
        assert other.images() == [] and os.listdir(other.store.place / "ingest") == []


def test_no_archive_at_all(ours):
    for data in (b"", b"nonsense" * 100):
        with pytest.raises(ImageError):
            archive.load(ours, io.BytesIO(data))
    with pytest.raises(ArchiveError, match="import takes it"):
        archive.load(ours, io.BytesIO(make.tar(member("etc/passwd", b"x"))))


@requires("overlay")
def test_import_and_export(ours):
    one = archive.import_(ours, io.BytesIO(make.tar(folder("etc"), member("etc/motd", b"hello"))), "mine:1", {"Cmd": ["sh"]})
    assert ours.find("mine:1").runtime == {"Cmd": ["sh"]}
    out = io.BytesIO()
    archive.export(ours.folders(simple(ours)), out)
    with tarfile.open(fileobj=io.BytesIO(out.getvalue())) as found:
        assert sorted(found.getnames()) == ["etc", "new"], "one tree, no whiteouts"
    assert one.history[0]["comment"] == "Imported from -"


def test_import_of_what_is_no_file_system(ours):
    with pytest.raises(ImageError):
        archive.import_(ours, io.BytesIO(b"nonsense" * 1000), "mine:1")
    assert ours.images() == [] and os.listdir(ours.store.place / "layers") == []


# -- while somebody is adding something -----------------------------------------------------------


def test_a_name_is_taken_away_while_a_pull_takes_its_time(ours, monkeypatch):
    """Its bytes go with the next gc."""
    monkeypatch.setattr(store, "PATIENCE", 0.05)
    one, said = simple(ours), []
    with ours.store.using():
        assert ours.remove("test:1", busy=lambda: said.append("later")) == ["Untagged: test:1", f"Deleted: {one.id}"]
        assert said == ["later"] and ours.store.has(one.id) and ours.images() == []
    assert ours.gc(lambda: said.append("waits")) > 0 and said == ["later"] and not ours.store.has(one.id)


@pytest.mark.parametrize("verb", ["image", "gc", "builder"])
def test_who_waits_for_a_pull_hears_of_it(ours, monkeypatch, verb):
    monkeypatch.setattr(store, "PATIENCE", 0.05)

    class Heard(Exception):
        pass

    def heard():
        raise Heard

    deed = {"image": lambda: ours.prune(busy=heard), "gc": lambda: ours.gc(heard), "builder": lambda: Cache(ours.store).prune(heard)}[verb]
    with ours.store.using(), pytest.raises(Heard):
        deed()
    deed()
