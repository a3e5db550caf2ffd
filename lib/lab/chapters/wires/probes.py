"""Small questions to a network, each asked from wherever the caller is; what came of it is a word or two."""

from __future__ import annotations

import os
import re
import socket
import struct
import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout, suppress
from functools import wraps
from io import StringIO
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, build_opener

from lib.cli import suitcase

PATIENCE = 0.7  # seconds that an answer may take in here, where nothing is far away
LATE, TRIES = 0.1, 5  # seconds after which a time limit that is over was not heard of in time, and how often we ask then
GOOD = ("answered", "open")
ECHO, ECHO_REPLY, ICMP_HEAD = 8, 0, 8


def unhurried(ask: Callable[..., str]) -> Callable[..., str]:
    """A silence is an answer only if it was as long as our patience: where it was longer, the machine did something else, so ask again."""

    @wraps(ask)
    def asked(*words) -> str:
        for _ in range(TRIES):
            began = time.monotonic()
            said = ask(*words)
            if said != "no answer" or time.monotonic() - began < PATIENCE + LATE:
                break
        return said

    return asked


@unhurried
def pinged(address: str, size: int = 0) -> str:
    """One echo request of ICMP with ``size`` bytes: ``answered``, ``no answer``, or why it could not even be sent. See RFC 792."""
    number = os.urandom(4)  # its own: to NAT each ping is a conversation of its own
    packet = struct.pack("!BBH4s", ECHO, 0, 0, number) + bytes(size + size % 2)
    packet = packet[:2] + struct.pack("!H", checksum(packet)) + packet[4:][: size + 4]
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as line, suppress(TimeoutError):
        try:
            line.sendto(packet, (address, 0))
            await_answer(line, address, number)
            return "answered"
        except TimeoutError:
            pass
        except OSError as error:
            return error.strerror
    return "no answer"


def await_answer(line: socket.socket, address: str, number: bytes) -> None:
    """Raises ``TimeoutError``."""
    deadline = time.monotonic() + PATIENCE
    while (left := deadline - time.monotonic()) > 0:
        line.settimeout(left)
        answer, (sender, _) = line.recvfrom(1 << 16)
        head = 4 * (answer[0] & 15)
        if sender == address and answer[head] == ECHO_REPLY and answer[head + 4 : head + ICMP_HEAD] == number:
            return
    raise TimeoutError


def checksum(packet: bytes) -> int:
    """See RFC 1071."""
    total = sum(struct.unpack(f"!{len(packet) // 2}H", packet))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


@unhurried
def fetched(url: str) -> str:
    """The page behind an address, or why there is none."""
    try:
        return build_opener(ProxyHandler({})).open(url, timeout=PATIENCE).read().decode().strip()
    except HTTPError as error:
        return f"{error.code} {error.reason}"
    except URLError as error:
        return "no answer" if isinstance(error.reason, TimeoutError) else getattr(error.reason, "strerror", None) or str(error.reason)
    except TimeoutError:
        return "no answer"
    except ConnectionError as error:
        return error.strerror or str(error)


def routed(address: str) -> str:
    """The address that we would send from, or why there is no way. (To connect a socket of UDP sends nothing.)"""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        try:
            line.connect((address, 9))
            return line.getsockname()[0]
        except OSError as error:
            return error.strerror


@unhurried
def knocked(address: str, port: int) -> str:
    """Is a door there: ``open``, or how it was not."""
    try:
        socket.create_connection((address, port), PATIENCE).close()
        return "open"
    except TimeoutError:
        return "no answer"
    except OSError as error:
        return error.strerror


def looked_up(container: str, name: str) -> str:
    """The address that a container is told for a name."""
    if is_address(name):
        return name
    with redirect_stdout(StringIO()) as said, redirect_stderr(StringIO()):
        suitcase(f"exec {container} nslookup -type=a {name}")
    found = re.findall(r"^Address: ([\d.]+)$", said.getvalue(), re.M)
    return found[0] if found else "no such name"


def is_address(text: str) -> bool:
    return bool(re.fullmatch(r"[\d.]+", text))


def is_good(found: str) -> bool:
    return found in GOOD or is_address(found)
