"""``--restart`` and ``--health-…``: what is to follow when a container ends, and how it is asked after its health."""

from __future__ import annotations

from lib.cli.errors import Failed
from lib.engine.plays.restarting import NAMES

INVALID, FORMAT = "invalid restart policy", "invalid restart policy format"


def restart(values: dict) -> dict:
    """The policy as a container's facts have it; without one they say nothing. Raises ``ValueError`` and ``Failed``, in Docker's words."""
    name, colon, text = values["restart"].partition(":")
    if not name and colon:
        raise Failed(f"{FORMAT}: no policy provided before colon", 125)
    most = retries(text) if colon else 0
    if name and name not in NAMES:
        raise ValueError(f"{INVALID}: unknown policy '{name}'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'")
    if most and name != "on-failure":
        raise ValueError(f"{INVALID}: maximum retry count can only be used with 'on-failure'")
    if most < 0:
        raise ValueError(f"{INVALID}: maximum retry count cannot be negative")
    if name in ("", "no"):
        return {}
    if values["rm"]:
        raise Failed("conflicting options: cannot specify both --restart and --rm", 125)
    return {"restart": {"name": name, "most": most}}


def retries(text: str) -> int:
    if not (text.removeprefix("-").removeprefix("+").isdecimal() and text.isascii() and len(text) < 10):
        raise Failed(f"{FORMAT}: maximum retry count must be an integer", 125)
    return int(text)


TIMES = {
    "Interval": "interval",
    "Timeout": "timeout",
    "StartPeriod": "start_period",
    "StartInterval": "start_interval",
    "Retries": "retries",
}


def healthcheck(values: dict) -> dict:
    """What is said of it, in the words of Docker's API; what is empty or 0 the image says. Raises ``Failed``, in Docker's words."""
    said = {name: values[f"health_{word}"] for name, word in TIMES.items()}
    if values["no_healthcheck"]:
        if values["health_cmd"] or any(said.values()):
            raise Failed("--no-healthcheck conflicts with --health-* options", 125)
        return {"Test": ["NONE"]}
    for name, word in TIMES.items():
        if said[name] < 0:
            raise Failed(f"--health-{word.replace('_', '-')} cannot be negative", 125)
    return said | ({"Test": ["CMD-SHELL", values["health_cmd"]]} if values["health_cmd"] else {})
