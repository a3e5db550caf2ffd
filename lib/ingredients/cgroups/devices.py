"""Which devices a container may open: Docker's list. A node alone gives nothing, whoever has made it. See the kernel's devices.rst (v1)."""

from __future__ import annotations

# kind major:minor what: r(ead), w(rite), m(knod). Nodes of any number may be made; these may be opened.
ALLOWED = (
    "c *:* m", "b *:* m", "c 1:3 rwm", "c 1:5 rwm", "c 1:7 rwm", "c 1:8 rwm", "c 1:9 rwm",  # null zero full random urandom
    "c 5:0 rwm", "c 5:1 rwm", "c 5:2 rwm", "c 136:* rwm",  # tty console ptmx pts
)  # fmt: skip
EVERYTHING = ("a",)
