"""Layers: unpacked by us and by umoci, packed again, deleted and hidden, and from people who mean harm."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import stat
import subprocess
import tarfile
from pathlib import Path

import pytest
from helpers import layers as make
from helpers.fuzz import fuzzed
from helpers.layers import device, folder, hard, link, member
from helpers.needs import requires
from hypothesis import given, settings
from hypothesis import strategies as st

from lib import linux
from lib.images import DigestError, ImageError, Merged, Store, compression, digests, pack
from lib.images.chains import Chains
from lib.images.layers import from_folder
from lib.images.tarmembers import LayerError
from lib.images.unpack import unpack

pytestmark = requires("root", "overlay")
CAPABILITY = bytes.fromhex("0100000200200000000000000000000000000000")


def unpacked(place: Path, *members, form=tarfile.PAX_FORMAT) -> Path:
    place.mkdir(exist_ok=True)
    unpack(io.BytesIO(make.tar(*members, form=form)), str(place))
    return place


def rich():
    """One of everything that a layer may hold."""
    return [
        folder("./", 0o755),
        folder("etc", 0o750, uid=5, gid=6),
        member("etc/motd", b"hello\n", mode=0o640, uid=1000, gid=50, mtime=1_600_000_000),
        hard("etc/motd2", "etc/motd"),
        link("lib", "usr/lib"),
        folder("usr"),
        folder("usr/lib"),
        member("usr/lib/" + "long" * 60, b"x"),
        member("usr/lib/ünïcode", b"y"),
        member("bin/su", b"#!", mode=0o4755),
        member(
            "bin/ping", b"#!", mode=0o755, pax_headers={"SCHILY.xattr.security.capability": CAPABILITY.decode("utf-8", "surrogateescape")}
        ),
        device("dev/null", 1, 3),
        device("dev/sda", 8, 0, tarfile.BLKTYPE),
        member("run/pipe", type=tarfile.FIFOTYPE),
        folder("tmp", 0o1777),
    ]


# -- unpack and pack ------------------------------------------------------------------------


def test_everything_is_unpacked_as_it_is_described(tmp_path):
    place = unpacked(tmp_path / "x", *rich())
    about = os.stat(place / "etc/motd")
    assert (stat.S_IMODE(about.st_mode), about.st_uid, about.st_gid, about.st_mtime, about.st_nlink) == (0o640, 1000, 50, 1.6e9, 2)
    assert stat.S_IMODE(os.stat(place / "bin/su").st_mode) == 0o4755
    assert os.getxattr(place / "bin/ping", "security.capability") == CAPABILITY
    assert os.stat(place / "dev/sda").st_rdev == os.makedev(8, 0) and stat.S_ISFIFO(os.stat(place / "run/pipe").st_mode)
    assert stat.S_IMODE(os.stat(place / "tmp").st_mode) == 0o1777 and os.readlink(place / "lib") == "usr/lib"


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT], ids=["pax", "gnu"])
def test_long_names_and_links(tmp_path, form):
    name, target = "d/" * 40 + "n" * 200, "t" * 300
    place = unpacked(tmp_path / "x", member(name, b"deep"), link("l", target), form=form)
    assert (place / name).read_bytes() == b"deep" and os.readlink(place / "l") == target


def test_a_sparse_file_stays_sparse(tmp_path):
    source = tmp_path / "sparse"
    with open(source, "wb") as file:
        file.truncate(64 << 20)
        file.seek(32 << 20)
        file.write(b"in the middle")
    done = subprocess.run(["tar", "--sparse", "-C", tmp_path, "-c", "sparse"], capture_output=True, check=True)
    (tmp_path / "x").mkdir()
    unpack(io.BytesIO(done.stdout), str(tmp_path / "x"))
    copy = tmp_path / "x/sparse"
    assert copy.stat().st_size == 64 << 20 and copy.stat().st_blocks * 512 < 4 << 20
    assert copy.read_bytes() == source.read_bytes()


def test_what_is_packed_and_unpacked_is_the_same(tmp_path):
    place = unpacked(tmp_path / "x", *rich())
    out = io.BytesIO()
    pack.pack(str(place), out, root=True)
    again = tmp_path / "y"
    again.mkdir()
    unpack(io.BytesIO(out.getvalue()), str(again))
    assert make.tree([str(again)], times=True) == make.tree([str(place)], times=True)


def test_a_layer_is_the_same_bit_for_bit(tmp_path, monkeypatch):
    """Order, owners' names and times do not matter; with SOURCE_DATE_EPOCH times that are later do not either."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    ids = []
    for number, names in enumerate((["b", "a", "c"], ["c", "a", "b"])):
        place = tmp_path / str(number)
        place.mkdir()
        for name in names:
            (place / name).write_text(name)
            os.utime(place / name, (1_800_000_000 + number, 1_800_000_000 + number))
        ids.append(from_folder(Store(tmp_path / f"s{number}"), str(place)))
    assert ids[0] == ids[1]
    monkeypatch.delenv("SOURCE_DATE_EPOCH")
    os.utime(tmp_path / "0/a", (5, 5))
    assert from_folder(Store(tmp_path / "s3"), str(tmp_path / "0")) != ids[0]


