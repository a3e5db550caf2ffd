"""What the reporter hears, what fails and why, interrupts and kills at any moment. (Whole stories: ``tests/compose/scenarios``.)"""

from __future__ import annotations

import _thread
import os
import signal
import threading
import tracemalloc
from contextlib import closing

import pytest
from helpers.interrupts import heard_only_in
from helpers.lives import BUSYBOX, log, target_of
from helpers.needs import requires
from helpers.projects import project, service
from helpers.waiting import wait_for

from lib import linux
from lib.compose.acting import Down, Failed, Recorder, Up, carry_out, execute, executing, observe, plan, stopping
from lib.compose.acting.reporters import Reporter
from lib.compose.acting.waiting import NotReady, until
from lib.compose.model import Build, Dependency, Deploy, FileGrant, FileSource, Healthcheck, Hook, Mount, Network, Volume
from lib.compose.model.life import RestartPolicy
from lib.compose.planning.operations import CreateNetwork, CreateVolume
from lib.compose.services import naming
from lib.engine import lifecycle
from lib.engine.volumes import store
from lib.network import every

pytestmark = requires("root", "overlay", "busybox")
RUNS = {"demo-db-1": "running", "demo-web-1": "running"}
OFTEN = 20 * 10**6  # nanoseconds


def two(**keys):
    return project(service("db"), service("web", depends_on={"db": Dependency()}, **keys))


def networks() -> set[str]:
    return {one.name for one in every()} - {"bridge", "host", "none"}


@pytest.mark.v2
def test_up_changes_nothing_the_second_time_and_down_leaves_nothing(bench):
    heard = bench.do(two())
    assert heard.those("done")[-2:] == ["start container demo-db-1", "start container demo-web-1"]
    before = bench.facts("demo-web-1")
    assert (bench.seen(), networks()) == (RUNS, {"demo_default"})
    assert bench.do(two()).heard == []
    assert bench.facts("demo-web-1") == before
    bench.do(two(), Down())
    assert (bench.seen(), networks()) == ({}, set())


def test_a_link_is_a_name_that_only_one_service_knows(bench):
    asks = ["sh", "-c", "nslookup database | grep -c Name"]
    web, other = service("web", command=asks, links=["db:database"]), service("other", command=asks)
    bench.do(project(service("db"), web, other))
    for name, found in (("web", b"1"), ("other", b"0")):
        wait_for(lambda name=name: bench.seen()[f"demo-{name}-1"] == "exited")
        assert log(bench.facts(f"demo-{name}-1")).split() == [found]


def test_a_volume_that_somebody_has_just_taken_away_is_made_as_the_file_says(bench):
    class Takes(Reporter):
        def done(self, one, seconds: float) -> None:
            if isinstance(one, CreateVolume):
                store.remove(one.resource)

    wanted = project(
        service("web", volumes=[Mount(type="volume", source="data", target="/data")]),
        volumes={"data": Volume(name="demo_data", labels={"who": "we"})},
    )
    bench.projects["demo"] = wanted
    carry_out(bench.library, wanted, Up(), Takes())
    assert store.find("demo_data").labels == naming.labels_of(wanted, "volume", "data", wanted.volumes["data"])
    assert bench.do(wanted).heard == []


def test_our_labels_stand_over_those_of_the_service(bench):
    bench.do(project(service("web", labels={"com.docker.compose.project": "other", "mine": "1"})))
    labels = bench.facts("demo-web-1")["config"]["labels"]
    assert (labels["com.docker.compose.project"], labels["com.docker.compose.service"], labels["mine"]) == ("demo", "web", "1")


# -- order and conditions ---------------------------------------------------------------------------------------------


def test_one_that_never_gets_healthy_keeps_the_other_from_starting(bench):
    check = Healthcheck(test=["CMD-SHELL", "echo no luck; false"], interval=OFTEN, retries=2)
    wanted = project(service("db", healthcheck=check), service("web", depends_on={"db": Dependency(condition="service_healthy")}))
    with pytest.raises(Failed, match="container demo-db-1 is unhealthy: its check says 'no luck'") as error:
        bench.do(wanted)
    assert [str(one) for one in error.value.left_out] == ["wait for db: service_healthy", "start container demo-web-1"]
    assert bench.seen() == {"demo-db-1": "running", "demo-web-1": "created"}


