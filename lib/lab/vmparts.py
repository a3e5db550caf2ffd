"""What a tiny virtual machine is made of: a kernel, an archive in memory with our busybox and a few drivers, perhaps a disk.

The kernel comes from the distribution's own package, which is fetched and unpacked into the store, never installed: this machine
boots what it booted before. Everything is made once and cached.
"""

from __future__ import annotations

import lzma
import os
import platform
import re
import shutil
import subprocess
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lib import bases, state


@dataclass(frozen=True)
class Board:
    """What differs between processors: QEMU's program and machine, the serial line's name, Debian's word for it."""

    qemu: str
    machine: str
    serial: str
    debian: str


BOARDS = {
    "x86_64": Board("qemu-system-x86_64", "q35", "ttyS0", "amd64"),
    "aarch64": Board("qemu-system-aarch64", "virt", "ttyAMA0", "arm64"),
}
DRIVERS = ("virtio_pci", "virtio_net", "virtio_blk")
EXTRA = ("dummy",)  # a harmless driver that is not loaded: the chapter loads it, to see where that works


def board() -> Board:
    """Raises ``FileNotFoundError`` for a processor that we have no recipe for."""
    try:
        return BOARDS[platform.machine()]
    except KeyError:
        raise FileNotFoundError(f"no virtual machine is described for the processor {platform.machine()}") from None


# -- the kernel ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Kernel:
    """A kernel in the store: its folder, as the package has it."""

    folder: Path

    @property
    def image(self) -> Path:
        return next(self.folder.glob("boot/vmlinu[xz]-*"))

    @property
    def version(self) -> str:
        return self.image.name.partition("-")[2]

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


def needs(path: Path) -> list[str]:
    """What a driver says of itself, in its section .modinfo: the names that it depends on."""
    found = re.search(rb"\0depends=([^\0]*)\0", plain_module(path))
    return [name for name in found[1].decode().split(",") if name] if found else []


def kernel() -> Kernel:
    """The distribution's kernel for virtual machines.

    Raises ``FileNotFoundError`` when there is none to be had, with the last word of apt.
    """
    return Kernel(Path(bases.cached(f"kernel-{board().debian}", fill_kernel)))


def fill_kernel(root: Path) -> None:
    with tempfile.TemporaryDirectory(prefix=state.temporary("kernel")) as place:
        for package in kernel_packages():
            apt("apt-get", "download", "-q", "-o", "APT::Sandbox::User=root", package, cwd=place)
        for file in Path(place).glob("*.deb"):
            apt("dpkg-deb", "-x", str(file), str(root))
    if not list(root.glob("boot/vmlinu[xz]-*")):
        raise FileNotFoundError("the distribution's kernel package holds no kernel")
    shutil.rmtree(root / "usr/share", ignore_errors=True)  # its documentation


def kernel_packages() -> list[str]:
    """The package with the newest kernel for virtual machines, and those with its drivers: what the distribution's own name points to."""
    for name in (f"linux-image-cloud-{board().debian}", "linux-image-virtual", "linux-image-generic"):
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


# -- the archive in memory --------------------------------------------------------------------------

# The first process. It brings up drivers and network, says where it is on the serial line, and serves. {…} is filled in below.
INIT = """#!/bin/sh
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev
read up rest < /proc/uptime; echo "@init $up" > /dev/{serial}
for driver in {drivers}; do insmod /drivers/$driver; done
hostname vm; ip link set lo up
ip address add 10.0.2.15/24 dev eth0 && ip link set eth0 up && ip route add default via 10.0.2.2
echo "@network" > /dev/{serial}
if [ -b /dev/vda ]; then
    mount /dev/vda /mnt && exec switch_root -c /dev/{serial} /mnt /sbin/init
fi
httpd -p 80 -h /srv && echo "@listening" > /dev/{serial}
while :; do sleep 3600; done
"""
# What answers: a page, and for us a shell. (This door has no lock: it opens into a machine that is thrown away, from this one only.)
SERVED = {"srv/index.html": ("hello\n", 0o644), "srv/cgi-bin/sh": ("#!/bin/sh\necho; sh 2>&1\n", 0o755)}


