"""RUN: what a --mount shows, what stays of it in the image (nothing), and how a build ends when it ends badly."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from helpers.interrupts import interrupted
from helpers.needs import requires
from helpers.sites import cached
from helpers.waiting import wait_for

from lib import process, state
from lib.build import Build, BuildError
from lib.build.builder import Options
from lib.dockerfile import DockerfileError
from lib.network import Connection

pytestmark = requires("root", "overlay", "busybox")
ROOT = Path(__file__).resolve().parents[2]


def test_what_was_made_at_the_end_of_a_link_to_nowhere_is_in_no_layer(site):
    """The container's own resolv.conf, and a cache, hang on something new there; afterwards it is empty, and nobody's."""
    site.write("links/etc/resolv.conf")
    (site.context / "links/etc/resolv.conf").unlink()
    (site.context / "links/etc/resolv.conf").symlink_to("../run/stub/resolv.conf")
    (site.context / "links/cache").symlink_to("fresh/deep/cache")
    text = "FROM base\nCOPY links /\nRUN --mount=type=cache,target=/cache test -s /run/stub/resolv.conf && touch /cache/x /mine\n"
    assert set(site.top_layer(site.build(text))) == {"mine"}


# -- mounts ---------------------------------------------------------------------------------


def test_a_cache_stays_from_build_to_build(site):
    text = "FROM base\nRUN --mount=type=cache,target=/c echo {0} >> /c/log; cat /c/log > /a\n"
    assert site.read(site.build(text.format(1)), "a") == "1\n"
    second = site.build(text.format(2))
    assert site.read(second, "a") == "1\n2\n" and set(site.top_layer(second)) == {"a"}


def test_a_cache_has_the_owner_that_is_asked_for(site):
    built = site.build("FROM base\nRUN --mount=type=cache,target=/c,uid=5,gid=6,mode=0700 stat -c '%u %g %a' /c > /a\n")
    assert site.read(built, "a") == "5 6 700\n"


def test_an_id_tells_caches_apart(site):
    text = "FROM base\nRUN --mount=type=cache,target=/c,id=one touch /c/x\nRUN --mount=type=cache,target={0},id={1} ls {0} > /a\n"
    assert site.read(site.build(text.format("/d", "one")), "a") == "x\n"
    assert site.read(site.build(text.format("/c", "two")), "a") == ""


SEEDED = "FROM base AS tools\nRUN mkdir -p /seed/d && echo {0} > /seed/d/tool && ln /seed/d/tool /seed/same\nFROM base\n"


def test_a_new_cache_begins_as_a_copy(site):
    text = (
        SEEDED
        + "RUN --mount=type=cache,target=/c,from=tools,source=/seed{1} cat /c/*/* /c/same > /a; echo {2} >> /c/log; cat /c/log >> /a\n"
    )
    assert site.read(site.build(text.format(1, "", 1)), "a") == "1\n1\n1\n"
    assert site.read(site.build(text.format(1, "", 2)), "a") == "1\n1\n1\n2\n"  # it is the same cache, and keeps what was put into it
    assert site.read(site.build(text.format(3, "", 2)), "a") == "3\n3\n2\n"  # the stage has changed: another cache
    site.build("FROM base\nCOPY <<tool /d/\nimage\ntool\n", tags=("seed:1",))
    image = "FROM base\nRUN --mount=type=cache,target=/c,from=seed:1,uid=5,mode=700 cat /c/d/tool > /a; stat -c '%u %a' /c >> /a\n"
    assert site.read(site.build(image), "a") == "image\n5 700\n"


@pytest.mark.parametrize(
    "mount,words",
    [
        ("from=tools,source=/seed/same", "the cache /c cannot begin as /seed/same of tools: that is not a folder"),
        ("from=tools,source=/none", "'/none' is not in the stage or image 'tools'"),
        ("source=/seed", "type=cache has a source and no from"),
    ],
)
def test_a_cache_that_cannot_begin(site, mount, words):
    with pytest.raises((BuildError, DockerfileError), match=words):
        site.build(f"{SEEDED.format(1)}RUN --mount=type=cache,target=/c,{mount} true\n")
    place = site.library.store.place / "mounts"
    assert not place.exists() or os.listdir(place) == []


TAKE = "RUN --mount=type=cache,target=/c,sharing={0} mkdir /c/in && sleep {1} && rmdir /c/in\n"


@pytest.mark.parametrize("sharing", ["locked", "private"])
def test_a_cache_that_is_not_shared(site, sharing):
    """Two at once in one folder would meet."""
    take = TAKE.format(sharing, 0.2 if sharing == "locked" else 3)  # private: the second begins while the first is at it
    site.build(f"FROM base AS one\n{take}FROM base AS two\n{take}FROM scratch\nCOPY --from=one /etc /1\nCOPY --from=two /etc /2\n")
    assert len(list((site.library.store.place / "mounts").iterdir())) == (1 if sharing == "locked" else 2)


def test_bind_shows_the_context_without_what_is_ignored(site):
    site.write("a", "1")
    site.write("b.log", "2")
    site.write(".dockerignore", "*.log\n")
    built = site.build("FROM base\nRUN --mount=target=/src ls /src > /ls; cat /src/a > /a; touch /src/new 2> /dev/null || echo no > /no\n")
    assert site.read(built, "ls") == "a\n" and site.read(built, "a") == "1" and site.read(built, "no") == "no\n"
    assert set(site.top_layer(built)) == {"ls", "a", "no"}


def test_what_is_written_to_a_bind_is_thrown_away(site):
    site.write("a", "1")
    built = site.build("FROM base\nRUN --mount=target=/src,rw echo 2 > /src/a && echo 3 > /src/new && cat /src/a > /a\n")
    assert site.read(built, "a") == "2\n" and (site.context / "a").read_text() == "1" and os.listdir(site.context) == ["a"]
    assert set(site.top_layer(built)) == {"a"}


def test_a_bind_counts_by_its_content(site):
    site.write("d/a", "1")
    site.write("e", "1")
    text = "FROM base\nRUN --mount=source=d,target=/src cat /src/a > /a\n"
    site.build(text)
    site.write("e", "2")
    assert cached(site.build(text)) == [True]
    site.write("d/a", "2")
    again = site.build(text)
    assert cached(again) == [False] and again.steps[-1].why == ["mounts: a --mount shows something else"]


def test_a_single_file_can_be_bound(site):
    site.write("a", "1")
    built = site.build("FROM base\nRUN --mount=source=a,target=/x/y cat /x/y > /b\n")
    assert site.read(built, "b") == "1" and set(site.top_layer(built)) == {"b"}


SECRET = "hunter2-is-no-password"


@pytest.fixture
def secret(tmp_path):
    (tmp_path / "secret").write_text(SECRET)
    return {"token": str(tmp_path / "secret")}


def everywhere(site) -> bytes:
    """Every byte of the store, and of the layers in it."""
    return b"".join(path.read_bytes() for path in site.library.store.place.rglob("*") if path.is_file() and not path.is_symlink())


def test_a_secret_is_seen_and_stays_nowhere(site, secret):
    text = "FROM base\nRUN --mount=type=secret,id=token wc -c < /run/secrets/token > /n; stat -c '%a %u' /run/secrets/token > /m\n"
    built = site.build(text, secrets=secret)
    assert site.read(built, "n") == f"{len(SECRET)}\n" and site.read(built, "m") == "400 0\n"
    assert set(site.top_layer(built)) == {"n", "m"}
    assert SECRET.encode() not in everywhere(site)
    Path(secret["token"]).write_text("another")
    assert cached(site.build(text, secrets=secret)) == [True]


def test_a_secret_for_somebody_and_as_a_variable(site, secret):
    text = (
        "FROM base\nRUN --mount=type=secret,id=token,target=/s,mode=0440,uid=5,gid=6 stat -c '%a %u %g' /s > /a\n"
        "RUN --mount=type=secret,id=token,env=TOKEN test ! -e /run/secrets/token && echo ${#TOKEN} > /b\nRUN echo [$TOKEN] > /c\n"
    )
    built = site.build(text, secrets=secret)
    assert [site.read(built, name) for name in "abc"] == ["440 5 6\n", f"{len(SECRET)}\n", "[]\n"]
    assert SECRET.encode() not in everywhere(site)


def test_a_secret_is_named_by_its_source_too(site, secret):
    built = site.build("FROM base\nRUN --mount=type=secret,source=token,target=/s wc -c < /s > /n\n", secrets=secret)
    assert site.read(built, "n") == f"{len(SECRET)}\n"


def test_a_secret_that_was_not_given(site):
    assert (
        site.read(site.build("FROM base\nRUN --mount=type=secret,id=token ls /run/secrets > /a 2>&1 || echo none > /a\n"), "a") == "none\n"
    )
    with pytest.raises(BuildError, match=r"(?s)Dockerfile:2:1: secret token was not given.*--secret id=token"):
        site.build("FROM base\nRUN --mount=type=secret,id=token,required true\n")


def test_ssh(site, tmp_path):
    import socket

    text = "FROM base\nRUN --mount=type=ssh test -S $SSH_AUTH_SOCK && echo $SSH_AUTH_SOCK > /a\nRUN echo [$SSH_AUTH_SOCK] > /b\n"
    with socket.socket(socket.AF_UNIX) as agent:
        agent.bind(str(tmp_path / "agent"))
        built = site.build(text, ssh=str(tmp_path / "agent"))
    assert site.read(built, "a") == "/run/buildkit/ssh_agent.0\n" and site.read(built, "b") == "[]\n" and "run" not in site.tree(built)
    with pytest.raises(BuildError, match="no ssh agent was given"):
        site.build("FROM base\nRUN --mount=type=ssh,required true\n")


def test_an_ssh_agent_has_a_name(site, tmp_path):
    import socket

    text = "FROM base\nRUN --mount=type=ssh,id={0} --mount=type=ssh,id={1},uid=5 ls -d /run/buildkit/* > /a 2> /dev/null || true\n"
    with socket.socket(socket.AF_UNIX) as agent:
        agent.bind(str(tmp_path / "agent"))
        ssh = {"github": str(tmp_path / "agent"), "other": str(tmp_path / "agent")}
        assert site.read(site.build(text.format("github", "other"), ssh=ssh), "a") == "".join(
            f"/run/buildkit/ssh_agent.{number}\n" for number in (0, 1)
        )
        assert site.read(site.build(text.format("default", "unknown"), ssh=ssh), "a") == ""
        with pytest.raises(BuildError, match="no ssh agent was given to this build: --ssh none, or none=SOCKET"):
            site.build("FROM base\nRUN --mount=type=ssh,id=none,required true\n", ssh=ssh)
        job = Build(site.library, Options(str(site.context), text=text.format("github", "other"), ssh=ssh))
        job.run()
    assert len(job.warnings) == 1 and "line 2" in job.warnings[0] and "mode, uid and gid do not count" in job.warnings[0]


def test_rights_that_no_run_has(site):
    with pytest.raises(DockerfileError, match=r"Dockerfile:2:5: RUN --security=insecure is not allowed"):
        site.build("FROM base\nRUN --security=insecure true\n")


def test_tmpfs(site):
    fill = "dd if=/dev/zero of=/t/u/b bs=1M count=2 2> /dev/null || df -P /t/u | tail -1 | cut -d' ' -f1 > /a"
    built = site.build(f"FROM base\nRUN --mount=type=tmpfs,target=/t/u,size=1m echo 1 > /t/u/a && {fill}\n")
    assert site.read(built, "a") == "tmpfs\n" and set(site.top_layer(built)) == {"a"}


def test_a_tmpfs_that_nobody_may_write_to(site):
    built = site.build("FROM base\nRUN --mount=type=tmpfs,target=/t,ro touch /t/a 2> /dev/null || echo refused > /a\n")
    assert site.read(built, "a") == "refused\n"


def test_a_place_to_mount_on_that_was_there_stays(site):
    built = site.build("FROM base\nRUN mkdir /c && echo 1 > /c/a\nRUN --mount=type=cache,target=/c echo 2 > /c/b\nRUN ls /c > /ls\n")
    assert site.read(built, "ls") == "a\n"


# -- what a RUN sees ------------------------------------------------------------------------


def test_network_none(site):
    text = "FROM base\nRUN --network=none ip -o link | wc -l > /a\nRUN ip -o link | wc -l > /b\n"
    assert site.read(site.build(text), "a") == "1\n"
    assert site.read(site.build("FROM base\nRUN ip -o link | wc -l > /a # again\n", network="none"), "a") == "1\n"


def test_a_network_that_is_none_of_a_builds(site):
    with pytest.raises(BuildError, match='network mode "backyard" not supported by buildkit, nor here: it is default, none or host'):
        site.build("FROM base\nRUN true\n", network="backyard")


class Wired:
    """As a network of ``lib.network``: what it is asked for, and what it gives instead of cables."""

    def __init__(self):
        self.asked = []

    def connection(self, *who: str) -> Connection:
        self.asked.append(who)
        return Connection([], "nameserver 192.0.2.1\n", [("192.0.2.7", "shop")])


def test_the_network_that_is_handed_to_the_builder(site):
    """The machine's own, if nobody hands it another; which one it was is in no key, and a step that is cached asks for none."""
    text, wired = "FROM base\nRUN {} readlink /proc/self/ns/net > /a; cat /etc/resolv.conf /etc/hosts > /b # {}\n", Wired()
    machine = os.readlink("/proc/self/ns/net") + "\n"
    assert site.read(site.build(text.format("", 1)), "a") == machine
    assert cached(site.build(text.format("", 1), default_network=lambda: wired)) == [True] and not wired.asked
    built = site.build(text.format("", 2), default_network=lambda: wired)
    assert site.read(built, "a") != machine and len(wired.asked) == 1
    assert {"nameserver 192.0.2.1", "192.0.2.7\tshop"} <= set(site.read(built, "b").splitlines())
    for word in ("none", "host"):
        built = site.build(text.format(f"--network={word}", 3), default_network=lambda: wired, allow=("network.host",))
        assert (site.read(built, "a") == machine) == (word == "host") and len(wired.asked) == 1, "the Dockerfile's word goes first"


