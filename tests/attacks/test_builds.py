"""Building in a stranger's folder, on a stranger's image, with a stranger's cache, from a stranger's server."""

from __future__ import annotations

import io
import mmap
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from helpers.needs import requires
from helpers.registries import Fake
from helpers.sites import Site, cached

from lib import beneath, linux, regularfile, state
from lib.build import Build, Options, changes, context, copying, filesteps, ignore, sharedcache
from lib.build.context import Memory
from lib.build.ignore import IgnoreError
from lib.build.stages import StageBuild
from lib.cli import errors, streams
from lib.dockerfile import DockerfileError, parser
from lib.images import Cache, ImageError
from lib.registry import pace

SECRET, MINE = "HOSTLINE a file of the host", "a file of my very own, so!!"  # as long as the other: no more is read than was listed


@pytest.fixture
def site(tmp_path):
    (tmp_path / "host").mkdir()
    (tmp_path / "host/shadow").write_text(SECRET)
    return Site(tmp_path)


# -- the owner of the context exchanges things while it is read -------------------------------


def exchange_folder(site: Site) -> None:
    if not (site.context / "d").is_symlink():
        (site.context / "d").rename(site.context / "was-d")
        (site.context / "d").symlink_to(site.top / "host")


def exchange_file(site: Site) -> None:
    if not (site.context / "d/shadow").is_symlink():
        (site.context / "d/shadow").unlink()
        (site.context / "d/shadow").symlink_to(site.top / "host/shadow")


def exchange_context(site: Site) -> None:
    if not site.context.is_symlink():
        site.context.rename(site.top / "was")
        site.context.symlink_to(site.top / "host")


def nothing_came(site: Site) -> None:
    """Neither into a layer nor into what stays beside it."""
    for path in Path(site.library.store.place).rglob("*"):
        if path.is_file() and not path.is_symlink():
            assert SECRET.encode() not in path.read_bytes(), path


@pytest.mark.parametrize("attack", [exchange_folder, exchange_file])
def test_exchanged_while_it_is_hashed_and_copied(site, monkeypatch, attack):
    """Each time first the one thing, then the other: the digest is that of the link's target, and so is the copy."""
    site.write("d/shadow", MINE)
    digest, copy_file = Memory.digest, changes.copy_file

    def hashing(self, file):
        if file.path == "d/shadow":
            attack(site)
        return digest(self, file)

    def copying_(real, *more):
        attack(site)
        copy_file(real, *more)

    monkeypatch.setattr(Memory, "digest", hashing)
    monkeypatch.setattr(changes, "copy_file", copying_)
    with pytest.raises(ImageError, match=r"put something else in its place|changed while it was being copied|is not in the build context"):
        site.build("FROM base\nCOPY . /x/")
    nothing_came(site)
    assert site.leftovers() == []


def test_exchanged_while_it_is_mounted(site, monkeypatch):
    """RUN --mount=type=bind shows a copy."""
    site.write("d/shadow", MINE)
    copy_file = changes.copy_file

    def copying_(real, *more):
        exchange_folder(site)
        copy_file(real, *more)

    monkeypatch.setattr(changes, "copy_file", copying_)
    built = site.build("FROM base\nRUN --mount=type=bind,target=/ctx cat /ctx/d/shadow > /seen || true")
    assert SECRET not in site.read(built, "seen")


def test_the_context_itself_is_exchanged(site, monkeypatch):
    """Whoever owns the folder above puts a link in its place, once the build has begun."""
    site.write("shadow", "mine")
    find = copying.find

    def later(tree, patterns):
        exchange_context(site)
        return find(tree, patterns)

    monkeypatch.setattr(copying, "find", later)
    assert site.read(site.build("FROM base\nCOPY shadow /x/"), "x/shadow") == "mine"


def test_the_context_itself_is_exchanged_once_its_Dockerfile_is_read(site, monkeypatch):
    site.write("Dockerfile", "FROM base\nCOPY shadow /x/\n")
    site.write("shadow", MINE)
    read_from = parser.read_from

    def later(*words):
        exchange_context(site)
        return read_from(*words)

    monkeypatch.setattr(parser, "read_from", later)
    assert site.read(site.build(None), "x/shadow") == MINE