def initrd() -> Path:
    """Our busybox base, drivers, the first process and a page to serve, as one archive that the kernel unpacks into memory."""
    about, base = kernel(), bases.busybox()
    modules = about.modules(*DRIVERS)
    script = INIT.format(serial=board().serial, drivers=" ".join(f"{one.name.split('.')[0]}.ko" for one in modules))
    key = zlib.crc32(f"{script}{SERVED}{about.version}{base}".encode())
    return Path(bases.cached(f"vm-{key:08x}", lambda root: fill_initrd(root, about, base, script))) / "initrd"


def fill_initrd(root: Path, about: Kernel, base: str, script: str) -> None:
    tree = root / "tree"
    shutil.copytree(base, tree, symlinks=True)
    for folder in ("drivers", "mnt", "srv/cgi-bin"):
        (tree / folder).mkdir(parents=True)
    for module in about.modules(*DRIVERS, *EXTRA):
        (tree / f"drivers/{module.name.split('.')[0]}.ko").write_bytes(plain_module(module))
    for path, (text, mode) in (SERVED | {"init": (script, 0o755)}).items():
        (tree / path).write_text(text)
        (tree / path).chmod(mode)
    with open(root / "initrd", "wb") as file:
        for piece in cpio(tree):
            file.write(piece)
    shutil.rmtree(tree)


def cpio(tree: Path) -> Iterator[bytes]:
    """A folder in the one format that the kernel unpacks by itself. See Documentation/driver-api/early-userspace/buffer-format.rst."""
    for number, path in enumerate(sorted(tree.rglob("*")), 1):
        about = path.lstat()
        content = os.readlink(path).encode() if path.is_symlink() else b"" if path.is_dir() else path.read_bytes()
        yield from cpio_entry(str(path.relative_to(tree)), number, about.st_mode, content)
    yield from cpio_entry("TRAILER!!!", 0, 0, b"")


def cpio_entry(name: str, number: int, mode: int, content: bytes) -> Iterator[bytes]:
    words = name.encode() + b"\0"
    fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(words), 0)
    yield from padded(b"070701" + b"".join(b"%08X" % field for field in fields) + words)
    yield from padded(content)


def padded(data: bytes) -> Iterator[bytes]:
    yield data + bytes(-len(data) % 4)


# -- a disk with a whole Debian ---------------------------------------------------------------------

DISK = 2 << 30  # bytes that the guest sees; the file is sparse
SERVICE = """[Unit]
Description=A page to be served
After=network.target
[Service]
ExecStart=/bin/busybox httpd -f -p 80 -h /srv
ExecStartPost=/bin/sh -c 'echo @listening > /dev/{serial}'
[Install]
WantedBy=multi-user.target
"""
PACKAGES = ("systemd-sysv", "udev", "busybox-static", "kmod", "iproute2")


def debian_disk() -> Path:
    """A disk with a Debian that boots by systemd, as people install it; takes about a minute the first time.

    Raises ``FileNotFoundError`` without mmdebstrap or mke2fs, ``RuntimeError`` when one of them fails.
    """
    if shutil.which("mke2fs", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") is None:
        raise FileNotFoundError("mke2fs is not installed: apt-get install e2fsprogs")
    key = zlib.crc32(f"{SERVICE}{PACKAGES}{SERVED}".encode())
    return Path(bases.cached(f"disk-{bases.codename()}-{key:08x}", fill_disk)) / "disk"


def fill_disk(root: Path) -> None:
    tree = root / "tree"
    bases.fill_debian(tree, PACKAGES, bases.codename())
    texts = SERVED | {"etc/systemd/system/page.service": (SERVICE.format(serial=board().serial), 0o644), "etc/hostname": ("vm\n", 0o644)}
    for path, (text, mode) in texts.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(text)
        (tree / path).chmod(mode)
    wanted = tree / "etc/systemd/system/multi-user.target.wants"
    wanted.mkdir(parents=True, exist_ok=True)
    (wanted / "page.service").symlink_to("../page.service")
    with open(root / "disk", "wb") as file:
        file.truncate(DISK)
    env = os.environ | {"PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"}
    done = subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", tree, root / "disk"], capture_output=True, text=True, env=env)
    if done.returncode:
        raise RuntimeError(f"mke2fs failed with {done.returncode}: {done.stderr[-500:]}")
    shutil.rmtree(tree)
