"""Keeper and manager as others see them: started when they are needed, asked, asked again if they have been killed meanwhile.

Each serves one version of this code, and one store: its door carries keys made of the files' times and of the store's path, so that after
an update new commands get new daemons, while the old ones stay with what they have begun.
"""

from __future__ import annotations

import errno
import marshal
import os
import signal
import socket
import sys
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TypeVar

from lib import linux, state
from lib.advice import advise
from lib.engine.vitality import alive, begun
from lib.process import PATIENCE
from lib.process.messages import MESSAGE, with_descriptors
from lib.shield import Shield
from lib.state import kept

HERE = Path(__file__).parent
LIB = HERE.parent.parent
PASSED_ON = ("SUITCASE_IMAGES", "SUITCASE_CGROUP", "XDG_RUNTIME_DIR", "HOME", "PATH")
LOOK = 0.001  # seconds between two looks at whether the manager has settled what has ended
AGAIN = 1  # seconds after which it is called once more: it may have been killed
DYING = 5  # seconds for which one that has been killed may still take in callers: its door closes after its lines, or with its last child
KEY = "SUITCASE_KEY"
PACKAGES = "SUITCASE_PACKAGES"  # where a daemon, which starts without packages, finds the one that it may need
QUERIES = b"queries "
FORMAT = 4  # of marshal: any Python of ours reads it
T = TypeVar("T")


def door(name: str) -> str:
    """What the door of a daemon is called."""
    return f"{name}-{key()}-{zlib.crc32(os.fsencode(state.store())):08x}"


@cache
def key() -> str:
    """Changes with the code that a daemon holds in memory. A daemon has that of its caller: the files may be newer ones by now."""
    if given := os.environ.get(KEY):
        return given
    names = ("", "netfilter", "network", "network/firewall", "network/names", "process", "state")
    wings = (HERE, HERE.parent, HERE.parent / "log", HERE.parent / "plays", HERE.parent / "health", *(LIB / name for name in names))
    newest = max(one.stat().st_mtime_ns for wing in wings for one in os.scandir(wing) if one.name.endswith(".py"))
    return f"{newest & 0xFFFFFFFFFF:010x}"


class Absent(ConnectionError):
    """Nobody is behind the door."""


