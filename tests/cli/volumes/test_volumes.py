"""``volume`` and ``-v``: volumes that outlive their containers, filled from the image, shared, counted, removed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from contextlib import suppress

import pytest
from helpers.lives import BUSYBOX
from helpers.needs import requires
from helpers.waiting import wait_for

from lib import linux, state
from lib.engine import volumes
from lib.engine.volumes import filling, store
from lib.state import shared

pytestmark = [requires("root", "overlay", "busybox")]
NET = "--network none"


def test_create_ls_inspect_rm(suitcase):
    assert suitcase("volume create --label tier=back data").out == "data\n"
    assert suitcase("volume create data").out == "data\n", "it is there already"
    assert suitcase("volume ls").out.split() == ["DRIVER", "VOLUME", "NAME", "local", "data"]
    assert suitcase("volume ls -q").out == suitcase("volume ls --format {{.Name}} -f label=tier").out == "data\n"
    assert suitcase("volume ls -q -f label=tier=front").out == suitcase("volume ls -qf name=x").out == ""
    (one,) = json.loads(suitcase("volume inspect data").out)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", one.pop("CreatedAt"))
    place = str(store.volumes() / "data" / "data")
    assert one == {
        "Driver": "local", "Labels": {"tier": "back"}, "Mountpoint": place, "Name": "data", "Options": None, "Scope": "local",
    }  # fmt: skip
    assert suitcase("volume inspect -f {{.Mountpoint}} data").out == place + "\n"
    assert suitcase("inspect data").out == suitcase("inspect --type volume data").out == suitcase("volume inspect data").out
    assert suitcase("volume rm data").out == "data\n" and not (store.volumes() / "data").exists()
    assert re.fullmatch("[0-9a-f]{64}\n", suitcase("volume create").out)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("volume rm nix", "get nix: no such volume"),
        ("volume inspect nix", "get nix: no such volume"),
        ("volume create -d nfs x1", 'create x1: error looking up volume plugin nfs: plugin "nfs" not found'),
        ("volume create x", "create x: volume name is too short, names should be at least two alphanumeric characters"),
        ("volume create ../x", 'create ../x: "../x" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]"'),
        ("volume create --name a b", "conflicting options: cannot specify a volume-name through both --name and as a positional arg"),
        ("volume create -o colour=red xx", 'create xx: invalid option: "colour"'),
        ("volume create -o type=none xx", 'create xx: missing required option: "device"'),
        ("volume create -o type=none -o device=/x xx", "create xx: invalid option: type=none is for a folder of this machine"),
        ("volume create -o type=none -o device=x -o o=bind xx", "create xx: invalid device path x"),
        ("volume create -o type=tmpfs -o device=tmpfs -o size=1m xx", "create xx: quota size requested but no quota support"),
        ("volume create -o type=tmpfs -o device=tmpfs -o o=ro,remount xx", 'create xx: invalid mount option "remount"'),
        (f"volume create -o type=tmpfs -o device=tmpfs -o o={'x' * 4096} xx", 'create xx: invalid option: "o"'),
        ("volume ls -f colour=red", "invalid filter 'colour'"),
        ("volume prune -af --filter all=1", "conflicting options: cannot specify both --all and --filter all=1"),
        (f"run -v a/b:/x {BUSYBOX}", 'create a/b: "a/b" includes invalid characters for a local volume name'),
        (f"run -v /x:ro {BUSYBOX}", "invalid volume specification: '/x:ro'"),
        (
            f"run -v data:x {BUSYBOX}",
            "invalid volume specification: 'data:x': invalid mount config for type \"volume\": invalid mount path: 'x'",
        ),
        (f"run -v data::ro {BUSYBOX}", "invalid spec: data::ro: empty section between colons"),
        (f"run -v data:/a:ro:z {BUSYBOX}", "invalid spec: data:/a:ro:z: too many colons"),
        (f"run -v data:/a:nix {BUSYBOX}", "invalid mode: nix"),
        (f"run -v data:/a -v more:/a {BUSYBOX}", "Duplicate mount point: /a"),
        (f"run --volumes-from nix {BUSYBOX}", "No such container: nix"),
    ],
)
def test_what_cannot_be_meant(suitcase, line, said):
    found = suitcase(re.sub("^run", f"run {NET}", line))
    assert found.code and said in found.err and suitcase("volume ls -q").out == ""


@pytest.mark.v2
def test_a_volume_outlives_its_container_and_two_share_one(suitcase):
    assert suitcase(f"run --rm {NET} -v data:/srv {BUSYBOX} sh -c 'echo kept > /srv/file'").code == 0
    assert suitcase(f"run --rm {NET} -v data:/other:ro {BUSYBOX} cat /other/file").out == "kept\n"
    assert "Read-only" in suitcase(f"run --rm {NET} -v data:/other:ro {BUSYBOX} touch /other/x").err
    suitcase(f"run -d {NET} --name one -v data:/srv {BUSYBOX} sleep 60")
    assert suitcase(f"run --rm {NET} -v data:/srv {BUSYBOX} touch /srv/new").code == 0
    assert suitcase("exec one ls /srv").out.split() == ["file", "new"]


def mounted(name: str) -> bool:
    return os.path.ismount(store.volumes() / name / "data")


@pytest.mark.v2
def test_a_volume_in_memory_is_there_from_the_first_container_to_the_last(suitcase):
    assert suitcase("volume create -o type=tmpfs -o device=tmpfs -o o=size=1m,mode=1777,nosuid mem").out == "mem\n" and not mounted("mem")
    suitcase(f"run -d {NET} --name one -v mem:/a {BUSYBOX} sleep 600")
    assert mounted("mem")
    assert suitcase(f"run --rm {NET} -v mem:/b {BUSYBOX} sh -c 'echo seen > /b/file; df -k /b | tail -1'").out.split()[1] == "1024"
    assert mounted("mem") and suitcase("exec one cat /a/file").out == "seen\n"
    assert "tmpfs" in suitcase("exec one grep ' /a ' /proc/mounts").out
    suitcase("stop -t 0 one")
    wait_for(lambda: not mounted("mem"))
    suitcase("start one")
    assert suitcase("exec one ls /a").out == "" and mounted("mem"), "what was in memory has gone"
    assert suitcase("volume rm mem").code == 1
    suitcase("rm -f one")
    wait_for(lambda: not mounted("mem"))
    assert suitcase("volume rm mem").out == "mem\n"


def test_a_volume_that_cannot_be_mounted_says_what_the_kernel_says_and_leaves_nothing(suitcase):
    suitcase("volume create -o type=nosuchfs -o device=x odd")
    suitcase("volume create -o type=tmpfs -o device=tmpfs -o o=size=1m,colour=red mem")
    for name in ("odd", "mem"):
        failed = suitcase(f"run --rm {NET} -v {name}:/a {BUSYBOX} true")
        assert failed.code == 125 and "failed to mount local volume: mount " in failed.err, failed.err
        assert not mounted(name) and not list((state.runtime_dir() / "volumes").glob("*"))
        assert suitcase(f"volume rm {name}").code == 0


def test_a_volume_on_another_machine_is_asked_for_by_its_address(suitcase, monkeypatch):
    asked = []
    monkeypatch.setitem(shared.DEEDS, "mount", lambda *words: asked.append(words))
    suitcase("volume create -o type=nfs -o device=:/srv -o o=addr=localhost,rw,nfsvers=4 far")
    suitcase(f"run --rm {NET} -v far:/a {BUSYBOX} true")
    ((device, place, kind, options),) = asked
    assert (device, place, kind) == (":/srv", str(store.volumes() / "far/data"), "nfs")
    assert options in ("addr=127.0.0.1,rw,nfsvers=4", "addr=::1,rw,nfsvers=4")
    suitcase("volume create -o type=nfs -o device=:/srv -o o=addr=nosuch.invalid lost")
    assert "error resolving passed in network volume address nosuch.invalid" in suitcase(f"run --rm {NET} -v lost:/a {BUSYBOX} true").err


def test_the_files_of_a_volume_that_is_mounted_still_are_not_removed_with_it(suitcase, tmp_path):
    suitcase("volume create -o type=tmpfs -o device=tmpfs mem")
    place = store.volumes() / "mem/data"
    linux.mount(str(tmp_path), str(place), None, "bind")  # as the file system of one who was killed before he took it off
    (tmp_path / "precious").touch()
    suitcase("volume rm mem")
    assert (tmp_path / "precious").exists() and not place.exists()


def test_a_volume_in_use_is_not_removed(suitcase):
    ident = suitcase(f"create {NET} --name one -v data:/srv {BUSYBOX} true").out.strip()
    for words in ("data", "-f data"):
        said = suitcase(f"volume rm {words}")
        assert (said.code, said.err) == (1, f"suitcase: remove data: volume is in use - [{ident}]\n")
    assert suitcase("volume ls -qf dangling=true").out == "" and suitcase("volume ls -qf dangling=0").out == "data\n"
    assert suitcase("volume prune -af").out == "Total reclaimed space: 0B\n"
    suitcase("rm -v one")
    assert suitcase("volume ls -q").out == "data\n", "it has a name"
    assert suitcase("volume prune -f").out == "Total reclaimed space: 0B\n"
    assert suitcase("volume prune -af --filter label=x").out == "Total reclaimed space: 0B\n"
    assert suitcase("volume prune -af").out == "Deleted Volumes:\ndata\n\nTotal reclaimed space: 0B\n"
    assert suitcase("volume rm -f data").out == "data\n", "that it is gone is what was wanted"


@pytest.mark.parametrize(("answer", "left"), [("y", ""), ("n", "data\n"), ("", "data\n")])
def test_prune_asks(suitcase, answer, left):
    suitcase("volume create data")
    words = [sys.executable, "-P", "-m", "lib.cli", "volume", "prune", "-a"]
    done = subprocess.run(words, input=f"{answer}\n", capture_output=True, text=True, timeout=60)
    warning = "WARNING! This will remove all local volumes not used by at least one container.\nAre you sure you want to continue? [y/N] "
    assert done.returncode == 0 and done.stdout.startswith(warning) and suitcase("volume ls -q").out == left


def names(suitcase) -> list[str]:
    return suitcase("volume ls -q").out.split()


def test_anonymous_volumes_go_with_their_container_where_that_is_said(suitcase, shop):
    assert suitcase(f"run --rm {NET} -v /more {shop} cat /var/db/rows").out == "1\n" and names(suitcase) == []
    suitcase(f"run {NET} --name kept {shop} true")
    (left,) = names(suitcase)
    assert (
        re.fullmatch("[0-9a-f]{64}", left)
        and suitcase("volume inspect -f '{{json .Labels}}' " + left).out == '{"com.docker.volume.anonymous":""}\n'
    )
    suitcase("rm kept")
    assert names(suitcase) == [left] and suitcase("volume prune -f").out.startswith(f"Deleted Volumes:\n{left}\n")
    suitcase(f"create {NET} --name gone -v /more {shop} true")
    assert len(names(suitcase)) == 2
    suitcase("rm -v gone")
    assert names(suitcase) == []
    assert suitcase(f"run --rm {NET} --tmpfs /var/db {shop} ls /var/db").out == "" and names(suitcase) == [], "covered"
    assert suitcase(f"create {NET} --name none -v /file {shop} true").err.startswith(
        "suitcase: cannot mount volume over existing file, file exists /file"
    )
    assert names(suitcase) == [], "what was made for it goes again"


def test_the_volumes_of_another_container(suitcase, shop):
    suitcase(f"create {NET} --name first -v data:/srv -v /tmp:/host {shop} true")
    suitcase(f"create {NET} --name second --volumes-from first:ro {BUSYBOX} sh -c 'cat /var/db/rows; touch /srv/x'")
    said = suitcase("start -a second")
    assert said.out == "1\n" and "Read-only" in said.err
    told = json.loads(suitcase("inspect second").out)[0]
    assert [one["Destination"] for one in told["Mounts"]] == ["/srv", "/host", "/var/db"] and told["HostConfig"]["VolumesFrom"] == [
        "first:ro"
    ]
    suitcase("rm -v second")
    assert len(names(suitcase)) == 2, "the first one has it still"
    suitcase("rm -v first")
    assert names(suitcase) == ["data"]


# -- filled -------------------------------------------------------------------------------------------------------------


LOOK = "sh -c 'cd /data; stat -c \"%n %A %u %g\" . a sub; readlink sub/link; [ a -ef b ] && echo same'"
LOOKS = [". drwxr-s--- 7 8", "a -rw-r----- 1000 50", "sub drwx------ 0 0", "../a", "same"]


def test_an_empty_volume_gets_what_the_image_has_there(suitcase, shop):
    assert suitcase(f"run --rm {NET} -v data:/data {shop} {LOOK}").out.splitlines() == LOOKS
    assert suitcase(f"run --rm {NET} -v data:/x {BUSYBOX} cat /x/a").out == "of the image\n"
    assert suitcase(f"run --rm {NET} -v none:/data:nocopy {shop} ls /data").out == ""
    assert suitcase(f"run --rm {NET} -v sub:/short {shop} ls /short").out == "link\n", "by a link of the image's"
    suitcase(f"run --rm {NET} -v full:/x {BUSYBOX} touch /x/mine")
    assert suitcase(f"run --rm {NET} -v full:/data {shop} ls /data").out == "mine\n", "one that is not empty stays as it is"


def test_what_a_container_has_deleted_stays_deleted(suitcase, shop):
    suitcase(f"run {NET} --name one -v data:/data {shop} sh -c 'ls /data; rm -r /data/*'")
    suitcase("start -a one")
    assert suitcase("logs one").out == "a\nb\nsub\n"


def test_whoever_is_killed_while_filling_leaves_a_mark_and_the_next_one_begins_again(suitcase, shop, monkeypatch):
    given = filling.entries

    def cut(image, top):
        rows = given(image, top)
        yield next(rows)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(filling, "entries", cut)
        assert suitcase(f"create {NET} --name one -v data:/data {shop} true").code
    assert suitcase("ps -aq").out == "" and (store.volumes() / "data" / store.FILLING).exists()
    assert suitcase(f"run --rm {NET} -v data:/data {shop} {LOOK}").out.splitlines() == LOOKS
    assert not (store.volumes() / "data" / store.FILLING).exists()


def test_of_two_that_are_made_together_the_one_whose_image_has_the_folder_fills_it(suitcase, shop, monkeypatch):
    def overtaken(layers, one, volume, fill=filling.fill):
        monkeypatch.setattr(filling, "fill", fill)
        assert not suitcase(f"create {NET} -v data:/nowhere {BUSYBOX} true").code  # made between the other's mark and its copy
        fill(layers, one, volume)

    monkeypatch.setattr(filling, "fill", overtaken)
    assert suitcase(f"run --rm {NET} -v data:/data {shop} {LOOK}").out.splitlines() == LOOKS


KILLED = """
import os, signal, sys
from lib.cli.main import main
from lib.engine.volumes import filling
given = filling.entries
def cut(image, top):
    rows = given(image, top)
    yield next(rows)
    os.kill(os.getpid(), signal.SIGKILL)
