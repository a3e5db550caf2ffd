"""What starter, child and caller say to each other: small dictionaries on a socket, with descriptors beside them. See unix(7)."""

from __future__ import annotations

import array
import errno
import marshal
import os
import socket
import struct

from lib.advice import advise

LONGEST = 5000  # characters of each text in a message: more than any path has (PATH_MAX), and together less than MESSAGE bytes
MESSAGE = 1 << 16  # bytes of one message on the line, at most


def say(line: socket.socket, message: dict, *fds: int) -> None:
    """Send one message, with descriptors if there are any; if nobody listens any more, end."""
    try:
        socket.send_fds(line, [marshal.dumps(message)], list(fds))
    except OSError:
        os._exit(125)


def report(line: socket.socket, index: int | None, call: str, args, error: OSError) -> None:
    """Send an error to the caller as data: the step, the errno, what it was about, and the advice for this place.

    A path or a PATH may be longer than one message can be.
    """
    path = os.fsdecode(error.filename)[:LONGEST] if error.filename is not None else None
    told = {"words": (error.strerror or "")[:LONGEST], "advice": advise(call, args, error)[:LONGEST]}
    say(line, {"error": error.errno or errno.EIO, "step": index, "call": call, "path": path} | told)


def receive(sock: socket.socket) -> tuple[dict, list[int]] | None:
    """The next request (its length, then the data) with its descriptors; None when the caller has gone."""
    fds = array.array("i")
    head, ancillary, _, _ = sock.recvmsg(4, socket.CMSG_SPACE(64 * fds.itemsize), socket.MSG_CMSG_CLOEXEC)
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
    if len(head) < 4:
        return None
    body = bytearray()
    (size,) = struct.unpack("!I", head)
    while len(body) < size:
        body += sock.recv(min(size - len(body), 1 << 16)) or b" " * size
    return marshal.loads(body), list(fds)
