"""Try what a container needs, for real, in a small process of its own; prints one JSON object.

``python lib/lab/doctor/probe.py STORE``. Each experiment runs in a child that has namespaces of its own, so nothing is left on the machine.
A result is "" if it worked, else the error in one line. (A process of its own, as a notebook's kernel has threads and must not fork.)
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable

sys.path.insert(0, os.path.abspath(f"{__file__}/../../../.."))

from lib import linux, state

NOBODY = 65534
KINDS = ("mnt", "uts", "ipc", "pid", "net", "cgroup", "time")


def attempt(experiment: Callable[[], None]) -> str:
    """Run it in a child; "" or why it failed."""
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            experiment()
        except Exception as error:
            os.write(theirs, f"{type(error).__name__}: {error}".encode()[:1000])
        finally:
            os._exit(0)
    os.close(theirs)
    with open(ours, errors="replace") as answer:
        text = answer.read()
    _, status = os.waitpid(pid, 0)
    return text or (f"killed by signal {status}" if status else "")


def own(*kinds: str) -> None:
    """New namespaces for this process; an ordinary user needs a user namespace around them."""
    if (uid := os.geteuid()) != 0:
        gid = os.getegid()
        linux.unshare("user")
        linux.write("/proc/self/setgroups", "deny")
        linux.write("/proc/self/uid_map", f"0 {uid} 1")  # root in here: an exec would take the rights of an unmapped user
        linux.write("/proc/self/gid_map", f"0 {gid} 1")
    linux.unshare(*kinds)


def user_namespace() -> None:
    """A user namespace as an ordinary user makes it, and something done with the rights in it.

    Ubuntu's AppArmor lets one be made and then takes the rights away, so making it proves nothing.
    """
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    linux.unshare("user")
    linux.unshare("uts")
    linux.sethostname("probe")


def overlay(folder: str) -> None:
    """A file written through overlay lands in the upper layer."""
    own("mnt")
    try:
        linux.mount(None, "/", None, "rprivate")
    except OSError as error:
        raise OSError(f"/ is not a mount point, so this is a chroot ({error.strerror})") from None
    lower, upper, work, merged = (os.path.join(folder, name) for name in ("lower", "upper", "work", "merged"))
    for path in (lower, upper, work, merged):
        os.mkdir(path)
    linux.mount("overlay", merged, "overlay", f"lowerdir={lower},upperdir={upper},workdir={work}")
    with open(os.path.join(merged, "file"), "w") as file:
        file.write("x")
    if not os.path.exists(os.path.join(upper, "file")):
        raise OSError("overlay was mounted, but a file written to it did not land in the upper layer")
    linux.umount(merged)


def try_overlay(store: str) -> str:
    """In the store, or (if that is not there yet) in the nearest folder above it: the same file system."""
    place = os.path.abspath(store)
    while not os.path.isdir(place):
        place = os.path.dirname(place)
    try:
        folder = tempfile.mkdtemp(prefix=state.temporary("probe"), dir=place)
    except OSError as error:
        return f"{type(error).__name__}: {error}"
    try:
        return attempt(lambda: overlay(folder))
    finally:
        with contextlib.suppress(OSError):
            state.rmtree(folder)  # not shutil's: overlay's work folder has mode 000, which stops whoever is not root


def nft() -> None:
    """A table in a network namespace of its own."""
    own("net")
    os.environ["PATH"] = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"  # where nft is, also if the caller is an ordinary user
    done = subprocess.run(["nft", "add", "table", "inet", "probe"], capture_output=True, text=True, timeout=5)
    if done.returncode:
        raise OSError(done.stderr.strip().splitlines()[0] if done.stderr.strip() else f"nft ended with {done.returncode}")


def cgroup() -> dict:
    """Version, controllers, and whether a group can be made below our parent."""
    from lib.ingredients import cgroups

    try:
        backend = cgroups.backend()
    except (RuntimeError, OSError) as error:
        return {"version": 0, "controllers": [], "error": str(error)}
    top = backend.top if backend.version == 2 else backend.tops.get("memory") or next(iter(backend.tops.values()))
    return {"version": backend.version, "controllers": backend.controllers(), "error": try_cgroup(f"{top}/{cgroups.PARENT}")}


def try_cgroup(parent: str) -> str:
    was_there, place = os.path.isdir(parent), f"{parent}/probe-{os.getpid()}"
    try:
        os.makedirs(place)
        os.rmdir(place)
        if not was_there:
            with contextlib.suppress(OSError):  # somebody has begun to use it
                os.rmdir(parent)
    except OSError as error:
        return f"{type(error).__name__}: {error}"
    return ""


def main(store: str) -> None:
    found = {
        "namespaces": {kind: attempt(lambda kind=kind: own(kind)) for kind in KINDS},
        "userns": attempt(user_namespace),
        "overlay": try_overlay(store),
        "nft": attempt(nft),
        "cgroup": cgroup(),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])
