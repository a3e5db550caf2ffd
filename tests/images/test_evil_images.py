"""Images, layers and archives made to harm: each gets one clear error or does no harm, and is never believed."""

from __future__ import annotations

import io
import json
import os
import tarfile
import tracemalloc
from pathlib import Path

import pytest
from helpers import layers as make
from helpers.layers import folder, hard, link, member
from helpers.needs import requires
from helpers.sites import Site, cached

from lib import linux
from lib.build import changes
from lib.cli import main as cli
from lib.cli import text
from lib.images import ImageError, archive, digests, image, unpack
from lib.images.tarmembers import LayerError

pytestmark = requires("root", "overlay", "busybox")


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


def unpacked(place: Path, data) -> None:
    place.mkdir(exist_ok=True)
    unpack.unpack(io.BytesIO(data) if isinstance(data, bytes) else data, str(place))


# -- the headers of a layer ------------------------------------------------------------------------------

NONSENSE = {
    "a time that is no number": {"mtime": "nan"},
    "a time without end": {"mtime": "inf"},
    "an owner below zero": {"uid": "-5"},
    "the owner that means nobody's change": {"uid": "4294967295"},
    "a group beyond the kernel's": {"gid": str(2**70)},
    "a size below zero": {"size": "-1000"},
    "an attribute with a NUL byte": {"SCHILY.xattr.user.a\0b": "x"},
}


@pytest.mark.parametrize("what", NONSENSE)
def test_numbers_that_no_file_can_have(tmp_path, what):
    with pytest.raises(LayerError):
        unpacked(tmp_path / "a", make.tar(member("f", b"x" * 10, pax_headers=NONSENSE[what])))


class Endless:
    """A file that begins somehow, and then repeats itself for ever: what reads it whole, reads for ever."""

    def __init__(self, head: bytes, unit: bytes, at_most: int):
        self.head, self.unit, self.left = head, unit * (131072 // len(unit)), at_most

    def read(self, size: int = 0) -> bytes:
        if self.head:
            head, self.head = self.head, b""
            return head
        assert self.left > 0, "it was read to the end"
        self.left -= len(self.unit)
        return self.unit


def sparse_by_number() -> Endless:
    """GNU's sparse format 1.0: the map stands before the content, as long as its first line says."""
    words = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "f", "GNU.sparse.realsize": "5"}
    return Endless(make.tar(member("f", b"", pax_headers=words))[: 3 * 512] + b"900000000\n", b"0\n", 40 << 20)


def sparse_by_chain() -> Endless:
    """GNU's old sparse format: each block of the map says whether another follows."""
    info = tarfile.TarInfo("s")
    info.type = tarfile.GNUTYPE_SPARSE
    head = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    head[482] = 1
    head[148:156] = b"%06o\0 " % tarfile.calc_chksums(bytes(head[:512]))[0]
    return Endless(bytes(head[:512]), (b"00000000001\0" * 42) + b"\1" + bytes(7), 40 << 20)


def for_all_members() -> bytes:
    """Global pax headers: every later member has them, so they are remembered."""
    headers = (tarfile.TarInfo.create_pax_global_header({f"k{n}": "x" * (1 << 19)}) for n in range(50))
    return b"".join(one + tarfile.TarInfo(f"f{n}").tobuf() for n, one in enumerate(headers))


@pytest.mark.parametrize("bomb", [sparse_by_number, sparse_by_chain, for_all_members])
def test_headers_without_end(tmp_path, bomb):
    data = bomb()
    tracemalloc.start()
    try:
        with pytest.raises(LayerError, match=r"bytes of headers|not a valid tar"):
            unpacked(tmp_path / "a", data)
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()


def test_folders_with_attributes_without_end(tmp_path, monkeypatch):
    """A folder is described at the end, so what is said of it is kept until then."""
    monkeypatch.setattr(unpack, "FOLDERS_AT_MOST", 1 << 20)
    with pytest.raises(LayerError, match="a bomb"):
        unpacked(tmp_path / "a", make.tar(*(folder(f"d{n}", pax_headers={"comment": "x" * (1 << 18)}) for n in range(5))))


