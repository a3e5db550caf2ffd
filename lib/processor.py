"""This machine's processor in the words of an image index (Go's GOARCH), and which of its variants it can do.

An image for ``amd64/v3`` holds programs that an older x86-64 stops at with "Illegal instruction". The levels are those of the
x86-64 psABI ("Micro-Architecture Levels"); what a processor has stands in /proc/cpuinfo. arm counts its architectures: v5 to v8.
"""

from __future__ import annotations

import platform
import re
from functools import cache
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv6l": "arm", "armv7l": "arm", "i686": "386"}
SAME = {**ARCHITECTURES, "x86-64": "amd64", "i386": "386"}  # other words that people write
USUAL = {"amd64": 1, "arm": 7, "arm64": 8}  # where nobody says which
LEVELS = (
    {"cx16", "lahf_lm", "popcnt", "pni", "sse4_1", "sse4_2", "ssse3"},  # v2, and so on
    {"abm", "avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "movbe", "xsave"},
    {"avx512bw", "avx512cd", "avx512dq", "avx512f", "avx512vl"},
)


def architecture() -> str:
    return ARCHITECTURES.get(platform.machine(), platform.machine())


def number(kind: str, variant: str) -> int | None:
    """The number in ``v8``, or the usual one where there is no variant; None for a word that we cannot compare."""
    if not variant:
        return USUAL.get(kind)
    return int(variant[1:]) if re.fullmatch(r"v[0-9]{1,3}", variant) else None


def rank(kind: str, variant: str) -> int | None:
    """How good a variant is, the higher the better; None if the processor (of another machine: the usual one) cannot do it."""
    if not variant or kind not in USUAL:
        return 0
    found = number(kind, variant)
    return found if found is not None and found <= (highest() if kind == architecture() else USUAL[kind]) else None


@cache
def highest() -> int:
    """The highest variant of this machine's architecture that its processor can do."""
    if architecture() == "amd64":
        return level(CPUINFO.read_text() if CPUINFO.exists() else "")
    found = re.fullmatch(r"armv(\d)l", platform.machine())
    return int(found[1]) if found else USUAL.get(architecture(), 0)


def level(cpuinfo: str) -> int:
    """Each level has what those below it have."""
    found = re.search(r"^flags\s*:(.*)$", cpuinfo, re.MULTILINE)
    flags, reached = set(found[1].split()) if found else set(), 1
    for wanted in LEVELS:
        if not wanted <= flags:
            break
        reached += 1
    return reached
