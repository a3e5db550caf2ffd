"""How much goes through a wire, and how long a question and its answer take: a server in one place, a client in another."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

AT_ONCE = 1 << 18  # bytes
PORT = 81


@dataclass(frozen=True)
class Speed:
    """Bytes a second, and seconds for a byte there and back (nine of ten take longer: a busy machine makes some slow, and none fast)."""

    bytes: float
    seconds: float


def measured(server: Callable, port: int, client: Callable, target: tuple[str, int], size: int, rounds: int) -> Speed:
    """Listen on ``port`` at the server, and call ``target`` from the client: ``size`` bytes at full speed, then ``rounds`` times one."""
    line = server(socket.create_server, ("0.0.0.0", port))
    try:
        thread = threading.Thread(target=serve, args=[line, size, rounds])
        thread.start()
        with client(socket.create_connection, target, 5) as call:
            call.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            found = Speed(full_speed(call, size), back_and_forth(call, rounds))
        thread.join()
        return found
    finally:
        line.close()


def best_of_three(ways: dict[str, tuple], size: int, rounds: int) -> dict[str, Speed]:
    """Each way, (server, client, target), three times in turn, so that whatever else the machine does hits all of them."""
    found: dict[str, list[Speed]] = {way: [] for way in ways}
    for _ in range(3):
        for way, (server, client, target) in ways.items():
            found[way].append(measured(server, PORT, client, target, size, rounds))
    return {way: Speed(max(one.bytes for one in some), min(one.seconds for one in some)) for way, some in found.items()}


def serve(line: socket.socket, size: int, rounds: int) -> None:
    """Take all of it, say so; then give every byte back."""
    call, _ = line.accept()
    with call:
        call.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        room = bytearray(AT_ONCE)
        while size > 0 and (came := call.recv_into(room, min(size, AT_ONCE))):
            size -= came
        call.sendall(b"!")
        for _ in range(rounds):
            call.sendall(call.recv(1))


def full_speed(call: socket.socket, size: int) -> float:
    piece, began = bytes(AT_ONCE), time.perf_counter()
    for left in range(size, 0, -AT_ONCE):
        call.sendall(piece[: min(left, AT_ONCE)])
    call.recv(1)
    return size / (time.perf_counter() - began)


def back_and_forth(call: socket.socket, rounds: int) -> float:
    took = []
    for _ in range(rounds):
        began = time.perf_counter()
        call.sendall(b"?")
        call.recv(1)
        took.append(time.perf_counter() - began)
    return sorted(took)[len(took) // 10]