@pytest.mark.parametrize("name", ["Dockerfile", ".dockerignore", "Dockerfile.dockerignore"])
def test_a_file_of_the_hosts_seems_to_lie_in_the_context(site, monkeypatch, name):
    """A link of the context leads to it; once it is open, the context's own path leads there, too."""
    site.write("Dockerfile", "FROM base\nCOPY . /x/\n")
    (site.context / name).unlink(missing_ok=True)
    (site.context / name).symlink_to(site.top / "host/shadow")
    refuse = regularfile.refuse

    def later(about, path):
        if os.path.basename(path) == name:
            exchange_context(site)
        refuse(about, path)

    monkeypatch.setattr(regularfile, "refuse", later)
    with pytest.raises((ImageError, IgnoreError), match="leads out of the build context") as told:
        site.build(None)
    assert "HOSTLINE" not in str(told.value)


def test_f_names_a_Dockerfile_behind_a_link_of_the_contexts(site):
    (site.top / "host/Dockerfile").write_text(f"{SECRET}\n")
    (site.context / "docker").symlink_to(site.top / "host")
    with pytest.raises(ImageError, match="leads out of the build context"):
        site.build(None, file=f"{site.context}/docker/Dockerfile")


def test_what_another_thread_closes_is_still_held(site, monkeypatch):
    """Stages side by side share the open folders of their context: a number that was closed would be another folder, or none."""
    (site.context / "d").mkdir()
    (site.top / "other/d").mkdir(parents=True)
    way, openat2, others = beneath.Way(), linux.openat2, []

    def later(*words):
        way.close()
        others.append(os.open(site.top / "other", os.O_PATH))  # the number that is free now, if one is
        return openat2(*words)

    monkeypatch.setattr(linux, "openat2", later)
    found = os.fstat(way.folder(str(site.context), "d").fd)
    os.close(*others)
    assert os.path.samestat(found, os.stat(site.context / "d"))


# -- the owner of the context puts a layer into the cache under the key of another content ---------

GOOD_TOOL, EVIL_TOOL = b"good program\n" * 400, b"EVIL program\n" * 400


def fill(folder: Path) -> None:
    folder.mkdir()
    for name in ("check", "tool"):
        (folder / name).write_bytes(GOOD_TOOL)
    (folder / "tool").chmod(0o755)
    (folder / "link").symlink_to("check")


def other_bytes(folder: Path) -> None:
    (folder / "tool").write_bytes(EVIL_TOOL)


def other_mode(folder: Path) -> None:
    (folder / "tool").chmod(0o4755)


def other_target(folder: Path) -> None:
    (folder / "link").unlink()
    (folder / "link").symlink_to("/etc/passwd")


def one_less(folder: Path) -> None:
    (folder / "check").unlink()


def one_more(folder: Path) -> None:
    (folder / "more").symlink_to("/etc/passwd")


def folder_more(folder: Path) -> None:
    (folder / "more").mkdir()


def exchange_all(folder: Path) -> None:
    """Every file is one that was hashed, too: for another source."""
    folder.rename(folder.with_name("was"))
    folder.symlink_to("e")


def meanwhile(monkeypatch, deed) -> None:
    """Do it once the key is known, and so that stat(2) says nothing of a file's new content."""
    carry_out = StageBuild.carry_out

    def later(self, *words):
        deed()
        return carry_out(self, *words)

    monkeypatch.setattr(StageBuild, "carry_out", later)
    monkeypatch.setattr(Memory, "knows", lambda *words: True)


SHOWN = "RUN --mount=type=bind,source={},target=/ctx cp -a /ctx /x"
CHANGES = [other_bytes, other_mode, other_target, one_less, one_more, folder_more, exchange_all]
CHANGED = [(take, change) for take in ("COPY d /x/", "COPY --parents d /x/", "ADD d e /x/", SHOWN.format("d")) for change in CHANGES]
CHANGED += [("COPY d/t* /x/", other_bytes), ("COPY d/* /x/", one_less), (SHOWN.format("d/tool"), other_bytes)]


