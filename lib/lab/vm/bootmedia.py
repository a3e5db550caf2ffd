"""What a tiny virtual machine boots from: an archive in memory with our busybox and a few drivers (initrd), or a disk with a Debian.

Everything is made once and cached.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import zlib
from collections.abc import Iterator
from pathlib import Path

from lib import bases
from lib.lab.vm.distrokernels import Kernel, board, kernel, plain_module

DRIVERS = ("virtio_pci", "virtio_net", "virtio_blk")
EXTRA = ("dummy",)  # a harmless driver that is not loaded: the chapter loads it, to see where that works


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