def test_nothing_that_is_mounted_stays_in_the_layer(site):
    built = site.build(
        "FROM scratch\nCOPY --from=base /bin /bin\nRUN cat /etc/hosts /etc/resolv.conf > /dev/null; ls /proc/self > /dev/null\n"
    )
    assert set(site.tree(built)) & {"dev", "proc", "sys", "etc", "run"} == set()
    assert not built.steps[-1].size


# -- bad ends -------------------------------------------------------------------------------


def test_a_failed_run_tells_its_code_and_its_last_words(site):
    with pytest.raises(BuildError) as caught:
        site.build("FROM base\nRUN true\nRUN seq 20; echo why >&2; exit 7\n")
    text = str(caught.value)
    assert caught.value.exit_code == 7 and "Dockerfile:3:1: " in text and "returned a non-zero code: 7" in text
    assert "    | 12\n" in text and "    | why\n" in text and "    | 11\n" not in text and "\n    RUN seq 20;" in text
    assert cached(site.build("FROM base\nRUN true\nRUN seq 20\n")) == [True, False]


def test_a_command_that_does_not_exist(site):
    with pytest.raises(BuildError, match=r'(?s)Dockerfile:2:1: .*/nothing.*RUN \["/nothing"\]'):
        site.build('FROM base\nRUN ["/nothing"]\n')