def test_a_folder_replaced_is_looked_for_below_itself_only(tmp_path, monkeypatch):
    """Each of many members replaced the one before: it must not look at every folder of the layer each time."""
    looked = []
    original = unpack.Names.take
    monkeypatch.setattr(unpack.Names, "take", lambda self, path: (looked.append(one) or one for one in original(self, path)))
    unpacked(tmp_path / "a", make.tar(*(folder(f"d{n}") for n in range(500)), *(member("x") for _ in range(500))))
    assert len(looked) <= 1000


def test_a_folder_behind_a_link_that_was_replaced(tmp_path):
    """The folder is described at the end; by then its path leads elsewhere."""
    data = make.tar(folder("real"), link("way", "real"), folder("way/in", 0o700), hard("real2", "way"), member("way", b"now a file"))
    unpacked(tmp_path / "a", data)
    assert (tmp_path / "a/way").read_bytes() == b"now a file"


# -- archives ----------------------------------------------------------------------------------------------


def docker_archive(layers: int, name: str) -> io.BytesIO:
    layer = make.tar(member("a", b"1"))
    config = {**image.here(), "rootfs": {"type": "layers", "diff_ids": [digests.of(layer)] * layers}}
    manifest = [{"Config": "c.json", "RepoTags": [name], "Layers": ["l.tar"] * layers}]
    parts = {"c.json": json.dumps(config).encode(), "l.tar": layer, "manifest.json": json.dumps(manifest).encode()}
    return io.BytesIO(make.tar(*(member(key, data) for key, data in parts.items())))


def test_an_archive_cannot_say_who_has_a_digest(site):
    claimed = "debian@sha256:" + "a" * 64
    archive.load(site.library, docker_archive(1, claimed))
    with pytest.raises(ImageError):
        site.library.find(claimed)


def test_an_image_that_cannot_be_read_again_gets_no_name(site):
    """501 layers, or a config too large: refused when made, not when listed."""
    with pytest.raises(ImageError, match="layers"):
        archive.load(site.library, docker_archive(501, "evil:1"))
    with pytest.raises(ImageError, match="bytes"):
        site.build("FROM base\nARG X\n" + "".join(f"ENV A{n}=$X\n" for n in range(6)), build_args={"X": "y" * 900_000}, tags=("big:1",))
    assert [name for one in site.library.images() for name in one.names if "evil" in name or "big" in name] == []


# -- builds --------------------------------------------------------------------------------------------------


def test_a_command_cannot_lead_the_clean_up_out_of_its_layer(site, tmp_path):
    """What a --mount was mounted on is removed from the layer; the command put a link to the host in its way."""
    victim = tmp_path / "victim"
    (victim / "lock").mkdir(parents=True)
    (victim / "empty").touch()
    site.build(
        f"""FROM base
RUN --mount=type=tmpfs,target=/q/lock mkdir -p /z0 && mv /q /z && ln -s {victim} /q
RUN --mount=type=secret,id=s,target=/p/empty mv /p /y && ln -s {victim} /p""",
        secrets={"s": "/etc/hostname"},
    )
    assert sorted(os.listdir(victim)) == ["empty", "lock"]


def test_two_sources_of_the_same_content_are_two_keys_with_parents(site):
    for name in "ab":
        site.write(f"{name}/x", "1")
    site.build("FROM base\nCOPY --parents a/x /d/")
    second = site.build("FROM base\nCOPY --parents b/x /d/")
    assert cached(second) == [False] and "d/b/x" in site.top_layer(second)


def test_an_owner_is_part_of_what_is_copied_from_a_stage(site):
    text = "FROM base AS one\nRUN echo 1 > /f && chown {} /f\nFROM base\nCOPY --from=one /f /g"
    site.build(text.format(1000))
    assert site.top_layer(site.build(text.format(2000)))["g"][2] == 2000


