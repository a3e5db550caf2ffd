"""What the lab VM's kernel costs its user, as a Jupyter client sees it: ``python -m lib.lab.bench.labbench [uml|qemu [ROUNDS]]``.

A part of ``make bench``.

Each number is the median of some rounds, each with a kernel of its own. The first cell counts from the click: boot and imports are in it.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager

from lib import state
from lib.lab.jupyter import kernelspecs

# name → unit, what we want to stay below: with user-mode-linux, with QEMU even where it has to translate each instruction
REACHES = {
    "click to first cell done": ("s", {"uml": 6, "qemu": 30}), "round trip of a cell, warm": ("ms", {"uml": 50, "qemu": 120}),
    "interrupt of a busy cell": ("s", {"uml": 1, "qemu": 1}), "shutdown, nothing left": ("s", {"uml": 3, "qemu": 3}),
}  # fmt: skip


def one_round(specs: Path) -> dict[str, float]:
    """One kernel from its start to its end; the times under the names of ``REACHES``."""
    manager = KernelManager(kernel_name=kernelspecs.LAB, kernel_spec_manager=KernelSpecManager(kernel_dirs=[str(specs)]))
    times, mark = {}, time.perf_counter()
    manager.start_kernel(cwd=str(specs))
    client = manager.client()
    client.start_channels()
    client.wait_for_ready(timeout=120)

    def run(code: str) -> float:
        begin = time.perf_counter()
        client.execute_interactive(code, output_hook=lambda _: None, timeout=60)
        return time.perf_counter() - begin

    run("1 + 1")
    times["click to first cell done"] = time.perf_counter() - mark
    times["round trip of a cell, warm"] = statistics.median(run("1 + 1") for _ in range(20)) * 1e3
    times["interrupt of a busy cell"] = interrupt(manager, client)
    mark = time.perf_counter()
    manager.shutdown_kernel()
    times["shutdown, nothing left"] = time.perf_counter() - mark
    client.stop_channels()
    return times


def interrupt(manager: KernelManager, client) -> float:
    """Seconds from the stop button, pressed when the cell is surely at work, until it has ended."""
    pressed = []

    def press(message) -> None:
        if message["msg_type"] == "stream":
            pressed.append(time.perf_counter())
            manager.interrupt_kernel()

    client.execute_interactive("print('busy', flush=True)\nwhile True: pass", output_hook=press, timeout=60)
    return time.perf_counter() - pressed[0]


def measure(backend: str, rounds: int = 5) -> dict[str, list[float]]:
    """The times of each round, by name."""
    with tempfile.TemporaryDirectory(prefix=state.temporary("bench")) as specs:
        kernelspecs.install(Path(specs), kernelspecs.LAB, backend)
        done = [one_round(Path(specs)) for _ in range(rounds)]
    return {name: [one[name] for one in done] for name in REACHES}


def main(backend: str = "uml", rounds: str = "5") -> None:
    for name, values in measure(backend, int(rounds)).items():
        unit, reach = REACHES[name]
        each = " ".join(f"{one:.2f}" for one in values)
        print(f"{name:28} {statistics.median(values):7.2f} {unit:2} of {each}; reach ≤ {reach[backend]} {unit}")


if __name__ == "__main__":
    main(*sys.argv[1:])
