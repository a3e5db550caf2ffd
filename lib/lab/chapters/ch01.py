"""The exercises of chapter 1, and what its experiments with broken programs and with a suitcase need.

A check never trusts a Python object of the reader: it starts containers of its own and asks the kernel.
"""

from __future__ import annotations

import os
import platform
import random
import shutil
import struct
import tarfile
import time
from pathlib import Path

from lib import bases, linux, state
from lib.container import start
from lib.ingredients import RootFS
from lib.lab.chapters import tempfolder
from lib.lab.chapters.exercises import Exercise, NotYet, in_kind
from lib.lab.vm import footprint
from lib.process import Plan, StepError, TimeLimit, scratch

PROCESSORS = {"aarch64": 183, "x86_64": 62, "riscv64": 243, "s390x": 22}  # e_machine, elf(5)


def foreign() -> str:
    """A processor that is not this machine's, and that no translator (binfmt_misc, qemu-user) plays here."""
    played = Path("/proc/sys/fs/binfmt_misc")
    return next(name for name in PROCESSORS if name != platform.machine() and not (played / f"qemu-{name}").exists())


def for_another_processor(program: bytes, processor: str) -> bytes:
    """The same program with another processor's number in its header (two bytes at 18): as far as the kernel reads."""
    return program[:18] + struct.pack("<H", PROCESSORS[processor]) + program[20:]


def broken_programs(folder: Path) -> dict[str, Path]:
    """Three programs that are there and do not start, and one that does, by what is wrong with them."""
    folder.mkdir(parents=True, exist_ok=True)
    busybox, script = Path(bases.busybox(), "bin/busybox").read_bytes(), "#!/bin/sh\necho hello\n"
    contents = {
        "processor": for_another_processor(busybox, foreign()),
        "line end": script.replace("\n", "\r\n").encode(),
        "loader": Path("/bin/true").resolve().read_bytes(),  # this machine's own: it wants this machine's C library
        "fine": script.encode(),
    }
    for kind, content in contents.items():
        path = folder / kind.replace(" ", "-")
        path.write_bytes(content)
        path.chmod(0o755)
    return {kind: folder / kind.replace(" ", "-") for kind in contents}


def ago(moment: float) -> str:
    """How long ago that was, in the largest unit that fits: ``22 hours ago``."""
    seconds = max(0.0, time.time() - moment)
    for size, unit in ((86400, "days"), (3600, "hours"), (60, "minutes"), (1, "seconds")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit} ago"
    return "just now"


def layer(name: str, files: dict[str, str]) -> str:
    """A folder with these files (path → text): what one machine, or one image, has on top of the base."""
    for path, text in files.items():
        file = tempfolder.folder() / name / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return str(tempfolder.folder() / name)


PILES = {
    "Ann's program": lambda name: name.startswith("srv/"),
    "the till library, as Ann has it": lambda name: name.endswith("/till.py"),
    "Python": lambda name: "python" in name,
    "the C library and friends": lambda name: True,
}


def goods(suitcase: Path) -> dict[str, int]:
    """What is in Ann's suitcase (a tar file), in four piles: what → bytes."""
    piles = dict.fromkeys(PILES, 0)
    with tarfile.open(suitcase) as tar:
        for one in tar:
            piles[next(pile for pile, belongs in PILES.items() if belongs(one.name))] += one.size
    return {pile: piles[pile] for pile in sorted(piles, key=piles.get, reverse=True)}


def function(answer, words: str):
    """The answer, if it can be called."""
    if not callable(answer):
        raise NotYet(f"the answer must be a function {words}, and this is {in_kind(answer)}")
    return answer


# -- 1: the container on the host -------------------------------------------------------------------


def check_find(answer, names: list[str], wanted: int) -> str:
    """Three containers run; the reader's function must tell the host's pid of one of them by its hostname."""
    find = function(answer, "of a hostname")
    boxes = {}
    try:
        for name in names:
            boxes[name] = start("busybox", ["sleep", "60"], hostname=name)
        said = find(names[wanted])
        if said == 1:
            raise NotYet("1 is its pid inside; which number does this machine call it by?")
        if not isinstance(said, int) or not os.path.exists(f"/proc/{said}"):
            raise NotYet(f"{said!r} is not the number of a process of this machine")
        if said != boxes[names[wanted]].pid:
            words = linux.read(f"/proc/{said}/cmdline").replace("\0", " ").strip()
            raise NotYet(f"process {said} is a different one ({words or 'a thread of the kernel'})")
    finally:
        for box in boxes.values():
            box.remove()
    return (
        "found, among everything that runs here. That's also how the kernel's OOM killer, a monitoring agent or a burglar finds it: "
        "nobody on the host has to ask Docker"
    )


# -- 2: why does it not start? ------------------------------------------------------------------------


def check_diagnose(answer, order: list[str]) -> str:
    """The reader's function is asked about each program; then the kernel is asked, to be fair."""
    diagnose = function(answer, "of a path")
    with scratch("ex") as place:
        programs = broken_programs(Path(place))
        for number, kind in enumerate(order):
            path = Path(place, f"program-{number}")
            shutil.move(programs[kind], path)
            if (said := diagnose(str(path))) != kind:
                raise NotYet(f"you call one program {said!r}; started in a busybox container it gives: {kernel_says(path)}")
    return (
        "four patients, four right diagnoses, and none of them had to be run. The two bytes that you read have stood at offset 18 "
        "since the ELF format of the late 1980s; Docker's error message still doesn't read them"
    )