@requires("root", "overlay")
@pytest.mark.parametrize(("take", "change"), CHANGED)
def test_changed_between_its_hashing_and_its_copy(site, monkeypatch, take, change):
    fill(site.context / "d")
    fill(site.context / "e")
    (site.context / "e/check").write_text("other")
    meanwhile(monkeypatch, lambda: change(site.context / "d"))
    with pytest.raises(ImageError, match=r"changed while it was being copied|put something else in its place"):
        site.build(f"FROM base\n{take}")
    monkeypatch.undo()
    for name in ("d", "was"):
        path = site.context / name
        path.unlink() if path.is_symlink() else shutil.rmtree(path, ignore_errors=True)
    fill(site.context / "d")
    built = site.build(f"FROM base\n{take}")
    assert cached(built) == [False] and site.leftovers() == []


def archive_of(content: bytes) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        info = tarfile.TarInfo("tool")
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
    return made.getvalue()


@pytest.mark.parametrize("evil", [archive_of(EVIL_TOOL), b"no archive".ljust(len(archive_of(GOOD_TOOL)))])
def test_an_archive_changed_between_its_hashing_and_its_unpacking(site, monkeypatch, evil):
    place = site.write("a.tar", archive_of(GOOD_TOOL))
    meanwhile(monkeypatch, lambda: place.write_bytes(evil))
    with pytest.raises(ImageError, match=r"'a.tar' changed while it was being copied"):
        site.build("FROM base\nADD a.tar /x/")
    monkeypatch.undo()
    place.write_bytes(archive_of(GOOD_TOOL))
    assert site.read(site.build("FROM base\nADD a.tar /x/"), "x/tool").encode() == GOOD_TOOL and site.leftovers() == []


def test_an_archive_that_is_excluded_is_not_unpacked(site):
    """Its content is in no key: the next one would get the first one's."""
    for content in (EVIL_TOOL, GOOD_TOOL):
        site.write("a.tar", archive_of(content))
        assert not [path for path in site.tree(site.build("FROM base\nADD --exclude=*.tar a.tar /x/")) if path.startswith("x/")]


def test_changed_through_a_mapping(site, monkeypatch):
    """A page that is dirty already is written to without any time stamp: the digest of the build before seems to be its own."""
    monkeypatch.setattr(context, "MOMENT", 0)  # a digest is kept at once
    place = site.write("tool", GOOD_TOOL)
    with open(place, "r+b") as file, mmap.mmap(file.fileno(), 0) as pages:
        pages[:] = GOOD_TOOL
        os.utime(place)
        site.build("FROM base\nCOPY tool /elsewhere/")
        pages[:] = EVIL_TOOL
        with suppress(ImageError):
            site.build("FROM base\nCOPY tool /x/")
        assert site.read(site.build("FROM base\nCOPY tool /x/"), "x/tool").encode() == EVIL_TOOL  # "build again"
    place.write_bytes(GOOD_TOOL)
    assert site.read(site.build("FROM base\nCOPY tool /x/"), "x/tool").encode() == GOOD_TOOL


def remembered(site: Site) -> list[str]:
    """Build, and say what was remembered of the build before."""
    job = Build(site.library, Options(str(site.context), text="FROM scratch\nCOPY . /\n"))
    before = sorted(job.context.memory.before)
    job.run()
    return before


@contextmanager
def disk(place: Path):
    """Another one each time. Whoever made it chose its inodes and times."""
    place.mkdir(exist_ok=True)
    linux.mount("tmpfs", str(place), "tmpfs")
    try:
        (place / "tool").write_bytes(GOOD_TOOL)
        yield
    finally:
        linux.umount(str(place))


@requires("root")
def test_what_is_remembered_of_a_disk_is_not_believed_of_another_one(site, monkeypatch):
    monkeypatch.setattr(context, "MOMENT", 0)
    for _ in range(2):
        with disk(site.context):
            assert remembered(site) == []
            assert remembered(site) == (["tool"] if linux.mount_id(0) else [])
        with disk(site.context), monkeypatch.context() as old:
            old.setattr(linux, "mount_id", lambda fd: None)  # before Linux 6.8
            assert remembered(site) == remembered(site) == []
    site.write("ours")
    for _ in range(2):
        with disk(site.context / "d"):
            remembered(site)
            assert remembered(site) == ["ours"]


# -- what is no file ----------------------------------------------------------------------------


