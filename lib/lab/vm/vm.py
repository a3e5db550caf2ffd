"""A real virtual machine, booted in a cell: QEMU as an ordinary process of ours, so it is ended and reaped like a container.

``start()`` boots one and comes back when it has served its first byte. Where none can be booted, it hands back a recorded
measurement with the same words, labelled as such. ``python -m lib.lab.vm.vm [record|try|prepare]``
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from lib import linux, state
from lib.ingredients import Cgroup
from lib.lab.vm import kernels, reach, vmparts
from lib.process import Plan, Process, TimeLimit

RECORDED = Path(__file__).with_name("vm-recorded.json")
MEMORY = 128  # MiB that a tiny guest is given
TRY = 6  # seconds within which a guest must say something, or the accelerator does not work
PATIENCE = {"kvm": 60, "tcg": 240}  # seconds that a boot may take
MARKS = {"@init": "its first process runs", "@network": "drivers and network are there", "@listening": "the app listens"}


# -- whether and how ---------------------------------------------------------------------------------


def why_not() -> str:
    """Why no virtual machine can be booted here; an empty string if nothing speaks against it."""
    if platform.system() != "Linux" or platform.machine() not in kernels.BOARDS:
        return f"there is no recipe for {platform.system()} on {platform.machine()}"
    if os.environ.get("SUITCASE_GUEST", "").endswith("(TCG)"):
        return "this is itself an emulated machine: one in it would take many minutes"
    name = vmparts.board().qemu
    if shutil.which(name) is None:
        return f"{name} is not installed: apt-get install {vmparts.board().package}"
    try:
        vmparts.initrd()
    except (OSError, RuntimeError, ValueError) as error:
        return f"there is no kernel for it ({error})"
    return ""


def accelerator() -> str:
    """``kvm`` if a guest really starts with it within ``TRY`` seconds, else ``tcg``, which translates each instruction.

    That /dev/kvm is there says little: in many a virtual machine it is, and guests hang. The answer is kept until the next boot.
    """
    note, boot = state.runtime_dir() / "accelerator", linux.read("/proc/sys/kernel/random/boot_id").strip()
    with suppress(FileNotFoundError):
        known, _, found = note.read_text().strip().partition(" ")
        if known == boot and found:
            return found
    found = "kvm" if kvm_works() else "tcg"
    note.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    note.write_text(f"{boot} {found}\n")
    return found


def kvm_works() -> bool:
    if not os.access("/dev/kvm", os.R_OK | os.W_OK) or why_not():
        return False
    plan = Plan(command_line("kvm", MEMORY), [])  # nothing that needs root: an ordinary user may use it, too
    with plan.start() as process:
        deadline = time.monotonic() + TRY
        while time.monotonic() < deadline and process.poll() is None:
            if b"@init" in process.logs():
                return True
            time.sleep(0.05)
    return False


def command_line(accel: str, memory: int, disk: str | None = None) -> list[str]:
    """QEMU's words: no firmware menus, no screen, the serial line as its output, one network card that reaches nothing but us.

    Port 80 of the guest is forwarded from a port of the loopback address that the kernel picks (0).
    """
    board = vmparts.board()
    drive = ["-drive", f"file={disk},format=raw,if=none,id=disk,snapshot=on", "-device", "virtio-blk-pci,drive=disk"]
    return [
        board.qemu, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio",
        "-machine", board.machine, "-accel", accel, "-cpu", "host" if accel == "kvm" else "max", "-smp", "1", "-m", f"{memory}M",
        "-kernel", str(vmparts.kernel().image), "-initrd", str(vmparts.initrd()),
        "-append", f"console={board.serial} quiet panic=-1",
        "-netdev", "user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:0-:80", "-device", "virtio-net-pci,netdev=net,romfile=",
        *(drive if disk else []),
    ]  # fmt: skip


# -- what was measured ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Memory:
    """Bytes of memory of one virtual machine, as this machine's kernel accounts them (proportional set size)."""

    guest: int  # of the memory that the guest was given, what it has touched
    translated: int  # the guest's instructions, translated for this processor (none with kvm)
    emulator: int  # the program that plays the hardware

    @property
    def total(self) -> int:
        return self.guest + self.translated + self.emulator


@dataclass(frozen=True)
class Facts:
    """What tells one kernel from another: its release, its boot, its processes, its first process's start."""

    release: str
    boot_id: str
    processes: int
    first_started: float  # seconds since 1970

    def __str__(self) -> str:
        return f"Linux {self.release}, boot {self.boot_id[:8]}, {self.processes} processes"


# One script for the host, a container and a virtual machine, so that the same question is asked everywhere.
ASK = """uname -r; cat /proc/sys/kernel/random/boot_id; set -- /proc/[0-9]*; echo $#
set -- $(sed 's/.*) //' /proc/1/stat); shift 19; echo $1; grep btime /proc/stat"""


def facts(answer: str) -> Facts:
    """Read the answer to ``ASK``. Clock ticks are 1/100 s for every program, on every processor (proc_pid_stat(5))."""
    release, boot_id, processes, ticks, booted = answer.split("\n")[:5]
    return Facts(release, boot_id, int(processes), int(booted.split()[1]) + int(ticks) / 100)


