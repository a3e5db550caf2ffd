"""The exercises of chapter 2: their numbers, their checks, their hints.

A check never trusts a Python object of the reader: it asks the kernel, by the pid.
"""

from __future__ import annotations

import os
import select
import sys
import tempfile
import time
from pathlib import Path

from lib import bases, linux, state
from lib.container import Container, start
from lib.ingredients import Namespaces, RootFS
from lib.lab.chapters.exercises import Exercise, NotYet, in_kind
from lib.process import Plan, StepError

PROGRAM = [sys.executable, "-c", "import time; print('ready'); time.sleep(1)"]  # it prints a line, then works for a second


def hears_term(pid: int) -> bool:
    """Has the process a handler for SIGTERM (15)? One bit of SigCgt in /proc/PID/status says so."""
    caught = int(linux.read(f"/proc/{pid}/status").split("SigCgt:")[1].split()[0], 16)
    return bool(caught >> 14 & 1)


def settle(box, talks: bool) -> None:
    """Give a container half a second; where it ``talks``, wait until it has said that its handler is there."""
    time.sleep(0.5)
    while talks and not box.logs():
        time.sleep(0.01)


def try_program(content: bytes) -> str:
    """Put a file at /app in a container and try to run it: the advice in the error."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "app")
        file.write_bytes(content)
        file.chmod(0o755)
        try:
            return str(start("busybox", ["/app"], volumes=[f"{file}:/app:ro"]).wait())
        except StepError as error:
            return error.advice


def first_byte(tty: bool = False, **env: str) -> tuple[float, float]:
    """Run ``PROGRAM``: the seconds until its first byte of output came, and until it ended."""
    began, came = time.monotonic(), None
    with Plan(PROGRAM, env={"PATH": "/usr/bin:/bin", **env}, tty=tty).start() as process:
        while came is None and process.poll() is None:
            some = select.select([process.master], [], [], 0)[0] if tty else process.logs()
            came = time.monotonic() - began if some else None
            time.sleep(0.005)
        process.wait()
    ended = time.monotonic() - began
    return came or ended, ended


def lent_python() -> list[str]:
    """busybox has no Python, so a container is lent this machine's, read-only."""
    return ["/usr:/usr:ro", *(f"{lib}:{lib}:ro" for lib in ("/lib", "/lib64") if os.path.isdir(lib))]


def alive(box) -> int:
    """The pid of a container that runs, or what is missing."""
    pid = getattr(box, "pid", 0)
    if not isinstance(box, Container):
        raise NotYet(f"the answer must be a started container (what start(…) returns), and this is {in_kind(box)}")
    if box.state != "running" or box.process.poll() is not None:
        raise NotYet("the container does not run any more: give it something to do that lasts, e.g. sleep 60")
    return pid


