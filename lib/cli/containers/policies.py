"""``--restart``: what is to follow when a container ends."""

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
