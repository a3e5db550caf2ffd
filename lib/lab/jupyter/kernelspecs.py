"""The two kernels in JupyterLab's launcher: "Python (this machine)" and "Python (lab VM)".

``python -m lib.lab install|uninstall [--user | --sys-prefix | --prefix DIR] [--backend uml|qemu] [--memory 2G] [--network]``; the
places are those of ``jupyter kernelspec install``, and the usual one is this Python's own (``--sys-prefix``). Exit codes: 0 done, 2 wrong
use, 3 the lab VM cannot run here (the other kernel is installed), 4 the place cannot be written to.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path

from ipykernel.kernelspec import write_kernel_spec
from jupyter_core.paths import jupyter_data_dir

from lib.lab.doctor.chapterneeds import left_out_in
from lib.lab.vm import backends, host

HERE, LAB = "suitcase", "suitcase-lab"
TITLES = {HERE: "Python (this machine)", LAB: "Python (lab VM)"}


def place(words: argparse.Namespace) -> Path:
    """The folder that holds kernelspecs."""
    data = Path(jupyter_data_dir()) if words.user else Path(words.prefix or sys.prefix, "share/jupyter")
    return data / "kernels"


def spec(name: str, backend: str, memory: str, network: bool) -> dict:
    """What stands in ``kernel.json``. Both run this Python, and import this checkout's ``lib``."""
    words = {"display_name": TITLES[name], "language": "python", "metadata": {"debugger": name == HERE}}
    if name == HERE:
        path = os.pathsep.join(dict.fromkeys([str(host.ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]))
        return words | {"env": {"PYTHONPATH": path}}
    command = [
        sys.executable,
        "-P",
        str(Path(__file__).with_name("kernelproxy.py")),
        "-f",
        "{connection_file}",
        "--backend",
        backend,
        "--memory",
        memory,
    ]
    return words | {"argv": command + ["--network"] * network, "interrupt_mode": "signal"}


def install(folder: Path, name: str, backend: str = "uml", memory: str = host.MEMORY, network: bool = False) -> None:
    """Write one kernelspec, in place of one of the same name. ``backend`` is who boots the lab VM."""
    shutil.rmtree(folder / name, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    write_kernel_spec(str(folder / name), overrides=spec(name, backend, memory, network))
    print(f"installed: {TITLES[name]}, in {folder / name}")


def remove(folder: Path, name: str) -> None:
    if (folder / name).exists():
        shutil.rmtree(folder / name)
        print(f"removed: {TITLES[name]}, from {folder / name}")


def lab_backend(wanted: str, network: bool) -> tuple[str, str]:
    """The back end to take, tried by booting it, and ""; or "" and why the lab VM cannot run here."""
    if network and not shutil.which("libslirp-helper"):
        return "", "a network needs libslirp-helper: apt-get install libslirp-helper (or install without --network)"
    return backends.pick(wanted)


def for_others(backend: str) -> list[str]:
    """What is said of the chapters that need another kernel than this one's. It is QEMU's, and is fetched if it isn't here."""
    chapters = " and ".join(str(int(one)) for one in left_out_in(backends.BACKENDS[backend].title()))
    if backend == "qemu" or not chapters:
        return []
    why_not = backends.BACKENDS["qemu"].lacks()
    return [f"chapter {chapters} needs QEMU instead: {why_not}" if why_not else f"for chapter {chapters} by QEMU"]


def parser() -> argparse.ArgumentParser:
    one = argparse.ArgumentParser(prog="python -m lib.lab", description=__doc__.splitlines()[0])
    one.add_argument("what", choices=["install", "uninstall"])
    where = one.add_mutually_exclusive_group()
    where.add_argument("--user", action="store_true", help="for you alone, in any Jupyter of yours")
    where.add_argument("--sys-prefix", action="store_true", help="for this Python's Jupyter (what happens without a word)")
    where.add_argument("--prefix", help="for the Jupyter whose share/jupyter lies below this folder")
    one.add_argument("--backend", choices=backends.BACKENDS, default="", help="who boots the lab VM (else: the first that works here)")
    one.add_argument("--memory", default=host.MEMORY, help="of the lab VM (%(default)s)")
    one.add_argument("--network", action="store_true", help="the lab VM gets a way out, but not to this machine's own 127.0.0.1")
    return one


def main(argv: list[str]) -> int:
    words = parser().parse_args(argv)
    folder = place(words)
    try:
        if words.what == "uninstall":
            for name in TITLES:
                remove(folder, name)
            return 0
        install(folder, HERE)
        backend, why_not = lab_backend(words.backend, words.network)
        if why_not:
            remove(folder, LAB)  # one from before would only fail
            print(f"not installed: {TITLES[LAB]}, as it cannot run on this machine: {why_not}", file=sys.stderr)
            return 3
        install(folder, LAB, backend, words.memory, words.network)
        print(f"the lab VM is booted by {backends.BACKENDS[backend].title()}", *for_others(backend), sep="; ")
    except OSError as error:
        print(f"{error.filename}: {error.strerror}: take --user, or --prefix with a folder of yours", file=sys.stderr)
        return 4
    return 0
