"""The exercises of chapter 5. A check starts what the reader describes, and watches it live."""

from __future__ import annotations

import re
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path

from lib.engine import finding
from lib.lab.chapters.ch05 import growing, projects, watching, world
from lib.lab.chapters.exercises import Exercise, NotYet, in_kind

AFTERWARDS = 2  # seconds that may pass until somebody notices; Docker's own 5 are too many for any of the numbers below


def started(options, rest: str) -> dict:
    """Start what the reader has described: its facts."""
    if not isinstance(options, str):
        raise NotYet(f"the answer must be a text, the options for suitcase run -d, and this is {in_kind(options)}")
    filled_in(options)
    if options.strip() and not options.strip().startswith("-"):
        raise NotYet(f"the answer must be options as you type them after suitcase run -d, and options begin with a dash: {options[:40]!r}")
    with redirect_stderr(StringIO()) as wrong:
        world.up(f"--name mine {options} {rest}")
    try:
        return finding.find("mine")
    except LookupError:
        raise NotYet(f"it does not start: {(wrong.getvalue().strip().splitlines() or ['?'])[0]}") from None


def filled_in(answer: str) -> None:
    """The name of a number must not stand in an answer letter by letter."""
    if found := re.search(r"\b(patience|again|keep|early)_\.\w+", answer):
        word = found[0]
        raise NotYet(f"{word} stands in your answer letter by letter: put an f before the quotation mark and {{{word}}} inside them")


# -- 1: patience with a slow starter ------------------------------------------------------------------------------------


def check_patience(options, opens: float) -> str:
    """Neither called ill while it starts, nor well before it is, nor well for long when it isn't any more."""
    try:
        facts = started(options, f"-e OPENS={opens} db")
        if not facts["config"].get("healthcheck"):
            raise NotYet("nobody asks it how it is: --health-cmd is the question")
        judge_start(watching.watch_health("mine", "healthy", opens + 6), opens)
        world.heard("exec mine rm /tmp/open")
        if watching.watch_health("mine", "unhealthy", 3).since("unhealthy") is None:
            raise NotYet("it has closed its door, and three seconds later it is still called healthy: how often is it asked?")
    finally:
        world.tidy()
    return "not called ill while it's only yawning, and not well when it has fallen over. That's better than most on-call rotas"


def judge_start(found: watching.Health, opens: float) -> None:
    healthy, unhealthy = found.since("healthy"), found.since("unhealthy")
    if unhealthy is not None:
        raise NotYet(
            f"after {unhealthy:.1f} s it was called unhealthy, though it was only starting: failures don't count in a start period"
        )
    if healthy is None:
        if not found.answers:
            raise NotYet(f"it opened after {opens} s, and nobody has asked it yet: that is done every 30 seconds unless you say how often")
        code, output = found.answers[-1]
        raise NotYet(f"it opened after {opens} s and was not called healthy; the exit code of the last probe: {code} {output}".strip())
    if healthy < opens - 0.3:
        raise NotYet(f"it was called healthy after {healthy:.1f} s and opens after {opens} s: does your probe look for /tmp/open?")
    if healthy > opens + AFTERWARDS + found.stood:
        raise NotYet(
            f"it opened after {opens} s and was called healthy only after {healthy:.1f} s: while it starts, how often is it asked?"
        )


# -- 2: again, but not for ever ---------------------------------------------------------------------------------------------


def check_again(options, fails: int) -> str:
    """One that fails a few times must come up, one whose work is done must stay down."""
    try:
        started(options, f"box lately {fails}")
        world.awaited(lambda: settled(fails), "an end of the tries")
        now = world.state("mine")
        if now["status"] == "exited":
            tried = now.get("tries", {}).get("count", 0)
            raise NotYet(f"it would have come up after failing {fails} times; tries that your policy has given it: {tried or 'none'}")
        started(options, "box true")
        now = world.awaited(lambda: (found := world.state("mine"))["status"] != "running" and found, "its end")
        if now["status"] != "exited" or now.get("tries", {}).get("count"):
            raise NotYet("a container whose work was done (exit code 0) was started again: it would import the same orders for ever")
    finally:
        world.tidy()
    return f"{fails} failures, and up; done, and down. Somebody who was on call tonight slept through it"


def settled(fails: int) -> bool:
    """Is it up for good, or down for good?"""
    now = world.state("mine")
    return now["status"] == "exited" or (now["status"] == "running" and now.get("tries", {}).get("count", 0) >= fails)


# -- 3: what stays ----------------------------------------------------------------------------------------------------------


