"""``--mount`` and ``--tmpfs``: each kind of mount, each mistake, and in which order they come."""

from __future__ import annotations

import json
import os

import pytest
from helpers.lives import BUSYBOX
from helpers.needs import requires

from lib import volumes
from lib.cli.volumes.mounting import parsed
from lib.engine.volumes import store
from lib.engine.volumes.wished import as_kept

pytestmark = [requires("root", "overlay", "busybox")]
NET = "--network none"
ESCAPES = "the subpath leads out of the volume or image"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "value is empty"),
        ("type=volume,target", "invalid field 'target' must be a key=value pair"),
        ("type=volume, target=/x", "invalid option 'target' in ' target=/x': option should not have whitespace"),
        ("type=volume,target= /x", "invalid value for 'target' in 'target= /x': value should not have whitespace"),
        ("target=", "invalid value for 'target': value is empty"),
        ("type=volume,colour=red", "unknown option 'colour' in 'colour=red'"),
        ("target=/x,readonly=no", 'invalid value for \'readonly\': invalid boolean value ("no"): must be one of "true", "1", "false"'),
        ("target=/x,bind-nonrecursive", "bind-nonrecursive is deprecated, use bind-recursive=disabled instead"),
        ("target=/x,bind-recursive=x", 'invalid value for bind-recursive: x (must be "enabled", "disabled", "writable", or "readonly")'),
        ("target=/x,tmpfs-size=much", "invalid value for tmpfs-size: much"),
        ("target=/x,tmpfs-mode=rwx", "invalid value for tmpfs-mode: rwx"),
        ("type=tmpfs,target=/x,volume-nocopy", "cannot mix 'volume-*' options with mount type 'tmpfs'"),
        ("type=volume,target=/x,bind-propagation=slave", "cannot mix 'bind-*' options with mount type 'volume'"),
        ("target=/x,tmpfs-size=1m", "cannot mix 'tmpfs-*' options with mount type 'volume'"),
        ("target=/x,image-subpath=a", "cannot mix 'image-*' options with mount type 'volume'"),
        ("type=bind,source=/,target=/x,bind-recursive=writable", "'bind-recursive=writable' requires 'readonly' to be specified"),
        ("type=bind,source=/,target=/x,ro,bind-recursive=readonly", "'bind-recursive=readonly' requires 'bind-propagation=rprivate'"),
    ],
)
def test_what_the_command_says_against_a_mount(text, said):
    with pytest.raises(ValueError) as caught:
        parsed(text)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("type=nix,target=/x", 'invalid mount config for type "nix": mount type unknown'),
        ("type=volume", 'invalid mount config for type "volume": field Target must not be empty'),
        ("target=/", "invalid specification: destination can't be '/'"),
        ("target=x", "invalid mount path: 'x' mount path must be absolute"),
        ("type=bind,target=/x", 'invalid mount config for type "bind": field Source must not be empty'),
        ("type=bind,source=x,target=/x", "invalid mount path: 'x' mount path must be absolute"),
        ("type=bind,source=/nix,target=/x", 'invalid mount config for type "bind": bind source path does not exist: /nix'),
        ("type=bind,source=/,target=/x,bind-propagation=wild", "invalid propagation mode: wild"),
        ("target=/x,volume-subpath=a", "must not set Subpath when using anonymous volumes"),
        ("source=data,target=/x,volume-subpath=../a", "subpath must be a relative path within the volume"),
        ("source=data,target=/x,volume-subpath=/a", "subpath must be a relative path within the volume"),
        ("source=data,target=/x,volume-driver=nfs", 'plugin "nfs" not found'),
        ("type=tmpfs,source=a,target=/x", 'invalid mount config for type "tmpfs": field Source must not be specified'),
        ("type=image,target=/x", 'invalid mount config for type "image": field Source must not be empty'),
        ("type=image,source=nix,target=/x", "No such image: nix"),
        ("source=x,target=/x", "create x: volume name is too short"),
    ],
)
def test_what_the_engine_says_against_a_mount(suitcase, text, said):
    found = suitcase(f"create {NET} --mount {text} {BUSYBOX}")
    assert (found.code, suitcase("volume ls -q").out) == (1, "") and said in found.err