def mounted(lower: list[Path], tmp_path: Path):
    """The real overlay of these folders (the lowest first), as a folder."""
    merged = tmp_path / "merged"
    merged.mkdir()
    linux.mount("overlay", str(merged), "overlay", "lowerdir=" + ":".join(map(str, reversed(lower))))
    return merged


def test_merged_sees_what_the_kernel_sees(tmp_path):
    """Whiteouts, opaque folders, a file over a folder, a folder over a file: our reading beside the kernel's own."""
    one = unpacked(
        tmp_path / "1", member("a/x", b"1"), member("a/y", b"1"), member("b", b"file"), member("c/d/e", b"1"), member("f/g", b"1")
    )
    two = unpacked(
        tmp_path / "2",
        member("a/.wh.x"),
        member("b/now", b"a folder"),
        member("c/.wh..wh..opq"),
        member("c/new", b"2"),
        member(".wh.f"),
        member("f/h", b"2"),
    )
    three = unpacked(tmp_path / "3", link("l", "a"), member("c/.wh.new"), folder("a", 0o700))
    place = mounted([one, two, three], tmp_path)
    try:
        assert make.tree([str(place)]) == make.tree([str(one), str(two), str(three)])
        assert sorted(os.listdir(place / "f")) == ["h"] and sorted(os.listdir(place / "c")) == []
    finally:
        linux.umount(str(place))
    merged = Merged([str(one), str(two), str(three)])
    assert merged.resolve("/l/y") == "a/y" and merged.find("a/x") is None


@pytest.mark.parametrize("first", ["whiteout", "folder"])
def test_deleted_and_made_anew_hides_what_was_below(tmp_path, first):
    members = [member(".wh.d"), folder("d")]
    one, two = (
        unpacked(tmp_path / "1", member("d/old", b"1")),
        unpacked(tmp_path / "2", *(members if first == "whiteout" else members[::-1])),
    )
    assert Merged([str(one), str(two)]).names("d") == []


def test_a_cautious_umask_does_not_reach_into_a_layer(tmp_path):
    before = os.umask(0o077)
    try:
        place = unpacked(tmp_path, member("a/b/f", b"1"))
        top = Chains(Store(tmp_path / "store")).mountpoints()
    finally:
        os.umask(before)
    folders = (place / "a", place / "a/b", Path(top), Path(top, "etc"))
    assert {stat.S_IMODE(path.stat().st_mode) for path in folders} == {0o755}


def test_implied_folders_look_as_below(tmp_path):
    """A layer may bring tmp/x without a word on tmp: it must stay 1777."""
    ours = make.library(tmp_path / "s")
    image = make.image(ours, make.tar(folder("tmp", 0o1777, uid=7)), make.tar(member("tmp/x", b"1")))
    top = ours.folders(image)[-1]
    about = os.stat(f"{top}/tmp")
    assert (stat.S_IMODE(about.st_mode), about.st_uid) == (0o1777, 7)


