"""What tells one kernel from another, asked in the same words on the host, in a container and in a virtual machine."""

from __future__ import annotations

from dataclasses import dataclass

# One script for the host, a container and a virtual machine, so that the same question is asked everywhere.
ASK = """uname -r; cat /proc/sys/kernel/random/boot_id; set -- /proc/[0-9]*; echo $#
set -- $(sed 's/.*) //' /proc/1/stat); shift 19; echo $1; grep btime /proc/stat"""


@dataclass(frozen=True)
class Facts:
    """What tells one kernel from another: its release, its boot, its processes, its first process's start."""

    release: str
    boot_id: str
    processes: int
    first_started: float  # seconds since 1970

    def __str__(self) -> str:
        return f"Linux {self.release}, boot {self.boot_id[:8]}, {self.processes} processes"


def facts(answer: str) -> Facts:
    """Read the answer to ``ASK``. Clock ticks are 1/100 s for every program, on every processor (proc_pid_stat(5))."""
    release, boot_id, processes, ticks, booted = answer.split("\n")[:5]
    return Facts(release, boot_id, int(processes), int(booted.split()[1]) + int(ticks) / 100)
