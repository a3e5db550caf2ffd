"""``ps --filter``: of several values of one filter any will do (of labels, all are needed); several filters must all agree."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import suppress

from lib.cli.listing.rows import health_of, network
from lib.engine.finding import mounts
from lib.visible import Visible

HEALTH = ("starting", "healthy", "unhealthy", "none")
STATES = ("created", "running", "paused", "restarting", "removing", "exited", "dead")
NOT_DONE = ("expose", "is-task", "isolation", "publish")


def parsed(words: Sequence[str]) -> dict[str, list[str]]:
    """``name=value`` as often as it is said. Raises ``ValueError`` for a name that is no filter."""
    found: dict[str, list[str]] = {}
    for word in filter(None, words):
        name, _, value = word.partition("=")
        found.setdefault(name.strip().lower(), []).append(value.strip())
    for name in found:
        check(name)
    return found


def check(name: str) -> None:
    if name in NOT_DONE:
        raise ValueError(f"--filter {name}=… is a filter of Docker's that is not done here yet; there is {', '.join(TESTS)}")
    if name not in TESTS:
        raise ValueError(f"invalid filter '{name}': there is {', '.join(TESTS)}")


def chosen(containers: list[dict], filters: dict[str, list[str]]) -> list[dict]:
    """Those that all filters let through. Raises ``ValueError`` for a value that cannot be meant, ``LookupError`` for no such container."""
    tests = [TESTS[name](values) for name, values in filters.items()]
    return [facts for facts in containers if all(test(facts) for test in tests)]


Test = Callable[[dict], bool]


def by_id(values: list[str]) -> Test:
    return lambda facts: any(facts["id"].startswith(value) for value in values)


def by_name(values: list[str]) -> Test:
    """A regular expression, to be found anywhere in the name, which may be said to begin with a slash."""
    patterns = []
    for value in values:
        with suppress(re.error):
            patterns.append(re.compile(value))
    return lambda facts: (
        facts["name"] in values or any(one.search(word) for one in patterns for word in (facts["name"], f"/{facts['name']}"))
    )


def by_label(values: list[str]) -> Test:
    wanted = [value.partition("=") for value in values]

    def test(facts: dict) -> bool:
        labels = facts["config"]["labels"]
        return all(key in labels and (not equals or labels[key] == value) for key, equals, value in wanted)

    return test


def by_exit(values: list[str]) -> Test:
    for value in values:
        if not re.fullmatch(r"[+-]?\d{1,18}", value, re.ASCII):
            raise ValueError(f"invalid filter 'exited={value}': an exit code is a number")
    codes = [int(value) for value in values]
    return lambda facts: facts["state"]["status"] == "exited" and facts["state"]["exit_code"] in codes


def by_status(values: list[str]) -> Test:
    for value in values:
        if value not in STATES:
            raise ValueError(f"invalid filter 'status={value}': invalid value for state ({value}): must be one of {', '.join(STATES)}")
    return lambda facts: facts["state"]["status"] in values


def by_health(values: list[str]) -> Test:
    for value in values:
        if value not in HEALTH:
            raise ValueError(
                f"invalid filter 'health={value}': unrecognised filter value for health: {value}; there is {', '.join(HEALTH)}"
            )
    return lambda facts: (health_of(facts) or "none") in values


def by_ancestor(values: list[str]) -> Test:
    """An image, or one that it was built on: that one's layers lie under the container's. A name that is none has no children."""
    from lib.cli.library import library

    ids, chains, ours = set(), set(), library()
    for value in values:
        with suppress(Visible):
            found = ours.find(value)
            ids.add(found.id)
            chains |= {*found.chain_ids[-1:]}
    return lambda facts: facts["image"] in ids or not chains.isdisjoint(facts["chains"])


def by_volume(values: list[str]) -> Test:
    """The place in the container, or what is mounted there."""
    return lambda facts: any(not {one["target"], one.get("name"), one.get("source")}.isdisjoint(values) for one in mounts(facts))


def before(values: list[str]) -> Test:
    from lib.engine import finding

    latest = min(finding.find(value)["created"] for value in values)
    return lambda facts: facts["created"] < latest


def since(values: list[str]) -> Test:
    from lib.engine import finding

    earliest = max(finding.find(value)["created"] for value in values)
    return lambda facts: facts["created"] > earliest


TESTS: dict[str, Callable[[list[str]], Test]] = {
    "ancestor": by_ancestor, "before": before, "exited": by_exit, "health": by_health, "id": by_id, "label": by_label, "name": by_name,
    "network": lambda values: lambda facts: network(facts) in values,
    "since": since, "status": by_status, "volume": by_volume,
}  # fmt: skip
