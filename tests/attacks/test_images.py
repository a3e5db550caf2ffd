"""An archive from a stranger: it may not fill the disk, and leaves nothing behind that no image is made of."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import tarfile

import pytest
from helpers import layers as make
from helpers.layers import folder, link, member
from helpers.sites import Site

from lib.cli import streams
from lib.images import ImageError, archive, compression, digests, image, store, unpack


@pytest.fixture
def ours(tmp_path):
    made = make.library(tmp_path / "ours")
    make.image(made, make.tar(member("hello", b"content")), name="app:1")
    return made


@pytest.fixture
def other(tmp_path):
    return make.library(tmp_path / "other")


def bomb(ours, *extra, only: tuple[str, ...] = ()) -> bytes:
    """A saved image, and other files before it; ``only`` leaves out what another format would name."""
    saved = io.BytesIO()
    archive.save(ours, ["app:1"], saved)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar, tarfile.open(fileobj=io.BytesIO(saved.getvalue())) as source:
        for info, data in extra:
            tar.addfile(info, io.BytesIO(data))
        for info in source:
            if info.name not in only:
                tar.addfile(info, source.extractfile(info))
    return gzip.compress(out.getvalue())


def blobs(library) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in (library.store.place / "blobs/sha256").iterdir()}


def test_an_archive_may_not_unpack_to_more_than_the_limit(ours, other, monkeypatch):
    monkeypatch.setenv("SUITCASE_LAYER_LIMIT", "1000000")
    for number in (1, 3):  # one that is too large, and several that are it together
        files = [member(f"junk{one}", bytes(2_100_000 // number)) for one in range(number)]
        with pytest.raises(ImageError, match=r"unpacks to more than 1000000 bytes.*SUITCASE_LAYER_LIMIT allows more"):
            archive.load(other, io.BytesIO(bomb(ours, *files)))
        assert blobs(other) == {} and os.listdir(other.store.place / "ingest") == []


def repeated(library, times: int, images: int = 1) -> bytes:
    """A saved archive in which one small blob is ``times`` layers, of each of several images."""
    data = make.tar(member("zeros", bytes(200_000)))
    blob = {"mediaType": compression.MEDIA_TYPES["gzip"], "digest": library.store.put(packed := gzip.compress(data)), "size": len(packed)}
    for number in range(images):
        first = make.image(library, make.tar(member(f"first{number}")), name="first:1")
        rootfs = {"type": "layers", "diff_ids": [*first.diff_ids, *[digests.of(data)] * times]}
        made = image.save(library.store, {**image.here(), "rootfs": rootfs}, [*first.layers, *[blob] * times])
        library.store.tag(f"docker.io/library/app:{number}", made.descriptor)
    out = io.BytesIO()
    archive.save(library, [f"app:{number}" for number in range(images)], out)
    return out.getvalue()


@pytest.mark.parametrize(("times", "images"), [(20, 1), (2, 10)])
def test_a_small_blob_that_is_many_layers_counts_each_time(ours, other, monkeypatch, times, images):
    monkeypatch.setenv("SUITCASE_LAYER_LIMIT", "1000000")
    with pytest.raises(ImageError, match=r"more than 1000000 bytes.*SUITCASE_LAYER_LIMIT allows more"):
        archive.load(other, io.BytesIO(repeated(ours, times, images)))
    kept = [path.stat().st_size for path in other.chains.layers.glob("*/zeros")]
    assert sum(kept) < 1_000_000


def test_what_layers_need_without_any_content_counts_for_all_of_them(ours, monkeypatch):
    """Empty files and folders, the names of folders, and what is passed over: 40 layers may not have 40 times as much of it."""
    ours.store.durable = False  # only faster
    many = make.tar(*(member(f"{number}/x/f") for number in range(20)))
    for name, blob, words in (("implied", many, "more than"), ("tail", make.tar(member("f")) + bytes(100_000), "far more than")):
        monkeypatch.setenv("SUITCASE_LAYER_LIMIT", "1000000")
        with pytest.raises(ImageError, match=words):
            ours.folders(make.image(ours, *[blob] * 40, name=name))
    monkeypatch.delenv("SUITCASE_LAYER_LIMIT")
    monkeypatch.setattr(unpack, "FOLDERS_AT_MOST", 2000)  # one of them needs some hundred bytes
    with pytest.raises(ImageError, match="names and attributes need more than 2000 bytes"):
        ours.folders(make.image(ours, *[many] * 40, name="names"))


def test_what_follows_the_files_of_an_import_counts_too(other, monkeypatch):
    monkeypatch.setenv("SUITCASE_LAYER_LIMIT", "1000000")
    with pytest.raises(ImageError, match="SUITCASE_LAYER_LIMIT allows more"):
        archive.import_(other, io.BytesIO(gzip.compress(make.tar(member("x")) + bytes(5_000_000))), "x")
    assert os.listdir(other.store.place / "ingest") == []


def test_as_many_files_as_a_stranger_likes(ours, other, monkeypatch):
    monkeypatch.setattr(archive, "FILES_AT_MOST", 10)
    with pytest.raises(ImageError, match="more than 10 files"):
        archive.load(other, io.BytesIO(bomb(ours, *(member(f"f{one}") for one in range(11)))))
    assert os.listdir(other.store.place / "ingest") == []


@pytest.mark.parametrize("only", [("index.json",), ("manifest.json",)])
def test_only_what_a_manifest_names_is_kept(ours, other, only):
    junk = [member("junk", b"x" * 100_000), member("blobs/sha256/" + "0" * 64, b"y" * 100_000)]
    (found,) = archive.load(other, io.BytesIO(bomb(ours, *junk, only=only)))
    named = {found.descriptor["digest"], found.id, *(one["digest"] for one in found.layers)}
    assert {f"sha256:{name}" for name in blobs(other)} == named
    assert os.listdir(other.store.place / "ingest") == [] and make.tree(other.folders(found))["hello"][4] == b"content"


def test_the_disk_is_waited_for_only_where_a_manifest_names_it(ours, other, monkeypatch):
    """Each file of an archive may have four bytes, and a hundred thousand of them fit into half a megabyte."""
    synced, fsync = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.fstat(fd).st_ino) or fsync(fd))
    archive.load(other, io.BytesIO(bomb(ours)))
    usual = len(synced)
    assert {path.stat().st_ino for path in (other.store.place / "blobs/sha256").iterdir()} <= set(synced)
    other.remove("app:1")
    synced.clear()
    archive.load(other, io.BytesIO(bomb(ours, *(member(f"f{number}", b"%d" % number) for number in range(500)))))
    assert len(synced) <= usual


def test_a_damaged_archive_leaves_nothing(ours, other):
    cut = gzip.compress(gzip.decompress(bomb(ours, member("junk", b"x" * 100_000)))[:105_000])
    with pytest.raises(ImageError):
        archive.load(other, io.BytesIO(cut))
    assert blobs(other) == {} and os.listdir(other.store.place / "ingest") == []


def test_a_huge_manifest(ours, other):
    with pytest.raises(ImageError, match="bytes"):
        archive.load(other, io.BytesIO(bomb(ours, member("manifest.json", b" " * (store.JSON_AT_MOST + 1)), only=("manifest.json",))))


def info(name: str, kind: bytes = tarfile.REGTYPE, **about) -> tarfile.TarInfo:
    one = tarfile.TarInfo(name)
    one.type = kind
    for key, value in about.items():
        setattr(one, key, value)
    return one


def passed_over(size: int) -> bytes:
    """A tar file of one sparse file that is empty, though ``size`` bytes of data are stored for it."""
    said = {"minor": "1", "major": "0", "map": "0,0", "realsize": "0", "name": "f"}
    return make.tar(member("f", bytes(size), pax_headers={f"GNU.sparse.{key}": value for key, value in said.items()}))


@pytest.mark.parametrize("pack", [bytes, bz2.compress, gzip.compress, lzma.compress])
def test_what_an_archive_only_passes_over_counts_too(tmp_path, monkeypatch, pack):
    """A kilobyte may be half a terabyte of it: ADD, or a context on the standard input, would go on for ever."""
    site, packed = Site(tmp_path), pack(passed_over(5_000_000))
    site.write("a.tar", packed)
    monkeypatch.setenv("SUITCASE_LAYER_LIMIT", "1000000")
    with pytest.raises(ImageError, match="SUITCASE_LAYER_LIMIT allows more"):
        site.build("FROM scratch\nADD a.tar /x/\n")
    (tmp_path / "place").mkdir()
    with pytest.raises(ImageError, match="SUITCASE_LAYER_LIMIT allows more"):
        streams.unpacked(io.BytesIO(packed), str(tmp_path / "place"))
    assert site.leftovers() == []


# -- work without end: headers that are slow to read, and next to nothing when they are packed


def said_of(kind: bytes, data: bytes) -> bytes:
    """A header before a member, with this in it."""
    return info("x", kind, size=len(data)).tobuf() + data + bytes(-len(data) % 512)


def mapped(numbers: bytes, size: int = 0) -> bytes:
    """A sparse file that begins with this map, in GNU's format 1.0."""
    words = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "f", "GNU.sparse.realsize": str(size)}
    return make.tar(member("f", numbers + bytes(-len(numbers) % 512), pax_headers=words))