def test_one_without_a_check_can_not_be_waited_for(bench):
    wanted = project(service("db"), service("web", depends_on={"db": Dependency(condition="service_healthy")}))
    with pytest.raises(Failed, match="has no healthcheck configured"):
        bench.do(wanted)


def test_nobody_waits_for_one_that_has_ended_to_run(bench):
    bench.do(project(service("web", command=["sh", "-c", "exit 3"])))
    wait_for(lambda: bench.seen() == {"demo-web-1": "exited"})
    with closing(stopping.Stop()) as stop, pytest.raises(NotReady, match="container demo-web-1 exited"):
        until("web", [bench.facts("demo-web-1")["id"]], "running_or_healthy", stop)


def test_a_restart_policy_says_how_long_each_try_waits_and_how_many_there_are(bench):
    policy = RestartPolicy(condition="any", delay=OFTEN, max_attempts=2, window=3600 * 10**9)
    bench.do(project(service("web", command=["true"], deploy=Deploy(restart_policy=policy))))
    wait_for(lambda: bench.seen()["demo-web-1"] == "exited")
    facts = bench.facts("demo-web-1")
    assert facts["restart"] == {"name": "always", "most": 2, "delay": 0.02, "window": 3600.0}
    assert facts["state"]["tries"] == {"count": 2, "delay": 0.02}


def test_the_new_one_first(bench):
    first = Deploy(update_config={"order": "start-first"})
    bench.do(project(service("web", deploy=first)))
    before = bench.facts("demo-web-1")["id"]
    heard = bench.do(project(service("web", deploy=first, environment={"A": "1"})))
    began = heard.those("began")
    assert began.index("start container demo-web-1") < began.index("stop container demo-web-1")
    assert bench.seen() == {"demo-web-1": "running"} and bench.facts("demo-web-1")["id"] != before


# -- what goes wrong --------------------------------------------------------------------------------------------------


def test_what_does_not_depend_on_the_failure_is_done_all_the_same(bench):
    wanted = project(service("bad", command=["/no/such/program"]), service("web"), service("after", depends_on={"bad": Dependency()}))
    with pytest.raises(Failed, match=r"start container demo-bad-1: .*does not exist in this root file system") as error:
        bench.do(wanted)
    assert [str(one) for one in error.value.left_out] == ["start container demo-bad-1", "start container demo-after-1"]
    assert bench.seen() == {"demo-bad-1": "created", "demo-web-1": "running", "demo-after-1": "created"}


def test_a_network_that_another_up_has_made_meanwhile_is_taken(bench):
    def make(wanted) -> None:
        execute(bench.library, plan(wanted, before, Up()).only(CreateNetwork))

    bench.projects["demo"] = wanted = project(service("web"))
    before = observe(bench.library, wanted)
    make(wanted)
    make(wanted)
    assert networks() == {"demo_default"}
    with pytest.raises(Failed, match="network with name demo_default already exists"):
        make(project(service("web"), networks={"default": Network(name="demo_default", internal=True)}))


@pytest.mark.parametrize("word", ["began create container demo-web-1", "began start container demo-db-1", "done start container demo-db-1"])
def test_an_interrupt_leaves_nothing_half_made_and_the_next_up_goes_on(bench, word):
    class Interrupting(Reporter):
        def began(self, one):
            self.heard(f"began {one}")

        def done(self, one, seconds):
            self.heard(f"done {one}")

        def heard(self, text):
            if text == word:
                os.kill(os.getpid(), signal.SIGINT)

    bench.projects["demo"] = two()
    with pytest.raises(KeyboardInterrupt):
        carry_out(bench.library, two(), Up(), Interrupting())
    assert all(status in ("created", "running") for status in bench.seen().values())
    bench.do(two())
    assert bench.seen() == RUNS


