"""User-mode-linux, one of the lab VM's back ends: a Linux kernel built as an ordinary program. No KVM, and there in two seconds.

What is slow in it is system calls and above all forks; Python itself runs at this machine's speed. x86-64 only; one processor, no cpuset.
(Debian: the package user-mode-linux.)
"""

from __future__ import annotations

import os
import shutil
import sys

from lib.lab.vm import landlock
from lib.lab.vm.host import HERE, SHOWN, Job, base_python

NO_LANDLOCK = (
    "lab VM: this machine's kernel has no Landlock (Linux 5.13 has it; some distributions switch it off): nothing but its own good will "
    "keeps root in the lab VM from reading and writing all that you may read and write."
)


class UserModeLinux:
    """See ``host.Backend``."""

    card = "vec0"

    def title(self) -> str:
        return "user-mode-linux"

    def lacks(self) -> str:
        if os.uname().machine != "x86_64":
            return "user-mode-linux exists for x86-64 only"
        return "" if shutil.which("linux.uml") else "user-mode-linux is not installed: apt-get install user-mode-linux"

    def unfetched(self) -> str:
        return ""

    def place(self) -> str | None:
        """It keeps its memory in a file: /dev/shm, if programs may be run from there."""
        flags = os.statvfs("/dev/shm") if os.path.isdir("/dev/shm") else None
        roomy = flags and not flags.f_flag & os.ST_NOEXEC and flags.f_bavail * flags.f_bsize > 2 << 30
        return "/dev/shm" if roomy and os.access("/dev/shm", os.W_OK) else None

    def mounts(self, job: Job) -> list[tuple[str, str, str, str]]:
        """It reaches this machine's files by a file system of its own, hostfs."""
        shown = [("none", f"{SHOWN}/{number}", "hostfs", f"ro,{folder}") for number, folder in enumerate(job.shelves)]
        return shown + ([("none", job.work, "hostfs", job.work)] if job.work else [])

    def opens(self) -> tuple[list[str], list[str]]:
        return [shutil.which("linux.uml")], []

    def command(self, job: Job, run: str, memory: str, line: int, console: int, card: int | None) -> list[str]:
        """What stands after the two dashes are the words for PID 1; the last one is the kernel's own, which it passes on all the same."""
        if not landlock.version():
            print(NO_LANDLOCK, file=sys.stderr)
        return [
            shutil.which("linux.uml"), "root=/dev/root", "rootfstype=hostfs", "ro", f"mem={memory}", f"init={base_python()}", "quiet",
            "con=null", f"con0=null,fd:{console}", "ssl=null", f"ssl0=fd:{line}", f"uml_dir={run}/",
            *([] if card is None else [f"vec0:transport=fd,fd={card},depth=64"]),
            "--", "-I", "-S", f'"{HERE / "guest.py"}"', "/dev/ttyS0", "noreboot",
        ]  # fmt: skip
