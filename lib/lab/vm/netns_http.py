"""Talk to what serves in a container or in a virtual machine: the first byte of an answer, a page.

A socket belongs to the network namespace of the thread that makes it, and it stays there (network_namespaces(7)). So a short-lived thread
that joins a container's namespace can make a socket that reaches the container's loopback, and hand it to us.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from http.client import HTTPConnection

from lib import linux
from lib.process import TimeLimit

PATIENCE = 20  # seconds that an answer may take
LARGEST = 1 << 20  # bytes of an answer that we read at most


def socket_in(pid: int) -> socket.socket:
    """A socket in the network namespace of process ``pid``. Raises ``OSError`` as setns(2) does."""
    made: list = []

    def make() -> None:
        try:
            namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            try:
                linux.setns(namespace, "net")
                made.append(socket.socket())
            finally:
                os.close(namespace)
        except OSError as error:
            made.append(error)

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    if isinstance(made[0], OSError):
        raise made[0]
    return made[0]


def connect(pid: int | None, port: int, timeout: float = PATIENCE) -> socket.socket:
    """A connection to 127.0.0.1 in the network namespace of ``pid``, or (None) of this process. Raises ``OSError``."""
    line = socket_in(pid) if pid else socket.socket()
    try:
        line.settimeout(timeout)
        line.connect(("127.0.0.1", port))
    except BaseException:
        line.close()
        raise
    return line


def ask(pid: int | None, port: int, path: str = "/", body: str | None = None, timeout: float = PATIENCE) -> str:
    """The text of one HTTP answer: a GET, or a POST of ``body``. Raises ``OSError`` when nobody answers, or not with 200."""
    with connect(pid, port, timeout) as line:
        talk = HTTPConnection("127.0.0.1", port)
        talk.sock = line
        talk.request("GET" if body is None else "POST", path, body)
        answer = talk.getresponse()
        text = answer.read(LARGEST).decode(errors="replace")
        if answer.status != 200:
            raise OSError(f"{path} was answered with {answer.status} {answer.reason}")
        return text


def first_byte(pid: int | None, port: int, alive: Callable[[], bool] = lambda: True, timeout: float = PATIENCE) -> float:
    """Ask again and again until the first byte of an answer is there; the moment (``time.perf_counter``) at which it was.

    Raises ``RuntimeError`` when what should answer has ended (``alive``), ``TimeLimit`` after ``timeout`` seconds.
    """
    deadline, pause = time.perf_counter() + timeout, 0.0005
    while time.perf_counter() < deadline:
        try:
            with connect(pid, port, timeout) as line:
                line.sendall(b"GET / HTTP/1.0\r\n\r\n")
                if line.recv(1):
                    return time.perf_counter()
        except OSError:
            pass
        if not alive():
            raise RuntimeError(f"it ended before it answered at port {port}")
        time.sleep(pause)
        pause = min(pause * 1.2, 0.02)
    raise TimeLimit(timeout, words=f"nothing answered at port {port} within {timeout:g} s")