def check_keep(options, called: str, path: str) -> str:
    """Write into one container, remove it with all that is its own, and read in the next."""
    try:
        started(options, "box sleep 1000")
        world.heard(f"exec mine sh -c 'mkdir -p {path}; echo 4 orders > {path}/orders'")
        world.heard("rm -f -v mine")
        if called not in world.heard("volume ls -q").splitlines():
            raise NotYet(f"the container was removed, and there is no volume that is called {called}")
        started(options, "box sleep 1000")
        if world.heard(f"exec mine cat {path}/orders") != "4 orders":
            raise NotYet(f"the volume {called} is there, and the orders aren't in it: they were written to {path}")
    finally:
        world.tidy()
    return "the container is gone with all its belongings, and the orders didn't notice"


# -- 4: a file ----------------------------------------------------------------------------------------------------------------

DATABASE = "sh -c 'sleep $OPENS; touch /tmp/open; httpd -f -h /tmp'"
SHOP = "sh -c 'wget -qO- http://db/open && sleep 1000'"


def check_early(answer, opens: float, password: str) -> str:
    """The shop must start once, when its database is well, and have a password with a dollar in its environment."""
    if not isinstance(answer, str):
        raise NotYet(f"the answer must be a text, the whole Compose file, and this is {in_kind(answer)}")
    filled_in(answer)
    place = projects.project("early", answer)
    try:
        with redirect_stderr(StringIO()) as wrong:
            projects.compose(place, "up -d")
        found = growing.members(place)
        if lacking := {"db", "shop"} - found.keys():
            last = (wrong.getvalue().strip().splitlines() or [""])[-1].replace(f"{place}/", "")
            raise NotYet(f"there is no container for {' and '.join(sorted(lacking))}: {last or 'the file has no such service'}")
        judge_early(place, found, opens, password)
    finally:
        world.tidy()
    return "one start, one shop, one dollar, and it's still there. Somewhere a crash loop has just found out that it isn't needed any more"


def judge_early(place, found: dict[str, dict], opens: float, password: str) -> None:
    shop, db = found["shop"], found["db"]
    if shop["config"]["cmd"] != ["sh", "-c", SHOP[7:-1]] or db["config"]["cmd"] != [
        "sh",
        "-c",
        DATABASE[7:-1].replace("$OPENS", f"{opens}"),
    ]:
        raise NotYet("the two commands must be those of the task; what you may add is around them")
    state = world.awaited(lambda: decided(place, shop["id"]), "a shop that has its orders, or is dead")
    if state["status"] != "running" or state.get("tries", {}).get("count"):
        raise NotYet("the shop has asked for its orders too early, and died of it: started is not the same as ready")
    said = projects.told(place, "exec -T shop sh -c 'echo $PASSWORD'")
    if said != password:
        raise NotYet(f"in the shop PASSWORD is {said!r} and not {password!r}: to the file a dollar is the beginning of a variable")


def decided(place: Path, shop: str) -> dict | None:
    """The shop's state, once it is dead, or the database is open: whoever has asked too early is dead by then."""
    opened = projects.told(place, "exec -T db ls /tmp/open") == "/tmp/open"
    now = finding.current(shop)["state"]
    return now if opened or now["status"] in ("exited", "restarting") else None


def exercises() -> list[Exercise]:
    """The chapter's exercises with fresh numbers."""
    return [
        Exercise(
            "patience", "a health check for a database that takes its time", check_patience,
            ["The question is the one of section 4: --health-cmd 'test -e /tmp/open'.",
             "--health-start-period must be longer than it takes to open; failures in it don't count.",
             "Docker asks every 5 seconds in the start period and every 30 after it: --health-start-interval and --health-interval."],
            lambda dice: {"opens": dice.choice([2.2, 2.4, 2.6, 2.8])},
        ),
        Exercise(
            "again", "a restart policy that knows when to stop", check_again,
            ["Which of the four policies looks at the exit code? See the table of section 5.",
             "It may have a number of tries behind a colon, and needs none."],
            lambda dice: {"fails": dice.choice([2, 3])},
        ),
        Exercise(
            "keep", "orders that outlive their container", check_keep,
            ["-v has two parts: which volume, and where it is mounted.",
             "Where it is mounted must be the folder that the program writes to, or one above it."],
            lambda dice: {
                "called": f"orders{dice.randrange(100, 1000)}", "path": dice.choice(["/srv/orders", "/var/lib/orders", "/opt/orders"]),
            },
        ),
        Exercise(
            "early", "a file in which nobody is early", check_early,
            ["db needs a healthcheck, and its question is that of section 4: test -e /tmp/open.",
             "depends_on has a long form: a map with the service's name, and in it condition: service_healthy.",
             "If the file doesn't say otherwise, it is asked every 30 seconds: interval; or start_period, start_interval. A dollar is $$."],
            lambda dice: {"opens": dice.choice([2.5, 2.7, 2.9]), "password": f"tea$pot{dice.randrange(10, 100)}"},
        ),
    ]  # fmt: skip
