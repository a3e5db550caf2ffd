"""A real virtual machine, booted in a cell as a container is, to compare the two.

``start()`` boots one and comes back when it has served its first byte. Where none can be booted, it hands back a recorded
measurement with the same words, labelled as such. ``python -m lib.lab.vm.vm [record|try|prepare]``
"""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from dataclasses import asdict

from lib.ingredients import Cgroup
from lib.lab.vm import bootmedia, hypervisor
from lib.lab.vm.hypervisor import MEMORY
from lib.lab.vm.kernelfacts import ASK
from lib.lab.vm.qemuguest import Guest
from lib.lab.vm.recorded import RECORDED, Recorded, recorded
from lib.process import Plan


def boot(memory: int = MEMORY, full: bool = False) -> Guest:
    """Boot a virtual machine with ``memory`` MiB and wait until it has served its first byte; ``full``: a whole Debian instead of busybox.

    Raises ``FileNotFoundError`` where none can be booted, ``TimeLimit`` or ``RuntimeError`` with its last words when it does not come up.
    """
    if reason := hypervisor.why_not():
        raise FileNotFoundError(reason)
    disk = bootmedia.debian_disk() if full else None
    accel = hypervisor.accelerator()
    cgroup = Cgroup()
    plan = Plan(hypervisor.command_line(accel, memory, str(disk) if disk else None), [cgroup])
    began = time.perf_counter()
    process = plan.start()
    try:
        guest = Guest(process, cgroup, memory, accel, disk)
        guest.boot(began)
    except BaseException:
        process.remove()
        raise
    return guest


def start(memory: int = MEMORY, full: bool = False) -> Guest | Recorded:
    """As ``boot``; where none can be booted, say why and hand back the recorded one (an error with SUITCASE_PEERS=required)."""
    if not (reason := hypervisor.why_not()):
        return boot(memory, full)
    if os.environ.get("SUITCASE_PEERS") == "required":
        raise FileNotFoundError(f"no virtual machine here: {reason}")
    record = recorded()["full" if full else "tiny"]
    print(f"NOT MEASURED HERE. No virtual machine can be booted: {reason}. What follows was {Recorded(record).label}.")
    return Recorded(record)


# What the chapter asks a guest, and the record must therefore know.
QUESTIONS = {
    "facts": ASK,
    "kernel log": "dmesg | head -n 1",
    "clock": "date -s 2013-03-15 >/dev/null; date +%Y",
    "module": "insmod /drivers/dummy.ko && grep -c ^dummy /proc/modules",
    "nap": "sleep 4242 >/dev/null 2>&1 & sleep 0.5; ps -o args | grep -c '^sleep 4242'",
}


def record() -> None:
    """Measure both kinds of guest on this machine and write the record anew."""
    found = {}
    for name, full in (("tiny", False), ("full", True)):
        with boot(1024 if full else MEMORY, full) as guest:
            found[name] = {
                "machine": f"a machine with {os.cpu_count()} processors ({platform.machine()}, Linux {platform.release().split('-')[0]})",
                "date": time.strftime("%Y-%m-%d"),
                "timeline": guest.timeline, "given": guest.given, "accelerator": guest.accelerator, "page": guest.page(),
                "memory": asdict(guest.memory()), "charged": guest.charged(), "used_inside": guest.used_inside(), "size": guest.size(),
                "answers": {script: guest.sh(script) for script in QUESTIONS.values()},
            }  # fmt: skip
    RECORDED.write_text(json.dumps(found, indent=1) + "\n")


def main(argv: list[str]) -> int:
    import argparse

    parser = argparse.ArgumentParser(prog="python -m lib.lab.vm.vm", description="Boot a virtual machine and say what it cost.")
    parser.add_argument("what", choices=["try", "full", "record", "prepare"], nargs="?", default="try")
    what = parser.parse_args(argv).what
    if what == "record":
        record()
        return 0
    if reason := hypervisor.why_not():
        print(f"vm: {reason}", file=sys.stderr)
        return 3
    print(f"accelerator: {hypervisor.accelerator()}")
    if what != "prepare":
        with boot(1024 if what == "full" else MEMORY, what == "full") as guest:
            for words, seconds in guest.timeline.items():
                print(f"{seconds:7.2f} s  {words}")
            print(guest.facts(), guest.memory(), f"used inside {guest.used_inside() >> 20} MiB, {guest.size() >> 20} MiB on disk", sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