def test_one_stage_fails_and_the_others_end(site):
    meet = "RUN --mount=type=cache,target=/c touch /c/{0}; while [ ! -e /c/{1} ]; do sleep 0.01; done; "
    text = f"FROM base AS one\n{meet.format('a', 'b')} sleep 60\nFROM base AS two\n{meet.format('b', 'a')} exit 9\n"
    begin = time.monotonic()
    with pytest.raises(BuildError, match="returned a non-zero code: 9") as caught:
        site.build(text + "FROM scratch\nCOPY --from=one /etc /1\nCOPY --from=two /etc /2\n")
    assert caught.value.exit_code == 9 and time.monotonic() - begin < 20
    assert process.ours() == []


@pytest.mark.parametrize("stages", [1, 2])
def test_an_interrupt_in_the_middle_of_a_run(site, stages):
    text = "FROM base AS one\nRUN echo 1 > /a; sleep 600\n" + "FROM scratch\nCOPY --from=one /a /a\n" * (stages - 1)

    def it_runs() -> bool:
        wait_for(process.ours)
        time.sleep(0.1)
        return True

    begin = time.monotonic()
    interrupted(lambda: site.build(text), it_runs)
    assert time.monotonic() - begin < 60 and site.leftovers() == [] and process.ours() == []


KILLED = """
import sys
from lib.build.builder import build
from lib.images.library import Library
from lib.images.store import Store
text = "FROM base\\nRUN --mount=type=secret,id=s --mount=type=bind,target=/b --mount=type=cache,target=/c touch /c/running; sleep 60\\n"
build(sys.argv[1], Library(Store(sys.argv[2])), text=text, secrets={"s": sys.argv[3]})
"""