def knock(name: str) -> socket.socket:
    """A line to the daemon ``name``. Raises ``Absent``."""
    try:
        folder = os.open(state.our_runtime_dir(), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:  # the machine was started anew
        raise Absent(f"no {name} is running") from None
    line = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    line.settimeout(PATIENCE)
    try:
        line.connect(f"/proc/self/fd/{folder}/{door(name)}")
        return line
    except (FileNotFoundError, ConnectionRefusedError):
        line.close()
        raise Absent(f"no {name} is running") from None
    except BaseException:
        line.close()
        raise
    finally:
        os.close(folder)


def wake(name: str) -> None:
    """Start the daemon; when this returns, it listens, or another does. Raises ``OSError`` with the reason for which it could not start."""
    state.Owner.current()  # makes the run folder, and looks whose it is
    python = getattr(sys, "_base_executable", None) or sys.executable
    env = {word: os.environ[word] for word in PASSED_ON if word in os.environ}
    env |= {"SUITCASE_RUN": str(state.runtime_dir()), "SUITCASE_STORE": str(state.store()), KEY: key(), PACKAGES: folder_of("dnslib")}
    try:
        said = awakened(name, python, env)
    except OSError as error:
        raise unable(name, error) from None
    if said:
        number, _, words = said.strip().rpartition("\n")[2].partition(" ")
        raise unable(name, OSError(int(number) if number.isdecimal() else errno.EPROTO, words))


def folder_of(package: str) -> str:
    """The folder that a package of this Python's lies in, not imported; "" if it has none."""
    from importlib.util import find_spec

    found = find_spec(package)
    return str(Path(found.origin).parents[1]) if found and found.origin else ""


def unable(name: str, error: OSError) -> OSError:
    """It cannot be started: why, and what to do."""
    hint = advise("clone3", (), error)
    return OSError(error.errno, f"the {name} cannot be started: {error.strerror}" + (f" ({hint})" if hint else ""))


def awakened(name: str, python: str, env: dict[str, str]) -> str:
    """What the daemon has to say until it listens: nothing, if all is well."""
    import subprocess

    from lib.process.client import out_of_reach

    with Shield(), out_of_reach(python) as program, subprocess.Popen(
        [python, "-I", "-S", "-X", "utf8", str(HERE / f"{name}.py"), str(state.runtime_dir()), door(name)],
        executable=f"/proc/self/fd/{program}", pass_fds=[program], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, start_new_session=True, cwd="/", env=env,
    ) as started:  # fmt: skip
        return started.stdout.read().decode(errors="replace")


def line_to(name: str) -> socket.socket:
    """A line to a daemon, which is started if need be. Raises ``Absent`` if that cannot be done."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return knock(name)
        except Absent:
            if time.monotonic() > deadline:
                raise
            wake(name)


def answered(name: str, talk: Callable[[socket.socket], T]) -> T:
    """What comes of a talk with a daemon, or with the next one if that is killed meanwhile.

    Raises ``ConnectionError`` if they all hang up, ``TimeoutError`` if one stands still.
    """
    deadline = time.monotonic() + DYING
    while True:
        try:
            with line_to(name) as line:
                return talk(line)
        except ConnectionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(LOOK)


def say(line: socket.socket, head: dict, fds: dict[str, int]) -> None:
    socket.send_fds(line, [marshal.dumps({**head, "fds": list(fds)}, FORMAT)], list(fds.values()))


class Keeper:
    """The keeper, for who makes a container; as ``Line`` asks a starter."""

    @staticmethod
    def ask(head: dict, body: dict, fds: dict[str, int]) -> None:
        """Hand over a request for a process; to the next keeper if this one is killed just then. See ``process.client.Starter``."""
        with open(os.memfd_create("request"), "wb") as file:
            file.write(marshal.dumps(body, FORMAT))
            file.flush()
            Keeper.tell(head, {**fds, "body": file.fileno()})

    @staticmethod
    def tell(head: dict, fds: dict[str, int] | None = None) -> None:
        answered("keeper", lambda line: say(line, head, fds or {}))

    @staticmethod
    def hold(name: str, fd: int) -> None:
        """Have a descriptor kept open after we have ended."""
        Keeper.tell({"do": "hold", "name": name}, {"held": fd})

    @staticmethod
    def drop(ident: str) -> None:
        """Have all descriptors of a container closed that were kept open for it."""
        with suppress(ConnectionError), knock("keeper") as line:
            say(line, {"do": "drop", "of": ident}, {})

    @staticmethod
    def give(name: str) -> int:
        """A descriptor that is held under this name, or -1."""
        with suppress(ConnectionError), knock("keeper") as line:
            say(line, {"do": "give", "name": name}, {})
            _, fds, _ = with_descriptors(line, 1)
            return fds[0] if fds else -1
        return -1

    @staticmethod
    def give_up() -> None:
        """End a keeper that does not answer; what it kept runs on."""
        with suppress(OSError), knock("keeper") as line:
            os.kill(linux.peer_of(line), signal.SIGKILL)


class Manager:
    """The manager, for who has something for it to look after."""

    @staticmethod
    def look(place: Path | str, terminal: int = -1) -> int:
        """There is a container in this folder that runs, or has ended; its ``terminal``, if we have just made it.

        When this returns, the manager has looked, and holds it. The errno that keeps it from being settled, else 0. Raises ``OSError`` if
        none looks: one that ran on would lose what it prints.
        """

        def look(line: socket.socket) -> int:
            socket.send_fds(line, [os.fsencode(place)], [terminal] if terminal >= 0 else [])
            if number := line.recv(16):
                return int(number)
            raise ConnectionResetError(errno.ECONNRESET, "the manager hangs up without a word")

        return answered("manager", look)

    @staticmethod
    def queries(ident: str) -> list[list]:
        """What a container has asked its resolver of late: moment, container, name, type, answer."""
        with suppress(ConnectionError, TimeoutError), knock("manager") as line:
            line.send(QUERIES + ident.encode())
            return marshal.loads(line.recv(MESSAGE))
        return []

    @staticmethod
    def stay(place: Path) -> socket.socket:
        """As ``look``, without waiting; and the line stays: its end tells that this manager has gone. Raises ``Absent``."""
        line = line_to("manager")
        with suppress(ConnectionError):
            line.send(os.fsencode(place))
        line.setblocking(False)
        return line


def settled(facts: dict) -> dict | None:
    """Wait until the manager has seen to what has ended, or ends before it began; the facts then, or None if they are gone.

    Raises ``OSError`` if that cannot be just now: there is no room on the disk, say, and somebody has to make it.
    """
    place, called = kept.place(facts), 0.0
    seen = version(place)
    while (now := there(place)) and now["state"]["status"] in kept.UP and not (alive(now) and begun(now)):
        if time.monotonic() >= called:
            if (number := Manager.look(place)) and called:
                raise why_not_settled(now, number)
            called = time.monotonic() + AGAIN
        time.sleep(LOOK)
        while version(place) == seen and time.monotonic() < called and not alive(now):
            time.sleep(LOOK)
        seen = version(place)
    return now


def version(place: Path) -> tuple[int, int] | None:
    """Whatever is written down is a new file; a look at that is quicker than to read it."""
    with suppress(FileNotFoundError):
        found = os.stat(place / kept.NAME)
        return found.st_ino, found.st_mtime_ns
    return None


def there(place: Path) -> dict | None:
    with suppress(FileNotFoundError):
        return kept.load(place)
    return None


def why_not_settled(facts: dict, number: int) -> OSError:
    error = OSError(number, os.strerror(number))
    words = f"container {facts['name']} has ended, and that cannot be written down: {error.strerror}"
    hint = advise("settle", (), error)
    return OSError(number, f"{words} ({hint})" if hint else words, str(kept.place(facts)))


def rest() -> None:
    """Have both end now, if they have nothing to do, and not only some seconds later."""
    for name, word in (("manager", b"rest"), ("keeper", marshal.dumps({"do": "rest", "fds": []}, FORMAT)), ("network", b"rest")):
        with suppress(OSError), knock(name) as line:
            line.send(word)
            line.recv(1)  # the end of the line, in either case
