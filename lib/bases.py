"""Root file systems to start from, made on this machine: no registry and no network is needed for busybox.

``busybox()`` is one static program with 300 names. ``debian()`` is a real Debian, made by mmdebstrap from the machine's own
package sources, with the packages that you name: ``node``, ``python`` and ``nginx`` are such ones. All are made once and cached.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from lib import linux, state
from lib.shield import Shield

ETC = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1::/:/bin/false\nnobody:x:65534:65534::/:/bin/false\n",
    "etc/group": "root:x:0:\ndaemon:x:1:\ntty:x:5:\nnogroup:x:65534:\n",
} | dict.fromkeys(("etc/hostname", "etc/hosts", "etc/resolv.conf"), "")  # places to mount the container's own on
FOLDERS = ("bin", "dev", "etc", "proc", "root", "sys", "tmp", "usr", "var")


def cached(name: str, make: Callable[[Path], None]) -> str:
    """The folder ``name`` in the store; made beside its place and renamed, so that a half-made one is never seen."""
    place = state.folder("bases") / name
    if not place.is_dir():
        draft = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=place.parent))
        try:
            make(draft)
            draft.chmod(0o755)
            if not place.is_dir():
                draft.rename(place)
        except OSError:
            if not place.is_dir():  # somebody else may have been faster
                raise
        finally:
            if draft.exists():
                shutil.rmtree(draft)
    return str(place.resolve())


def busybox() -> str:
    """A root file system of about 2 MB: busybox and a link for each of its programs. Raises ``FileNotFoundError``."""
    program = next((path for path in ("/bin/busybox", "/usr/bin/busybox") if os.path.exists(path)), None)
    if program is None:
        raise FileNotFoundError("busybox is not installed: apt-get install busybox-static")
    about = os.stat(program)
    with Shield():  # an interrupt in the middle of subprocess would leave its child behind; this takes milliseconds
        return cached(f"busybox-{about.st_size}-{about.st_mtime_ns // 10**9}", lambda root: fill_busybox(root, program))


def fill_busybox(root: Path, program: str) -> None:
    for folder in FOLDERS:
        linux.mkdir(str(root / folder), 0o1777 if folder == "tmp" else 0o755)
    shutil.copy2(program, root / "bin/busybox")
    for name in subprocess.run([program, "--list"], capture_output=True, text=True, check=True).stdout.split():
        if name != "busybox":
            (root / "bin" / name).symlink_to("busybox")
    for path, text in ETC.items():
        (root / path).write_text(text)
        (root / path).chmod(0o644)


def debian(packages: tuple[str, ...] = ("python3-minimal",), suite: str | None = None) -> str:
    """A small Debian with ``packages``, made by mmdebstrap; takes about a minute the first time.

    Raises ``FileNotFoundError`` without mmdebstrap, ``RuntimeError`` with the end of its output when it fails.
    """
    if shutil.which("mmdebstrap") is None:
        raise FileNotFoundError("mmdebstrap is not installed: apt-get install mmdebstrap")
    suite = suite or codename()
    return cached("-".join([suite, *sorted(packages)]), lambda root: fill_debian(root, packages, suite))


def codename() -> str:
    """The release of this machine, so that its package sources fit."""
    lines = Path("/etc/os-release").read_text().splitlines()
    words = dict(line.split("=", 1) for line in lines if "=" in line)
    return words.get("VERSION_CODENAME", "stable").strip('"')


def fill_debian(root: Path, packages: tuple[str, ...], suite: str) -> None:
    command = ["mmdebstrap", "--variant=essential", f"--include={','.join(packages)}", "--skip=check/empty", suite, str(root)]
    sources = [str(path) for path in Path("/etc/apt/sources.list.d").glob("*.sources") if path.name.startswith(("debian", "ubuntu"))]
    sources += ["/etc/apt/sources.list"] if os.path.exists("/etc/apt/sources.list") else []
    done = subprocess.run([*command, *sources], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"mmdebstrap failed with {done.returncode}:\n{done.stderr[-2000:]}")


SERVERS = ("nginx-light", "postgresql", "python3-psycopg2", "python3-redis", "redis-server")
UNREAD = (  # more than half of their bytes: papers, languages, a compiler for queries, a database that nobody has asked for
    "usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/i18n", "usr/share/perl", "usr/lib/*/perl", "usr/lib/*/libLLVM*",
    "usr/lib/*/libz3*", "usr/lib/postgresql/*/lib/bitcode", "var/lib/postgresql/*",
)  # fmt: skip


def shop() -> str:
    """A Debian with nginx, PostgreSQL, Redis and Python: some 200 MB. Raises as ``debian`` does."""
    if shutil.which("mmdebstrap") is None:
        raise FileNotFoundError("mmdebstrap is not installed: apt-get install mmdebstrap")
    return cached(f"{codename()}-shop", fill_shop)


def fill_shop(root: Path) -> None:
    fill_debian(root, SERVERS, codename())
    for place in (path for pattern in UNREAD for path in root.glob(pattern)):
        shutil.rmtree(place) if place.is_dir() and not place.is_symlink() else place.unlink()


BASES = {
    "busybox": busybox,
    "debian": debian,
    "apt": partial(debian, ("apt",)),
    "node": partial(debian, ("nodejs",)),
    "python": partial(debian, ("python3",)),
    "nginx": partial(debian, ("nginx-light",)),
    "shop": shop,
}


def find(name: str) -> str:
    """The folder of a base by its name, or a folder given as a path. Raises ``LookupError`` with the known names."""
    if "/" in name:
        if not os.path.isdir(name):
            raise LookupError(f"there is no folder {name!r} to take as a root file system")
        return os.path.abspath(name)
    if name not in BASES:
        raise LookupError(f"no base called {name!r}: there are {', '.join(BASES)} (real images come in chapter 3)")
    return BASES[name]()