def command(site: Site, *words: str, **how) -> subprocess.CompletedProcess:
    """In time, or the test fails."""
    given = os.environ | {"SUITCASE_IMAGES": str(site.library.store.place)}
    line = [sys.executable, "-m", "lib.cli", "build", *words, str(site.context)]
    return subprocess.run(line, env=given, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, **how)


def test_a_Dockerfile_that_leads_out_of_the_context(site):
    (site.top / "host/Dockerfile").write_text(f"{SECRET}\n")
    (site.context / "Dockerfile").symlink_to(site.top / "host/Dockerfile")
    done = command(site)
    assert done.returncode == 1 and "HOSTLINE" not in done.stderr and "leads out of the build context" in done.stderr
    (site.top / "host/Dockerfile").write_text("FROM base\n")
    assert command(site, "-f", str(site.top / "host/Dockerfile")).returncode == 0  # whoever names it means it
    assert "leads out" in command(site, "-f", str(site.context / "Dockerfile")).stderr  # and not what a link makes of it
    (site.context / "Dockerfile").unlink()
    (site.context / "Dockerfile").symlink_to("docker/real")
    site.write("docker/real", "FROM base\n")
    assert command(site).returncode == 0
    (site.context / "Dockerfile").unlink()
    (site.context / "Dockerfile").symlink_to(site.context / "docker/real")
    assert command(site).returncode == 0


@pytest.mark.parametrize("name", [".dockerignore", "Dockerfile.dockerignore", "docker/Dockerfile.dockerignore"])
def test_rules_that_lead_out_of_the_context(site, name):
    """Which files came into the image would tell what stands in the host's file; so would the words about a line that is no rule."""
    for path in ("Dockerfile", "docker/Dockerfile", "7350", "7351"):
        site.write(path, "FROM scratch\nCOPY . /\n")
    (site.top / "host/pin").write_text("7351\n[HOSTLINE\n")
    (site.context / name).symlink_to(site.top / "host/pin")
    path = site.context / (name.removesuffix(".dockerignore") or "Dockerfile")
    done = command(site, "-f", str(path))
    assert done.returncode == 1 and "HOSTLINE" not in done.stderr and f"{name} leads out of the build context" in done.stderr


