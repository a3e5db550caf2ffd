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
import tempfile
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from lib import bases, state
from lib.advice import mountinfo
from lib.container import Container, start
from lib.lab import peers
from lib.lab.bench import imagebench, labbench
from lib.lab.vm import backends, footprint, hypervisor, netns_http, vm
from lib.process import remove_all

ROOT = Path(__file__).resolve().parents[3]
OUT = ROOT / "build"
PEERS = ("runc", "bwrap", "podman", "docker", "dockerd", "buildah", "skopeo", "umoci", "docker-registry", "unshare")
LIMITS = {"memory": "64m", "cpus": 0.5, "pids_limit": 20}


@dataclass
class Row:
    """One line of the table. ``reach`` is the ratio (or, without a peer, the value) that we want to stay below.

    ``claim`` is what the series says about it.
    """

    name: str
    chapter: str
    ours: float
    unit: str
    spread: float = 0.0
    peer: float | None = None
    peer_name: str = ""
    reach: float | None = None
    claim: str = ""

    @property
    def ratio(self) -> float | None:
        return None if self.peer is None else self.ours / self.peer

    @property
    def holds(self) -> bool | None:
        if self.reach is None:
            return None
        return (self.ours if self.ratio is None else self.ratio) <= self.reach

    def as_dict(self) -> dict:
        return asdict(self) | {"ratio": self.ratio, "holds": self.holds}


# -- measuring -------------------------------------------------------------------------------


def timed(work: Callable[[], object]) -> float:
    """Milliseconds that ``work`` takes."""
    begin = time.perf_counter()
    work()
    return (time.perf_counter() - begin) * 1e3