def test_an_interrupt_ends_a_wait_and_a_stop(bench):
    check = Healthcheck(test=["CMD", "false"], interval=OFTEN, retries=10**6)
    wanted = project(
        service("db", healthcheck=check, command=["sh", "-c", "trap '' TERM; while :; do sleep 1; done"], stop_grace_period=10**12)
    )

    class Interrupting(Reporter):
        def began(self, one):
            if str(one).startswith(("wait", "stop")):
                os.kill(os.getpid(), signal.SIGINT)

    bench.projects["demo"] = wanted
    for wishes in (Up(wait=True), Down()):
        with pytest.raises(KeyboardInterrupt):
            carry_out(bench.library, wanted, wishes, Interrupting())
        assert bench.seen() == {"demo-db-1": "running"}


def test_a_hundred_replicas(bench):
    wanted = project(service("web", scale=100, network_mode="none"))
    bench.do(wanted)
    assert set(bench.seen().values()) == {"running"} and len(bench.seen()) == 100
    bench.do(wanted, Down())
    assert bench.seen() == {}


# -- images -----------------------------------------------------------------------------------------------------------


def test_it_is_built_and_built_again_only_when_that_is_asked_for(bench, tmp_path):
    (tmp_path / "Dockerfile").write_text(
        f"FROM {BUSYBOX}\nARG WORD\nRUN --mount=type=secret,id=s cat /run/secrets/s > /word; echo $WORD >> /word\n"
    )
    (tmp_path / "s").write_text("secret\n")

    def wanted(word: str, **source):
        build = Build(context=str(tmp_path), dockerfile="Dockerfile", args={"WORD": word}, secrets=[FileGrant(source="s")])
        web = service("web", image="", build=build, command=["sh", "-c", "cat /word; exec sleep 1000"])
        return project(web, secrets={"s": FileSource(name="s", **source)})

    bench.do(wanted("one", environment="S", content="of a variable\n"))
    wait_for(lambda: log(bench.facts("demo-web-1")) == b"of a variable\none\n")
    assert not [number for number in os.listdir("/proc/self/fd") if "memfd:secret" in target_of(f"/proc/self/fd/{number}")]
    assert bench.do(wanted("two", file=str(tmp_path / "s"))).heard == []
    bench.do(wanted("two", file=str(tmp_path / "s")), Up(build=True))
    wait_for(lambda: log(bench.facts("demo-web-1")) == b"of a variable\ntwo\n" or log(bench.facts("demo-web-1")) == b"secret\ntwo\n")
    assert bench.facts("demo-web-1")["image_name"] == "demo-web"
    bench.do(wanted("two", file=str(tmp_path / "s")), Down(images="local"))
    assert observe(bench.library, wanted("two")).images == {}


def test_one_that_is_pulled_again_is_a_new_one_by_its_age(bench):
    daily = project(service("web", pull_policy="daily"))
    os.utime(bench.library.store.path(bench.lives.image.descriptor["digest"]), (0, 0))
    assert bench.do(daily).those("done")[0] == f"pull image {BUSYBOX}"
    assert observe(bench.library, daily).ages[BUSYBOX] < 3600
    assert bench.do(daily).heard == []


@pytest.mark.parametrize("stages", [1, 2])
def test_an_interrupt_ends_a_build(bench, tmp_path, stages):
    lines = [f"FROM {BUSYBOX} AS s{number}\nRUN echo going; sleep 1000\n" for number in range(stages)]
    lines += ["COPY --from=s0 /bin/sh /x\n"] * (stages - 1)
    (tmp_path / "Dockerfile").write_text("".join(lines))

    class Interrupting(Reporter):
        def waited(self, one, text):
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        carry_out(bench.library, project(service("web", image="", build=Build(context=str(tmp_path)))), Up(), Interrupting())
    assert bench.seen() == {}