def test_two_at_one_place(suitcase):
    for words in ("--mount target=/x --mount source=b,target=/x", "-v aa:/x --mount target=/x/", "-v aa:/x --tmpfs /x"):
        assert "Duplicate mount point: /x" in suitcase(f"create {NET} {words} {BUSYBOX}").err


def test_a_quoted_field_and_paths_from_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert parsed('type=bind,"src=/a,b",dst=/x,RO')["source"] == "/a,b"
    assert parsed("type=bind,src=./a,dst=/x")["source"] == f"{tmp_path}/a"
    assert as_kept(parsed("type=tmpfs,target=/x,tmpfs-size=64m,tmpfs-mode=1770,ro"))["words"] == ["ro", "mode=1770", "size=67108864"]


# -- each kind ----------------------------------------------------------------------------------------------------------


def test_a_volume_and_a_part_of_it(suitcase):
    assert (
        suitcase(
            f"run --rm {NET} --mount source=data,target=/x,volume-label=a=b {BUSYBOX} sh -c 'mkdir -p /x/in/er; echo 1 > /x/in/er/f'"
        ).code
        == 0
    )
    assert suitcase("volume inspect -f '{{json .Labels}}' data").out == '{"a":"b"}\n'
    assert suitcase(f"run --rm {NET} --mount source=data,target=/y,volume-subpath=in/er {BUSYBOX} ls /y").out == "f\n"
    assert suitcase(f"run --rm {NET} --mount source=data,target=/y,volume-subpath=in/er/f {BUSYBOX} cat /y").out == "1\n"
    assert "Read-only" in suitcase(f"run --rm {NET} --mount source=data,target=/y,readonly {BUSYBOX} touch /y/x").err


def test_a_link_out_of_a_volume_leads_nowhere(suitcase, tmp_path):
    (tmp_path / "secret").mkdir()
    suitcase("volume create data")
    data = store.volumes() / "data/data"
    (data / "up").symlink_to("../../..")
    (data / "out").symlink_to(tmp_path)
    (data / "in").mkdir()
    (data / "inner").symlink_to("in")
    for name in ("up", "out", "out/secret"):
        said = suitcase(f"run --rm {NET} --mount source=data,target=/y,volume-subpath={name} {BUSYBOX} ls /y")
        assert said.code == 125 and ESCAPES in said.err, name
    assert suitcase(f"run --rm {NET} --mount source=data,target=/y,volume-subpath=inner {BUSYBOX} touch /y/f").code == 0
    assert (data / "in/f").exists()
    assert suitcase(f"run --rm {NET} --mount source=data,target=/y,volume-subpath=nix {BUSYBOX} ls /y").code == 125


def test_a_folder_of_this_machine(suitcase, tmp_path):
    (tmp_path / "f").touch()
    assert suitcase(f"run --rm {NET} --mount type=bind,source={tmp_path},target=/x {BUSYBOX} ls /x").out == "f\n"
    assert "Read-only" in suitcase(f"run --rm {NET} --mount type=bind,src={tmp_path},dst=/x,ro {BUSYBOX} rm /x/f").err
    assert suitcase(f"run --rm {NET} --mount type=bind,src={tmp_path}/new,dst=/x,bind-create-src {BUSYBOX} touch /x/g").code == 0
    assert (tmp_path / "new/g").exists()


def mounted(suitcase, words: str, place: str) -> list[str]:
    said = suitcase(f"run --rm {NET} {words} {BUSYBOX} cat /proc/self/mounts")
    (row,) = [line.split() for line in said.out.splitlines() if line.split()[1] == place]
    return [row[2], *row[3].split(",")]