def interleaved(works: dict[str, Callable], rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each, one after another in each round; the first round only warms up."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for number in range(rounds + 1):
        for name, work in works.items():
            took = timed(work)
            if number:
                times[name].append(took)
    return times


def spread(values: list[float]) -> float:
    low, _, high = statistics.quantiles(values, n=4)
    return high - low


def available() -> int:
    """MemAvailable of the machine, in bytes. See proc_meminfo(5)."""
    line = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemAvailable"))
    return int(line.split()[1]) << 10


# -- start to exit ----------------------------------------------------------------------------


@contextmanager
def runc_bundle():
    """A bundle with the same work as ours: namespaces, limits, an overlay to write on, /dev, masks.

    runc expects its root file system to be there, so the overlay is mounted around the call, by mount(8)'s system call: its time is
    runc's, as it is ours in our row.
    """
    with tempfile.TemporaryDirectory(prefix=state.temporary("bench"), dir=state.folder("bases").parent) as place:
        for name in ("bundle", "bundle/rootfs"):
            Path(place, name).mkdir()
        bundle = Path(place, "bundle")
        subprocess.run(["runc", "spec", "--bundle", bundle], check=True)
        config = json.loads((bundle / "config.json").read_text())
        config["process"] |= {"terminal": False, "args": ["/bin/true"], "rlimits": []}
        config["root"]["readonly"] = False
        config["linux"]["resources"] |= {
            "memory": {"limit": 64 << 20, "swap": 128 << 20}, "cpu": {"quota": 50000, "period": 100000}, "pids": {"limit": 20},
        }  # fmt: skip
        (bundle / "config.json").write_text(json.dumps(config))
        yield bundle


def run_runc(bundle: Path) -> None:
    """Make the writable layer, mount it, run, unmount it, remove it: what ours does as well."""
    from lib import linux

    upper, work, root = bundle / "upper", bundle / "work", str(bundle / "rootfs")
    upper.mkdir()
    work.mkdir()
    linux.mount("overlay", root, "overlay", f"lowerdir={bases.busybox()},upperdir={upper},workdir={work}")
    try:
        subprocess.run(["runc", "run", "--bundle", bundle, bundle.parent.name], check=True)
    finally:
        linux.umount(root)
        shutil.rmtree(upper)
        shutil.rmtree(work)


def run_ours() -> None:
    done = Container("busybox", ["/bin/true"], **LIMITS).run(show=False)
    assert done.code == 0, done


def start_to_exit(rounds: int) -> list[Row]:
    """``/bin/true`` from the request to the last trace gone, beside runc, unshare(1), bubblewrap and podman."""
    rows = []
    bubble = ["bwrap", "--unshare-all", "--bind", bases.busybox(), "/", "--proc", "/proc", "--dev", "/dev", "/bin/true"]
    with runc_bundle() as bundle:
        works = {
            "ours": run_ours,
            "runc run": lambda: run_runc(bundle),
            "unshare -fpmnuiC --mount-proc": lambda: subprocess.run(["unshare", "-fpmnuiC", "--mount-proc", "true"], check=True),
            "bwrap --unshare-all": lambda: subprocess.run(bubble, check=True),
        }
        times = interleaved(works, rounds)
    times |= interleaved({"podman run --network=none": podman_true}, max(3, rounds // 10))
    reaches = {"runc run": 0.25, "unshare -fpmnuiC --mount-proc": 3.0}
    ours = times.pop("ours")
    for name, values in times.items():
        median, theirs = statistics.median(ours), statistics.median(values)
        rows.append(Row("start to exit of /bin/true", "02", median, "ms", spread(ours), theirs, name, reaches.get(name)))
    return rows


def podman_true() -> None:
    code, _, _ = peers.podman_run(["/bin/true"], "--memory", "64m", "--pids-limit", "20")
    assert code == 0, code


# -- many at once -----------------------------------------------------------------------------


@dataclass
class Crowd:
    """What many idle containers cost: milliseconds of each start, of each removal, bytes of memory each, lines in mount tables."""

    starts: list[float]
    removal: float
    memory: float
    mounts: int


def our_crowd(count: int) -> Crowd:
    boxes, starts = [], []
    run_ours()  # the starter is there, the base is cached
    lines, before = mount_lines(), available()
    try:
        for _ in range(count):
            starts.append(timed(lambda: boxes.append(start("busybox", ["sleep", "3600"]))))
        time.sleep(1)
        memory, grown = (before - available()) / count, mount_lines() - lines
    finally:
        removal = timed(remove_all) / count
    return Crowd(starts, removal, memory, grown)


def mount_lines() -> int:
    """Lines in the mount tables of this process and of its starter."""
    from lib.process import Starter

    return len(mountinfo()) + len(mountinfo(str(Starter.current().process.pid)))


def docker_crowd(docker: peers.Docker, count: int) -> Crowd:
    before, starts = available(), []
    for number in range(count):
        name = f"bench-{number}"
        starts.append(timed(lambda name=name: docker.call("run", "-d", "--network=none", "--name", name, "bench-base", "sleep", "3600")))
    time.sleep(1)
    memory = (before - available()) / count
    names = [f"bench-{number}" for number in range(count)]
    return Crowd(starts, timed(lambda: docker.call("rm", "-f", *names)) / count, memory, 0)


def crowds(count: int, docker_count: int) -> list[Row]:
    """``count`` of ours alive at once, then fewer of Docker's; both are divided by their number."""
    ours = our_crowd(count)
    with peers.dockerd() as docker:
        docker.import_folder(bases.busybox(), "bench-base")
        theirs = docker_crowd(docker, docker_count)
    first, last = statistics.median(ours.starts[:50]), statistics.median(ours.starts[-50:])
    version = Container("busybox", ["true"]).cgroup.backend.version
    mean, theirs_mean, mb = statistics.mean(ours.starts), statistics.mean(theirs.starts), 1e6
    return [
        Row(f"start of the last 50 of {count} alive", "02", last, "ms", spread(ours.starts[-50:]), first, "the first 50", 1.3),
        Row(f"start of each of {count}", "02", mean, "ms", spread(ours.starts), theirs_mean, "docker run -d", 0.03),
        Row("memory of an idle container", "02", ours.memory / mb, "MB", 0, theirs.memory / mb, "docker run -d"),
        Row("memory of an idle container", "02", ours.memory / mb, "MB", 0, reach=0.5 if version == 2 else 0.6),
        Row("removal of each", "02", ours.removal, "ms", 0, theirs.removal, "docker rm -f"),
        Row("removal of each", "02", ours.removal, "ms", reach=3),
        Row(f"lines in mount tables for {count} containers", "02", ours.mounts, "lines", reach=0),
    ]


def nbval() -> list[Row]:
    """Each chapter as a test, in seconds."""
    from lib.lab.jupyter.notebooks import choose

    rows, reaches = [], {"01": 60, "02": 45, "03": 45}
    for chapter in choose("01,02,03"):
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


# -- a container beside a virtual machine -------------------------------------------------------

SERVE = ["sh", "-c", "mkdir /srv; echo hello > /srv/index.html; exec httpd -f -p 80 -h /srv"]


@dataclass
class Served:
    """One app that serves a page: seconds to the first byte, bytes of memory (proportional), bytes on the disk."""

    seconds: float
    memory: int
    disk: int


def serve_in_a_container() -> Served:
    began = time.perf_counter()
    with start("busybox", SERVE) as box:
        seconds = netns_http.first_byte(box.pid, 80) - began
        disk = footprint.on_disk(bases.busybox()) + footprint.on_disk(f"{box.folder}/upper")
        return Served(seconds, footprint.proportional(*box.cgroup.pids()), disk)


def serve_in_a_machine(full: bool) -> Served:
    with vm.boot(1024 if full else hypervisor.MEMORY, full) as guest:
        return Served(guest.started, guest.memory().total, guest.size())


def beside_machines(rounds: int) -> list[Row]:
    """Chapter 1's pair: the same page from a container, from the smallest virtual machine, and from a whole Debian in one."""
    ours = [serve_in_a_container() for _ in range(rounds)]
    rows = []
    for full in (False, True):
        served, name = serve_in_a_machine(full), f"{'Debian in a VM' if full else 'tiny VM'} ({hypervisor.accelerator()})"
        for what, field, unit, scale, claim in (
            ("start to the first byte served", "seconds", "s", 1, "milliseconds against minutes"),
            ("memory of an idle app", "memory", "MB", 1e6, "600 MB before the app starts"),
            ("size on the disk", "disk", "MB", 1e6, "libraries and app against a whole system"),
        ):
            values = [getattr(one, field) / scale for one in ours]
            theirs = getattr(served, field) / scale
            rows.append(Row(what, "01", statistics.median(values), unit, spread(values), theirs, name, claim=claim))
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


# -- the report --------------------------------------------------------------------------------


def machine() -> dict:
    return {"system": platform.platform(), "cpus": os.cpu_count(), "memory_mb": available() >> 20, "python": platform.python_version()}


def table(rows: list[Row]) -> str:
    lines = [("measured", "ours", "spread", "peer", "", "ratio", "reach", "", "the series says")]
    for row in rows:
        peer = "" if row.peer is None else f"{row.peer:.4g} {row.unit}"
        ratio = "" if row.ratio is None else f"{row.ratio:.3f}"
        verdict = {None: "", True: "holds", False: "MISSED"}[row.holds]
        limit = "" if row.reach is None else f"≤ {row.reach:g}" + ("×" if row.ratio is not None else f" {row.unit}")
        lines.append((row.name, f"{row.ours:.4g} {row.unit}", f"± {row.spread:.2g}", peer, row.peer_name, ratio, limit, verdict, row.claim))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines)


def picture(rows: list[Row], path: Path) -> None:
    """Each row with a peer as a bar: our share of the peer's cost."""
    from lib.show.plots import bars

    shares = {f"{row.name}, against {row.peer_name}": row.ratio for row in rows if row.ratio is not None}
    drawn = bars("Ours as a share of the peer's cost (1 = the same)", shares, "ratio", "ratios", limit=1, limit_name="the peer")
    path.write_bytes(drawn.data)


def measure(quick: bool = False) -> list[Row]:
    """All rows; ``quick`` is for the bench's own test."""
    rounds, count, docker_count = (5, 60, 2) if quick else (40, 500, 20)
    return start_to_exit(rounds) + crowds(count, docker_count) + beside_machines(rounds)


def in_a_kernel(quick: bool) -> list[Row]:
    """Run ``measure`` in a Jupyter kernel that has matplotlib imported, and bring the rows back."""
    import nbformat

    from lib.lab.jupyter.notebooks import execute

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
    if missing := [name for name in PEERS if shutil.which(name) is None]:
        print(f"bench: {', '.join(missing)} not installed: make setup-peers brings what is missing", file=sys.stderr)
        return 3
    rows = in_a_kernel(arguments.quick) + images(2 if arguments.quick else 5)
    rows += [] if arguments.quick else nbval() + lab_vm()
    OUT.mkdir(exist_ok=True)
    (OUT / "bench.json").write_text(json.dumps({"machine": machine(), "rows": [row.as_dict() for row in rows]}, indent=1))
    picture(rows, OUT / "bench.png")
    print(table(rows))
    return int(any(row.holds is False for row in rows) and not arguments.quick)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