def limit_of(pid: int, word: str) -> int | None:
    """A limit as the kernel enforces it on ``pid``, in v2's words; None where there is none."""
    names = {"memory.max": ("memory", "memory.limit_in_bytes"), "pids.max": ("pids", "pids.max")}
    controller, v1_file = names[word]
    mounts = [line.split() for line in linux.read("/proc/self/mounts").splitlines()]
    for line in linux.read(f"/proc/{pid}/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        kind, file = ("cgroup", v1_file) if controller in controllers.split(",") else ("cgroup2", word)
        tops = [m[1] for m in mounts if m[2] == kind and (kind == "cgroup2" or controller in m[3].split(","))]
        place = Path(tops[0] + path, file) if tops and (kind == "cgroup" or not controllers) else None
        if place and place.exists():
            text = place.read_text().strip()
            return int(text) if text.isdecimal() and int(text) < 1 << 60 else None
    return None


# -- 1: two numbers ----------------------------------------------------------------------------


def check_limits(box, memory: int, pids: int) -> str:
    pid = alive(box)
    found = limit_of(pid, "memory.max")
    if found is None:
        raise NotYet("the container runs, but the kernel knows no memory limit for it")
    if found != memory << 20:
        raise NotYet(f"the kernel's memory.max for it is {found >> 20} MiB, the task asks for {memory} MiB")
    if (found := limit_of(pid, "pids.max")) != pids:
        raise NotYet(f"the kernel's pids.max for it is {found or 'max'}, the task asks for {pids}")
    return "the kernel enforces both. Behind all the flags of docker run, that is two numbers in two files, written before anybody moved in"


# -- 2: an ingredient of one's own ----------------------------------------------------------------


def check_ingredient(ingredient, kib: int) -> str:
    """Run a container with the reader's ingredient and look at its mounts from outside."""
    if isinstance(ingredient, type):
        raise NotYet(f"this is the class {ingredient.__name__}; the answer is an object of it: {ingredient.__name__}()")
    if not hasattr(ingredient, "steps"):
        raise NotYet(f"an ingredient is an object with a method steps(), and this is {in_kind(ingredient)}")
    if not list(ingredient.steps()):
        raise NotYet("steps() returns no step")
    hits = [row for row in mounts_with(ingredient) if row[1] == "/scratch"]
    if not hits:
        raise NotYet("the container started, and nothing is mounted at /scratch in it")
    if hits[-1][2] != "tmpfs":
        raise NotYet(f"at /scratch there is a {hits[-1][2]}, the task asks for a tmpfs")
    if f"size={kib}k" not in hits[-1][3].split(","):
        raise NotYet(f"the tmpfs at /scratch has the options {hits[-1][3]}: size={kib}k is not among them")
    return "a scratch space, made to measure. It weighs nothing until somebody writes to it, and docker run --tmpfs is this one step"


def mounts_with(ingredient) -> list[list[str]]:
    """The mount table of a container with this ingredient, as words. Its writable layer keeps the base clean."""
    rootfs = RootFS([bases.busybox()], scratch=str(state.folder("containers") / state.new_id()))
    try:
        with Plan(["/bin/sleep", "60"], [Namespaces("pid"), rootfs, ingredient]).start() as process:
            return [line.split() for line in linux.read(f"/proc/{process.pid}/mounts").splitlines()]
    except StepError as error:
        raise NotYet(f"the container does not start with it: {error}") from None


# -- 3: a look from inside ------------------------------------------------------------------------


def check_visitor(hostname_of, name: str) -> str:
    """Call the reader's function with the pid of a fresh container; our own hostname must stay what it was.

    The container changes its name after the start, so files and variables from before tell the wrong one.
    """
    if not callable(hostname_of):
        raise NotYet(f"the answer must be a function that takes a pid, and this is {in_kind(hostname_of)}")
    before = os.uname().nodename
    with start("busybox", ["sleep", "60"], hostname="yesterday", cap_add=["SYS_ADMIN"]) as box:  # it may change its name
        box.exec(["hostname", name], show=False)
        answer = hostname_of(box.pid)
    if os.uname().nodename != before:
        raise NotYet("the function changed this machine's own hostname")
    if answer == before:
        raise NotYet("that is the name of this machine: the process that asks must join the container's UTS namespace first")
    if answer == "yesterday":
        raise NotYet("that was its name when it started; it has changed it since, and only its kernel knows: ask from inside")
    if answer != name:
        raise NotYet(f"the container calls itself something else than {answer!r} (is there a line end too many?)")
    return "you were inside, and nobody heard a door. docker exec is just this: no key, no lock, three namespaces joined"


# -- 4: something that lib does not have ----------------------------------------------------------


def check_update(update, small: int, large: int) -> str:
    """``docker update``: another limit for a container that runs and goes on running, in the cgroup that it is in."""
    if not callable(update):
        raise NotYet(f"the answer must be a function update(container, memory), and this is {in_kind(update)}")
    with start("busybox", ["sleep", "60"], memory=f"{small}m", memory_swap=-1) as box:
        pid = alive(box)
        groups = linux.read(f"/proc/{pid}/cgroup")
        update(box, f"{large}m")
        if alive(box) != pid:
            raise NotYet("the container was started again: the same process must go on")
        if linux.read(f"/proc/{pid}/cgroup") != groups:
            raise NotYet("the process is in another cgroup now: the limit of its own one must change")
        limit = limit_of(pid, "memory.max")
    if limit == small << 20:
        raise NotYet(f"memory.max is still {small} MiB")
    if limit != large << 20:
        raise NotYet(f"memory.max is {limit} bytes now, the task asks for {large} MiB ({large << 20} bytes)")
    return f"from {small} to {large} MiB, and the process never noticed. (It can be done downwards, too. Then it may notice)"


def exercises() -> list[Exercise]:
    """The chapter's exercises with fresh numbers."""
    return [
        Exercise(
            "limits", "a container with two given limits", check_limits,
            ["start(…) takes the same words as docker run: memory and pids_limit.",
             "memory is a text with a unit, as in \"64m\", and the command is a list: [\"sleep\", \"60\"]."],
            lambda dice: {"memory": dice.randrange(24, 120, 4), "pids": dice.randrange(6, 60)},
        ),
        Exercise(
            "ingredient", "an ingredient that mounts a tmpfs at /scratch", check_ingredient,
            ["An ingredient is a class with a method steps() that returns a list of Step(stage, call, arguments).",
             "The stage is \"mounts\", the call \"mount_inside\"; its arguments are listed in the task.",
             "The size is an option of tmpfs: size=64k, for example."],
            lambda dice: {"kib": 4 * dice.randrange(16, 200)},
        ),
        Exercise(
            "visitor", "the hostname of a container, by its pid", check_visitor,
            ["A process that joins the container's namespaces sees its hostname.",
             "Join(pid) is the ingredient; Plan(…).run(show=False).text is what it wrote."],
            lambda dice: {"name": f"room-{dice.randrange(10**6):06d}"},
        ),
        Exercise(
            "update", "docker update --memory", check_update,
            ["A limit is a number in a file of the cgroup: container.cgroup.folders are its folders.",
             "container.cgroup.backend.translate(\"memory.max\", bytes) says which file, on v1 and on v2.",
             "linux.write(path, text) writes it; sizes.in_bytes(\"64m\") counts the bytes."],
            lambda dice: {"small": dice.randrange(16, 40, 4), "large": dice.randrange(64, 128, 4)},
        ),
    ]  # fmt: skip