LONG = make.tar(member("f", pax_headers={"GNU.sparse.map": "0," * 100_000 + "0", "GNU.sparse.realsize": "0", "GNU.sparse.name": "f"}))


@pytest.mark.parametrize("said", [said_of(tarfile.XHDTYPE, b"5 x=\n" * 1000) + info("f").tobuf(), mapped(b"500\n" + b"0\n" * 1000), LONG])
def test_each_line_and_each_block_that_is_said_of_a_file_counts_as_if_it_were_one(tmp_path, other, monkeypatch, said):
    unpack.unpack(io.BytesIO(said), str(tmp_path))
    monkeypatch.setenv("SUITCASE_LAYER_LIMIT", "1000000")
    with pytest.raises(ImageError, match="SUITCASE_LAYER_LIMIT allows more"):
        unpack.unpack(io.BytesIO(said), str(tmp_path))
    with pytest.raises(ImageError, match="SUITCASE_LAYER_LIMIT allows more"):
        archive.load(other, io.BytesIO(said))


def test_a_map_of_millions_of_pieces(tmp_path):
    with pytest.raises(ImageError, match="200000 lines"):
        unpack.unpack(io.BytesIO(mapped(b"1000000\n" + b"0\n" * 2_000_000)), str(tmp_path))


def test_a_line_of_a_map_that_does_not_end(tmp_path):
    """Each block of it made ``tarfile`` look at all the others again."""
    file = io.BytesIO(mapped(b"1\n" + b" " * 3_000_000 + b"0\n0\n"))
    with pytest.raises(ImageError, match="a line without an end"):
        unpack.unpack(file, str(tmp_path))
    assert file.tell() < 1_000_000


