"""``make test``: every check, in two lanes; each runs even if one before it failed, and the summary says which did.

``python tools/check.py [STAGE …]`` runs only some. Exit codes: 0 all passed, 1 one failed, 2 no such stage, 130 interrupted.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

from lock import rows_of_packages

ROOT = Path(__file__).resolve().parent.parent
PYTHON = sys.executable
BIN = Path(PYTHON).parent
INTERRUPTING = ("tests/process/test_break.py",)
MACHINES = (
    "tests/compose/test_shop.py",
    "tests/test_bases.py",
    "tests/house/test_machines.py",
    "tests/lab/bench",
    "tests/lab/chapters/test_stars.py",
    "tests/lab/jupyter/test_browser.py",
    "tests/lab/jupyter/test_kernelproxy.py",
    "tests/lab/vm/test_guest.py",
    "tests/lab/vm/test_qemu.py",
    "tests/lab/vm/test_v2.py",
    "tests/lab/vm/test_vm.py",
    "tests/process/test_stop_button.py",
)  # they take minutes
ENDS = (0, 1)  # exit codes of a pytest that has run all its tests. See pytest.ExitCode
FIRST = 5  # of a stage's failures, that many are named at the end: a cell that fails takes most of the later ones with it
SOCKETS = "lib.lab.jupyter.nbval_sockets"
CELL_TIMEOUT = "120"  # seconds; nbval's own limit is half an hour
LAB_CELL_TIMEOUT = "230"  # where the processor may be emulated; less than pytest's own limit


def call(*command: str, cwd: Path = ROOT, **environment: str) -> int:
    """Run it and wait for it to end; Ctrl-C is passed on once, and what was started gets the time to clean up."""
    process = subprocess.Popen(command, cwd=cwd, env=os.environ | environment, start_new_session=True)
    try:
        return process.wait()
    except KeyboardInterrupt:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)
        end(process)
        raise


def end(process: subprocess.Popen) -> None:
    """A minute to clean up; then what still hangs is killed, so that Ctrl-C always ends the run."""
    try:
        process.wait(60)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def style() -> int:
    return call(str(BIN / "ruff"), "check", ".") or call(str(BIN / "ruff"), "format", "--check", ".")


def arrows() -> int:
    return call(str(BIN / "lint-imports"))


def tested(name: str, *words: str, **environment: str) -> int:
    """Run it: pytest, which writes what failed, and why, where ``failures`` finds it. If it does not come to its end, that is written."""
    place = ROOT / "build/failed"
    code = call(PYTHON, "-m", *words, f"--junitxml={place}/{name}.xml", SUITCASE_TEST_NOW=f"{place}/{name}.now", **environment)
    if code not in ENDS:
        now = place / f"{name}.now"
        where = f" in {now.read_text().strip()}" if now.exists() else ""
        (place / f"{name}.ended").write_text(f"pytest {how_it_ended(code)}{where}")
    return code


def how_it_ended(code: int) -> str:
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


def failures() -> list[str]:
    """A line for each test that failed in this run: in which stage, its name, its reason. Of many in a stage the first ones only.

    And one for each pytest that did not come to its end.
    """
    found = []
    for path in sorted((ROOT / "build/failed").glob("*.xml")):
        here = []
        for case in ET.parse(path).iter("testcase"):
            for fault in (*case.findall("failure"), *case.findall("error")):
                here.append(f"{path.stem}: {case.get('classname')}::{case.get('name')[:80]}: {reason(fault)[:160]}")
        found += here[:FIRST] + ([f"{path.stem}: and {len(here) - FIRST} more"] if len(here) > FIRST else [])
    return found + [f"{path.stem}: {path.read_text()}" for path in sorted((ROOT / "build/failed").glob("*.ended"))]


def reason(fault: ET.Element) -> str:
    """The first line of pytest's message; nbval's says nothing, but its text ends with the exception."""
    lines = fault.get("message", "").splitlines() or [""]
    if "Notebook cell execution failed" in lines[0]:
        lines = [line for line in re.sub(r"(\x1b|#x1B)\[[0-9;]*m", "", fault.text or "").splitlines() if line.strip()][::-1] or lines
    return lines[0]


def unit() -> int:
    """Tests that interrupt this very process at any moment run apart: what comes a moment too late would end the whole run."""
    code = tested("unit", "pytest", "tests", *(f"--ignore={path}" for path in (*INTERRUPTING, *MACHINES)))
    return code | tested("interrupting", "pytest", *INTERRUPTING)


def machines() -> int:
    return tested("machines", "pytest", *MACHINES)


def coverage() -> int:
    """Which lines of lib the tests reach: build/coverage.txt. No check hangs on it, and it takes a third longer, so only who asks gets it.

    Without those that interrupt: an interrupt between coverage's taking its lock and its letting go would hang the run for ever (seen).
    """
    code = tested("coverage", "coverage", "run", "-m", "pytest", "tests", *(f"--ignore={path}" for path in INTERRUPTING))
    report = subprocess.run([PYTHON, "-m", "coverage", "report"], cwd=ROOT, capture_output=True, text=True).stdout
    (ROOT / "build/coverage.txt").write_text(report)
    print(report, flush=True)
    return code


def notebooks() -> int:
    """nbval, strict: every committed output is compared with what the cell prints now."""
    files = sorted(str(path) for path in (ROOT / "notebooks").glob("*.ipynb"))
    if not files:
        print("there is no notebook to test", file=sys.stderr)
        return 1
    peers = {"SUITCASE_PEERS": "required"} if os.environ.get("CI") else {}  # there, a comparison may not be left out in silence
    return tested(
        "notebooks", "pytest", "-p", SOCKETS, "--nbval", "--nbval-current-env", "--nbval-cell-timeout", CELL_TIMEOUT,
        "--nbval-sanitize-with", "tests/nbval_sanitize.cfg", *files, **peers,
    )  # fmt: skip


def lab() -> int:
    """Chapters 2 to 4 once more, by nbval in the lab VM: a kernel with cgroup v2, booted by the kernelspec that readers choose.

    Chapter 1 passes there, too, but takes more than three minutes: it boots seven machines, each emulated inside of the lab VM. Chapter 5
    takes eight, as five real programs start there, again and again: `make soak` has it.
    """
    from lib.lab.doctor.chapterneeds import who_boots

    with scratch() as folder:
        code = call(PYTHON, "-m", "lib.lab", "install", "--prefix", str(folder))
        if code == 3:
            return 0  # it has said why there is no lab VM here
        shutil.copytree(ROOT / "notebooks", folder / "notebooks")  # the guest writes beside them: mini.py
        for chapter in sorted((folder / "notebooks").glob("0[2-5]-*.ipynb" if os.environ.get("SUITCASE_SOAK") else "0[2-4]-*.ipynb")):
            if who_boots(chapter.name[:2], "uml"):
                code = code or in_lab(folder, chapter)
            else:
                print(f"left out: {chapter.name}, as neither user-mode-linux nor QEMU boots a kernel for it here", flush=True)
        return code


def in_lab(folder: Path, chapter: Path) -> int:
    """One chapter there. As Jupyter does, we tell the kernel which notebook it is for: chapter 4 takes another kernel than the others."""
    return tested(
        f"lab-{chapter.name[:2]}", "pytest", "-p", SOCKETS, "-p", "no:cacheprovider",
        "--nbval", "--nbval-kernel-name", "suitcase-lab", "--nbval-cell-timeout", LAB_CELL_TIMEOUT,
        "--nbval-sanitize-with", "tests/nbval_sanitize.cfg", str(chapter),
        JUPYTER_PATH=str(folder / "share/jupyter"), JPY_SESSION_NAME=str(chapter),
    )  # fmt: skip


def parameters() -> int:
    """Each chapter by papermill with other parameters than its defaults: tests/other_parameters.txt holds them."""
    words = [line.split("#")[0].strip() for line in (ROOT / "tests/other_parameters.txt").read_text().splitlines()]
    with scratch() as folder:
        return call(PYTHON, "-m", "lib.lab.jupyter.batch", "--params", " ".join(words), "--out", str(folder / "out"))


def clone() -> int:
    """`make tutorial` on a clean clone: what is not committed cannot help. The Python packages are this checkout's, so it is quick."""
    if not (ROOT / ".git").exists() or not shutil.which("git"):
        print("no git checkout, or no git: nothing to clone", file=sys.stderr)
        return 1
    with scratch() as folder:
        trust = folder / "gitconfig"  # root may test a checkout that belongs to somebody else
        trust.write_text("[safe]\n\tdirectory = *\n")
        place = folder / "a clone"  # people's folders have spaces in their names
        if code := call("git", "clone", "--quiet", str(ROOT), str(place), GIT_CONFIG_GLOBAL=str(trust)):
            return code
        (place / ".venv").symlink_to(BIN.parent)
        outside = {"ONLY": "", "PARAMS": "", "OUT": "", "MAKEFLAGS": "", "VENV": ".venv", "PATH": readers_path(folder / "bin")}
        return call("make", "tutorial", cwd=place, **outside)