@pytest.mark.parametrize("packing", ["none", "gzip", "zstd", "gzip in parts"])
def test_every_packing_is_read(tmp_path, packing):
    import zstandard

    def in_parts(data: bytes) -> bytes:
        return gzip.compress(data[:700]) + gzip.compress(data[700:])

    ways = {"none": bytes, "gzip": gzip.compress, "zstd": zstandard.ZstdCompressor().compress, "gzip in parts": in_parts}
    ours = make.library(tmp_path / "s")
    image = make.image(ours, make.tar(member("x", b"content" * 1000)), pack=ways[packing])
    assert Path(ours.folders(image)[0], "x").read_bytes() == b"content" * 1000


@pytest.mark.parametrize("flag", [8, 16], ids=["name", "comment"])
def test_a_gzip_header_longer_than_any_buffer(flag):
    """It is an error of ours, wherever gzip is read, not one of the library's that nobody expects."""
    header = b"\x1f\x8b\x08" + bytes([flag]) + bytes(6) + b"n" * (2 << 20) + b"\0"
    reader = compression.unpacked(io.BytesIO(gzip.compress(b"first") + header + gzip.compress(b"second")[10:]))
    with pytest.raises(ImageError, match="gzip data is damaged"):
        while reader.read():
            pass


def test_three_hundred_layers_are_mounted(tmp_path):
    """More than the paths that fit into mount(2)'s one page."""
    from lib.container import run

    ours = make.library(tmp_path / "s")
    layers = [make.tar(member(f"f{number}", str(number).encode())) for number in range(300)]
    image = make.image(ours, *layers)
    from lib import bases

    chain = [ours.chains.mountpoints(), *ours.folders(image)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lib.ingredients.rootfs.PAGE", 3900)
        done = run([*chain], ["/bin/sh", "-c", "cat /f0 /f299"], volumes=[f"{bases.busybox()}/bin:/bin:ro"], show=False)
    assert done.text == "0299", done


def test_an_interrupt_right_after_a_layer_got_its_name(tmp_path, monkeypatch):
    """The name leads to a whole folder, or there is no name: never a name of what was removed."""
    chains = Chains(Store(tmp_path / "images"))
    symlink = os.symlink

    def interrupted(*words):
        symlink(*words)
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "symlink", interrupted)
    with pytest.raises(KeyboardInterrupt), chains.draft() as place:
        Path(place.path, "file").write_text("x")
        place.publish("sha256:" + "a" * 64)
    assert os.listdir(chains.find("sha256:" + "a" * 64)) == ["file"]


