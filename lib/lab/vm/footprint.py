"""What a process, a virtual machine or a folder costs: bytes of memory, bytes on the disk, as this machine's kernel accounts them."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from lib import linux


def proportional(*pids: int) -> int:
    """Bytes of memory of these processes: a page that n processes share counts 1/n for each (Pss, proc_pid_smaps_rollup(5))."""
    lines = "".join(told(pid, "smaps_rollup") for pid in pids).splitlines()
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:"))


def resident(*pids: int) -> int:
    """Bytes of memory as top and ps show them (RSS): a page that n processes share counts n times."""
    return sum(int(text.split()[1]) * os.sysconf("SC_PAGE_SIZE") for pid in pids if (text := told(pid, "statm")))


def told(pid: int, file: str) -> str:
    """A file of a process; nothing if it has ended meanwhile (a server's child for one answer, say): then it holds nothing."""
    try:
        return linux.read(f"/proc/{pid}/{file}")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def on_disk(path: str | Path) -> int:
    """Bytes that a file or a folder takes on the disk: blocks in use, a hard link once, holes not at all."""
    seen, total, todo = set(), 0, [os.fspath(path)]
    while todo:
        one = todo.pop()
        about = os.lstat(one)
        if (about.st_dev, about.st_ino) not in seen:
            seen.add((about.st_dev, about.st_ino))
            total += about.st_blocks * 512
            if os.path.isdir(one) and not os.path.islink(one):
                todo += [entry.path for entry in os.scandir(one)]
    return total


@dataclass(frozen=True)
class Memory:
    """Bytes of memory of one virtual machine, as this machine's kernel accounts them (proportional set size)."""

    guest: int  # of the memory that the guest was given, what it has touched
    translated: int  # the guest's instructions, translated for this processor (none with kvm)
    emulator: int  # the program that plays the hardware

    @property
    def total(self) -> int:
        return self.guest + self.translated + self.emulator

    @property
    def parts(self) -> dict[str, int]:
        """The same by name."""
        return {"touched by the guest": self.guest, "translated instructions": self.translated, "QEMU itself": self.emulator}


def account(smaps: str, given: int) -> Memory:
    """Split the mappings of QEMU's process: the one as large as the guest's memory, those that it writes and runs, the rest."""
    guest = translated = emulator = 0
    for mapping in re.split(r"\n(?=[0-9a-f]+-[0-9a-f]+ )", smaps):
        head = mapping.split("\n", 1)[0].split()
        low, high = (int(word, 16) for word in head[0].split("-"))
        found = re.search(r"^Pss: +(\d+) kB", mapping, re.M)
        share = int(found[1]) << 10 if found else 0
        if high - low == given:
            guest += share
        elif "wx" in head[1]:
            translated += share
        else:
            emulator += share
    return Memory(guest, translated, emulator)