def test_kill_9_in_the_middle_of_a_build(site, secret):
    place = site.library.store.place
    words = [sys.executable, "-c", KILLED, str(site.context), str(place), secret["token"]]
    with subprocess.Popen(words, env=os.environ | {"PYTHONPATH": str(ROOT)}) as child:
        deadline = time.monotonic() + 20
        while not list((place / "mounts").glob("*/running")):
            assert child.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
        child.kill()
    assert site.leftovers() != []
    state.gc()
    site.library.gc()
    assert site.leftovers() == [] and SECRET.encode() not in everywhere(site)


# -- without root ---------------------------------------------------------------------------

ORDINARY = """
import os, sys
home, root, text = sys.argv[1:]
os.setgroups([]); os.setgid(65534); os.setuid(65534)
os.environ |= {"SUITCASE_RUN": f"{home}/run", "SUITCASE_STORE": f"{home}/store", "HOME": home}
sys.path[:0] = [root, f"{root}/tests"]
from pathlib import Path
from helpers.sites import Site, cached
site = Site(Path(home))
site.write("f", "1")
Path(home, "s").write_text("secret")
for _ in range(2):
    built = site.build(text, secrets={"s": f"{home}/s"})
    made = sorted(set(site.tree(built)) - set(site.tree(site.library.find("base"))))
    print(cached(built), made, repr(site.read(built, "b")), site.leftovers())
"""
FOR_ALL = (
    "FROM base AS one\nRUN id -u > /a; mkdir /d && rm -r /d\nFROM base\nCOPY --from=one /a /x/\nCOPY f /f\n"
    "RUN --mount=type=cache,target=/c --mount=type=secret,id=s cat /x/a /run/secrets/s > /b; rm /f\nUSER 0\nWORKDIR /w\n"
    "RUN --network=none ls /sys/class/net > /n\n"
)


@requires("userns")
def test_an_ordinary_user_builds_too():
    with tempfile.TemporaryDirectory(prefix="st-") as place:
        os.chmod(place, 0o755)
        home = Path(place, "home")
        home.mkdir()
        os.chown(home, 65534, 65534)
        words = [sys.executable, "-c", ORDINARY, str(home), str(ROOT), FOR_ALL]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, cwd="/")
    made = "['b', 'n', 'w', 'x', 'x/a'] '0\\nsecret' []"
    assert done.stdout.splitlines() == [f"{[False] * 6} {made}", f"{[True] * 6} {made}"], done.stdout + done.stderr