filling.entries = cut
main(sys.argv[1:])
"""


@pytest.mark.parametrize("words", ["create", "run --rm", "run -d"])
def test_an_interrupt_while_a_volume_is_filled_takes_the_container_away_again(suitcase, shop, words):
    words = [*words.split(), "--network", "none", "-v", "data:/data", shop, "true"]
    script = KILLED.replace("signal.SIGKILL", "signal.SIGINT")
    done = subprocess.run([sys.executable, "-c", script, *words], timeout=60, capture_output=True)
    assert done.returncode == 1 and b"Aborted!" in done.stderr, done
    assert suitcase("ps -aq").out == "" and names(suitcase) == ["data"] and (store.volumes() / "data" / store.FILLING).exists()


def test_a_create_that_is_shot_while_filling_leaves_a_container_whose_start_fills_it(suitcase, shop):
    words = ["create", "--network", "none", "--name", "one", "-v", "data:/data", shop, "sh", "-c", LOOK.split("'")[1]]
    done = subprocess.run([sys.executable, "-c", KILLED, *words], timeout=60, capture_output=True)
    assert done.returncode == -9, done.stderr
    assert suitcase("volume rm data").code == 1, "the container has it"
    assert suitcase("start -a one").out.splitlines() == LOOKS
    state.gc()  # the record of the one that was shot


def test_what_is_left_half_made_goes_with_the_next_that_is_removed(suitcase):
    (state.folder("volumes") / ".0123.tmp").mkdir()
    suitcase("volume create data")
    assert suitcase("volume ls -q").out == "data\n"
    suitcase("volume rm data")
    assert [one.name for one in store.volumes().iterdir()] == [".lock"]


def test_a_volume_that_cannot_be_read_says_why(suitcase):
    suitcase("volume create data")
    file = store.volumes() / "data" / store.NAME
    whole = file.read_text()
    file.write_text(whole.replace('"version": 1', '"version": 2'))
    assert "was written by another suitcase (version 2; this one reads 1)" in suitcase("volume inspect data").err
    file.write_text("{")
    assert "is damaged" in suitcase(f"run {NET} -v data:/x {BUSYBOX}").err and suitcase("volume ls -q").out == ""
    file.write_text(whole)


def test_a_removal_and_a_creation_at_the_same_moment(suitcase):
    """Whoever has a container has its volume, too."""
    stop, errors = threading.Event(), []

    def remove() -> None:
        while not stop.is_set():
            try:
                with suppress(volumes.NoSuchVolume, volumes.VolumeInUse):
                    volumes.remove("data")
            except Exception as error:
                errors.append(error)

    beside = threading.Thread(target=remove)
    beside.start()
    try:
        for number in range(25):
            assert suitcase(f"create {NET} --name c{number} -v data:/x {BUSYBOX} true").code == 0
            assert (store.volumes() / "data" / store.NAME).exists()
            suitcase(f"rm c{number}")
    finally:
        stop.set()
        beside.join()
    assert not errors


def test_hostile_links_in_an_image_lead_nowhere_outside(suitcase, lives, tmp_path):
    """A VOLUME below a link that leads up and out: resolved inside the image."""
    from helpers import layers as make

    (tmp_path / "secret").write_text("of the host")
    image = make.image(
        lives.library, make.tar(make.folder("d"), make.link("d/out", str(tmp_path)), make.link("up", "../../.." + str(tmp_path)))
    )
    folders = lives.library.folders(image)
    one = {"type": "volume", "target": "/up", "ro": False, "nocopy": False, "name": volumes.create("data").name}
    from lib.images import Merged

    filling.plan(Merged(folders), one)
    filling.fill(folders, one, volumes.find("data"))
    assert list((store.volumes() / "data" / "data").iterdir()) == []
    one["target"] = "/d"
    filling.plan(Merged(folders), one)
    filling.fill(folders, one, volumes.find("data"))
    (found,) = (store.volumes() / "data" / "data").iterdir()
    assert found.is_symlink()


# -- told ---------------------------------------------------------------------------------------------------------------


def test_what_inspect_and_ps_tell(suitcase, tmp_path):
    suitcase(f"create {NET} --name one -v data:/srv -v {tmp_path}:/host:ro -v /anon --tmpfs /t {BUSYBOX} true")
    (told,) = json.loads(suitcase("inspect one").out)
    volume, bind, anonymous = told["Mounts"]
    assert volume == {
        "Type": "volume", "Name": "data", "Source": str(store.volumes() / "data/data"), "Destination": "/srv", "Driver": "local",
        "Mode": "z", "RW": True, "Propagation": "",
    }  # fmt: skip
    assert bind == {
        "Type": "bind", "Source": str(tmp_path), "Destination": "/host", "Mode": "ro", "RW": False, "Propagation": "rprivate",
    }  # fmt: skip
    assert anonymous["Destination"] == "/anon" and re.fullmatch("[0-9a-f]{64}", anonymous["Name"]) and anonymous["Mode"] == ""
    assert told["HostConfig"]["Binds"] == ["data:/srv", f"{tmp_path}:/host:ro"] and told["Config"]["Volumes"] == {"/anon": {}}
    assert suitcase("ps -a --no-trunc --format {{.LocalVolumes}},{{.Mounts}}").out == f"2,data,{tmp_path},{anonymous['Name']}\n"
    for value in ("data", "/srv", "/host", str(tmp_path), anonymous["Name"]):
        assert suitcase(f"ps -aqf volume={value}").out, value
    assert suitcase("ps -aqf volume=nix").out == ""


def test_a_folder_of_this_machine_that_is_missing_is_made_as_docker_does(suitcase, tmp_path, monkeypatch):
    assert suitcase(f"run --rm {NET} -v {tmp_path}/new/er:/x {BUSYBOX} touch /x/file").code == 0
    assert (tmp_path / "new/er/file").exists()
    monkeypatch.chdir(tmp_path)
    assert suitcase(f"run --rm {NET} -v ./new:/x {BUSYBOX} ls /x").out == "er\n"


def test_a_volume_that_names_a_folder_of_this_machine(suitcase, tmp_path):
    (tmp_path / "file").write_text("there\n")
    suitcase(f"volume create -o type=none -o o=bind -o device={tmp_path} data")
    assert suitcase(f"run --rm {NET} -v data:/x {BUSYBOX} cat /x/file").out == "there\n"
    assert suitcase("volume prune -af").out == "Total reclaimed space: 0B\n", "nothing would be won"
    suitcase("volume rm data")
    assert (tmp_path / "file").exists()


def test_somebody_at_a_terminal_hears_where_the_images_data_goes(suitcase, shop, monkeypatch):
    """A volume without a name: said to people, never to programs, and not where it goes with the container or has a name."""
    words = "NOTE: the image keeps /var/db in a volume, and this one has no name: -v NAME:/var/db lets the next container find it\n"
    assert suitcase(f"create {shop} true").err == ""
    monkeypatch.setattr("lib.cli.volumes.mounting.at_a_terminal", lambda: True)
    for line, said in ((f"create {shop} true", words), (f"create --rm {shop} true", ""), (f"create -v mine:/var/db {shop} true", "")):
        assert suitcase(line).err == said, line
