"""What a plan's deeds are called while they are done: Docker's words, of which it has fewer than we have deeds."""

from __future__ import annotations

import pytest
from helpers.projects import container, observed, project, service, up

from lib.cli.compose import members
from lib.cli.compose.progress import Row, Teller, end
from lib.cli.compose.telling import Telling
from lib.compose.acting import Down, Restart, Start, Up, plan
from lib.compose.acting.deeds import StillInUse
from lib.compose.acting.waiting import NotReady
from lib.compose.model import Dependency, Healthcheck


class Told(Teller):
    def __init__(self):
        super().__init__()
        self.words: list[str] = []

    def tell(self, kind: str, name: str, word: str) -> None:
        self.words.append(f"{kind} {name} {word}")


@pytest.fixture(autouse=True)
def nobody(monkeypatch):
    monkeypatch.setattr(members, "of", lambda name: [])


def played(found, verb: str, **fails: Exception) -> list[str]:
    """All of it is done, one after the other; ``fails`` are errors by the name of a deed's class."""
    told = Told()
    reporter = Telling(told, verb)
    reporter.planned(found)
    for one in found.operations:
        reporter.began(one)
        error = fails.get(type(one).__name__)
        if error is None:
            reporter.done(one, 0)
        elif isinstance(error, StillInUse):
            reporter.stayed(one, error)
        elif getattr(one, "required", True):
            reporter.failed(one, error)
        else:
            reporter.skipped(one, error)
    return told.words


WEB = project(service("web"))


def needing(condition: str, **how):
    check = Healthcheck(test=["CMD", "true"])
    return project(service("db", healthcheck=check), service("web", depends_on={"db": Dependency(condition=condition, **how)}))


HEALTHY = needing("service_healthy")


def test_one_that_is_made_anew_is_told_as_one_thing():
    words = played(plan(WEB, up(WEB), Up(force_recreate=True)), "up")
    assert words == [f"Container demo-web-1 {word}" for word in ("Recreate", "Recreated", "Starting", "Started")]


def test_so_is_one_that_is_started_again():
    assert played(plan(WEB, up(WEB), Restart()), "restart") == ["Container demo-web-1 Restarting", "Container demo-web-1 Started"]
    ended = observed(WEB, container(WEB, WEB.services["web"], status="exited"))
    assert played(plan(WEB, ended, Restart()), "restart") == ["Container demo-web-1 Restarting", "Container demo-web-1 Started"]


def test_what_is_waited_for_is_told_also_if_it_is_ready():
    there = observed(HEALTHY, container(HEALTHY, HEALTHY.services["db"], health="healthy"), container(HEALTHY, HEALTHY.services["web"]))
    for wishes in (Up(), Start()):
        found = plan(HEALTHY, there, wishes)
        assert not found and found.ready == {"db": "service_healthy"}
    assert {"Container demo-db-1 Waiting", "Container demo-db-1 Healthy"} < {*played(plan(HEALTHY, there, Up()), "up")}


@pytest.mark.parametrize(
    ("condition", "how", "last"),
    [
        ("service_healthy", {}, "Error dependency db failed to start"),
        ("service_healthy", {"required": False}, 'Skipped: optional dependency "db" failed to start'),
        ("service_completed_successfully", {}, 'Error service "db" didn\'t complete successfully: exit 3'),
        ("service_completed_successfully", {"required": False}, 'Skipped: optional dependency "db" didn\'t complete successfully: exit 3'),
    ],
)
def test_what_is_not_ready(condition, how, last, capsys):
    wanted = needing(condition, **how)
    healthy = condition == "service_healthy"
    error = NotReady(
        "container demo-db-1 is unhealthy" if healthy else 'service "db" didn\'t complete successfully: exit 3', " (suitcase logs x)"
    )
    words = [word for word in played(plan(wanted, observed(wanted), Up()), "up", Wait=error) if word.startswith("Container demo-db-1 ")]
    assert words[-2:] == ["Container demo-db-1 Waiting", f"Container demo-db-1 {last}"]
    assert ("WARN optional dependency" in capsys.readouterr().err) == (how != {})


def test_what_others_have_stays(capsys):
    assert "Network demo_default Resource is still in use" in played(
        plan(WEB, up(WEB), Down()), "down", RemoveNetwork=StillInUse("x has it")
    )
    assert "WARN x has it" in capsys.readouterr().err
    assert [end(word)[0] for word in ("Resource is still in use", "Skipped: x", "Error x", "Removed")] == ["!", "!", "✘", "✔"]
    assert "✔" in Row("Network", "x", "Removed", 0, 1).shown(10, 80)


def test_down_of_one_that_has_ended():
    ended = observed(WEB, container(WEB, WEB.services["web"], status="exited"))
    words = played(plan(WEB, ended, Down()), "down")
    assert words[:4] == [f"Container demo-web-1 {word}" for word in ("Stopping", "Stopped", "Removing", "Removed")]


def test_which_go_with_down():
    tool = service("tool", profiles=["x"])
    wanted = project(service("web")).model_copy(update={"disabled": {"tool": tool}})
    of_web, of_tool = container(wanted, wanted.services["web"]), container(wanted, tool)
    runs = container(wanted, wanted.services["web"], id="a" * 64, name="runs", oneoff=True)
    has_run = container(wanted, tool, id="b" * 64, name="has_run", oneoff=True, status="exited")
    elsewhere = container(wanted, tool, id="c" * 64, name="elsewhere", oneoff=True)
    old = container(wanted, service("old"))
    there = observed(wanted, of_web, of_tool, runs, has_run, elsewhere, old)

    def gone(wishes) -> set[str]:
        return {word.split()[1] for word in played(plan(wanted, there, wishes), "down") if word.endswith(" Removed")}

    assert gone(Down()) == {"demo-web-1", "demo_default"}
    assert gone(Down(remove_orphans=True)) == {"demo-web-1", "demo_default", "runs", "has_run", "demo-old-1"}
    assert gone(Down(services=["web"])) == {"demo-web-1"}
    assert gone(Down(services=["tool"])) == {"demo-tool-1"}
    assert "Containers that run has made stay (runs has_run elsewhere)" in plan(wanted, there, Down()).warnings[-1]