def test_what_stands_in_for_an_image_of_the_hub(bench, monkeypatch):
    monkeypatch.setenv("SUITCASE_OFFLINE", "1")
    wanted = project(service("web", image="busybox"))
    bench.do(wanted)
    before = bench.facts("demo-web-1")
    assert before["image"] == bench.library.find(BUSYBOX).id
    bench.do(wanted)
    assert bench.facts("demo-web-1")["id"] == before["id"]


def test_an_image_that_is_nowhere_is_named(bench, monkeypatch):
    monkeypatch.setenv("SUITCASE_OFFLINE", "1")
    with pytest.raises(Failed, match="pull image localhost/no:such: No such image: localhost/no:such"):
        bench.do(project(service("web", image="localhost/no:such")))
    with pytest.raises(Failed, match="create container demo-web-1: No such image: localhost/no:such"):
        bench.do(project(service("web", image="localhost/no:such", pull_policy="never")))


# -- whoever is about it is killed ------------------------------------------------------------------------------------

RENEWED = "container demo-web-1"


@pytest.mark.parametrize(
    "word",
    [
        "began create container demo-web-1, beside the one that it replaces",
        "done create container demo-web-1, beside the one that it replaces",
        f"done stop {RENEWED}", f"done remove {RENEWED}", f"done rename {RENEWED}", f"began start {RENEWED}",
    ],
)  # fmt: skip
def test_after_a_kill_the_next_up_brings_it_to_what_is_wished(bench, word):
    class Killing(Recorder):
        def began(self, one):
            self.heard_of(f"began {one}")

        def done(self, one, seconds):
            self.heard_of(f"done {one}")

        def heard_of(self, text):
            if text == word:
                os.kill(os.getpid(), signal.SIGKILL)

    bench.do(two())
    wanted = two(environment={"A": "1"})
    if (child := os.fork()) == 0:
        try:
            carry_out(bench.library, wanted, Up(), Killing())
        finally:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    bench.do(wanted)
    assert bench.seen() == RUNS and bench.do(wanted).heard == []
    assert "A=1" in bench.facts("demo-web-1")["config"]["env"]


def test_a_hook_that_prints_without_end_costs_no_memory(bench):
    flood = "head -c 50000000 /dev/zero | tr '\\0' 'x'; echo; echo sorry; exit 3"
    tracemalloc.start()
    try:
        with pytest.raises(Failed, match=r"xxx\nsorry$"):
            bench.do(project(service(post_start=[Hook(command=["sh", "-c", flood])])))
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_an_image_that_somebody_elses_container_stands_on_stays_and_that_is_told(bench):
    wanted = project(service())
    bench.do(wanted)
    lifecycle.create(bench.library, bench.lives.facts(["true"]), "stranger")
    assert "is being used by a container" in bench.do(wanted, Down(images="all")).those("warned")[0]
    assert bench.library.find(BUSYBOX)


def test_an_interrupt_just_when_something_was_told_does_not_lose_it(bench, monkeypatch):
    """What was lost was waited for, without end."""
    real, came = linux.readable, []

    def interrupted(fds, timeout=None):
        found = real(fds, timeout)
        if timeout == executing.GLANCE and found and not came:
            came.append(True)
            raise KeyboardInterrupt
        return found

    monkeypatch.setattr(executing.linux, "readable", interrupted)
    with pytest.raises(KeyboardInterrupt):
        bench.do(project(service("web")))
    assert came
    monkeypatch.undo()
    bench.do(project(service("web")))


def test_an_interrupt_that_wakes_nobody_is_heard_all_the_same(bench):
    """One that comes between Python's last look for signals and its wait is only noted, as with ``interrupt_main``."""
    check = Healthcheck(test=["CMD", "false"], interval=OFTEN, retries=10**6)
    wanted = bench.projects["demo"] = project(service("db", healthcheck=check))
    hand = threading.Timer(0.2, _thread.interrupt_main)

    class Interrupting(Reporter):
        def began(self, one):
            if str(one).startswith("wait"):
                hand.start()

    def up() -> None:
        carry_out(bench.library, wanted, Up(wait=True), Interrupting())

    with heard_only_in(up):
        with pytest.raises(KeyboardInterrupt):
            up()
        hand.join()
