"""Which devices a container may open: Docker's list. A node alone gives nothing, whoever has made it. See the kernel's devices.rst (v1)."""

from __future__ import annotations

import re

# kind major:minor what: r(ead), w(rite), m(knod). Nodes of any number may be made; these may be opened.
ALLOWED = (
    "c *:* m", "b *:* m", "c 1:3 rwm", "c 1:5 rwm", "c 1:7 rwm", "c 1:8 rwm", "c 1:9 rwm",  # null zero full random urandom
    "c 5:0 rwm", "c 5:1 rwm", "c 5:2 rwm", "c 136:* rwm",  # tty console ptmx pts
)  # fmt: skip
EVERYTHING = ("a",)
LARGEST = (1 << 32) - 1


def rules_of(text: str) -> list[str]:
    """``--device-cgroup-rule``: ``c 10:229 rwm`` as the kernel's list has it. Raises ``ValueError``, in Docker's words.

    An ``a`` is both kinds. To the kernel that letter alone would be everything, whatever numbers stand behind it.
    """
    found = re.fullmatch(r"([acb]) ([0-9]+|\*):([0-9]+|\*) ([rwm]{1,3})", text, re.ASCII)
    if not found or any(number != "*" and (len(number) > 10 or int(number) > LARGEST) for number in found.group(2, 3)):
        raise ValueError(f"invalid device cgroup format '{text}'")
    kind, major, minor, access = found.groups()
    return [f"{one} {major}:{minor} {access}" for one in ("bc" if kind == "a" else kind)]
