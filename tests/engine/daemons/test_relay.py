"""The relay from the host's loopback: whole streams both ways, half-closed ones, datagrams, and an end to all of it."""

from __future__ import annotations

import os
import socket
import threading
from contextlib import suppress

import pytest
from helpers.waiting import wait_for

from lib.engine.daemons.relay import MOST, Relay


def listening(kind: int = socket.SOCK_STREAM, host: str = "127.0.0.1") -> socket.socket:
    one = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, kind)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, kind == socket.SOCK_STREAM)  # as those that are published have it
    one.bind((host, 0))
    if kind == socket.SOCK_STREAM:
        one.listen(600)
    one.settimeout(10)
    return one


class Port:
    """A published port: where clients go, and the socket behind it that a container would have."""

    def __init__(self, relay: Relay, kind: int, host: str = "127.0.0.1"):
        self.inside, front = listening(kind, host), listening(kind, host)
        front.setblocking(False)
        self.address = front.getsockname()[:2]
        relay.open("one", os.dup(front.fileno()))
        relay.lead("one", [self.inside.getsockname()[:2]])
        front.close()


@pytest.fixture
def relay():
    one = Relay()
    yield one
    one.end()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_stream_is_carried_whole_both_ways_and_each_end_closes_by_itself(relay, host):
    port, sent = Port(relay, socket.SOCK_STREAM, host), os.urandom(3_000_000)
    with socket.create_connection(port.address) as client:
        client.settimeout(10)
        server, _ = port.inside.accept()
        with server:
            threading.Thread(target=lambda: (client.sendall(sent), client.shutdown(socket.SHUT_WR))).start()
            assert b"".join(iter(lambda: server.recv(1 << 16), b"")) == sent
            server.sendall(b"the answer, after your end")
            server.shutdown(socket.SHUT_WR)
            assert b"".join(iter(lambda: client.recv(1 << 16), b"")) == b"the answer, after your end"
    port.inside.close()


def test_a_reader_who_stands_still_holds_up_nobody(relay):
    port = Port(relay, socket.SOCK_STREAM)
    with socket.create_connection(port.address) as slow, port.inside.accept()[0] as flooding:
        flooding.settimeout(0.5)
        with suppress(TimeoutError):
            while True:
                flooding.sendall(bytes(1 << 16))
        with socket.create_connection(port.address) as client, port.inside.accept()[0] as server:
            server.sendall(b"hello")
            client.settimeout(10)
            assert client.recv(99) == b"hello"
        assert slow.recv(1)
    port.inside.close()


def test_a_container_that_refuses_closes_the_connection(relay):
    port = Port(relay, socket.SOCK_STREAM)
    port.inside.close()
    with socket.create_connection(port.address) as client:
        client.settimeout(10)
        with suppress(ConnectionResetError):
            assert client.recv(1) == b""


def test_each_client_of_datagrams_gets_its_own_answer(relay):
    port = Port(relay, socket.SOCK_DGRAM)
    clients = [listening(socket.SOCK_DGRAM) for _ in range(5)]
    for number, one in enumerate(clients):
        one.sendto(b"%d" % number, port.address)
    for _ in clients:
        data, who = port.inside.recvfrom(99)
        port.inside.sendto(b"answer to " + data, who)
    for number, one in enumerate(clients):
        assert one.recv(99) == b"answer to %d" % number
        one.close()
    port.inside.close()


def test_one_connection_too_many_is_closed_at_once(relay):
    port = Port(relay, socket.SOCK_STREAM)
    there = [socket.create_connection(port.address) for _ in range(MOST)]
    inside = [port.inside.accept()[0] for _ in there]
    with socket.create_connection(port.address) as late:
        late.settimeout(10)
        assert late.recv(1) == b""
    for one in [*there, *inside, port.inside]:
        one.close()


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_when_the_container_ends_the_port_is_free(relay, kind):
    port = Port(relay, kind)
    client = socket.socket(socket.AF_INET, kind)
    client.connect(port.address)
    client.send(b"x")
    relay.close("one")

    def free():
        with suppress(OSError), socket.socket(socket.AF_INET, kind) as again:
            again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # of what was closed here first, the kernel remembers the port
            again.bind(port.address)
            return True

    client.close()
    wait_for(free)
    port.inside.close()
