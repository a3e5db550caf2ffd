"""Who is traced does not die of SIGKILL as long as its tracer likes (PTRACE_O_TRACEEXIT); then its end is for the tracer to see, not us.
So whoever traces what is to die dies, too. See ptrace(2).
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress

from lib import linux

PF_EXITING = 0x4  # a flag of a thread, in proc_pid_stat(5)


def facts(place: str) -> dict[str, str]:
    """What ``/proc/PID/status`` says, or that of a thread; nothing of one that is gone."""
    with suppress(OSError):
        return {name: value.strip() for name, _, value in (line.partition(":") for line in linux.read(f"{place}/status").splitlines())}
    return {}


def tasks(pid: int) -> list[str]:
    """Where the threads of a process are found."""
    with suppress(OSError):
        return [f"/proc/{pid}/task/{thread}" for thread in os.listdir(f"/proc/{pid}/task")]
    return []


def contained(about: dict[str, str]) -> bool:
    """Is it in a PID namespace below ours? It has a number in each. See pid_namespaces(7)."""
    return len(about.get("NSpid", "").split()) > 1


def contained_children(pid: int) -> set[int]:
    """Those of its children that are in containers, zombies, too."""
    found = []
    for task in tasks(pid):
        with suppress(OSError):
            found += linux.read(f"{task}/children").split()
    return {int(child) for child in found if contained(facts(f"/proc/{child}"))}


def is_ending(pid: int) -> bool:
    """Has it left its program for good? PID 1 of a container then waits until everybody else in there is gone."""
    try:
        return all(int(linux.read(f"{task}/stat").rpartition(")")[2].split()[6]) & PF_EXITING for task in tasks(pid))
    except OSError:  # a thread has just gone
        return False


def kill_tracers(pid: int) -> None:
    """SIGKILL for who traces this process, or anybody whom it waits for: its descendants in a container, and the tracers themselves."""
    doomed = [pid]
    for one in doomed:
        more = contained_children(one) | {kill_tracer(task) for task in tasks(one)}
        doomed += more - {0, *doomed}


def kill_tracer(task: str) -> int:
    """Its number, if there is one that may be killed. A debugger outside is not to be, if it is our own user's."""
    tracer = int(facts(task).get("TracerPid", 0))
    with suppress(OSError):
        pidfd = os.pidfd_open(tracer)
        try:
            about = facts(f"/proc/{tracer}")
            theirs = contained(about) or about.get("Uid", "").split()[1:2] != [str(os.geteuid())]
            if theirs and facts(task).get("TracerPid") == str(tracer):  # else its number is another's by now
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
                return tracer
        finally:
            os.close(pidfd)
    return 0