@pytest.mark.parametrize("pieces", [b"5\n5\n0\n5\n", b"0\n5\n4\n5\n", b"0\n5\n96\n5\n", b"-5\n5\n0\n5\n", b"0\n-5\n0\n5\n"])
def test_a_map_that_goes_back_or_out_of_the_file(tmp_path, pieces):
    with pytest.raises(ImageError, match=r"not a valid tar file|which goes back, or out of its 100 bytes"):
        unpack.unpack(io.BytesIO(mapped(b"2\n" + pieces + bytes(512), 100)), str(tmp_path))


def test_little_is_said_of_all_members_together(tmp_path):
    """Each of a million members gets a copy of it."""
    files = info("a").tobuf() + info("b").tobuf()
    unpack.unpack(io.BytesIO(said_of(tarfile.XGLTYPE, b"52 comment=" + b"a" * 40 + b"\n") + files), str(tmp_path))
    with pytest.raises(ImageError, match="headers that are for all members"):
        unpack.unpack(io.BytesIO(said_of(tarfile.XGLTYPE, b"5 x=\n" * 1000) + files), str(tmp_path))


# -- an archive that fills the memory, or that no machine could hold ---------------------------


def layer_of(*members) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for info in members:
            tar.addfile(info)
    return out.getvalue()