def readers_path(place: Path) -> str:
    """A PATH without the programs that only the tests' set-up brings: what the chapters find where `make tutorial` alone has been run."""
    rows = rows_of_packages()
    kept = {name for name, group, _ in rows if group.partition(":")[0] in ("chapters", "lab")}
    lists = (Path(f"/var/lib/dpkg/info/{name}.list") for name, *_ in rows if name not in kept)
    files = [Path(line) for one in lists if one.exists() for line in one.read_text().splitlines()]
    hidden = {path.name for path in files if path.parent.name in ("bin", "sbin")}
    place.mkdir()
    for folder in os.environ["PATH"].split(":"):
        for path in Path(folder).glob("*"):
            if path.name not in hidden and not (place / path.name).is_symlink():
                (place / path.name).symlink_to(path)
    return str(place)


@contextlib.contextmanager
def scratch():
    """A folder whose name says whose it is (as ``lib.state.temporary``): the leak checks of the chapters that run meanwhile see it too."""
    folder = Path(tempfile.mkdtemp(prefix=f"suitcase-{os.getpid()}-check-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


PREPARED = "bases"  # of the machine's store: what set-up makes in minutes, always the same (a kernel, a disk, root file systems)


@contextlib.contextmanager
def as_on_a_new_machine():
    """An empty home, and a store that holds only what set-up has prepared, for the whole run: what this machine has seen must not help."""
    with scratch() as folder:
        (folder / "home").mkdir(mode=0o700)
        (folder / "store").mkdir(mode=0o711)
        folder.chmod(0o711)  # some tests run as an ordinary user, who reads the bases
        machines_own = Path(os.environ.get("SUITCASE_STORE", "/var/lib/suitcase"))
        if (machines_own / PREPARED).is_dir():
            (folder / "store" / PREPARED).symlink_to(machines_own / PREPARED)
        for name in [name for name in os.environ if name.startswith("XDG_")]:
            del os.environ[name]
        os.environ |= {"HOME": str(folder / "home"), "SUITCASE_STORE": str(folder / "store")}
        # Where its fonts are not known yet, matplotlib says on stderr that it looks for them, and stderr is compared. Set-up looks, too.
        subprocess.run([PYTHON, "-c", "import matplotlib.font_manager"], check=True)
        yield


STAGES: dict[str, Callable[[], int]] = {
    "style": style, "arrows": arrows, "unit": unit, "notebooks": notebooks,
    "machines": machines, "lab": lab, "parameters": parameters, "clone": clone, "coverage": coverage,
}  # fmt: skip
WORDS = {
    "style": "ruff", "arrows": "import-linter: arrows point down", "unit": "pytest",
    "machines": "pytest: what boots or furnishes machines, goes through whole chapters, and the bench",
    "notebooks": "pytest --nbval on every notebook", "lab": "chapters 2 to 4 in the lab VM, on cgroup v2",
    "parameters": "every chapter with other parameters", "clone": "make tutorial on a clean clone",
    "coverage": "which lines of lib the tests reach",
}  # fmt: skip


# Notebooks first: two chapters that run at the same time see each other's containers, and the other lane's come later.
FIRST_LANE = ("style", "arrows", "notebooks", "unit")
# The second lane, beside the first. Each session of tests and each notebook has a place of its own, and knows what belongs to others.
BESIDE = ("machines", "lab", "parameters", "clone")
Results = dict[str, tuple[bool, float]]


def run(names: tuple[str, ...]) -> Results:
    """One stage after another; which passed, and in how many seconds."""
    results: Results = {}
    for name in names:
        print(f"\n== {name}: {WORDS[name]}", flush=True)
        began = time.monotonic()
        results[name] = (STAGES[name]() == 0, time.monotonic() - began)
        print(f"== {name}: {'passed' if results[name][0] else 'FAILED'} in {results[name][1]:.0f} s", flush=True)
    return results


def run_all() -> Results:
    """Two lanes, each a process; what the second one prints comes when both are through."""
    with scratch() as folder, open(folder / "log", "w+") as log:
        argv = [PYTHON, __file__, "--results", str(folder / "results"), *BESIDE]
        other = subprocess.Popen(argv, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            results = run(FIRST_LANE)
            other.wait()
        except KeyboardInterrupt:
            other.send_signal(signal.SIGINT)
            end(other)
            raise
        log.seek(0)
        print(log.read(), flush=True)
        if not (folder / "results").exists():
            return results | dict.fromkeys(BESIDE, (False, 0.0))
        results |= json.loads((folder / "results").read_text())
    return results


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="tools/check.py", description="Every check, or only some stages of it.")
    parser.add_argument("stages", nargs="*", metavar="STAGE", help=", ".join(STAGES))
    parser.add_argument("--results", help="write which passed, and in how many seconds, to this file as JSON")
    given = parser.parse_args(argv)
    if unknown := [name for name in given.stages if name not in STAGES]:
        print(f"no stage {', '.join(unknown)}: there are {', '.join(STAGES)}", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # A shell without job control starts `make test &` deaf to Ctrl-C, and every program of the tests would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # So many open files a program may have on most machines. Where it is more, a test that needs more would pass here and fail there.
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(1024, hard), hard))
    if not given.results:  # not the second lane, which runs beside the first
        shutil.rmtree(ROOT / "build/failed", ignore_errors=True)
    (ROOT / "build/failed").mkdir(parents=True, exist_ok=True)
    try:
        with contextlib.nullcontext() if given.results else as_on_a_new_machine():
            results = run(tuple(given.stages)) if given.stages else run_all()
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130
    if given.results:  # the second lane: the first one concludes for both
        Path(given.results).write_text(json.dumps(results))
        return 0
    return conclude(results)


def conclude(results: Results) -> int:
    print()
    for name, (good, seconds) in results.items():
        print(f"{'passed' if good else 'FAILED'}  {seconds:5.0f} s  {name}: {WORDS[name]}")
    for line in failures():  # last, where a reader of a long log looks first
        print(line)
    failed = [name for name, (good, _) in results.items() if not good]
    print(f"FAILED: {', '.join(failed)}" if failed else "all checks passed", flush=True)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
