"""One page served by a container, by the smallest virtual machine, and by a whole Debian in one: chapter 1's comparison."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

from lib import bases
from lib.container import start
from lib.lab.bench.table import Row
from lib.lab.bench.timing import spread
from lib.lab.vm import footprint, hypervisor, netns_http, vm

SERVE = ["sh", "-c", "mkdir /srv; echo hello > /srv/index.html; exec httpd -f -p 80 -h /srv"]


@dataclass
class Served:
    """One app that serves a page: seconds to the first byte, bytes of memory (proportional), bytes on the disk."""

    seconds: float
    memory: int
    disk: int


def serve_in_a_container() -> Served:
    began = time.perf_counter()
    with start("busybox", SERVE) as box:
        seconds = netns_http.first_byte(box.pid, 80) - began
        disk = footprint.on_disk(bases.busybox()) + footprint.on_disk(f"{box.folder}/upper")
        return Served(seconds, footprint.proportional(*box.cgroup.pids()), disk)


def serve_in_a_machine(full: bool) -> Served:
    with vm.boot(1024 if full else hypervisor.MEMORY, full) as guest:
        return Served(guest.started, guest.memory().total, guest.size())


def beside_machines(rounds: int) -> list[Row]:
    """Chapter 1's pair: the same page from a container, from the smallest virtual machine, and from a whole Debian in one."""
    ours = [serve_in_a_container() for _ in range(rounds)]
    rows = []
    for full in (False, True):
        served, name = serve_in_a_machine(full), f"{'Debian in a VM' if full else 'tiny VM'} ({hypervisor.accelerator()})"
        for what, field, unit, scale, claim in (
            ("start to the first byte served", "seconds", "s", 1, "milliseconds against minutes"),
            ("memory of an idle app", "memory", "MB", 1e6, "600 MB before the app starts"),
            ("size on the disk", "disk", "MB", 1e6, "libraries and app against a whole system"),
        ):
            values = [getattr(one, field) / scale for one in ours]
            theirs = getattr(served, field) / scale
            rows.append(Row(what, "01", statistics.median(values), unit, spread(values), theirs, name, claim=claim))
    return rows
