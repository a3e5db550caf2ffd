"""``make bench``: us beside the others, in one run, as ratios. ``python -m lib.lab.bench.bench [--quick]``

Everything is measured from inside a real Jupyter kernel that has matplotlib imported, since that is where a reader
starts containers from. Peers are interleaved with us, so that a busy moment of the machine hits all alike. Each row is a
median; its spread is the distance between the quartiles. Results: build/bench.json, build/bench.png, a table.

Exit codes: 0 all reaches hold, 1 one does not, 2 wrong use, 3 a peer is missing.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

from lib.lab.bench import imagebench, labbench
from lib.lab.bench.commandbench import commands
from lib.lab.bench.composebench import REAL, composed
from lib.lab.bench.crowdbench import crowds
from lib.lab.bench.enginebench import engine
from lib.lab.bench.netbench import networks
from lib.lab.bench.startbench import start_to_exit
from lib.lab.bench.table import Row, picture, table
from lib.lab.bench.timing import available, spread
from lib.lab.bench.vmbench import beside_machines
from lib.lab.vm import backends

ROOT = Path(__file__).resolve().parents[3]
OUT = ROOT / "build"
PEERS = ("runc", "bwrap", "podman", "docker", "dockerd", "buildah", "skopeo", "umoci", "docker-registry", "unshare", "iperf3")


# -- parts that are programs of their own: their numbers become rows -----------------------------


def command(quick: bool) -> list[Row]:
    """What is typed: ``suitcase`` beside ``docker`` and ``podman``."""
    return commands(2, 5, 5) if quick else commands(20)


def verbs(quick: bool) -> list[Row]:
    """Many containers that live on: looked at, asked after their health, copied into, beside Docker's."""
    return engine(2, 3, 100, 2) if quick else engine()


def network(quick: bool) -> list[Row]:
    """Bridges, ports and names, beside Docker's and Podman's."""
    return networks(2, 10, 1, 300) if quick else networks(20)


def compose(quick: bool) -> list[Row]:
    """Several containers that belong together, beside Docker Compose's."""
    return composed(2, 4, small=True) if quick else composed()


def nbval() -> list[Row]:
    """Each chapter as a test, in seconds."""
    from lib.lab.jupyter.chapterlist import choose

    rows, reaches = [], {"01": 60, "02": 45, "03": 45, "04": 45, "05": 60}
    for chapter in choose(",".join(reaches)):
        command = [sys.executable, "-m", "pytest", "-q", "--nbval", "--nbval-current-env", "--nbval-cell-timeout", "120"]
        command += ["-p", "no:cacheprovider", "--nbval-sanitize-with", "tests/nbval_sanitize.cfg", f"notebooks/{chapter.file}"]
        begin = time.perf_counter()
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        seconds = time.perf_counter() - begin
        if done.returncode:
            raise RuntimeError(f"nbval failed on {chapter.file}:\n{done.stdout[-2000:]}")
        rows.append(Row(f"nbval on chapter {chapter.number}", chapter.number, seconds, "s", reach=reaches[chapter.number]))
    return rows


def lab_vm() -> list[Row]:
    """The kernel in the lab VM, by each back end that is here."""
    rows = []
    for backend in (name for name, one in backends.BACKENDS.items() if not one.lacks()):
        for name, values in labbench.measure(backend).items():
            unit, reaches = labbench.REACHES[name]
            title = f"lab VM by {backends.BACKENDS[backend].title()}: {name}"
            rows.append(Row(title, "02", statistics.median(values), unit, spread(values), reach=reaches[backend]))
    return rows


def images(rounds: int = 5) -> list[Row]:
    """Chapter 3: unpack, push, pull and build, beside umoci, skopeo, buildah and Docker."""
    rows, measured = [], imagebench.measure(rounds)
    python = statistics.median(measured.pop("start of Python")["ours"])
    for what, times in measured.items():
        ours = times.pop("ours")
        for who, values in times.items():
            theirs, reach = statistics.median(values), imagebench.REACHES.get((what, who))
            rows.append(Row(what, "03", statistics.median(ours), "s", spread(ours), theirs, who, reach))
        if what == "build, cached":
            beyond = statistics.median(ours) - python
            rows.append(Row(f"{what}, beyond the start of Python", "03", beyond, "s", spread(ours), reach=imagebench.BEYOND_PYTHON))
    return rows


# -- all of it --------------------------------------------------------------------------------


def machine() -> dict:
    return {"system": platform.platform(), "cpus": os.cpu_count(), "memory_mb": available() >> 20, "python": platform.python_version()}


def measure(quick: bool = False) -> list[Row]:
    """All rows; ``quick`` is for the bench's own test."""
    rounds, count, docker_count = (5, 60, 2) if quick else (40, 500, 20)
    return start_to_exit(rounds) + crowds(count, docker_count) + beside_machines(rounds)


def in_a_kernel(quick: bool) -> list[Row]:
    """Run ``measure`` in a Jupyter kernel that has matplotlib imported, and bring the rows back."""
    import nbformat

    from lib.lab.jupyter.execution import execute

    code = (
        f"import matplotlib.pyplot, json\nfrom lib.lab.bench import bench\nprint(json.dumps([vars(row) for row in bench.measure({quick})]))"
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    execute(notebook, ROOT, timeout=900)
    printed = "".join(output.text for output in notebook.cells[0].outputs if output.get("name") == "stdout")
    return [Row(**row) for row in json.loads(printed.splitlines()[-1])]


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m lib.lab.bench.bench", description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="few rounds: only to see that it works")
    arguments = parser.parse_args(argv)
    if missing := [name for name in (*PEERS, str(REAL)) if shutil.which(name) is None]:
        print(f"bench: {', '.join(missing)} not installed: make setup-peers brings what is missing", file=sys.stderr)
        return 3
    rows = in_a_kernel(arguments.quick) + images(2 if arguments.quick else 5) + command(arguments.quick)
    rows += verbs(arguments.quick) + network(arguments.quick) + compose(arguments.quick)
    rows += [] if arguments.quick else nbval() + lab_vm()
    OUT.mkdir(exist_ok=True)
    (OUT / "bench.json").write_text(json.dumps({"machine": machine(), "rows": [row.as_dict() for row in rows]}, indent=1))
    picture(rows, OUT / "bench.png")
    print(table(rows))
    return int(any(row.holds is False for row in rows) and not arguments.quick)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
