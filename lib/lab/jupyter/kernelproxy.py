"""The Jupyter kernel "Python (lab VM)": boots a guest, runs ipykernel as root in it, and carries its five ports to this machine.

``kernelproxy.py -f CONNECTION_FILE --backend uml|qemu [--memory 2G] [--network]`` is what the kernelspec starts. To Jupyter it is a kernel
as any other: SIGINT interrupts the cell, SIGTERM and SIGKILL end it, and when the guest has ended, however it ended, so has this process.
When the client is gone, so is the guest.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

if __name__ == "__main__":  # started by its path, from any folder: the one three above this holds `lib`
    sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from lib import state
from lib.lab.doctor.chapterneeds import who_boots
from lib.lab.jupyter.chapterlist import CHAPTERS
from lib.lab.vm import backends, guest, host

PORTS = ("shell_port", "iopub_port", "stdin_port", "control_port", "hb_port")
INSIDE = "/run/suitcase-kernel.json"
BEGAN = time.monotonic()


def say(words: str) -> None:
    """One line for whoever started Jupyter; it goes to the server's log."""
    print(f"lab VM: {words} ({time.monotonic() - BEGAN:.1f} s)", file=sys.stderr, flush=True)


# -- where it works -----------------------------------------------------------------------------


def work_folder(folder: str) -> str | None:
    """The folder that the guest may write to: the notebook's, unless it holds more than a notebook's files should be able to change.

    That is: a home folder, the folder of all temporary files, this checkout, Python itself, or anything above these.
    """
    precious = [str(state.home()), tempfile.gettempdir(), str(host.ROOT), sys.prefix, sys.base_prefix, *host.SYSTEM]
    place = Path(folder).resolve()
    return None if any(Path(one).resolve().is_relative_to(place) for one in precious) else str(place)


def places(folder: str) -> tuple[str | None, str]:
    """The folder to share and the one to start in: the notebook's for both, if that may be."""
    if work := work_folder(folder):
        return work, work
    seen = any(Path(folder).is_relative_to(one) for one in host.readable())
    cost = "what is written there goes to memory and is gone at the end" if seen else "its files are not seen"
    say(f"{folder} holds more than notebooks, so it is not shared with the lab VM: {cost}. A folder of its own for the notebook helps")
    return None, folder if seen else "/root"


def back_end(usual: str, notebook: str) -> str:
    """Who boots the guest for a notebook. A chapter may need what only another one's kernel has; then that one does."""
    chapter = next((one for one in CHAPTERS if one.file == Path(notebook).name), None)
    name = (chapter and who_boots(chapter.number, usual)) or usual
    if name != usual:
        say(f"{chapter.file} needs more of a kernel than {backends.BACKENDS[usual].title()} has, so {name} boots one for it")
    return name


# -- the ports ------------------------------------------------------------------------------------


@contextlib.contextmanager
def listeners(connection: dict) -> Iterator[dict[int, tuple[socket.socket, int]]]:
    """Sockets where a client looks for the kernel, each with its port in the guest. On this machine's loopback, or in the file system."""
    with contextlib.ExitStack() as undo:
        found = {}
        for number, name in enumerate(PORTS, 1):
            if connection["transport"] == "ipc":
                path = f"{connection['ip']}-{connection[name]}"
                sock = undo.enter_context(socket.socket(socket.AF_UNIX))
                sock.bind(path)
                undo.callback(Path(path).unlink, missing_ok=True)
            else:
                sock = undo.enter_context(socket.socket())
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a restarted kernel gets the ports of the one before
                sock.bind(("127.0.0.1", connection[name]))
            sock.listen()
            found[sock.fileno()] = sock, number
        yield found


def inside(connection: dict) -> str:
    """The connection file as the kernel in the guest reads it. No TCP in there: who dials a loopback port in a loop may reach itself."""
    ports = {name: number for number, name in enumerate(PORTS, 1)}
    return json.dumps(connection | ports | {"transport": "ipc", "ip": guest.PORTS})


# -- from the start to the end ---------------------------------------------------------------------------


@contextlib.contextmanager
def signals() -> Iterator[int]:
    """A descriptor that gives the number of each SIGINT and SIGTERM that arrives."""
    reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    signal.set_wakeup_fd(writer)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    yield reader


def client() -> int:
    """A descriptor that can be read when the client has ended; Jupyter names itself, else it is our parent.

    Raises ``ProcessLookupError`` if it is gone already.
    """
    return os.pidfd_open(int(os.environ.get("JPY_PARENT_PID") or os.getppid()))


def job(connection: dict, network: bool) -> host.Job:
    """ipykernel in the guest. Its history is nobody's, as its home folder is new each time."""
    work, start = places(os.getcwd())
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", INSIDE, "--HistoryManager.enabled=False", "--log-level=ERROR"]
    path = os.pathsep.join(dict.fromkeys([str(host.ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]))
    env = {"PYTHONPATH": path, "JPY_PARENT_PID": "1"}
    return host.Job(argv, start, host.readable(), work, env, {INSIDE: inside(connection)}, network)


def tell(message: dict) -> None:
    if "up" in message:
        say(f"Linux {message['up']} is up, the kernel starts")


def serve(vm: host.Guest, ports: dict, alarm: int, parent: int) -> int:
    """Carry everything until one of the two ends; the exit code."""
    while not vm.ended:
        ready = vm.turn([alarm, parent, *(ports if vm.up else ())])
        for fd in ports.keys() & ready:
            sock, port = ports[fd]
            vm.mux.connect(sock.accept()[0], port)
        for number in os.read(alarm, 64) if alarm in ready else ():
            if number == signal.SIGTERM:
                return 128 + number
            if vm.up:
                vm.mux.tell(signal=number)
        if parent in ready:
            say("the client has ended, so this ends, too")
            return 1
    if vm.code is None:
        say(f"the guest ended by itself; its last words:\n{vm.last_words()}\n")
    return 1 if vm.code is None else vm.code


def show(data: bytes) -> None:
    """What the kernel itself prints; the cells' output goes another way."""
    with contextlib.suppress(OSError):
        os.write(sys.stderr.fileno(), data)


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="kernelproxy.py", description=__doc__.splitlines()[0])
    parser.add_argument("-f", dest="connection", required=True, help="Jupyter's connection file")
    parser.add_argument("--backend", choices=backends.BACKENDS, required=True, help="who boots the guest")
    parser.add_argument("--memory", default=host.MEMORY, help="the guest's memory (%(default)s)")
    parser.add_argument("--network", action="store_true", help="a way out for the guest; not to this machine's own 127.0.0.1")
    words = parser.parse_args(argv)
    connection = json.loads(Path(words.connection).read_text())
    backend = backends.BACKENDS[back_end(words.backend, os.environ.get("JPY_SESSION_NAME", ""))]  # Jupyter names the notebook in there
    try:
        with signals() as alarm, listeners(connection) as ports:
            say(f"starting {backend.title()} with {words.memory} of memory{' and a network' if words.network else ''}")
            with host.booted(backend, job(connection, words.network), words.memory, show, tell) as vm:
                return serve(vm, ports, alarm, client())
    except OSError as error:
        say(f"it cannot start: {error}")
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