# -- a guest ----------------------------------------------------------------------------------------


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
        self.timeline["the first byte is served"] = reach.first_byte(None, self.port, self.alive, patience) - began

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

    def sh(self, script: str) -> str:
        """Run a shell script in it as root; what it printed, errors included."""
        return reach.ask(None, self.port, "/cgi-bin/sh", script)

    def page(self) -> str:
        """What its app serves."""
        return reach.ask(None, self.port)

    def facts(self) -> Facts:
        return facts(self.sh(ASK))

    def memory(self) -> Memory:
        return account(linux.read(f"/proc/{self.pid}/smaps"), self.given << 20)

    def charged(self) -> int:
        """Bytes that this machine's kernel charges to its cgroup, as for a container."""
        return self.cgroup.number("memory.current")

    def used_inside(self) -> int:
        """Bytes that the guest's own kernel calls used: all that it has but what it calls available."""
        rows = dict(line.split(":") for line in self.sh("cat /proc/meminfo").splitlines() if ":" in line)
        return (int(rows["MemTotal"].split()[0]) - int(rows["MemAvailable"].split()[0])) << 10

    def size(self) -> int:
        """Bytes on the disk: kernel and archive, and the disk if it has one."""
        parts = [vmparts.kernel().image, vmparts.initrd(), *([self.disk] if self.disk else [])]
        return sum(map(reach.on_disk, parts))

    def remove(self) -> None:
        self.process.remove()

    def __enter__(self) -> Guest:
        return self

    def __exit__(self, *error) -> None:
        self.remove()

    def __repr__(self) -> str:
        return f"<virtual machine, {self.accelerator}, {self.given} MiB: first byte after {self.started:.2f} s>"


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


def boot(memory: int = MEMORY, full: bool = False) -> Guest:
    """Boot a virtual machine with ``memory`` MiB and wait until it has served its first byte; ``full``: a whole Debian instead of busybox.

    Raises ``FileNotFoundError`` where none can be booted, ``TimeLimit`` or ``RuntimeError`` with its last words when it does not come up.
    """
    if reason := why_not():
        raise FileNotFoundError(reason)
    disk = vmparts.debian_disk() if full else None
    accel = accelerator()
    cgroup = Cgroup()
    plan = Plan(command_line(accel, memory, str(disk) if disk else None), [cgroup])
    began = time.perf_counter()
    process = plan.start()
    try:
        guest = Guest(process, cgroup, memory, accel, disk)
        guest.boot(began)
    except BaseException:
        process.remove()
        raise
    return guest


# -- where none can be booted ---------------------------------------------------------------------------


class Recorded:
    """A virtual machine that was measured elsewhere, with the words of ``Guest``."""

    process, pid = None, 0

    def __init__(self, record: dict):
        self.record = record
        self.timeline, self.given, self.accelerator = record["timeline"], record["given"], record["accelerator"]
        self.label = f"recorded on {record['machine']}, {record['date']}"

    started = Guest.started

    def sh(self, script: str) -> str:
        """What the recorded guest answered to this script. Raises ``KeyError`` if it was never asked."""
        return self.record["answers"][script]

    def page(self) -> str:
        return self.record["page"]

    def facts(self) -> Facts:
        return facts(self.sh(ASK))

    def memory(self) -> Memory:
        return Memory(**self.record["memory"])

    def charged(self) -> int:
        return self.record["charged"]

    def used_inside(self) -> int:
        return self.record["used_inside"]

    def size(self) -> int:
        return self.record["size"]

    def remove(self) -> None:
        """There is nothing to remove."""

    def __enter__(self) -> Recorded:
        return self

    def __exit__(self, *error) -> None:
        pass

    def __repr__(self) -> str:
        return f"<virtual machine, {self.label}: first byte after {self.started:.2f} s>"


def start(memory: int = MEMORY, full: bool = False) -> Guest | Recorded:
    """As ``boot``; where none can be booted, say why and hand back the recorded one (an error with SUITCASE_PEERS=required)."""
    if not (reason := why_not()):
        return boot(memory, full)
    if os.environ.get("SUITCASE_PEERS") == "required":
        raise FileNotFoundError(f"no virtual machine here: {reason}")
    record = recorded()["full" if full else "tiny"]
    print(f"NOT MEASURED HERE. No virtual machine can be booted: {reason}. What follows was {Recorded(record).label}.")
    return Recorded(record)


@cache
def recorded() -> dict:
    return json.loads(RECORDED.read_text())


# What the chapter asks a guest, and the record must therefore know.
QUESTIONS = {
    "facts": ASK,
    "kernel log": "dmesg | head -n 1",
    "clock": "date -s 2013-03-15 >/dev/null; date +%Y",
    "module": "insmod /drivers/dummy.ko && grep -c ^dummy /proc/modules",
    "processes": "ps -o comm",
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
    if reason := why_not():
        print(f"vm: {reason}", file=sys.stderr)
        return 3
    print(f"accelerator: {accelerator()}")
    if what != "prepare":
        with boot(1024 if what == "full" else MEMORY, what == "full") as guest:
            for words, seconds in guest.timeline.items():
                print(f"{seconds:7.2f} s  {words}")
            print(guest.facts(), guest.memory(), f"used inside {guest.used_inside() >> 20} MiB, {guest.size() >> 20} MiB on disk", sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
