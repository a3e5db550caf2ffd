"""What starter, child and caller say to each other: small dictionaries on a socket, with descriptors beside them. See unix(7)."""

from __future__ import annotations

import errno
import marshal
import os
import socket

from lib.advice import advise

LONGEST = 5000  # characters of each text in a message: more than any path has (PATH_MAX), and together less than MESSAGE bytes
MESSAGE = 1 << 16  # bytes of one message on the line, at most
INT = 4  # bytes of a descriptor's number
DESCRIPTORS = 64  # that come with one request, at most


def number(text: str) -> int:
    """A C int. Raises ``ValueError``."""
    if abs(value := int(text)) >= 1 << 31:
        raise ValueError(text)
    return value


WORDS = {
    "pid": number, "go_between": number, "terminal": bool, "created": bool,
    "error": number, "step": number, "call": str, "path": str, "words": str, "advice": str,
}  # fmt: skip
ERROR = {"error", "call", "words", "advice"}  # and a step and a path, if there are any
WITH_DESCRIPTOR = {"pid", "go_between", "terminal"}


def say(line: socket.socket, message: dict, *fds: int) -> None:
    """Send one message, with descriptors if there are any. Raises ``OSError`` if nobody listens any more: a child then ends."""
    socket.send_fds(line, [packed(message)], list(fds))


def packed(message: dict) -> bytes:
    """``name=value``, with a NUL between two, as in /proc/PID/environ; what is None is left out. (The starter is too small for JSON.)"""
    told = (f"{name}={value}".replace("\0", "") for name, value in message.items() if value is not None)
    return "\0".join(told).encode("utf-8", "surrogatepass")


def understood(message: bytes, fds: list[int]) -> dict:
    """What has come over a line, if it is one of our messages; else raises ``ConnectionError``.

    The process at the other end may be another by then than the one that we have made: it is listened to, and not believed.
    """
    try:
        told = [one.partition("=") for one in message.decode("utf-8", "surrogatepass").split("\0")]
        words = {name: WORDS[name](value) for name, _, value in told}
    except (ValueError, KeyError):
        raise ConnectionError("the process said something that is no message of ours") from None
    if ("error" in words and not words.keys() >= ERROR) or (words.keys() & WITH_DESCRIPTOR and not fds):
        raise ConnectionError("the process said something that is only half a message of ours")
    return {"step": None, "path": None, **words}


def report(line: socket.socket, index: int | None, call: str, args, error: OSError) -> None:
    """Send an error to the caller as data: the step, the errno, what it was about, and the advice for this place.

    A path or a PATH may be longer than one message can be.
    """
    path = os.fsdecode(error.filename)[:LONGEST] if error.filename is not None else None
    told = {"words": (error.strerror or str(error))[:LONGEST], "advice": advise(call, args, error)[:LONGEST]}
    say(line, {"error": error.errno or errno.EINVAL, "step": index, "call": call, "path": path} | told)


def with_descriptors(sock: socket.socket, most: int) -> tuple[bytes, list[int], int]:
    """The next message, the descriptors beside it, the flags. Raises ``OSError``.

    As ``socket.recv_fds``, which passes its flags over: no program that another thread starts just then shall have the descriptors, too.
    """
    message, beside, flags, _ = sock.recvmsg(MESSAGE, socket.CMSG_LEN(most * INT), socket.MSG_CMSG_CLOEXEC)
    given = [data for level, kind, data in beside if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS)]
    return message, [fd for data in given for fd in memoryview(data[: len(data) // INT * INT]).cast("i")], flags


def receive(sock: socket.socket) -> tuple[dict, list[int]] | None:
    """The head of the next request with its descriptors; None when the caller has gone."""
    while True:
        head, fds, flags = with_descriptors(sock, DESCRIPTORS)
        if not head:
            return None
        if not flags & socket.MSG_CTRUNC:
            return marshal.loads(head), fds
        for fd in fds:  # our table of descriptors is full; without its line the caller hears the end
            os.close(fd)


def read_request(fd: int) -> dict:
    """The words of a request, from a file in memory that only we and the caller have. Both are the same Python, so marshal will do."""
    with open(fd, "rb", closefd=False) as file:
        file.seek(0)
        return marshal.loads(file.read())