def test_an_archive_of_links_is_no_image(other):
    links = (info(f"l{number}", tarfile.SYMTYPE, linkname="x" * 90) for number in range(1500))
    with pytest.raises(ImageError, match="more than 1000 links"):
        archive.load(other, io.BytesIO(layer_of(*links)))


def test_every_path_that_is_remembered_is_counted(tmp_path, monkeypatch):
    """Behind links to the same folder there are as many paths as one likes; each would be kept to the layer's end."""
    monkeypatch.setattr(unpack, "FOLDERS_AT_MOST", 4000)
    ways = ["/".join("ab"[number >> bit & 1] for bit in range(8)) for number in range(200)]
    for whiteout in (".wh..wh..opq", ".wh.x"):
        links = [info("d", tarfile.DIRTYPE, mode=0o755), *(info(f"d/{name}", tarfile.SYMTYPE, linkname=".") for name in "ab")]
        victims = [info(f"d/{way}/{whiteout}{number if whiteout == '.wh.x' else ''}") for number, way in enumerate(ways)]
        target = tmp_path / whiteout.strip(".")
        target.mkdir()
        with pytest.raises(ImageError, match="a bomb"):
            unpack.unpack(io.BytesIO(layer_of(*links, *victims)), str(target))


@pytest.mark.parametrize("numbers", [{"devmajor": 1 << 12}, {"devminor": 1 << 20}])
def test_a_device_that_no_machine_can_have(tmp_path, numbers):
    with pytest.raises(ImageError, match="which no machine can have"):
        unpack.unpack(io.BytesIO(layer_of(info("dev/x", tarfile.CHRTYPE, **{"devmajor": 1, "devminor": 1} | numbers))), str(tmp_path))


# -- a layer's links lead nowhere but into the layer -----------------------------------------------


@pytest.mark.parametrize("victim", ["file", "folder"])
def test_a_link_of_a_layer_gives_nothing_of_the_hosts_another_owner_or_mode(ours, tmp_path, victim):
    """A folder that a layer only implies looks as it does in the layers below; the way to it may lead through a link of the same layer."""
    host = tmp_path / "host"
    host.mkdir()
    (host / "file").write_text("secret")
    (host / "folder").mkdir()
    before = {path: (path.stat().st_mode, path.stat().st_uid, path.stat().st_mtime_ns) for path in (host, *host.iterdir())}
    low = make.tar(folder("l", 0o6777, uid=4242, gid=4242), folder(f"l/{victim}", 0o6777, uid=4242, gid=4242))
    ways = [folder(str(path).lstrip("/")) for path in reversed([host, *host.parents][:-1])]
    for to in (str(host), f"../../../../../../../../../..{host}"):
        high = make.tar(*ways, link("l", to), member(f"l/{victim}/f", b"new"))
        made = make.image(ours, low, high)
        *_, top = ours.folders(made)
        assert before == {path: (path.stat().st_mode, path.stat().st_uid, path.stat().st_mtime_ns) for path in (host, *host.iterdir())}
        assert open(f"{top}{host}/{victim}/f").read() == "new" and not (host / victim / "f").exists()
