"""Make what the chapters start from, so that no cell has to wait for it: root file systems, a kernel and a disk for virtual machines.

``python -m lib.lab.prepare``; set-up calls it. All of it lies in the store; what is there already costs nothing. What cannot be made
is said in one line, and is no error: the cell that needs it says so again, with what to do.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from lib import bases
from lib.lab import vm, vmparts


def virtual_machine() -> None:
    if reason := vm.why_not():
        raise FileNotFoundError(reason)


PARTS: dict[str, Callable] = {
    "a Debian with Node.js": partial(bases.find, "node"),
    "a Debian with Python": partial(bases.find, "python"),
    "a Debian with nginx": partial(bases.find, "nginx"),
    "a disk with a Debian that boots": vmparts.debian_disk,
    "a kernel for virtual machines": virtual_machine,
}


def make(name: str) -> str:
    """Make one part; an empty string, or why it could not be made."""
    try:
        PARTS[name]()
    except (OSError, RuntimeError, ValueError) as error:
        return str(error).strip().splitlines()[0]
    return ""


def main() -> int:
    if os.geteuid() != 0:
        print("prepare: not root, so chapter 1's root file systems and virtual machine are not made", file=sys.stderr)
        return 0
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        for name, reason in zip(PARTS, pool.map(make, PARTS), strict=True):
            if reason:
                print(f"prepare: {name} is left out: {reason}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