def kernel_says(path: Path) -> str:
    rootfs = RootFS([bases.busybox(), str(path.parent)], scratch=str(state.folder("containers") / state.new_id()))
    try:
        return f"no error, and {Plan([f'/{path.name}'], [rootfs], env={}).run(show=False).text.strip()!r}"
    except StepError as error:
        return str(error)


# -- 3: where did the disk go? --------------------------------------------------------------------------


def check_disk(answer, sizes: list[int]) -> str:
    """Containers on one image, each has written something somewhere; who has written most?"""
    blame = function(answer, "of a list of containers")
    boxes = []
    try:
        for number, size in enumerate(sizes):
            box = start("busybox", ["sleep", "60"])
            boxes.append(box)
            script = f"mkdir -p /var/{number}/log; dd if=/dev/zero of=/var/{number}/log/x bs=1M count={size} 2>/dev/null"
            box.exec(["sh", "-c", script], show=False)
        said, worst = blame(list(boxes)), boxes[sizes.index(max(sizes))]
        if said not in boxes:
            raise NotYet(f"the answer must be one of the containers in the list, and this is {said!r}")
        if said is not worst:
            wrote = [footprint.on_disk(f"{box.folder}/upper") >> 20 for box in (said, worst)]
            raise NotYet(f"that one has written {wrote[0]} MiB, but one of the others {wrote[1]} MiB")
    finally:
        for box in boxes:
            box.remove()
    return (
        f"{max(sizes)} MiB, in the layer of one container; the image below hasn't grown by a byte. "
        "Bob's usual suspect is a log file, and Bob is usually right"
    )


# -- 4: docker top, which lib does not have ---------------------------------------------------------------


def check_top(answer, seconds: list[int]) -> str:
    """All processes of a container with the host's pids, also those that its first process did not start itself."""
    top = function(answer, "of a container")
    script = f"(sleep {seconds[0]} & sleep {seconds[1]} & wait) & exec sleep {seconds[2]}"
    with start("busybox", ["sh", "-c", script]) as other, start("busybox", ["sh", "-c", script]) as box:
        for one in (other, box):
            wait_for_sleeps(one, seconds)
        said, there, foreign_ones = top(box), set(box.cgroup.pids()), set(other.cgroup.pids())
        try:
            told = {int(pid): str(words) for pid, words in dict(said).items()}
        except (TypeError, ValueError):
            raise NotYet(f"the answer must be a dict, pid → command line, and this is {said!r}") from None
        if set(told) & foreign_ones:
            raise NotYet("among them is a process of another container")
        if missing := there - set(told):
            raise NotYet(f"{len(missing)} of its {len(there)} processes are missing")
        if extra := set(told) - there:
            raise NotYet(f"{len(extra)} of them do not belong to the container")
        if not all(any(f"sleep {number}" in words for words in told.values()) for number in seconds):
            raise NotYet("the command lines are not those of the processes")
    return "that's `docker top`, and you had it before lib did. Docker's runs `ps` on the host and throws most of it away"


def wait_for_sleeps(box, seconds: list[int], timeout: float = 20) -> None:
    """Until the shells in a container have started all that they will start. Raises ``TimeLimit`` after ``timeout`` seconds."""
    wanted, deadline = {f"sleep\0{number}\0" for number in seconds}, time.monotonic() + timeout
    while not wanted <= {footprint.told(pid, "cmdline") for pid in box.cgroup.pids()}:
        if time.monotonic() > deadline:
            raise TimeLimit(timeout, words=f"the container has not started its processes within {timeout:g} s")
        time.sleep(0.01)


def kinds(dice: random.Random) -> list[str]:
    return dice.sample(["processor", "line end", "loader", "fine"], 4)


def exercises() -> list[Exercise]:
    """The chapter's exercises with fresh numbers."""
    return [
        Exercise(
            "find", "the host's pid of a container", check_find,
            ["Every process of this machine has a folder in /proc, those in containers too.",
             "/proc/PID/environ holds the variables that a process was started with; ours get HOSTNAME, as Docker's do.",
             "os.listdir(\"/proc\"), the names that are digits; a process may end while you look (OSError)."],
            lambda dice: {"names": [f"box-{dice.randrange(10**6):06d}" for _ in range(3)], "wanted": dice.randrange(3)},
        ),
        Exercise(
            "diagnose", "why a program does not start", check_diagnose,
            ["The first bytes tell: a script begins with #!, an ELF program with \\x7fELF.",
             "lib.elf has elf_machine(first bytes) and elf_interpreter(path); platform.machine() is this machine's.",
             "A static program has no interpreter; a first line that ends in \\r\\n has a Windows line end."],
            lambda dice: {"order": kinds(dice)},
        ),
        Exercise(
            "disk", "which container fills the disk", check_disk,
            ["What a container writes lies in its writable layer: container.folder + \"/upper\".",
             "footprint.on_disk(folder) counts the bytes; max(list, key=function) picks."],
            lambda dice: {"sizes": dice.sample(range(1, 9), 4)},
        ),
        Exercise(
            "top", "docker top", check_top,
            ["Every container has a cgroup, and cgroup.procs lists every process in it: container.cgroup.pids().",
             "/proc/PID/cmdline is the command line, its words separated by zero bytes."],
            lambda dice: {"seconds": dice.sample(range(100, 1000), 3)},
        ),
    ]  # fmt: skip
