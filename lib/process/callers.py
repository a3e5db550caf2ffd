"""What the caller's own steps may name besides: what the child, which is small, need not know.

They act in the process's network namespace, which the caller enters for one call, in a thread that lives for it alone; the caller itself
stays where it is. Of all namespaces only few may be joined by one thread of several, and this is one of them. See setns(2).
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import threading
from collections.abc import Callable, Iterable

from lib import linux
from lib.process import calls
from lib.process.steps import Step, plain
from lib.shield import Shield
from lib.state import shared

SIOCGSKNS = 0x894C
WAITING = 64  # connections that nobody has taken yet
KINDS = {"udp": socket.SOCK_DGRAM, "tcp": socket.SOCK_STREAM}


def called_in(namespace: int, call: Callable, *args, kind: str = "net"):
    """What ``call`` gives in the namespace behind a descriptor. Raises what it raises, and ``OSError`` if that one may not be joined."""
    came: list[tuple] = []

    def there() -> None:
        try:
            if kind == "mnt":
                linux.own_folders()
            linux.setns(namespace, kind)
            came.append((call(*args), None))
        except BaseException as error:
            came.append((None, error))

    with Shield():  # an interrupt in the middle of a join leaves a thread that nobody can wait for any more
        thread = threading.Thread(target=there)
        thread.start()
        thread.join()
    found, error = came[0]
    if error:
        raise error
    return found


def of_socket(fd: int) -> int:
    """A descriptor of the namespace that a socket belongs to. See SIOCGSKNS in ioctl_ns(2)."""
    return fcntl.ioctl(fd, SIOCGSKNS)


def link_up_in(netns: int, name: str) -> None:
    """Switch on a network interface in there."""
    called_in(netns, linux.link_up, name)


def socket_in(netns: int, kind: str, address: str, port: int) -> int:
    """A descriptor of a socket that listens in there; ``kind`` is udp or tcp."""
    return called_in(netns, listening, KINDS[kind], address, port)


def listening(kind: int, address: str, port: int) -> int:
    with socket.socket(socket.AF_INET, kind | socket.SOCK_NONBLOCK) as one:
        one.bind((address, port))
        if kind == socket.SOCK_STREAM:
            one.listen(WAITING)
        return one.detach()


def nft_in(netns: int, rules: str) -> None:
    """Have nft(8) carry out ``rules`` in there. Raises ``OSError`` with its words."""
    try:
        code, words = called_in(netns, nft, rules)
    except FileNotFoundError:
        raise OSError(errno.ENOENT, "the program nft is missing (apt-get install nftables)", "nft") from None
    if code:
        raise OSError(errno.EINVAL, words.strip().partition("\n")[0])


def nft(rules: str) -> tuple[int, str]:
    import subprocess  # a daemon that only opens sockets needs none

    path = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"  # an ordinary user's does not have it
    done = subprocess.run(["nft", "-f", "-"], input=rules.encode(), capture_output=True, env={"PATH": path, "LC_ALL": "C"})
    return done.returncode, done.stderr.decode(errors="replace")


def tree(path: str) -> int:
    """A descriptor of a folder as a mount of its own, which nobody can write to, and which hangs nowhere yet. See open_tree(2)."""
    fd = linux.open_tree(path, recursive=False)
    try:
        linux.mount_setattr(fd, "ro,nosuid,nodev", recursive=False)
    except BaseException:
        os.close(fd)
        raise
    return fd


def memory_of(pid: int) -> int:
    """A descriptor of the shared memory of the container that this process is in, which hangs nowhere yet. See shm_overview(7)."""
    mounts = os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return called_in(mounts, linux.open_tree, "/dev/shm", kind="mnt")
    finally:
        os.close(mounts)


CALLS = calls.CALLS | {
    "tree": tree, "memory_of": memory_of, "join": shared.join, "link_up_in": link_up_in, "socket_in": socket_in, "nft_in": nft_in,
}  # fmt: skip


def filled(words, refs: dict):
    """Words of a step, with what earlier steps gave in its place."""
    return calls.resolve(plain(words), refs)


def carried_out(steps: Iterable[Step], refs: dict) -> dict:
    """Steps of the caller's, for a process that there is already. Gives ``refs`` with what they gave. Raises ``OSError``."""
    for step in steps:
        found = CALLS[step.call](*filled(list(step.args), refs))
        refs |= {step.gives: found} if step.gives else {}
    return refs
