"""slirp4netns: a cable from a network namespace to the machine for who is not root, plugged in, and told which ports lead in.

It runs outside and answers ``tap0`` inside. What a program in there sends to the world it sends itself, through ordinary sockets, so the
kernel asks nobody for rights. See slirp4netns(1), with its API.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from lib.netfilter.programs import ENVIRONMENT, find

PROGRAM = "slirp4netns"
DEVICE = "tap0"
RESOLVER = "10.0.2.3"  # it passes questions on to whom the machine asks
TUN = "/dev/net/tun"
PATIENCE = 10  # seconds for an answer
OPTIONS = ("--configure", "--mtu=65520", "--disable-host-loopback", "--enable-seccomp")  # its sandbox wants a uid 0, and we map none


class Cable:
    """A child of ours that stays outside. Raises ``FileNotFoundError`` without the program."""

    def __init__(self):
        program = find(PROGRAM)
        if not program:
            raise FileNotFoundError(errno.ENOENT, f"{PROGRAM} is not installed: without it only root has networks")
        if not os.access(TUN, os.R_OK | os.W_OK):
            raise PermissionError(errno.EACCES, f"only root may open {TUN} here, on most machines anybody may: chmod 666 {TUN}")
        holder = os.pidfd_open(os.getpid())  # which can be read when we have ended, however we end: so it ends with us
        waiting, self.word = os.pipe()
        self.ready, plugged = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            become(program, os.getppid(), waiting, holder, plugged)
        for fd in (holder, waiting, plugged):
            os.close(fd)
        self.pidfd = os.pidfd_open(self.pid)

    def plug_in(self, api: str) -> None:
        """Into the network namespace where we are now; it listens at ``api``, a socket's path. Raises ``OSError``."""
        with suppress(FileNotFoundError):
            os.unlink(api)
        os.write(self.word, api.encode())
        if not os.read(self.ready, 1):
            raise OSError(errno.EIO, f"{PROGRAM} could not plug its cable into the network namespace")

    def cut(self) -> None:
        os.kill(self.pid, signal.SIGTERM)
        os.waitpid(self.pid, 0)


@contextmanager
def started() -> Iterator[Cable]:
    """Should anything go wrong before it is plugged in, it ends."""
    cable = Cable()
    try:
        yield cable
    except BaseException:
        cable.cut()
        raise


def become(program: str, holder: int, waiting: int, pidfd: int, plugged: int) -> None:
    """In the child: wait until the holder is in its namespaces, and become the program."""
    try:
        if api := os.read(waiting, 4096):
            null = os.open(os.devnull, os.O_RDWR)
            for fd in (0, 1, 2):  # whoever has started the holder waits until nobody can say anything any more
                os.dup2(null, fd)
            for fd in (pidfd, plugged):
                os.set_inheritable(fd, True)
            ends = (f"--exit-fd={pidfd}", f"--ready-fd={plugged}", f"--api-socket={os.fsdecode(api)}")
            os.execve(program, [PROGRAM, *OPTIONS, *ends, str(holder), DEVICE], ENVIRONMENT)
    finally:
        os._exit(1)


# -- ports --------------------------------------------------------------------------------------------------------------


def let_in(api: str, protocol: str, ip: str, port: int) -> None:
    """Who asks for this port of the machine's gets that of the namespace. Raises ``OSError`` if somebody else has it."""
    where = {"proto": protocol, "host_addr": ip or "0.0.0.0", "host_port": port, "guest_port": port}
    if "error" in asked(api, "add_hostfwd", where):
        name = f"{where['host_addr']}:{port}/{protocol}"
        why = "address already in use" if port >= 1024 else "address already in use, or only root may have a port below 1024"
        raise OSError(errno.EADDRINUSE, f"failed to bind host port {name}: {why}")


def shut_out(api: str, protocol: str, ip: str, port: int) -> None:
    """The end of it. Where the cable is cut, there is nothing to end."""
    with suppress(FileNotFoundError, ConnectionError):
        found = asked(api, "list_hostfwd", {})
        for one in found.get("return", found)["entries"]:  # this answer stands in no "return", whatever slirp4netns(1) says
            if (one["proto"], one["host_addr"], one["host_port"]) == (protocol, ip or "0.0.0.0", port):
                asked(api, "remove_hostfwd", {"id": one["id"]})


def asked(api: str, what: str, about: dict) -> dict:
    """One question, one answer, one connection."""
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(PATIENCE)
        line.connect(api)
        line.sendall(json.dumps({"execute": what, "arguments": about}).encode())
        line.shutdown(socket.SHUT_WR)
        return json.loads(b"".join(iter(lambda: line.recv(4096), b"")))
