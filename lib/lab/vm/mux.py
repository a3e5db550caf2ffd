"""Many connections over one line: the lab VM's serial line carries a command's output, Jupyter's ports and a few messages.

A frame is a kind (one byte), a channel (four), a length (four) and so many bytes. The host opens channels, the guest connects each to
a port of its own. Both sides use this module; it needs nothing but the standard library, and no threads.
"""

from __future__ import annotations

import json
import os
import select
import socket
import struct
from collections.abc import Callable, Iterator

HEAD = struct.Struct(">BII")
OPEN, DATA, END, MORE, TELL, TAKEN = range(6)
PIECE = 1 << 16  # bytes read at once
WINDOW = 1 << 20  # bytes of a channel that may be on their way: one that nobody reads fills no memory and holds up no other
AHEAD = 3000  # bytes that the guest has not read yet: a terminal holds 4095, and user-mode-linux's line never recovers from a full one
OUTPUT = 0  # the channel of the command's output
AGAIN = 0.02  # seconds until a port that did not answer is tried again


class Channel:
    """One connection: its socket (None until the port answers), what is still to be written to it, what may still be sent from it."""

    def __init__(self, port: int, sock: socket.socket | None = None):
        self.port, self.sock = port, sock
        self.waiting, self.credit, self.ending = bytearray(), WINDOW, False

    def events(self) -> int:
        """What to wait for, as poll(2) takes it."""
        return (select.POLLIN if self.credit > 0 else 0) | (select.POLLOUT if self.waiting else 0)


class Mux:
    """One end of the line. ``hear`` takes a message. The host's: ``show`` takes output. The guest's: ``dial`` connects to a port.

    (It gives None while nobody listens there.) The guest says what it has read, and the host never sends more than ``AHEAD`` of that.
    """

    def __init__(
        self,
        line: int,
        hear: Callable[[dict], None],
        show: Callable[[bytes], None] | None = None,
        dial: Callable[[int], socket.socket | None] | None = None,
    ):
        os.set_blocking(line, False)
        self.line, self.dial, self.hear, self.show = line, dial, hear, show
        self.inbox, self.outbox = bytearray(), bytearray()
        self.channels: dict[int, Channel] = {}
        self.last, self.untaken = OUTPUT, 0

    # -- what a user of the line asks for

    def tell(self, **message) -> None:
        """Send a message to the other side."""
        self.send(TELL, 0, json.dumps(message).encode())

    def connect(self, sock: socket.socket, port: int) -> None:
        """Have what comes from this socket go to a port of the other side, and what comes from there to it."""
        sock.setblocking(False)
        self.last += 1
        self.channels[self.last] = Channel(port, sock)
        self.send(OPEN, self.last, str(port).encode())

    def send(self, kind: int, number: int, data: bytes = b"") -> None:
        self.outbox += HEAD.pack(kind, number, len(data)) + data

    @property
    def room(self) -> int:
        """Bytes that the line may be given now."""
        return PIECE if self.dial else AHEAD - self.untaken

    @property
    def full(self) -> bool:
        """Too much waits for the line: whoever produces more should wait, too."""
        return len(self.outbox) > WINDOW

    def turn(self, fds=(), timeout: float | None = None) -> list[int]:
        """Wait until something can be moved, and move it; which of ``fds`` can be read. Raises ``EOFError`` when the line has ended."""
        pending = self.dial_pending()
        poll = select.poll()
        for fd in fds:
            poll.register(fd, select.POLLIN)
        poll.register(self.line, select.POLLIN | (select.POLLOUT if self.outbox and self.room else 0))
        numbers = {}
        for number, channel in self.channels.items():
            events = channel.events() & (select.POLLOUT if self.full else -1)
            if channel.sock and events:
                numbers[channel.sock.fileno()] = number
                poll.register(channel.sock, events)
        limit = min((one for one in (timeout, AGAIN if pending else None) if one is not None), default=None)
        ready = dict(poll.poll(None if limit is None else max(0, limit) * 1000))
        for fd, number in numbers.items():
            self.move(number, ready.get(fd, 0))
        if ready.get(self.line, 0) & ~select.POLLOUT:
            self.receive()
        self.flush()
        return [fd for fd in fds if fd in ready]

    # -- sockets

    def dial_pending(self) -> bool:
        """Try the ports that did not answer yet; are some left?"""
        for channel in self.channels.values():
            if channel.sock is None and (sock := self.dial(channel.port)):
                sock.setblocking(False)
                channel.sock = sock
        return any(channel.sock is None for channel in self.channels.values())

    def move(self, number: int, events: int) -> None:
        """Read from and write to one socket, as far as it goes without waiting."""
        channel = self.channels[number]
        try:
            if events & ~select.POLLOUT:
                data = channel.sock.recv(min(PIECE, max(1, channel.credit)))
                channel.credit -= len(data)
                self.send(DATA if data else END, number, data)
                if not data:
                    return self.forget(number)
            if events & select.POLLOUT:
                written = channel.sock.send(channel.waiting)
                del channel.waiting[:written]
                self.send(MORE, number, str(written).encode())
        except BlockingIOError:
            pass
        except OSError:
            self.send(END, number)
            return self.forget(number)
        if channel.ending and not channel.waiting:
            self.forget(number)

    def forget(self, number: int) -> None:
        channel = self.channels.pop(number)
        if channel.sock:
            channel.sock.close()

    def close(self) -> None:
        """Close every socket; the line belongs to whoever opened it."""
        for number in list(self.channels):
            self.forget(number)

    # -- the line

    def flush(self) -> None:
        """Write to the line what it takes now."""
        try:
            while self.outbox and self.room:
                written = os.write(self.line, self.outbox[: self.room])
                del self.outbox[:written]
                self.untaken += written
        except BlockingIOError:
            pass
        except OSError:
            raise EOFError("the line has ended") from None

    def receive(self) -> None:
        try:
            data = os.read(self.line, PIECE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            raise EOFError("the line has ended")
        self.inbox += data
        if self.dial:
            self.send(TAKEN, 0, str(len(data)).encode())
        for kind, number, payload in self.frames():
            self.take(kind, number, payload)

    def frames(self) -> Iterator[tuple[int, int, bytes]]:
        """The whole frames that have come."""
        while len(self.inbox) >= HEAD.size:
            kind, number, size = HEAD.unpack_from(self.inbox)
            if not self.dial and (kind == OPEN or size > PIECE):  # whoever is root in a guest may say what no guest has to say
                raise EOFError("this is no line to a guest of ours")
            end = HEAD.size + size
            if len(self.inbox) < end:
                return
            payload = bytes(self.inbox[HEAD.size : end])
            del self.inbox[:end]
            yield kind, number, payload

    def take(self, kind: int, number: int, payload: bytes) -> None:
        """Do what one frame says; one for a channel that has ended meanwhile says nothing."""
        channel = self.channels.get(number)
        if kind == TELL:
            self.hear(json.loads(payload))
        elif kind == TAKEN:
            self.untaken -= int(payload)
        elif kind == OPEN:
            self.channels[number] = Channel(int(payload))
        elif kind == DATA and number == OUTPUT:
            self.show(payload)
        elif channel and kind == DATA:
            channel.waiting += payload
            if len(channel.waiting) > WINDOW + PIECE:
                raise EOFError("more came than was asked for")
        elif channel and kind == MORE:
            channel.credit += int(payload)
        elif channel and kind == END:
            channel.ending = True
            if not channel.waiting or channel.sock is None:
                self.forget(number)
