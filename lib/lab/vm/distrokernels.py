"""The distribution's own kernels, for virtual machines: fetched from its package archive and unpacked into the store, never installed.

This machine boots what it booted before.
"""

from __future__ import annotations

import lzma
import os
import platform
import re
import shutil
import struct
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from lib import bases, state


@dataclass(frozen=True)
class Board:
    """What differs between processors: QEMU's program and machine, the serial line's name, Debian's word for it, QEMU's package."""

    qemu: str
    machine: str
    serial: str
    debian: str
    package: str


BOARDS = {
    "x86_64": Board("qemu-system-x86_64", "q35", "ttyS0", "amd64", "qemu-system-x86"),
    "aarch64": Board("qemu-system-aarch64", "virt", "ttyAMA0", "arm64", "qemu-system-arm"),
}
KEPT = ("block", "char", "net", "vhost", "virtio", "bonding", "ipvlan", "vxlan", "wireguard")  # of the drivers of a whole kernel


def board() -> Board:
    """Raises ``FileNotFoundError`` for a processor that we have no recipe for."""
    try:
        return BOARDS[platform.machine()]
    except KeyError:
        raise FileNotFoundError(f"no virtual machine is described for the processor {platform.machine()}") from None


@dataclass(frozen=True)
class Kernel:
    """A kernel in the store: its folder, as the package has it."""

    folder: Path

    @property
    def image(self) -> Path:
        return next(self.folder.glob("boot/vmlinu[xz]-*"))

    @property
    def plain(self) -> Path:
        """The image without its wrapping, if there is one: to unwrap itself takes an emulated processor three seconds."""
        return path if (path := self.folder / "vmlinux").exists() else self.image

    @property
    def version(self) -> str:
        return self.image.name.partition("-")[2]

    @property
    def module_folder(self) -> Path:
        return next(self.folder.glob("**/lib/modules/*"))

    def modules(self, *names: str) -> list[Path]:
        """The files of these drivers, and before each those that it needs; one that is built in has no file."""
        files = {path.name.split(".")[0].replace("-", "_"): path for path in self.folder.glob("**/lib/modules/**/*.ko*")}
        order: list[Path] = []

        def take(name: str) -> None:
            path = files.get(name.replace("-", "_"))
            if path and path not in order:
                for other in needs(path):
                    take(other)
                order.append(path)

        for name in names:
            take(name)
        return order


def plain_module(path: Path) -> bytes:
    """A driver's bytes; some distributions compress them. Raises ``ValueError`` for a way that Python's own library cannot read."""
    if path.suffix not in (".ko", ".xz"):
        raise ValueError(f"{path.name} is compressed in a way that is not read here: .ko and .ko.xz are")
    return lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()


def plain_name(path: Path) -> str:
    """The name of a driver's file once it is not compressed any more."""
    return f"{path.name.split('.')[0]}.ko"


def needs(path: Path) -> list[str]:
    """What a driver says of itself, in its section .modinfo: the names that it depends on."""
    found = re.search(rb"\0depends=([^\0]*)\0", plain_module(path))
    return [name for name in found[1].decode().split(",") if name] if found else []


def kernel() -> Kernel:
    """The distribution's kernel for virtual machines.

    Raises ``FileNotFoundError`` when there is none to be had, with the last word of apt.
    """
    names = (f"linux-image-cloud-{board().debian}", "linux-image-virtual", "linux-image-generic")
    return Kernel(Path(bases.cached(f"kernel-{board().debian}", lambda root: fill_kernel(root, names))))


def full_kernel() -> Kernel:
    """The distribution's kernel for whole machines: it can mount folders of its host. Without the drivers of real hardware.

    Raises ``FileNotFoundError`` when there is none to be had, with the last word of apt.
    """
    return Kernel(Path(bases.cached(f"kernel-full-{board().debian}", fill_full_kernel)))


def has_full_kernel() -> bool:
    """Has it been fetched already?"""
    return (state.store() / f"bases/kernel-full-{board().debian}").is_dir()


def fill_full_kernel(root: Path) -> None:
    fill_kernel(root, (f"linux-image-{board().debian}", "linux-image-generic"))
    modules = Kernel(root).module_folder
    shutil.rmtree(modules / "kernel/sound")
    for folder in [*(modules / "kernel/drivers").iterdir(), *(modules / "kernel/drivers/net").iterdir()]:
        if folder.is_dir() and folder.name not in KEPT:
            shutil.rmtree(folder)
    if modules.parent.parent != root / "lib":
        (root / "lib").symlink_to("usr/lib")  # where depmod looks
    make_index(root, modules.name)
    if image := unwrapped(Kernel(root).image.read_bytes()):
        (root / "vmlinux").write_bytes(image)


def unwrapped(image: bytes) -> bytes | None:
    """The kernel that lies in a bzImage, if it is packed by xz, as Debian's is. See Documentation/arch/x86/boot.rst, "payload_offset"."""
    if image[0x202:0x206] != b"HdrS":  # not of x86
        return None
    offset, size = struct.unpack_from("<II", image, 0x248)
    start = (image[0x1F1] + 1) * 512 + offset
    payload = image[start : start + size]
    return lzma.LZMADecompressor(lzma.FORMAT_XZ).decompress(payload) if payload.startswith(b"\xfd7zXZ") else None


def make_index(root: Path, version: str) -> None:
    """So that modprobe finds the drivers; a package that is installed does it for itself. Raises ``FileNotFoundError`` without depmod."""
    program = shutil.which("depmod", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
    if program is None:
        raise FileNotFoundError("depmod is not installed: apt-get install kmod")
    subprocess.run([program, "-b", root, version], check=True)


def fill_kernel(root: Path, names: tuple[str, ...]) -> None:
    """``names``: the distribution's words for its newest kernel; the first that it knows counts."""
    with tempfile.TemporaryDirectory(prefix=state.temporary("kernel")) as place:
        for package in kernel_packages(names):
            apt("apt-get", "download", "-q", "-o", "APT::Sandbox::User=root", package, cwd=place)
        for file in Path(place).glob("*.deb"):
            apt("dpkg-deb", "-x", str(file), str(root))
    if not list(root.glob("boot/vmlinu[xz]-*")):
        raise FileNotFoundError("the distribution's kernel package holds no kernel")
    shutil.rmtree(root / "usr/share", ignore_errors=True)  # its documentation


def kernel_packages(names: tuple[str, ...]) -> list[str]:
    """The package with the newest kernel, and those with its drivers: what the distribution's own name points to."""
    for name in names:
        if found := [one for one in depends(name) if re.match(r"linux-(image|modules)-\d", one)]:
            return list(dict.fromkeys(found + [one for other in found for one in depends(other) if one.startswith("linux-modules-")]))
    raise FileNotFoundError("apt knows no kernel for virtual machines: has `apt-get update` been run?")


def depends(package: str) -> list[str]:
    done = subprocess.run(["apt-cache", "depends", package], capture_output=True, text=True, env=os.environ | {"LC_ALL": "C"})
    return re.findall(r"Depends: (\S+)", done.stdout)


def apt(*command: str, cwd: str | None = None) -> None:
    if shutil.which(command[0]) is None:
        raise FileNotFoundError(f"{command[0]} is missing: a kernel is fetched on Debian and Ubuntu only")
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    if done.returncode:
        raise FileNotFoundError(f"{' '.join(command[:2])} failed: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
