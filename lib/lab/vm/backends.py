"""Which back end boots the lab VM here, and one command in it.

    python -m lib.lab.vm.backends [--backend uml|qemu] [--work DIR] [--timeout SECONDS] [--memory 2G] -- COMMAND ...

In this order: QEMU where KVM really works, user-mode-linux, QEMU that translates each instruction (TCG). Found out by booting.
"""

from __future__ import annotations

import argparse
import os
import sys
import time

from lib.lab.vm import host, hypervisor
from lib.lab.vm.qemu import Qemu
from lib.lab.vm.uml import UserModeLinux
from lib.process import Exit, TimeLimit, in_words

BACKENDS: dict[str, host.Backend] = {"uml": UserModeLinux(), "qemu": Qemu()}
TRIAL = 120  # seconds that a boot and an import may take


def order() -> list[str]:
    """The back ends, the best one for this machine first."""
    return ["qemu", "uml"] if hypervisor.accelerator() == "kvm" else ["uml", "qemu"]


def pick(wanted: str = "", fetch: bool = True) -> tuple[str, str]:
    """The first back end that works here, or the one that is wanted if it works: its name and ""; else "" and why none does.

    Without ``fetch``, one whose kernel would have to be fetched first counts as one that does not work.
    """
    reasons = []
    for name in [wanted] if wanted else order():
        if not (why_not := (not fetch and BACKENDS[name].unfetched()) or trial(name)):
            return name, ""
        reasons.append(f"{BACKENDS[name].title()}: {why_not}")
    return "", "; ".join(reasons)


def trial(name: str) -> str:
    """Boot one, for real, and have it import ipykernel: why that cannot be done here, or "". Takes some three seconds; by TCG, fifteen."""
    try:
        done = run([sys.executable, "-c", "import ipykernel"], name, timeout=TRIAL)
    except (OSError, RuntimeError) as error:
        return str(error)
    return done.text if done.code else ""


# -- one command -----------------------------------------------------------------------------------


def run(
    argv, backend: str, work: str | None = None, timeout: float = 120, memory: str = host.MEMORY, show: bool = False, cwd=None, env=None
) -> Exit:
    """Run one command as root in a freshly booted kernel; its output and exit code.

    ``work`` is a folder of the host that it may write to, and where it starts (``cwd`` says otherwise).
    Raises ``FileNotFoundError`` without what the back end needs, ``TimeLimit`` after ``timeout`` seconds (boot included), and
    ``RuntimeError`` with the guest's last words if it did not get as far as an exit code. Nothing is left in any case.
    """
    output, deadline = bytearray(), time.monotonic() + timeout

    def take(data: bytes) -> None:
        output.extend(data)
        if show:
            sys.stdout.write(data.decode(errors="replace"))
            sys.stdout.flush()

    start = str(cwd or work or "/")
    job = host.Job(argv, start, host.readable(start), str(work) if work else None, env or {})
    with host.booted(BACKENDS[backend], job, memory, take) as guest:
        while not guest.ended:
            if time.monotonic() >= deadline:
                raise TimeLimit(timeout, bytes(output))
            guest.turn(timeout=deadline - time.monotonic())
        if guest.code is None:
            words = f"{guest.last_words()}\n{output.decode(errors='replace')}"
            raise RuntimeError(f"the guest ended without an exit code; its last words:\n{words}")
        return Exit(guest.code, in_words(guest.code), bytes(output))


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m lib.lab.vm.backends", description="Run a command in a freshly booted kernel.")
    parser.add_argument("--backend", choices=BACKENDS, default="uml", help="who boots it (%(default)s)")
    parser.add_argument("--work", help="a folder that the command may write to, and where it starts")
    parser.add_argument("--timeout", type=float, default=600, help="seconds, boot included")
    parser.add_argument("--memory", default=host.MEMORY)
    parser.add_argument("argv", nargs="+", metavar="COMMAND")
    words = parser.parse_args(argv)
    work = os.path.abspath(words.work) if words.work else None
    try:
        return run(words.argv, words.backend, work, words.timeout, words.memory, show=True, cwd=work or os.getcwd()).code
    except (OSError, RuntimeError) as error:
        print(f"lab VM: {error}", file=sys.stderr)
        return 125


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
