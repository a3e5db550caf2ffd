"""Dockerfiles, base images, caches and registries made to harm a build or a pull: no hang, no wrong cache, no leak, no raw error."""

from __future__ import annotations

import bz2
import fcntl
import io
import json
import lzma
import os
import signal
import threading
import zlib
from contextlib import contextmanager

import pytest
from helpers import layers as make
from helpers.layers import member
from helpers.needs import requires
from helpers.registries import Fake
from helpers.registries import make as made
from helpers.sites import Site, cached

from lib import state
from lib.build import context, ignore, runner
from lib.build.builder import BuildError
from lib.cli import reports
from lib.cli.main import main
from lib.dockerfile import DockerfileError, expansion, parser
from lib.dockerfile.mounts import Mount
from lib.engine import making
from lib.images import Cache, archive, image
from lib.visible import visible

pytestmark = requires("root", "overlay", "busybox")

DEEP = "a/" * 1500  # more folders than Python may recurse


@pytest.fixture
def site(tmp_path):
    yield Site(tmp_path)
    state.rmtree(str(tmp_path))  # pytest's own way would not come to the bottom of what is deep


@contextmanager
def at_most(seconds: int):
    """What hangs fails, here and now."""

    def late(*_):
        raise TimeoutError(f"not done after {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def evil_base(site: Site, data: bytes) -> str:
    """An image whose config is these bytes; returns its name."""
    about = {"mediaType": image.CONFIG, "digest": site.library.store.put(data), "size": len(data)}
    manifest = {**site.library.find("base").manifest, "config": about}
    site.library.store.tag("docker.io/library/evil:1", site.library.store.put_json(manifest, image.MANIFEST))
    return "evil:1"


def config_with(site: Site, **runtime) -> bytes:
    base = site.library.find("base")
    return json.dumps({**base.config, "config": {**base.runtime, **runtime}}).encode()


# -- what would never end --------------------------------------------------------------------------------


@pytest.mark.parametrize("asks", ["COPY --from=b /bin/sh /x", "RUN --mount=from=b,target=/m true", "COPY --from=1 /bin/sh /x"])
def test_two_stages_that_wait_for_each_other(site, asks):
    with at_most(20), pytest.raises(DockerfileError, match="circular dependency"):
        site.build(f"FROM base AS a\n{asks}\nFROM a AS b\nRUN true")


def test_a_trigger_that_waits_for_a_later_stage(site):
    evil_base(site, config_with(site, OnBuild=["COPY --from=b /bin/sh /x"]))
    with at_most(20), pytest.raises(DockerfileError, match="No such image: b"):
        site.build("FROM evil:1 AS a\nFROM a AS b\nRUN true")


def test_a_name_that_comes_again_means_the_stage_above(site):
    built = site.build("FROM base AS a\nRUN echo 1 > /f\nFROM base AS b\nCOPY --from=a /f /f\nFROM b AS a\nCOPY --from=b /f /g")
    assert site.read(built, "g") == "1\n"


def test_more_stages_than_threads(site):
    stages = "".join(f"FROM base AS s{number}\n" for number in range(40))
    copies = "".join(f"COPY --from=s{number} /bin/sh /x\n" for number in range(40))
    before, seen = threading.active_count(), []
    site.build(f"{stages}FROM base\n{copies}", dry=True, tell=lambda *words: seen.append(threading.active_count()))
    assert len(seen) >= 40 and max(seen) <= before + 16


def test_locks_of_caches_in_whatever_order_and_twice(site):
    one, two = (f"--mount=type=cache,id={name},target=/{name},sharing=locked" for name in "xy")
    again = "--mount=type=cache,id=x,target=/z"
    stages = f"FROM base AS a\nRUN {one} {two} {again} sleep 0.2; test -e /z\nFROM base AS b\nRUN {two} {one} sleep 0.2\n"
    with at_most(30):
        site.build(f"{stages}FROM base\nCOPY --from=a /bin/sh /a\nCOPY --from=b /bin/sh /b")


def test_a_heredoc_that_is_all_blanks():
    with at_most(5):
        parser.parse("FROM base\nRUN <<" + (" " * 60000 + "\\\n") * 3 + "<")


@pytest.mark.parametrize("form", ["${x##*%sb}", "${x//%sb/}", "${x%%%%%s*c}"])
def test_patterns_that_are_compared_for_ever(form):
    with at_most(5), pytest.raises(expansion.ExpansionError, match="at most 1000"):
        expansion.expand(form % ("a" * 30000), {"x": "a" * 1000000})


def test_a_server_that_wants_us_to_come_again_in_three_years(site):
    with Fake() as server:
        server.on = {"GET /f": lambda handler: handler.say(503, **{"Retry-After": "100000000"})}
        with at_most(10), pytest.raises(BuildError, match="the server answers 503"):
            site.build(f"FROM base\nADD http://{server.name}/f /f")


def circles(site: Site, *names: str) -> None:
    """Links to the folder that they lie in."""
    for name in names:
        (site.context / name).symlink_to(".")


def test_a_pattern_through_links_in_a_circle(site):
    site.write("f", "1")
    circles(site, "[x]", *"ABCDEFGHIJKL")
    with at_most(10):
        assert site.read(site.build(f"FROM base\nCOPY {'*/' * 20}f /x/"), "x/f") == "1"
        with pytest.raises(BuildError, match=r"something of this very name.*write \[\[\]x\]"):
            site.build(f"FROM base\nCOPY [x]/{'*/' * 20}f /x/")


def test_a_pattern_that_leads_to_too_many_folders(site, monkeypatch):
    circles(site, *"abcde")
    monkeypatch.setattr(context, "LOOKED_INTO", 12)
    site.build("FROM base\nCOPY f* */*/a /x/", dry=True)
    with pytest.raises(BuildError, match=r"leads to more than 12 folders .*do its links go round in circles"):
        site.build("FROM base\nCOPY */*/*/a /x/")


def test_a_folder_counts_by_its_own_name_and_not_by_those_of_links_to_it(site):
    site.write("m/f", "1")
    for name in "az":
        (site.context / name).symlink_to("m")
    found = site.tree(site.build("FROM base\nCOPY --parents */f /x/"))
    assert [path for path in found if path.startswith("x/")] == ["x/m", "x/m/f"]


def test_a_rule_that_is_compared_sign_by_sign():
    """A set that holds the slash: no regular expression can say that a ``**`` begins behind it."""
    rules = ignore.Ignore(["[!-~]**" * 500 + "q"])
    with at_most(5):
        assert not rules.ignored("a/" * 2000) and rules.ignored("a/" * 2000 + "q")


# -- deeper than the stack -------------------------------------------------------------------------------


def test_a_folder_deeper_than_python_recurses(site):
    found = make.image(site.library, make.tar(member("f", b"1")), make.tar(member(f"{DEEP}g", b"2")), name="deep:1")
    archive.export(site.library.folders(found), io.BytesIO())
    assert sum(reports.layer_sizes(site.library, found)) == 2
    built = site.build("FROM base\nCOPY --from=deep:1 /a /d/a\nRUN --mount=from=deep:1,target=/m ulimit -n 4096 && cp -r /m /copy")
    assert f"copy/{DEEP}g" in site.tree(built) and not site.leftovers()


def test_deep_targets(site):
    site.write("f", "1")
    assert site.read(site.build(f"FROM base\nWORKDIR /w/{DEEP}\nCOPY f /{DEEP}"), f"{DEEP}f") == "1"


def test_a_mount_deeper_than_python_recurses(site):
    target = "/a" * 400
    assert site.read(site.build(f"FROM base\nRUN --mount=type=tmpfs,target={target} test -d {target} && echo 1 > /f"), "f") == "1\n"


def test_a_path_longer_than_the_kernel_takes_has_its_line(site):
    with pytest.raises(BuildError, match=r"(?s)Dockerfile:2:1.*File name too long"):
        site.build("FROM base\nRUN i=0; while [ $i -lt 50 ]; do n=$(printf %0100d $i); mkdir $n && cd $n; i=$((i+1)); done")
    assert not site.leftovers()


# -- documents and files that are nonsense ---------------------------------------------------------------


@pytest.mark.parametrize("trigger", ["FROM base", "ONBUILD RUN true"])
def test_triggers_that_no_builder_makes(site, trigger):
    with pytest.raises(DockerfileError, match="is no trigger"):
        site.build(f"FROM {evil_base(site, config_with(site, OnBuild=[trigger]))}\nRUN true")


@pytest.mark.parametrize("runtime", [{"Env": ["A=\ud800"]}, {"Env": ["A=\0"]}, {"Cmd": ["a\0"]}, {"WorkingDir": "/\0"}, {"User": "\0"}])
def test_words_that_no_program_can_get(site, runtime):
    name = evil_base(site, config_with(site, **runtime))
    with pytest.raises(image.ManifestError):
        site.library.find(name)
    with pytest.raises(DockerfileError):
        site.build(f"FROM {name}\nRUN true")


def test_whole_characters_in_two_halves_are_fine(site):
    assert site.library.find(evil_base(site, config_with(site, Env=["A=\N{GRINNING FACE}"]))).runtime["Env"] == ["A=\N{GRINNING FACE}"]


@pytest.mark.parametrize("name", ["..", "a/", "."])
def test_a_heredoc_that_names_no_file(site, name):
    with pytest.raises(DockerfileError, match="names no file"):
        site.build(f"FROM base\nCOPY <<{name} /x/\nhi\n{name}\n")


def test_a_damaged_archive_leaves_nothing(site):
    site.write("a.zst", b"\x28\xb5\x2f\xfd" + b"q" * 1000)
    with pytest.raises(BuildError, match="damaged"):
        site.build("FROM base\nADD a.zst /x/")
    assert not site.leftovers()


PACKERS = {"xz": lzma.compress, "bzip2": bz2.compress}


@pytest.mark.parametrize("kind", PACKERS)
def test_an_archive_that_is_cut_off_or_damaged(site, kind):
    packed = PACKERS[kind](make.tar(member("f", os.urandom(1 << 20))))
    for data, what in (packed[: len(packed) // 2], "ends in the middle"), (packed[:5000] + b"\xff" * 9000 + packed[14000:], "is damaged"):
        site.write("a", data)
        with pytest.raises(BuildError, match=f"the archive's {kind} data {what}"):
            site.build("FROM base\nADD a /x/")
    assert not site.leftovers()


@pytest.mark.parametrize("kind", PACKERS)
def test_an_archive_of_several_streams(site, kind):
    plain, pack = make.tar(member("f", b"1" * 3000)), PACKERS[kind]
    site.write("a", pack(plain[:700]) + bytes(1 << 17) + pack(b"") + pack(plain[700:]) + bytes(8))
    assert site.read(site.build("FROM base\nADD a /x/"), "x/f") == "1" * 3000


def test_an_archive_that_asks_for_all_our_memory(site):
    """Its dictionary of 4 GiB would hold all that comes out of it."""
    packed = bytearray(lzma.compress(make.tar(member("f", b"1"))))
    end = 12 + packed[12] * 4  # of the block's header, which lies behind the stream's of 12 bytes; then its checksum comes
    packed[packed.index(b"\x21\x01", 12) + 2] = 40
    packed[end : end + 4] = zlib.crc32(packed[12:end]).to_bytes(4, "little")
    site.write("a", bytes(packed))
    with pytest.raises(BuildError, match="asks for more than 134217728 bytes of memory"):
        site.build("FROM base\nADD a /x/")


def test_rules_without_end(site):
    os.truncate(site.write(".dockerignore"), 1 << 40)
    with pytest.raises(ignore.IgnoreError, match=r"^\.dockerignore is larger than 1048576 bytes"):
        site.build("FROM base\nCOPY . /x/")


@pytest.mark.parametrize("lines", ["COPY . /x/", f"COPY {'?' * 5000} /x/"])
def test_a_pattern_longer_than_any_path(site, lines):
    site.write(".dockerignore", "a\n" + "b*" * 2500 if "." in lines else "")
    with pytest.raises((BuildError, ignore.IgnoreError), match="has 5000 characters, at most 4096 are taken"):
        site.build(f"FROM base\n{lines}")


@pytest.mark.parametrize("year", ["99999999999999999999", "9999", "0001"])
def test_a_file_of_another_age(site, year):
    with Fake() as server:
        server.on = {"GET /f": lambda handler: handler.say(200, b"1", **{"Last-Modified": f"Mon, 01 Jan {year} 00:00:00 GMT"})}
        assert site.read(site.build(f"FROM base\nADD http://{server.name}/f /f"), "f") == "1"


@pytest.mark.parametrize("mode", ["10000", "30000000000", "0777777"])
def test_a_mode_that_no_file_has(mode):
    with pytest.raises(DockerfileError, match=f"mode={mode} is not an octal mode"):
        parser.parse(f"FROM base\nRUN --mount=type=cache,target=/c,mode={mode} true")


def test_a_stage_number_of_many_digits(site):
    with pytest.raises(DockerfileError):
        site.build(f"FROM base\nCOPY --from={'9' * 5000} /x /y")


# -- two results under one key ---------------------------------------------------------------------------


def test_owners_in_the_context_do_not_show_in_a_mount(site):
    os.chown(site.write("own/f"), 1234, 1234)
    assert site.read(site.build("FROM base\nRUN --mount=source=own,target=/o stat -c %u:%g /o/f > /r"), "r") == "0:0\n"


@pytest.mark.parametrize("option", ["mode=0444", "uid=7", "gid=7"])
def test_how_a_secret_looks_is_in_the_key(site, option):
    secrets = {"s": str(site.write("s", "x"))}
    builds = [
        site.build(f"FROM base\nRUN --mount=type=secret,id=s{more} stat -c %u:%g:%a /run/secrets/s > /r", secrets=secrets)
        for more in ("", f",{option}")
    ]
    assert cached(builds[1]) == [False] and site.read(builds[0], "r") != site.read(builds[1], "r")


def test_source_date_epoch_is_in_the_key(site, monkeypatch):
    lines = "FROM base\nRUN echo 1 > /f"
    site.build(lines)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000")
    built = site.build(lines)
    assert cached(built) == [False] and cached(site.build(lines)) == [True]
    assert os.stat(f"{site.library.folders(built.image)[-1]}/f").st_mtime == 1000


# -- two at a time ---------------------------------------------------------------------------------------


def test_prune_waits_for_a_build_that_uses_the_caches(site):
    begun, told = threading.Event(), []
    lines = "FROM base\nRUN --mount=type=cache,target=/c echo hi > /c/x; echo begun; sleep 0.7; cat /c/x > /r"
    options = {"tell": lambda what, *_: begun.set() if what == "output" else None}
    thread = threading.Thread(target=lambda: told.append(site.read(site.build(lines, **options), "r")))
    thread.start()
    assert begun.wait(20)
    Cache(site.library.store).prune()
    thread.join(20)
    assert told == ["hi\n"] and not (site.library.store.place / "mounts").exists()


def test_an_interrupt_ends_the_wait_for_a_cache(site):
    place = site.library.store.place / "mounts" / runner.cache_name(Mount("", target="/c"))
    place.mkdir(parents=True)
    lock = os.open(place, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)  # another build is at it
    lines = "FROM base AS a\nRUN --mount=type=cache,target=/c true\nFROM base\nCOPY --from=a /bin/sh /x"
    with pytest.raises(TimeoutError), at_most(1):
        site.build(lines)
    os.close(lock)
    assert not site.leftovers()


def test_an_image_that_goes_while_its_container_begins(tmp_path, monkeypatch):
    monkeypatch.setenv("SUITCASE_IMAGES", str(tmp_path / "images"))
    site, seen = Site(tmp_path), []

    def made(*words, before=making.container):  # in the moment before it is written down, another command removes the image
        if not seen:
            site.library.remove("base", force=True)
            site.library.remove("localhost/busybox:static", force=True)
            seen.extend(os.path.isdir(folder) for folder in making.layers_of(*words[:2]))
        return before(*words)

    monkeypatch.setattr(making, "container", made)
    with pytest.raises(SystemExit) as ended:
        main(["run", "--rm", "base", "sh", "-c", "exit 7"], standalone_mode=False)
    assert seen and all(seen) and ended.value.code == 7 and not state.records()


def test_warnings_cannot_move_the_cursor(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SUITCASE_IMAGES", str(tmp_path / "images"))
    with Fake() as registry:
        registry.keep(made(architecture="\x1b[2Jamd65"))
        main(["pull", f"{registry.name}/a"], standalone_mode=False)
    assert "\\x1b[2Jamd65" in (err := capsys.readouterr().err) and "\x1b" not in err
    assert visible(os.fsdecode(b"a\xff\x1b")) == "a\\xff\\x1b"
