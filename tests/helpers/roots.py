"""A fresh Debian to run a set-up in, made by mmdebstrap: nothing of this machine but its package sources is in it.

Entered by chroot in a mount and a PID namespace of its own, so that nothing that was started in it outlives its command. What is written
goes to an overlay.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lib import bases, linux
from lib.lab.doctor.prepare import BARE

ROOT = Path(__file__).resolve().parents[2]
TRUST = (
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "PIP_CERT",
    "CURL_CA_BUNDLE",
)  # a machine may have been told to trust a certificate of its own
HOME = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
SHARE = "mount --bind /proc proc && mount -t tmpfs shm dev/shm && mount -t devpts -o newinstance,ptmxmode=666 pts dev/pts"
NOBODY = ["setpriv", "--reuid=1000", "--regid=1000", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all", "--no-new-privs"]


class Root:
    """One Debian; ``path`` is where its files are seen from here."""

    def __init__(self, path: Path):
        self.path = path

    def run(self, *command: str, user: bool = False, cwd: str = "/", timeout: float = 540, **env: str) -> subprocess.CompletedProcess:
        """Run a command as root, or as an ordinary user without capabilities (uid 1000). Output and errors come back together."""
        home = {"HOME": "/home/learner", "USER": "learner"} if user else {"HOME": "/root", "USER": "root"}
        inner = ["env", "-i", f"--chdir={cwd}", *(f"{name}={value}" for name, value in (HOME | home | self.trust() | env).items())]
        outer = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", f'{SHARE} && exec chroot . "$@"', "enter"]
        words = [*outer, *(NOBODY if user else []), *inner, *command]
        return subprocess.run(words, cwd=self.path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout)

    def trust(self) -> dict[str, str]:
        return dict.fromkeys(TRUST, "/etc/ssl/certs/of-this-machine.pem") if any(os.environ.get(name) for name in TRUST) else {}

    def copy_project(self, place: str, owner: int = 0) -> None:
        """What git would clone, as it is in the work tree now."""
        names = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True
        )
        for name in names.stdout.decode().split("\0")[:-1]:
            if (ROOT / name).exists():
                target = self.path / place.lstrip("/") / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, target)
        for path in [self.path / place.lstrip("/"), *(self.path / place.lstrip("/")).rglob("*")]:
            os.chown(path, owner, owner)

    def files(self, *, without: tuple[str, ...] = ()) -> dict[str, tuple]:
        """Every file's mode, owner, time and content, and every link's target. ``without``: folders whose content is not looked at."""
        found = {}
        for folder, folders, names in os.walk(self.path):
            place = "/" + os.path.relpath(folder, self.path)
            folders[:] = [name for name in folders if os.path.normpath(f"{place}/{name}") not in without]
            for name in [*names, *folders]:
                path = os.path.join(folder, name)
                found[os.path.normpath(f"{place}/{name}")] = fingerprint(path)
        return found


def fingerprint(path: str) -> tuple:
    about = os.lstat(path)
    if os.path.islink(path):
        return ("link", os.readlink(path))
    if not os.path.isfile(path):
        return (about.st_mode, about.st_uid)
    with open(path, "rb") as file:
        return (about.st_mode, about.st_uid, about.st_mtime_ns, hashlib.file_digest(file, "sha256").hexdigest())


@contextmanager
def fresh(folder: Path) -> Iterator[Root]:
    """A Debian without anything but apt; ``folder`` holds what is written. Gone at the end."""
    base = bases.debian(BARE)
    for name in ("upper", "work", "root"):
        (folder / name).mkdir()
    root = folder / "root"
    linux.mount("overlay", str(root), "overlay", f"lowerdir={base},upperdir={folder}/upper,workdir={folder}/work")
    try:
        shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
        if Root(root).trust():
            given = next(os.environ[name] for name in TRUST if os.environ.get(name))
            shutil.copy(given, root / "etc/ssl/certs/of-this-machine.pem")
        yield Root(root)
    finally:
        linux.umount(str(root), linux.MNT_DETACH)
        shutil.rmtree(folder, ignore_errors=True)
