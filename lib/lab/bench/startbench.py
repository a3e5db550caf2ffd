"""``/bin/true`` in a container, from the request to the last trace gone: ours beside runc, unshare(1), bubblewrap and podman."""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

from lib import bases, state
from lib.container import Container
from lib.lab import peers
from lib.lab.bench.table import Row
from lib.lab.bench.timing import interleaved, spread

LIMITS = {"memory": "64m", "cpus": 0.5, "pids_limit": 20}


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