def test_rules_of_another_context_that_lead_out_of_it(site, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other/.dockerignore").symlink_to(site.top / "host/shadow")
    with pytest.raises(ignore.IgnoreError, match="leads out of the build context"):
        site.build("FROM scratch\nCOPY --from=other . /\n", contexts={"other": str(tmp_path / "other")})


def test_rules_behind_a_link_that_stays_inside(site):
    """Or beside a Dockerfile that lies elsewhere, where whoever made the context puts nothing."""
    site.write("rules", "b\n")
    site.write("a")
    site.write("b")
    (site.context / ".dockerignore").symlink_to("rules")
    assert set(site.tree(site.build("FROM scratch\nCOPY a* b* /x/\n"))) == {"x", "x/a"}
    (site.top / "host/Dockerfile").write_text("FROM scratch\nCOPY a* b* /x/\n")
    (site.top / "host/Dockerfile.dockerignore").write_text("a\n")
    assert command(site, "-t", "told", "-f", str(site.top / "host/Dockerfile")).returncode == 0
    assert set(site.tree(site.library.find("told"))) == {"x", "x/b"}


def pipe(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    os.mknod(path, 0o20666, os.makedev(1, 5))  # /dev/zero has no end


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(path))


@requires("root")
@pytest.mark.parametrize("make, what", [(pipe, "named pipe"), (device, "device"), (a_socket, "socket")])
def test_a_Dockerfile_that_is_no_file(site, make, what):
    make(site.context / "Dockerfile")
    for words in ((), ("-f", str(site.context / "Dockerfile"))):
        done = command(site, *words)
        assert done.returncode == 1 and f"it is a {what}, and only a regular file is read" in done.stderr


@requires("root")
@pytest.mark.parametrize("make", [pipe, device, a_socket])
@pytest.mark.parametrize("name", [".dockerignore", "Dockerfile.dockerignore"])
def test_rules_that_are_no_file(site, make, name):
    site.write("Dockerfile", "FROM base\nCOPY Dockerfile /\n")
    make(site.context / name)
    assert command(site).returncode == 0


@requires("root")
@pytest.mark.parametrize("make", [pipe, device, a_socket])
@pytest.mark.parametrize("verb", ["COPY", "ADD"])
def test_a_source_that_is_no_file(site, make, verb):
    """A pipe and a device are copied as what they are, a socket not at all: as before, but nothing is opened."""
    site.write("Dockerfile", f"FROM base\n{verb} f /x/\n{verb} . /y/\n")
    make(site.context / "f")
    assert command(site).returncode == 0


@requires("root")
def test_a_cache_that_is_a_pipe(site, tmp_path):
    site.write("Dockerfile", "FROM base\nRUN true\n")
    (tmp_path / "cache").mkdir()
    pipe(tmp_path / "cache/index.json")
    done = command(site, "--cache-from", f"type=local,src={tmp_path}/cache")
    assert done.returncode == 0 and "is left out: " in done.stderr


def test_a_shell_may_still_hand_in_its_own_pipe(site):
    """build -f <(sed …): the descriptor is the caller's."""
    reading, writing = os.pipe()
    os.write(writing, b"FROM base\n")
    os.close(writing)
    assert command(site, "-f", f"/dev/fd/{reading}", pass_fds=[reading]).returncode == 0
    os.close(reading)


# -- a server -----------------------------------------------------------------------------------


class Pool:
    """Answers as if by https, without a certificate."""

    def __init__(self, *answers):
        self.answers, self.asked = list(answers), []

    def __call__(self):
        return self

    __enter__ = __call__

    def __exit__(self, *error):
        pass

    def request(self, method, url, **how):
        if how.get("redirect", True):  # what urllib3 would do
            how["redirect"] = False
            answer = self.request(method, url, **how)
            return self.request(method, answer.headers["Location"], **how) if answer.status == 302 else answer
        self.asked.append(url)
        return self.answers.pop(0)


class Answer(io.BytesIO):
    def __init__(self, status: int, body: bytes = b"", **headers: str):
        super().__init__(body)
        self.status, self.reason, self.headers = status, "", headers


def test_ADD_does_not_follow_from_https_to_http(tmp_path, monkeypatch):
    pool = Pool(Answer(302, Location="http://evil.example/f"), Answer(200, b"changed on the way"))
    monkeypatch.setattr("urllib3.PoolManager", pool)
    with pytest.raises(ImageError, match="from https to http://evil"):
        copying.download("https://example/f", str(tmp_path))
    assert pool.asked == ["https://example/f"]


def test_ADD_follows_what_is_harmless(site):
    with Fake() as server:
        server.on = {
            "GET /a": lambda handler: handler.say(302, Location="/b"),
            "GET /b": lambda handler: handler.say(200, b"content"),
            "GET /loop": lambda handler: handler.say(302, Location="/loop"),
            "GET /file": lambda handler: handler.say(302, Location="file:///etc/passwd"),
        }
        assert site.read(site.build(f"FROM base\nADD http://{server.name}/a /x/"), "x/a") == "content"
        with pytest.raises(ImageError, match="redirects: a loop"):
            site.build(f"FROM base\nADD http://{server.name}/loop /x/")
        with pytest.raises(ImageError, match="only http and https are followed"):
            site.build(f"FROM base\nADD http://{server.name}/file /x/")


def test_a_download_that_never_ends(site, monkeypatch):
    """A byte now and then, each well in time; or what comes behind the file has no end."""
    monkeypatch.setattr(pace, "SILENCE", 0.2)

    def forever(handler, begin: bytes, more: bytes) -> None:
        handler.close_connection = True
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n" + begin)
        while True:
            handler.wfile.write(more)
            time.sleep(0.01)

    with Fake() as server:
        server.on |= {
            "GET /slow": lambda handler: forever(handler, b"Content-Length: 1000000\r\n\r\n", b" "),
            "GET /more": lambda handler: forever(handler, b"Transfer-Encoding: chunked\r\n\r\n1\r\n \r\n0\r\n", b"A: b\r\n" * 100),
        }
        for path in ("slow", "more"):
            with pytest.raises(ImageError, match="Read timed out"):
                site.build(f"FROM base\nADD http://{server.name}/{path} /x/")
    assert site.leftovers() == []


# -- an image -----------------------------------------------------------------------------------

TRIGGER = "FROM base\nONBUILD RUN --mount=type=secret,id=npm,{} cat /run/secrets/npm > /stolen 2>/dev/null || true\n"


def evil_base(site: Site, how: str) -> None:
    site.build(TRIGGER.format(how), tags=("evil",))


@requires("root", "overlay")
def test_a_trigger_gets_no_secret_that_the_dockerfile_does_not_name(site, tmp_path):
    (tmp_path / "npm").write_text(SECRET)
    evil_base(site, "required=false")
    job = Build(site.library, Options(str(site.context), text="FROM evil\n", secrets={"npm": str(tmp_path / "npm")}))
    built = job.run()
    assert SECRET not in site.read(built, "stolen") and "asks for the secret npm" in job.warnings[0]
    nothing_came(site)
    evil_base(site, "required=true")
    with pytest.raises(ImageError, match="asks for the secret npm: it gets none that the Dockerfile does not name"):
        site.build("FROM evil\n", secrets={"npm": str(tmp_path / "npm")}, no_cache=True)
    named = "FROM evil\nRUN --mount=type=secret,id=npm true\n"
    assert SECRET in site.read(site.build(named, secrets={"npm": str(tmp_path / "npm")}, no_cache=True), "stolen")


@requires("root", "overlay")
def test_a_trigger_gets_no_agent_either(site, tmp_path):
    with socket.socket(socket.AF_UNIX) as agent:
        agent.bind(str(tmp_path / "agent"))
        site.build('FROM base\nONBUILD RUN --mount=type=ssh test -S "$SSH_AUTH_SOCK" && touch /had || true\n', tags=("evil",))
        built = site.build("FROM evil\n", ssh=str(tmp_path / "agent"))
        assert "had" not in site.tree(built)
        named = site.build("FROM evil\nRUN --mount=type=ssh true\n", ssh=str(tmp_path / "agent"), no_cache=True)
        assert "had" in site.tree(named)


@requires("root", "overlay")
def test_a_trigger_of_the_same_file_is_our_own(site, tmp_path):
    (tmp_path / "npm").write_text("ours")
    text = "FROM base AS one\nONBUILD RUN --mount=type=secret,id=npm cp /run/secrets/npm /has\nFROM one\n"
    assert site.read(site.build(text, secrets={"npm": str(tmp_path / "npm")}), "has") == "ours"


@requires("root", "overlay")
def test_a_named_context_alone_has_no_triggers(site):
    """COPY --from takes files. Who builds on it wants the triggers, whatever name the image has there."""
    site.write("private", "mine")
    site.build("FROM base\nONBUILD COPY private /stolen\nONBUILD RUN touch /ran\n", tags=("evil",))
    given = {"tools": "docker-image://evil"}
    copied = site.tree(site.build("FROM base\nCOPY --from=tools / /t/\n", contexts=given))
    assert "t/bin" in copied and not {"t/stolen", "t/ran"} & copied.keys()
    seen = "FROM base\nRUN --mount=type=bind,from=tools,target=/t ls /t > /seen\n"
    assert "stolen" not in site.read(site.build(seen, contexts=given), "seen")
    replaced = "FROM base AS tools\nFROM base\nCOPY --from=tools / /t/\n"
    assert not {"t/stolen", "t/ran"} & site.tree(site.build(replaced, contexts=given)).keys()
    for name in ("tools", "evil"):
        assert {"stolen", "ran"} <= site.tree(site.build(f"FROM {name}\n", contexts=given)).keys()


@requires("root", "overlay")
def test_no_RUN_overrules_the_network_of_the_command_line(site):
    site.build("FROM base\nONBUILD RUN --network=host ip -o link > /a\n", tags=("evil",))
    for text in ("FROM base\nRUN --network=host ip -o link > /a\n", "FROM evil\n"):
        site.build(text)  # nor is it taken from the cache
        with pytest.raises(DockerfileError, match="RUN --network=host is not allowed: the build was started with --network none"):
            site.build(text, network="none")
    for word in ("none", "default"):
        assert site.read(site.build(f"FROM base\nRUN --network={word} ip -o link | wc -l > /a\n", network="none"), "a") == "1\n"


@requires("root", "overlay")
def test_what_an_image_shows_has_neither_devices_nor_setuid_programs(site):
    mounts = [
        f"--mount=type={kind},from=base,source=/bin,target=/{kind}{more}" for kind in ("bind", "cache") for more in ("", "2,ro", "3,rw")
    ]
    built = site.build(f"FROM base\nRUN {' '.join(mounts)} cat /proc/self/mountinfo > /seen\n")
    found = {line.split()[4]: line.split()[5] for line in site.read(built, "seen").splitlines()}
    shown = {target: options for target, options in found.items() if target.startswith(("/bind", "/cache"))}
    assert len(shown) == 6 and all({"nodev", "nosuid"} <= {*options.split(",")} for options in shown.values()), shown
    assert [target for target, options in shown.items() if "ro" in options.split(",")] == ["/bind", "/bind2", "/cache2"]


@requires("root", "overlay")
@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("text", ["COPY --from=tools /tool /x", "RUN --mount=type=bind,from=tools,target=/t cp /t/tool /x"])
def test_a_name_is_one_image_for_the_length_of_a_build(site, text, times):
    """A registry that answers with a well-known image, and with its own the next time, gets nothing under the well-known one's key."""
    for name in ("good", "evil"):
        site.build(f"FROM base\nRUN echo {name} > /tool\n", tags=(name,))
    answers = ["good"] * times + ["evil"] * 9
    wanted = {"base": lambda: "base", "tools": lambda: answers.pop(0), "good": lambda: "good"}
    given = {"resolve": lambda name, **how: site.library.find(wanted[name]())}
    assert site.read(site.build(f"FROM base\n{text}\n", **given), "x") == "good\n"
    built = site.build(f"FROM base\n{text.replace('tools', 'good')}\n", **given)
    assert site.read(built, "x") == "good\n" and cached(built) == [True]


# -- a cache ------------------------------------------------------------------------------------

GOOD, EVIL = "FROM base\nRUN echo good > /tool", "FROM base\nRUN echo evil > /tool"


@pytest.fixture
def forged(site, tmp_path) -> str:
    """A cache whose record of the good command has the evil one's layer."""
    attacker = Site(tmp_path / "attacker")
    attacker.build(GOOD)
    attacker.build(EVIL)
    records = Cache(attacker.library.store).records()
    good, evil = (next(one for one in records if word in one.text) for word in ("good", "evil"))
    good.layer = evil.layer
    with attacker.library.store.using():
        sharedcache.export(f"type=local,dest={tmp_path}/cache", attacker.library.store, [good], {})
    return f"type=local,src={tmp_path}/cache"


@requires("root", "overlay")
def test_a_record_from_elsewhere_answers_only_who_names_the_source(site, forged, tmp_path, monkeypatch):
    assert site.read(site.build(GOOD, cache_from=(forged,)), "tool") == "evil\n"  # who names it has believed it
    monkeypatch.chdir(tmp_path)
    again = site.build(GOOD, cache_from=("type=local,src=cache",))  # the same folder, written otherwise
    assert cached(again) == [True]
    other = tmp_path / "elsewhere"
    other.mkdir()
    monkeypatch.chdir(other)  # another folder, written alike
    assert site.read(site.build(GOOD, cache_from=("type=local,src=cache",)), "tool") == "good\n"
    assert site.read(site.build(GOOD), "tool") == "good\n"


@requires("root", "overlay")
def test_a_record_from_elsewhere_keeps_its_layer(site, forged):
    """As long as it may answer, gc leaves what it leads to."""
    site.build(GOOD, cache_from=(forged,))
    for one in site.library.images():
        if not one.names:
            site.library.remove(one.id, True)
    site.library.gc()
    assert cached(site.build(GOOD, cache_from=(forged,))) == [True]
    assert Cache(site.library.store).prune() == 1


@requires("root", "overlay")
def test_a_fact_from_elsewhere_does_not_stay(site, tmp_path, monkeypatch):
    """What COPY --from would copy is a fact: who may say it, may say that it is something else's content."""
    text = "FROM base AS one\nRUN echo 1 > /a\nFROM base\nCOPY --from=one /a /b"
    forged, key = "0" * 64, filesteps.key

    class Elsewhere:
        source, facts = "folder /x", {}

        def find(self, wanted):
            return None

    def asking(parts):
        found = key(parts)
        Elsewhere.facts[found] = forged
        return found

    monkeypatch.setattr(filesteps, "key", asking)
    job = Build(site.library, Options(str(site.context), text=text))
    job.cache.others = [Elsewhere()]
    job.run()
    assert forged not in {path.read_text().strip('"') for path in (site.library.store.place / "facts").glob("*")}


# -- a context on the standard input --------------------------------------------------------------


def test_a_context_from_standard_input_lies_where_nobody_else_comes():
    """There may be programs in it that run as root for whoever starts them, and its top folder is as open as the stranger likes."""
    with streams.apart() as place:
        os.chmod(place, 0o777)
        assert os.stat(Path(place).parent).st_mode & 0o077 == 0
        (facts,) = [facts for facts in state.records() if facts["id"] == os.path.basename(place)]
        assert facts["undos"] == [["rmtree", place]]
    assert not os.path.exists(place)


def test_a_dockerfile_without_an_end_on_the_standard_input():
    with subprocess.Popen(["yes"], stdout=subprocess.PIPE) as endless:
        done = subprocess.run(
            ["bash", "-c", "ulimit -v 2000000; exec $0 -m lib.cli build -", sys.executable],
            stdin=endless.stdout, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        endless.kill()
    assert done.returncode == 1 and "larger than 1048576 characters" in done.stderr, done.stderr


# -- a Dockerfile that makes much out of little ---------------------------------------------------

GROWN = "ENV a=" + "x" * 1000 + "\nENV a=" + "$a" * 30 + "\nENV a=" + "$a" * 30 + "\n"  # 900,000 characters

MUCH = {
    "words of the config": GROWN + "LABEL b=$a\n" * 100,
    "users": GROWN + "USER $a\n" * 100,
    "arguments": GROWN + "".join(f"ARG a{number}=$a\n" for number in range(100)),
    "folders": GROWN + "WORKDIR /$a\n" * 100,
    "files": GROWN + "COPY <<E /x\n$a\nE\n" * 100,
    "what a RUN sees": GROWN + "RUN true\n" * 100,
    "stages": "".join(f"AS s{number}\nCOPY --from=s{number + 1} / /\n{GROWN}FROM scratch " for number in range(40)) + "AS s40\n",
    "triggers": "".join(f"ONBUILD {line}\n" for line in (GROWN + "LABEL b=$a\n" * 100).splitlines()),
}


@pytest.mark.parametrize("text", MUCH.values(), ids=MUCH)
def test_a_short_dockerfile_cannot_fill_the_memory(site, text):
    """In a dry run, where nothing but words is made; each of these would come to a gigabyte with ten times as many lines."""
    if text.startswith("ONBUILD"):
        site.build(f"FROM scratch\n{text}", tags=("wordy",))
        text = "FROM wordy\n"
    text = text if text.startswith("FROM") else f"FROM scratch {text}" if text.startswith("AS") else f"FROM scratch\n{text}"
    with pytest.raises(parser.DockerfileError, match="come to more than 33554432 characters up to here"):
        site.plan(text, target="s0" if " s0" in text else None)


def test_arguments_before_the_first_stage_cannot_fill_the_memory(site):
    text = "ARG a=" + "x" * 60_000 + "".join(f"\nARG a{number}=$a" for number in range(30))
    with pytest.raises(parser.DockerfileError, match="the ARGs up to here come to more than 1048576 characters"):
        site.plan(f"{text}\nFROM scratch\n")


def test_many_stages_on_a_wordy_image_cannot_fill_the_memory(site):
    site.build("FROM scratch\nLABEL" + f" {'a' * 60_000}=b" + "\n", labels={"b": "x" * 1_000_000}, tags=("wordy",))
    stages = "".join(f"FROM wordy AS s{number}\nCOPY --from=s{number + 1} / /\n" for number in range(40))
    with pytest.raises(parser.DockerfileError, match="come to more than 33554432 characters up to here"):
        site.plan(f"{stages}FROM wordy AS s40\n", target="s0")


def test_no_memory_is_one_line():
    with pytest.raises(errors.Failed, match=r"^there is not enough memory for this$"), errors.errors():
        raise MemoryError
