"""What was there before the first test is what must be there after each."""

from __future__ import annotations

from lib.lab.doctor.leaks import Look

_before: Look | None = None


def before() -> Look:
    global _before
    _before = _before or Look()
    return _before


def forget() -> None:
    """What is there now may stay: a daemon that several tests share, or what was told already."""
    global _before
    _before = None
