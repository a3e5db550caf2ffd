"""QEMU, one of the lab VM's back ends: a virtual machine with the distribution's own kernel, on any processor that we have a recipe for.

By KVM where that really works, else by TCG, which translates each instruction: everywhere, and some ten times slower. The folders that
the guest may read are exported to it one by one, for reading only, over the 9p protocol; a tiny archive in memory mounts them and hands
over to ``guest.py``. Its kernel has what user-mode-linux lacks: nftables' families, cpuset, AppArmor, ip_vs, pressure files.
"""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import zlib
from pathlib import Path

from lib import bases
from lib.lab.vm import bootmedia, distrokernels, hypervisor
from lib.lab.vm.host import HERE, SHOWN, Job, base_python

DRIVERS = ("virtio_pci", "virtio_console", "9p", "9pnet_virtio", "overlay", "virtio_net")
LINE = "/dev/vport0p1"  # the first port of the first virtio-serial device
PROGRAMS = ("sh", "mount", "umount", "insmod", "mkdir", "ln", "switch_root")  # of busybox, in the archive
CHUNK = "trans=virtio,version=9p2000.L,msize=512000"  # the largest messages that Linux takes
ONCE = f"ro,{CHUNK},cache=loose"  # what nobody changes meanwhile: what was read is kept
SHARED = f"{CHUNK},cache=mmap"  # what both sides change: asked for anew each time
CARD = "local.type=fd,local.str={}"

INIT = """#!/bin/sh
export PATH=/bin
mount -t devtmpfs dev /dev
while read driver; do insmod /drivers/$driver; done < /drivers/order
mount -t tmpfs -o mode=755 lab /lab
mkdir /lab/proc /lab/dev
{folders}
mount --move /dev /lab/dev
exec switch_root -c /dev/console /lab {python} -I -S {guest} {line}
"""


class Qemu:
    """See ``host.Backend``."""

    card = "eth0"

    def title(self) -> str:
        return f"QEMU ({hypervisor.accelerator().upper()})"

    def lacks(self) -> str:
        if not (board := distrokernels.BOARDS.get(platform.machine())):
            return f"there is no recipe for {platform.machine()}"
        if shutil.which(board.qemu) is None:
            return f"{board.qemu} is not installed: apt-get install {board.package}"
        try:
            archive()
        except (OSError, ValueError) as error:
            return f"there is no kernel for it ({error})"
        return ""

    def unfetched(self) -> str:
        there = platform.machine() in distrokernels.BOARDS and distrokernels.has_full_kernel()
        return "" if there else "its kernel is fetched when it is first used: python -m lib.lab install --backend qemu"

    def place(self) -> str | None:
        return None

    def mounts(self, job: Job) -> list[tuple[str, str, str, str]]:
        shown = [(f"shelf{number}", f"{SHOWN}/{number}", "9p", ONCE) for number, _ in enumerate(job.shelves)]
        modules = ("modules", f"/lib/modules/{distrokernels.full_kernel().version}", "9p", ONCE)
        return [modules, *shown, *([("work", job.work, "9p", SHARED)] if job.work else [])]

    def opens(self) -> tuple[list[str], list[str]]:
        kernel = distrokernels.full_kernel()
        return [str(kernel.folder), str(archive()), "/dev/urandom"], ["/dev/kvm"] if hypervisor.accelerator() == "kvm" else []

    def command(self, job: Job, run: str, memory: str, line: int, console: int, card: int | None) -> list[str]:
        """Its console is QEMU's own output. With two processors the kernel has cpusets to show."""
        board, kernel, accel = distrokernels.board(), distrokernels.full_kernel(), hypervisor.accelerator()
        exports = {f"read{number}": folder for number, folder in enumerate(job.read) if not os.path.islink(folder)}
        exports |= {"modules": str(kernel.module_folder)} | {f"shelf{number}": folder for number, folder in enumerate(job.shelves)}
        words = [word for tag, folder in exports.items() if os.path.isdir(folder) for word in export(tag, folder)]
        words += export("work", job.work, "off") if job.work else []
        if card is not None:
            words += ["-netdev", f"dgram,id=net,{CARD.format(card)}", "-device", "virtio-net-pci,netdev=net,romfile="]
        return [
            board.qemu, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio",
            "-machine", board.machine, "-accel", accel, "-cpu", "host" if accel == "kvm" else "max",
            "-smp", str(min(2, os.cpu_count() or 1)), "-m", memory, "-kernel", str(kernel.plain), "-initrd", str(initrd(job, run)),
            "-append", f"console={board.serial} quiet panic=-1 psi=1",
            "-device", "virtio-serial-pci", "-chardev", f"socket,id=line,fd={line}", "-device", "virtserialport,chardev=line", *words,
        ]  # fmt: skip


def export(tag: str, folder: str, readonly: str = "on") -> list[str]:
    """One folder of this machine, as a device of the guest. Whoever the files belong to, belongs to them inside, too."""
    path = folder.replace(",", ",,")
    return [
        "-fsdev", f"local,id={tag},path={path},security_model=none,readonly={readonly},multidevs=remap",
        "-device", f"virtio-9p-pci,fsdev={tag},mount_tag={tag}",
    ]  # fmt: skip


# -- the archive in memory ----------------------------------------------------------------------------


def initrd(job: Job, run: str) -> Path:
    """The archive for one guest: the cached one, and behind it a small one with the first process. (The kernel unpacks both.)"""
    path = Path(run, "initrd")
    script = first_process(job).encode()
    entries = [*bootmedia.cpio_entry("init", 1, 0o100755, script), *bootmedia.cpio_entry("TRAILER!!!", 0, 0, b"")]
    path.write_bytes(archive().read_bytes() + b"".join(entries))
    return path


def first_process(job: Job) -> str:
    """Mount the folders that the guest reads at their own places, and hand over to Python."""
    return INIT.format(
        folders="\n".join(lines_for(job.read)), line=LINE, python=shlex.quote(base_python()), guest=shlex.quote(str(HERE / "guest.py")),
    )  # fmt: skip


def lines_for(folders: list[str]) -> list[str]:
    lines = []
    for number, folder in enumerate(folders):
        place = shlex.quote(f"/lab{folder}")
        if os.path.islink(folder):
            lines.append(f"ln -s {shlex.quote(os.readlink(folder))} {place}")
        elif os.path.isdir(folder):
            lines.append(f"mkdir -p {place}; mount -t 9p -o {ONCE} read{number} {place}")
    return lines


def archive() -> Path:
    """Busybox and the drivers, made once."""
    kernel, base = distrokernels.full_kernel(), bases.busybox()
    key = zlib.crc32(f"{DRIVERS}{PROGRAMS}{kernel.version}{base}".encode())
    return Path(bases.cached(f"vm-lab-{key:08x}", lambda root: fill_archive(root, kernel, base))) / "initrd"


def fill_archive(root: Path, kernel: distrokernels.Kernel, base: str) -> None:
    tree = root / "tree"
    for folder in ("bin", "dev", "drivers", "lab"):
        (tree / folder).mkdir(parents=True)
    shutil.copy(f"{base}/bin/busybox", tree / "bin")
    for program in PROGRAMS:
        (tree / "bin" / program).symlink_to("busybox")
    modules = kernel.modules(*DRIVERS)
    (tree / "drivers/order").write_text("".join(f"{distrokernels.plain_name(one)}\n" for one in modules))
    for module in modules:
        (tree / "drivers" / distrokernels.plain_name(module)).write_bytes(distrokernels.plain_module(module))
    (root / "initrd").write_bytes(b"".join(bootmedia.cpio(tree)))
    shutil.rmtree(tree)
