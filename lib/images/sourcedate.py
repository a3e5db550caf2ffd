"""The time that an image tells: now, or what ``SOURCE_DATE_EPOCH`` says, so that it can be made again bit for bit."""

from __future__ import annotations

import os


def epoch() -> int | None:
    """``SOURCE_DATE_EPOCH`` in seconds, where it is set."""
    text = os.environ.get("SOURCE_DATE_EPOCH")
    return int(text) if text else None


def created() -> str:
    """Now, or ``SOURCE_DATE_EPOCH``, as RFC 3339 wants it."""
    from datetime import UTC, datetime

    moment = epoch()
    now = datetime.now(UTC) if moment is None else datetime.fromtimestamp(moment, UTC)
    return now.isoformat().removesuffix("+00:00").rstrip("0" if now.microsecond else "") + "Z"  # as Go writes it


def dated(history: list[dict], moment: str) -> list[dict]:
    """Words before the first layer are as old as that layer: what comes from the cache must give the same image again."""
    first = next((one["created"] for one in history if one.get("created")), moment)
    return [{**one, "created": first} if one.get("created") == "" else one for one in history]
