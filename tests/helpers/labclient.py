"""A Jupyter client that talks to a kernel in the lab VM, and what is left of that kernel on this machine."""

from __future__ import annotations

import socket
import tempfile
import threading
from pathlib import Path

from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager

from lib.lab.doctor.leaks import of_processes
from lib.lab.jupyter import kernelspecs


class Client:
    """A kernel of ours and a client that talks to it."""

    def __init__(self, specs: Path, folder: Path, **how):
        manager = KernelSpecManager(kernel_dirs=[str(specs)])
        self.manager = KernelManager(kernel_name=kernelspecs.LAB, kernel_spec_manager=manager, **how.pop("manager", {}))
        self.manager.shutdown_wait_time = 60  # one that is killed leaves the rest to its watcher
        self.manager.start_kernel(cwd=str(folder), **how)
        self.client = self.manager.client()
        self.client.start_channels()

    def ready(self) -> Client:
        self.client.wait_for_ready(timeout=180)
        return self

    def run(self, code: str, answer: str | None = None, stop_at: str | None = None) -> str:
        """What a cell prints, shows and raises; ``answer`` is typed when it asks; ``stop_at`` is its word to stop it."""
        told = []

        def hook(message):
            content = message["content"]
            told.append(content.get("text") or content.get("evalue") or content.get("data", {}).get("text/plain", ""))
            if stop_at and stop_at in told[-1]:
                self.manager.interrupt_kernel()

        def typed(_):
            self.client.input(answer)

        self.client.execute_interactive(code, output_hook=hook, stdin_hook=typed, allow_stdin=answer is not None, timeout=60)
        return "".join(told)

    def end(self) -> None:
        self.client.stop_channels()
        if self.manager.has_kernel:
            self.manager.shutdown_kernel()
        self.manager.cleanup_resources()

    @property
    def pid(self) -> int:
        return self.manager.provisioner.process.pid


def rests(owner: int) -> list[str]:
    """What is there of the guest of one process: its processes, by their command lines, and its folders."""
    label = f"suitcase-{owner}-guest-"
    found = [str(path) for place in {tempfile.gettempdir(), "/dev/shm"} for path in Path(place).glob(f"{label}*")]
    return found + [str(pid) for pid, words in of_processes("cmdline") if label in words]


def check_way_out(one: Client) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way:
        way.connect(("192.0.2.1", 9))  # a datagram socket sends nothing now; it only tells which address of ours it would take
        address = way.getsockname()[0]
    with socket.create_server((address, 0)) as outside, socket.create_server(("127.0.0.1", 0)) as loopback:
        threading.Thread(target=lambda: outside.accept()[0].sendall(b"world"), daemon=True).start()
        code = "import socket; print(socket.create_connection(({!r}, {}), 10).recv(9))"
        assert one.run(code.format(address, outside.getsockname()[1])) == "b'world'\n"
        assert one.run(code.format("10.0.2.2", loopback.getsockname()[1])) != "b'world'\n"
