"""What of a measured output is compared: its words, and how many numbers a line has, but no number's value.

A cell that is tagged ``measured`` prints what this machine, or this run, has measured. What must be true of it is said by the cell
after it, which is tagged ``holds``.
"""

from __future__ import annotations

import re

MEASURED, HOLDS, IGNORED = "measured", "holds", "nbval-ignore-output"
TIMES, SIZES = ("ns", "µs", "us", "ms", "s", "min", "h"), ("B", "bytes", "kB", "KB", "MB", "GB", "TB", "KiB", "MiB", "GiB", "TiB")
NUMBER = re.compile(
    rf"(?<![\w.])[-+−]?\d[\d,_.]*(?:e[-+]?\d+)?(?<![,.])(?P<unit>\s?(?:(?P<time>{'|'.join(TIMES)})|(?P<size>{'|'.join(SIZES)}))\b)?(?![A-Za-z])"
)
LINES = re.compile(r"[─━═=_-]{2,}|[▁▂▃▄▅▆▇█▏▎▍▌▋▊▉░▒▓]+")  # rules below headings and bars of text: as long as a number is wide
PICTURES = ("image/svg+xml",)  # nbval compares the other pictures never


def words(text: str) -> str:
    """``text`` with ``#`` for each number (``# time``, ``# size`` with its unit, which a faster machine may change), and single spaces."""
    text = NUMBER.sub(lambda found: "# time" if found["time"] else "# size" if found["size"] else "#", text)
    lines = (re.sub(r"[ \t]+", " ", LINES.sub("─", line)).strip() for line in text.splitlines())
    return "\n".join(lines)
