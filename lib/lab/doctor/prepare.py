"""Make what the chapters start from, so that no cell has to wait for it: root file systems, a kernel and a disk for virtual machines.

``python -m lib.lab.doctor.prepare [peers]``; set-up calls it, with ``peers`` for who runs the tests. All of it lies in the store;
what is there already costs nothing. What cannot be made
is said in one line, and is no error: the cell that needs it says so again, with what to do.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from lib import bases
from lib.engine.naming import shortnames
from lib.images import ImageError, Library, Store
from lib.lab.vm import backends, bootmedia, hypervisor


def virtual_machine() -> None:
    if reason := hypervisor.why_not():
        raise FileNotFoundError(reason)


def lab_by_qemu() -> None:
    if reason := backends.BACKENDS["qemu"].lacks():
        raise FileNotFoundError(reason)


def image(name: str) -> None:
    """One of the images that stand in where no registry can be reached, from its base."""
    shortnames.make(Library(Store()), name)


PARTS: dict[str, Callable] = {
    "a Debian with Node.js": partial(bases.find, "node"),
    "a Debian with Python": partial(bases.find, "python"),
    "a Debian with nginx": partial(bases.find, "nginx"),
    "a Debian with nginx, PostgreSQL, Redis and Python": partial(bases.find, "shop"),
    "a disk with a Debian that boots": bootmedia.debian_disk,
    "a kernel for virtual machines": virtual_machine,
    **{f"the image {name}": partial(image, name) for name in shortnames.HERE},
}
SERVERS = ("nginx-light", "redis-server", "postgresql", "curl", "bind9-dnsutils")  # real ones, and their clients, as Debian packages them
BARE = ("apt", "ca-certificates")  # what a set-up finds on a new machine
FOR_TESTS: dict[str, Callable] = {
    "a bare Debian": partial(bases.debian, BARE),
    "a kernel for the lab VM by QEMU": lab_by_qemu,
    "a Debian with servers": partial(bases.debian, SERVERS),
}


def make(name: str) -> str:
    """Make one part; what is to be said about it, nothing if it was there."""
    began = time.monotonic()
    try:
        (PARTS | FOR_TESTS)[name]()
    except (OSError, RuntimeError, ValueError, ImageError) as error:
        return f"{name} is left out: {str(error).strip().splitlines()[0]}"
    took = time.monotonic() - began
    return f"made {name} ({took:.0f} s)" if took > 1 else ""


def main(argv: list[str]) -> int:
    if os.geteuid() != 0:
        print("prepare: not root, so chapter 1's root file systems and virtual machine are not made", file=sys.stderr)
        return 0
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        for said in filter(None, pool.map(make, [*PARTS, *(FOR_TESTS if argv == ["peers"] else ())])):
            print(f"prepare: {said}", file=sys.stderr, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