@requires("umoci")
def test_trees_are_equal_after_unpacking_by_us_and_by_umoci(tmp_path):
    ours = make.library(tmp_path / "s")
    layers = [
        make.tar(*rich()),
        make.tar(member("etc/.wh.motd2"), member("usr/lib/new", b"n"), member("tmp/x", b"1")),
    ]
    image = make.image(ours, *layers)
    bundle = tmp_path / "bundle"
    command = ["umoci", "raw", "unpack", "--image", f"{ours.store.place}:docker.io/library/test:1", str(bundle)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    assert make.tree(ours.folders(image)) == make.tree([str(bundle)])


# -- from people who mean harm ----------------------------------------------------------------

EVIL = {
    "dotdot": [member("../evil", b"x")],
    "dotdot inside": [member("a/../../evil", b"x")],
    "write through a link": [link("d", "/"), member("d/../../evil", b"x")],
    "hard link outside": [hard("x", "../../etc/passwd")],
    "hard link to what is not there": [hard("x", "etc/passwd")],
    "hard link to a folder": [folder("d"), hard("x", "d")],
    "whiteout of the parent": [member("d/.wh...", b"")],
    "whiteout of nothing": [member(".wh.", b"")],
    "whiteout of itself": [member(".wh..", b"")],
    "overlay's redirect": [folder("d", pax_headers={"SCHILY.xattr.trusted.overlay.redirect": "/../../etc"})],
    "overlay's metacopy": [member("d", pax_headers={"SCHILY.xattr.user.overlay.metacopy": "x"})],
    "overlay's redirect, without root": [folder("d", pax_headers={"SCHILY.xattr.user.overlay.redirect": "/etc"})],
    "device 0/0": [device("x", 0, 0)],
    "root is a file": [member("./", b"x", type=tarfile.REGTYPE)],
    "file as folder": [member("x", b"1"), member("x/y", b"1")],
    "link to nothing": [link("l", "gone"), member("l/x", b"1")],
    "link to itself": [link("l", "l"), member("l/x", b"1")],
    "unknown type": [member("x", type=b"Z")],
    "name too long": [member("a" * 300, b"x")],
    "path too long": [member("/".join(["abc"] * 1200), b"x")],
}


@pytest.mark.parametrize("attack", EVIL)
def test_an_evil_layer_is_refused(tmp_path, attack):
    """One clear error; nothing outside is touched; nothing half-made stays."""
    ours = make.library(tmp_path / "s")
    image = make.image(ours, make.tar(*EVIL[attack]))
    with pytest.raises(ImageError) as caught:
        ours.folders(image)
    assert len(str(caught.value)) < 400 and "Traceback" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["s"] and not list(tmp_path.rglob("evil"))
    assert os.listdir(ours.store.place / "layers") == [] and os.listdir(ours.store.place / "chains") == []


def test_what_an_overlay_without_root_left_behind_is_left_out(tmp_path):
    """Images were published with it, by builders that packed their own notes."""
    names = {"origin": "", "impure": "y", "opaque": "y", "nlink": "U+1", "metacopy": "", "overlay.x": "z"}
    notes = {f"SCHILY.xattr.user.overlay.{name}": value for name, value in names.items()}
    place = unpacked(tmp_path / "x", folder("d", pax_headers=notes), member("d/a", b"1", pax_headers=notes), member("d/b", b"2"))
    assert (place / "d/a").read_bytes() == b"1" and {*os.listxattr(place / "d"), *os.listxattr(place / "d/a")} == set()


def test_a_link_is_followed_inside_only(tmp_path):
    """What goes through a link lands in the layer, wherever the link seems to lead."""
    place = unpacked(
        tmp_path / "x",
        folder("etc"),
        link("out", "/etc"),
        member("out/evil", b"1"),
        link("up", "../../.."),
        member("up/evil2", b"1"),
        member("/abs", b"1"),
    )
    assert (place / "etc/evil").exists() and (place / "evil2").exists() and (place / "abs").exists()
    assert not Path("/etc/evil").exists() and not (tmp_path / "evil2").exists()


def test_a_link_of_one_layer_is_not_written_through_by_the_next(tmp_path):
    ours = make.library(tmp_path / "s")
    victim = tmp_path / "victim"
    victim.mkdir()
    image = make.image(ours, make.tar(link("d", str(victim))), make.tar(member("d/evil", b"x")))
    ours.folders(image)
    assert list(victim.iterdir()) == []


def test_a_later_member_replaces_an_earlier_one(tmp_path):
    place = unpacked(
        tmp_path / "x",
        member("a", b"1"),
        member("a", b"2"),
        folder("d"),
        member("d/x", b"1"),
        member("d", b"file"),
        link("l", "a"),
        member("l", b"3"),
    )
    assert (place / "a").read_bytes() == b"2" and (place / "d").read_bytes() == b"file"
    assert (place / "l").read_bytes() == b"3" and not (place / "l").is_symlink()


def test_a_folder_that_becomes_a_link_is_left_at_once(tmp_path):
    """The folder that was open a moment ago is not the one that the path leads to now."""
    place = unpacked(
        tmp_path / "x", member("a/x", b"1"), folder("b"), link("c", "a"), member("c/y", b"1"), link("c", "b"), member("c/z", b"1")
    )
    assert sorted(os.listdir(place / "a")) == ["x", "y"] and os.listdir(place / "b") == ["z"]


def test_a_bomb_is_stopped(tmp_path, monkeypatch):
    monkeypatch.setenv("SUITCASE_LAYER_LIMIT", str(1 << 20))
    ours = make.library(tmp_path / "s")
    for number, data in enumerate((make.tar(member("zeros", bytes(4 << 20))), make.tar(member("x", b"1")) + bytes(8 << 20))):
        image = make.image(ours, data, name=f"bomb:{number}")
        with pytest.raises(ImageError, match=r"larger than|more than"):
            ours.folders(image)
    assert os.listdir(ours.store.place / "layers") == []


def test_a_sparse_file_counts_with_its_length(tmp_path, monkeypatch):
    monkeypatch.setenv("SUITCASE_LAYER_LIMIT", str(1 << 20))
    with open(tmp_path / "sparse", "wb") as file:
        file.truncate(1 << 40)
    done = subprocess.run(["tar", "--sparse", "-C", tmp_path, "-c", "sparse"], capture_output=True, check=True)
    (tmp_path / "x").mkdir()
    with pytest.raises(LayerError, match="more than"):
        unpack(io.BytesIO(done.stdout), str(tmp_path / "x"))


def test_a_huge_header_is_refused(tmp_path):
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 1 << 33
    (tmp_path / "x").mkdir()
    with pytest.raises(LayerError, match="header of"):
        unpack(io.BytesIO(info.tobuf(tarfile.GNU_FORMAT) + bytes(4096)), str(tmp_path / "x"))


@pytest.mark.parametrize("cut", [100, 600, 1100, -1])
def test_a_layer_that_ends_early(tmp_path, cut):
    ours = make.library(tmp_path / "s")
    whole = make.tar(member("a", b"1" * 600), member("b", b"2" * 600))
    image = make.image(ours, whole, pack=bytes)
    blob = ours.store.path(image.layers[0]["digest"])
    blob.write_bytes(whole[:cut])
    with pytest.raises(ImageError):
        ours.folders(image)
    assert os.listdir(ours.store.place / "layers") == []


def test_every_blob_damaged_in_turn(tmp_path):
    """umoci's way: each blob of a good image is exchanged, a layer also so that only its unpacked digest is wrong."""
    source = make.library(tmp_path / "s")
    image = make.image(source, make.tar(member("a", b"1")), make.tar(member("b", b"2")))
    for digest in (image.descriptor["digest"], image.id, *(one["digest"] for one in image.layers)):
        copy = tmp_path / "copy"
        shutil.copytree(source.store.place, copy)
        ours = make.library(copy)
        ours.store.path(digest).write_bytes(ours.store.path(digest).read_bytes() + b" ")
        with pytest.raises(DigestError, match=digest):
            ours.folders(ours.find("test:1"))
        shutil.rmtree(copy)


@pytest.mark.parametrize("junk", [b"no tar file at all", make.tar(member("x", b"evil"))])
def test_a_blob_is_verified_where_its_layer_is_there_already(tmp_path, junk):
    """Another image says that its blob, too, unpacks to that layer. It would be saved, and pushed, as if it did."""
    ours = make.library(tmp_path / "s")
    good = make.image(ours, make.tar(member("x", b"good")))
    ours.folders(good)
    blob = ours.store.put(gzip.compress(junk))
    with pytest.raises(ImageError, match=r"unpacked|not a valid tar file"):
        ours.chains.unpack([{**good.layers[0], "digest": blob}], good.diff_ids)
    assert len(os.listdir(ours.store.place / "layers")) == 1 and Path(ours.folders(good)[0], "x").read_bytes() == b"good"


def test_a_layer_with_the_right_digest_and_the_wrong_content(tmp_path):
    ours = make.library(tmp_path / "s")
    packed = gzip.compress(make.tar(member("evil", b"1")))
    descriptor = {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": ours.store.put(packed), "size": len(packed)}
    with pytest.raises(DigestError, match="unpacked"), ours.store.using():
        Chains(ours.store).unpack([descriptor], [digests.of(b"something else")])
    assert os.listdir(ours.store.place / "layers") == []


@settings(fuzzed, max_examples=150)
@given(st.binary(max_size=3000), st.integers(0, 3))
def test_noise_gives_the_documented_error_only(noise, where):
    """Random bytes, and a good layer with random bytes in its headers."""
    good = bytearray(make.tar(member("a", b"1"), link("l", "a"), member("b" * 150, b"2")))
    start = where * 512
    good[start : start + len(noise)] = noise
    import tempfile

    for data in (noise, bytes(good)):
        with tempfile.TemporaryDirectory(prefix="st-") as place:
            try:
                unpack(io.BytesIO(data), place)
            except LayerError as error:
                assert str(error)
            finally:
                for path in Path(place).rglob("*"):
                    if path.is_dir() and not path.is_symlink():
                        path.chmod(0o700)
