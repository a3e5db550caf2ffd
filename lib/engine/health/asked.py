"""A health check as an image and a caller want it: Docker's ``Healthcheck``, with times in nanoseconds, 0 for the default."""

from __future__ import annotations

from collections.abc import Mapping

from lib.engine.plays.health import Times

DURATIONS = ("Interval", "Timeout", "StartPeriod", "StartInterval")  # in the order of ``Times``
SHORTEST, LONGEST = 10**6, (1 << 63) - 1  # nanoseconds
SHELL = ["/bin/sh", "-c"]


def laid_over(image: Mapping, wished: Mapping) -> dict | None:
    """What the caller says, and of the rest what the image says; None if neither says anything. Raises ``ValueError``."""
    found = {name: value for name, value in {**checked(image), **{key: one for key, one in wished.items() if one}}.items() if value}
    for name in DURATIONS:
        if name in found and found[name] < SHORTEST:
            raise ValueError(f"{name} in Healthcheck cannot be less than 1ms")
    return found or None


def checked(image: Mapping) -> dict:
    """That of an image, which may have been made by anybody. Raises ``ValueError``."""
    found = image.get("Healthcheck") or {}
    if not isinstance(found, dict):
        raise ValueError("the image's Healthcheck is not an object, so it is no health check")
    test = found.get("Test") or []
    numbers = {name: found.get(name) or 0 for name in (*DURATIONS, "Retries")}
    if not isinstance(test, list) or not all(isinstance(word, str) for word in test):
        raise ValueError("the image's Healthcheck has a Test that is no list of words")
    for name, value in numbers.items():
        if not isinstance(value, int) or not 0 <= value <= LONGEST:
            raise ValueError(f"the image's Healthcheck has {value!r} as its {name}, which makes no sense")
    return {"Test": test, **numbers}


def command(facts: Mapping) -> list[str] | None:
    """What is run in the container to ask it; None if nothing is."""
    kind, *words = (facts["config"].get("healthcheck") or {}).get("Test") or ["NONE"]
    if kind == "CMD-SHELL" and words:
        return [*(facts["config"].get("shell") or SHELL), words[0]]
    return words if kind == "CMD" and words else None


def times(facts: Mapping) -> Times:
    said = facts["config"]["healthcheck"]
    seconds = {name: said.get(key, 0) / 10**9 for name, key in zip(Times._fields, DURATIONS, strict=False)}
    return Times()._replace(**{name: value for name, value in {**seconds, "retries": said.get("Retries", 0)}.items() if value})
