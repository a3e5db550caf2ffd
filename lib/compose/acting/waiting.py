"""To wait until a service's containers are as somebody needs them: nobody polls, each change is told in the file of events."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing

from lib import linux
from lib.compose.acting.stopping import Stop
from lib.engine import finding
from lib.engine.health import known
from lib.state import events, kept

GLANCE = 1  # seconds after which we look again, even if nothing was told: whoever should have told may have been killed


class NotReady(Exception):
    """It will not get there any more: ``words`` are what is so, behind them may stand what helps."""

    def __init__(self, words: str, way_out: str = ""):
        super().__init__(words + way_out)
        self.words = words


def until(service: str, idents: Sequence[str], condition: str, stop: Stop) -> None:
    """Wait until all of them fulfil it. Raises ``NotReady`` as soon as one never will, and ``Interrupted``."""
    left = list(idents)
    with closing(events.Reader()) as reader:  # opened first: nothing that happens from now on is missed
        while left := [ident for ident in left if not CONDITIONS[condition](service, facts(service, ident))]:
            stop.check()
            linux.readable([reader.watch, stop.fd] if reader.watch >= 0 else [stop.fd], GLANCE if reader.watch >= 0 else events.GLANCE)
            if reader.watch >= 0 and linux.readable([reader.watch], 0):
                reader.wait(0)


def facts(service: str, ident: str) -> dict:
    try:
        return finding.now(kept.load(kept.place(ident)))
    except FileNotFoundError:
        raise NotReady(f"service {service}: container {ident[: kept.SHORT]} has been removed meanwhile") from None


def healthy(service: str, one: dict, needs_check: bool = True) -> bool:
    if one["state"]["status"] not in kept.UP and one["state"]["status"] != "restarting":
        raise NotReady(f"container {one['name']} exited ({one['state']['exit_code']})", told_by(one))
    found = known.of(one) if one["config"].get("healthcheck") else None
    if found is None:
        if needs_check:
            raise NotReady(f"container {one['name']} has no healthcheck configured", ", so nobody can say whether it is healthy")
        return one["state"]["status"] == "running"
    if found["Status"] == "unhealthy":
        raise NotReady(f"container {one['name']} is unhealthy", last_words(found))
    return found["Status"] == "healthy"


def told_by(one: dict) -> str:
    return f" (suitcase logs {one['name']})"


def last_words(health: dict) -> str:
    said = health["Log"][-1]["Output"].strip() if health.get("Log") else ""
    return f": its check says {said.splitlines()[-1][:200]!r}" if said else ""


def completed(service: str, one: dict) -> bool:
    if one["state"]["status"] in ("created", "restarting", *kept.UP):
        return False
    if code := one["state"]["exit_code"]:
        raise NotReady(f'service "{service}" didn\'t complete successfully: exit {code}', told_by(one))
    return True


CONDITIONS = {
    "service_healthy": healthy,
    "running_or_healthy": lambda service, one: healthy(service, one, False),
    "service_completed_successfully": completed,
    "service_started": lambda service, one: one["state"]["status"] in kept.UP,
}