def test_a_file_that_grows_while_it_is_copied(site, monkeypatch):
    """It must not fill the disk, nor the cache: the key is that of the content before."""
    log = site.write("log", "one line\n")
    original = changes.copy_file

    def meanwhile(real, about, place):
        log.write_text("one line\nanother\n")
        original(real, about, place)
        assert os.path.getsize(place) == len("one line\n")

    monkeypatch.setattr(changes, "copy_file", meanwhile)
    with pytest.raises(ImageError, match="'log' changed while it was being copied"):
        site.build("FROM base\nCOPY . /x/")
    monkeypatch.undo()
    log.write_text("one line\n")
    assert cached(site.build("FROM base\nCOPY . /x/")) == [False] and site.leftovers() == []


def test_a_full_disk(site, tmp_path, monkeypatch, capfd):
    """The message names the place and the way out; nothing half-made stays, and what was there works."""
    small = tmp_path / "small"
    small.mkdir()
    linux.mount("tmpfs", str(small), "tmpfs", "size=6m")
    try:
        full = Site(tmp_path / "site", store=small / "images")
        full.write("big", os.urandom(8 << 20))
        full.write("Dockerfile", "FROM base\nCOPY big /x/\n")
        monkeypatch.setenv("SUITCASE_IMAGES", str(small / "images"))
        with pytest.raises(SystemExit):
            cli.main(["build", str(full.context)])
        said = capfd.readouterr().err
        assert "No space left on device" in said and f"{small}/images" in said and "suitcase prune" in said
        assert full.leftovers() == []
        full.build("FROM base\nRUN echo small > /small")
    finally:
        linux.umount(str(small))


# -- configs -------------------------------------------------------------------------------------------------


def with_config(site: Site, **words) -> None:
    base = site.library.find("base")
    made = image.save(site.library.store, {**base.config, **words}, base.layers)
    site.library.store.tag("docker.io/library/evil:1", made.descriptor)


@pytest.mark.parametrize("value", [5, [1], "sh", {"a": 1}])
def test_a_shell_that_is_none(site, value):
    with pytest.raises(ImageError, match="Shell"):
        with_config(site, config={"Shell": value})
        site.build("FROM evil:1\nRUN echo hi")


def test_nothing_that_an_image_says_moves_the_cursor(site, monkeypatch, capfd):
    monkeypatch.setenv("SUITCASE_IMAGES", str(site.library.store.place))
    with_config(site, history=[{"created_by": "\x1b[2Jred", "comment": "\x9b31m"}], config={"Labels": {"\x1b[2J": "\x1b]0;x\x07"}})
    for words in (["history", "evil:1"], ["inspect", "evil:1"], ["images"], ["run", "\x1b[2J"], ["build", "-f", "-", str(site.context)]):
        monkeypatch.setattr("sys.stdin", io.StringIO("FROM base AS \x1b[2J\nCOPY \x1b[2J /\n"))
        with pytest.raises(SystemExit):
            cli.main(words)
        out, err = capfd.readouterr()
        assert not set("\x1b\x07\x9b") & set(out + err)
        assert words[0] != "history" or "\\x1b[2Jred" in out


def test_a_day_that_does_not_exist():
    assert text.age("2020-99-99T99:99:99Z") == text.age("2023-02-31T00:00:00Z") == "N/A"


def test_a_chain_under_another_hash_outlives_the_sweep(site):
    import hashlib

    layer = make.tar(member("a", b"1"))
    diff_id = "sha512:" + hashlib.sha512(layer).hexdigest()
    about = {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": site.library.store.put(layer), "size": len(layer)}
    made = image.save(site.library.store, {**image.here(), "rootfs": {"type": "layers", "diff_ids": [diff_id]}}, [about])
    site.library.store.tag("docker.io/library/x:1", made.descriptor)
    site.library.folders(site.library.find("x:1"))
    site.library.gc()
    assert site.library.chains.find(diff_id)
