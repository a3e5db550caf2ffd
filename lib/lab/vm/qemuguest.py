"""A virtual machine that runs: a QEMU that is an ordinary process of ours, so it is accounted, ended and reaped like a container."""

from __future__ import annotations

import os
import re
import time
from itertools import pairwise
from pathlib import Path

from lib import linux
from lib.ingredients import Cgroup
from lib.lab.vm import bootmedia, distrokernels, footprint, netns_http
from lib.lab.vm.footprint import Memory
from lib.lab.vm.kernelfacts import ASK, Facts, facts
from lib.process import Process, TimeLimit

PATIENCE = {"kvm": 60, "tcg": 240}  # seconds that a boot may take
STAGES = ("QEMU starts", "the kernel boots", "drivers and network", "the app starts", "the first answer")  # what happens before each mark
MARKS = {"@init": "its first process runs", "@network": "drivers and network are there", "@listening": "the app listens"}


class Guest:
    """A virtual machine that runs. Use it as a context manager to have it removed at the block's end."""

    label = ""  # where it was measured, if not here and now

    def __init__(self, process: Process, cgroup: Cgroup, memory: int, accel: str, disk: Path | None):
        self.process, self.cgroup, self.given, self.accelerator, self.disk = process, cgroup, memory, accel, disk
        self.timeline: dict[str, float] = {}  # seconds from the request on
        self.port = 0

    def boot(self, began: float) -> None:
        """Wait for each mark on the serial line, then for the first byte. Raises ``TimeLimit`` or ``RuntimeError`` with its last words."""
        patience = PATIENCE[self.accelerator]
        for mark, words in MARKS.items():
            self.wait_for(mark, words, began, patience)
        self.port = listening_port(self.process.pid)
        self.timeline["the first byte is served"] = netns_http.first_byte(None, self.port, self.alive, patience) - began

    def wait_for(self, mark: str, words: str, began: float, patience: float) -> None:
        """Note when a mark came; with the first one comes the guest's own clock, which tells when its kernel began."""
        while not (found := re.search(rf"^{mark}\b(.*)\n".encode(), self.process.logs(), re.M)):
            if not self.alive():
                raise RuntimeError(f"the virtual machine ended before '{words}': {self.last_words()}")
            if time.perf_counter() - began > patience:
                raise TimeLimit(patience, words=f"no '{words}' within {patience} s: {self.last_words()}")
            time.sleep(0.005)
        now = time.perf_counter() - began
        if mark == "@init":
            self.timeline["its kernel begins"] = max(0.0, now - float(found[1]))
        self.timeline[words] = now

    def last_words(self) -> str:
        return self.process.logs().decode(errors="replace").strip()[-600:] or "(it said nothing)"

    def alive(self) -> bool:
        return self.process.poll() is None

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def started(self) -> float:
        """Seconds from the request to the first byte of an answer."""
        return self.timeline["the first byte is served"]

    @property
    def stages(self) -> dict[str, float]:
        """What happened until then, one thing after the other, and how many seconds it took."""
        return {what: end - begun for what, (begun, end) in zip(STAGES, pairwise([0.0, *self.timeline.values()]), strict=True)}

    def sh(self, script: str) -> str:
        """Run a shell script in it as root; what it printed, errors included."""
        return netns_http.ask(None, self.port, "/cgi-bin/sh", script)

    def page(self) -> str:
        """What its app serves."""
        return netns_http.ask(None, self.port)

    def facts(self) -> Facts:
        return facts(self.sh(ASK))

    def memory(self) -> Memory:
        return footprint.account(linux.read(f"/proc/{self.pid}/smaps"), self.given << 20)

    def charged(self) -> int:
        """Bytes that this machine's kernel charges to its cgroup, as for a container."""
        return self.cgroup.number("memory.current")

    def used_inside(self) -> int:
        """Bytes that the guest's own kernel calls used: all that it has but what it calls available."""
        rows = dict(line.split(":") for line in self.sh("cat /proc/meminfo").splitlines() if ":" in line)
        return (int(rows["MemTotal"].split()[0]) - int(rows["MemAvailable"].split()[0])) << 10

    def size(self) -> int:
        """Bytes on the disk: kernel and archive, and the disk if it has one."""
        parts = [distrokernels.kernel().image, bootmedia.initrd(), *([self.disk] if self.disk else [])]
        return sum(map(footprint.on_disk, parts))

    def remove(self) -> None:
        self.process.remove()

    def __enter__(self) -> Guest:
        return self

    def __exit__(self, *error) -> None:
        self.remove()

    def __repr__(self) -> str:
        return f"<virtual machine, {self.accelerator}, {self.given} MiB: first byte after {self.started:.2f} s>"


def listening_port(pid: int) -> int:
    """The port of the loopback address at which a process listens. See proc_net(5) and proc_pid_fd(5)."""
    own = set()
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            own.add(os.readlink(f"/proc/{pid}/fd/{name}").removeprefix("socket:[").rstrip("]"))
        except FileNotFoundError:
            continue
    for line in linux.read(f"/proc/{pid}/net/tcp").splitlines()[1:]:
        _, local, _, status, *_, inode = line.split()[:10]
        if status == "0A" and inode in own:  # LISTEN
            return int(local.split(":")[1], 16)
    raise RuntimeError(f"process {pid} listens at no port")
