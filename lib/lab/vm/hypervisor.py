"""QEMU as the hypervisor of a tiny virtual machine: whether it can boot one here, by which accelerator, and its command line."""

from __future__ import annotations

import os
import platform
import shutil
import time
from contextlib import suppress

from lib import linux, state
from lib.lab.vm import bootmedia, distrokernels
from lib.process import Plan

MEMORY = 128  # MiB that a tiny guest is given
TRY = 6  # seconds within which a guest must say something, or the accelerator does not work


def why_not() -> str:
    """Why no virtual machine can be booted here; an empty string if nothing speaks against it."""
    if platform.system() != "Linux" or platform.machine() not in distrokernels.BOARDS:
        return f"there is no recipe for {platform.system()} on {platform.machine()}"
    if emulated():
        return "this is itself an emulated machine: one in it would take many minutes"
    name = distrokernels.board().qemu
    if shutil.which(name) is None:
        return f"{name} is not installed: apt-get install {distrokernels.board().package}"
    try:
        bootmedia.initrd()
    except (OSError, RuntimeError, ValueError) as error:
        return f"there is no kernel for it ({error})"
    return ""


def emulated() -> bool:
    """Is this itself a machine whose processor is emulated?"""
    return os.environ.get("SUITCASE_GUEST", "").endswith("(TCG)")


def accelerator() -> str:
    """``kvm`` if a guest really starts with it within ``TRY`` seconds, else ``tcg``, which translates each instruction.

    That /dev/kvm is there says little: in many a virtual machine it is, and guests hang. The answer is kept until the next boot.
    """
    note, boot = state.our_runtime_dir() / "accelerator", linux.read("/proc/sys/kernel/random/boot_id").strip()
    with suppress(FileNotFoundError):
        known, _, found = note.read_text().strip().partition(" ")
        if known == boot and found in ("kvm", "tcg"):
            return found
    found = "kvm" if kvm_works() else "tcg"
    note.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    state.our_runtime_dir()  # trying takes seconds: somebody else may have made the folder meanwhile
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
    board = distrokernels.board()
    drive = ["-drive", f"file={disk},format=raw,if=none,id=disk,snapshot=on", "-device", "virtio-blk-pci,drive=disk"]
    return [
        board.qemu, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio",
        "-machine", board.machine, "-accel", accel, "-cpu", "host" if accel == "kvm" else "max", "-smp", "1", "-m", f"{memory}M",
        "-kernel", str(distrokernels.kernel().image), "-initrd", str(bootmedia.initrd()),
        "-append", f"console={board.serial} quiet panic=-1",
        "-netdev", "user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:0-:80", "-device", "virtio-net-pci,netdev=net,romfile=",
        *(drive if disk else []),
    ]  # fmt: skip