def test_a_tmpfs(suitcase):
    found = mounted(suitcase, "--mount type=tmpfs,target=/x,tmpfs-size=1m,tmpfs-mode=1770", "/x")
    assert found[0] == "tmpfs" and {"rw", "nosuid", "nodev", "noexec", "size=1024k", "mode=1770"} <= {*found}
    assert "ro" in mounted(suitcase, "--mount type=tmpfs,target=/x,readonly", "/x")
    found = mounted(suitcase, "--tmpfs /x:size=64m,mode=1777,uid=5,gid=6,exec", "/x")
    assert {"size=65536k", "uid=5", "gid=6"} <= {*found} and "noexec" not in found


def test_another_image_and_a_part_of_it(suitcase, shop):
    assert suitcase(f"run --rm {NET} --mount type=image,source={shop},target=/x {BUSYBOX} cat /x/data/a /x/bin/busybox").code == 0
    assert (
        suitcase(f"run --rm {NET} --mount type=image,source={shop},target=/x,image-subpath=data {BUSYBOX} cat /x/a").out == "of the image\n"
    )
    assert "Read-only" in suitcase(f"run --rm {NET} --mount type=image,source={shop},target=/x {BUSYBOX} touch /x/new").err
    assert ESCAPES in suitcase(f"run --rm {NET} --mount type=image,source={shop},target=/x,image-subpath=short {BUSYBOX} true").err
    suitcase(f"create {NET} --name one --mount type=image,source={shop},target=/x {BUSYBOX} ls /x/var/db")
    assert "being used by a container" in suitcase(f"rmi {shop}").err
    assert suitcase("start -a one").out == "rows\n"


def test_an_image_of_one_layer(suitcase):
    assert suitcase(f"run --rm {NET} --mount type=image,source={BUSYBOX},target=/x {BUSYBOX} ls /x/bin/busybox").out == "/x/bin/busybox\n"


def test_the_nearer_to_the_root_comes_first(suitcase, tmp_path):
    (tmp_path / "deep").mkdir()
    words = f"--mount source=deep,target=/a/deep/er -v {tmp_path}:/a --tmpfs /a/deep -v top:/a/deep/er/top"
    assert suitcase(f"run --rm {NET} {words} {BUSYBOX} sh -c 'touch /a/deep/er/top/f; cd /a; find . -name f'").out == "./deep/er/top/f\n"
    assert os.listdir(store.volumes() / "top/data") == ["f"] and os.listdir(store.volumes() / "deep/data") == ["top"]


def test_what_inspect_tells(suitcase, tmp_path, shop):
    words = (
        f"--mount type=bind,source={tmp_path},target=/b,readonly,bind-propagation=rslave --mount source=data,target=/v,volume-nocopy "
        f"--mount type=tmpfs,target=/t,tmpfs-size=1m --mount type=image,source={shop},target=/i,image-subpath=data"
    )
    suitcase(f"create {NET} --name one {words} {BUSYBOX} true")
    (told,) = json.loads(suitcase("inspect one").out)
    assert told["HostConfig"]["Mounts"] == [
        {"Type": "bind", "Source": str(tmp_path), "Target": "/b", "ReadOnly": True, "BindOptions": {"Propagation": "rslave"}},
        {"Type": "volume", "Source": "data", "Target": "/v", "VolumeOptions": {"NoCopy": True}},
        {"Type": "tmpfs", "Target": "/t", "TmpfsOptions": {"SizeBytes": 1 << 20}},
        {"Type": "image", "Source": shop, "Target": "/i", "ImageOptions": {"Subpath": "data"}},
    ]
    bind, volume, tmpfs, image = told["Mounts"]
    assert (bind["Type"], bind["RW"], bind["Propagation"]) == ("bind", False, "rslave")
    assert (volume["Name"], volume["Mode"], volume["RW"]) == ("data", "z", True)
    assert tmpfs == {"Type": "tmpfs", "Source": "", "Destination": "/t", "Mode": "", "RW": True, "Propagation": ""}
    assert (image["Type"], image["Name"], image["RW"]) == ("image", shop, False)


def test_a_place_with_a_nul_in_it():
    """An image's VOLUME may be any text."""
    with pytest.raises(ValueError, match="a NUL in it"):
        volumes.parsed("/a\0b")
