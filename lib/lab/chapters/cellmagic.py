"""``%%alone``: a cell that runs as a small program of its own. (And ``load`` teaches a notebook that and ``%%mini``.)

A notebook's kernel has many threads, and it must stay where it is: in its namespaces, in its root. Code that forks,
unshares or changes its root is therefore run by a fresh Python, and what it prints comes back here. When the cell
ends, or is stopped, the whole process group of that Python is ended with it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import traceback
from contextlib import suppress
from functools import wraps

from IPython import get_ipython

from lib.lab.chapters import minifile
from lib.shield import Shield

RUNNER = """
import sys
sys.dont_write_bytecode = True
code = sys.stdin.read()
try:
    exec(compile(code, "<cell>", "exec"), {"__name__": "__main__"})
except BaseException as error:
    print(f"{type(error).__name__}: {error}", flush=True)
    sys.exit(1)
"""


def alone(line: str, cell: str) -> None:
    """Run ``cell`` in a Python of its own; an exception there is printed as its last line."""
    with Shield() as shield:  # an interrupt between the start and the `try` would leave the program behind
        child = subprocess.Popen(
            [sys.executable, "-u", "-c", RUNNER],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        try:
            with shield.opened():
                child.stdin.write(cell.encode())
                child.stdin.close()
                for text in child.stdout:
                    sys.stdout.write(text.decode(errors="replace"))
        finally:
            end(child)


def end(child: subprocess.Popen) -> None:
    """An interrupt is passed on, so that the program can tidy up; what is still there after two seconds is killed."""
    with suppress(ProcessLookupError, subprocess.TimeoutExpired):
        if child.poll() is None:
            child.send_signal(signal.SIGINT)
        child.wait(timeout=2)
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    child.stdout.close()


def shield_starts() -> None:
    """Let the stop button wait for the moment in which Python starts a program.

    ``subprocess`` writes the child's number down only when ``fork`` and ``execve`` have returned. An interrupt that came meanwhile
    is raised just before that, and then nobody ever knows which child to wait for: not even its traceback.
    """
    start = subprocess.Popen._execute_child
    if hasattr(start, "__wrapped__"):
        return

    @wraps(start)
    def shielded(*args):
        with Shield():
            start(*args)

    subprocess.Popen._execute_child = shielded


def end_what_was_torn(result) -> None:
    """After a cell that was stopped: a program that ``subprocess.run`` had started may run on, or have been killed and not waited for.

    (Python leaves it so if the interrupt came when it had just been started, or if it took longer to end than a quarter of a second.)
    Nobody has its object any more but the traceback, so there it is found, and the program is ended. So it is with the reader's ``mini``.
    What else the traceback holds, it holds no longer: Python waits by itself for a program whose object is gone.
    """
    if isinstance(result.error_in_exec, KeyboardInterrupt):
        torn = result.error_in_exec.__traceback__
        for frame, _ in traceback.walk_tb(torn):
            where = frame.f_globals.get("__name__")
            if where == "mini" or (where == "subprocess" and frame.f_code.co_name in ("run", "__init__", "__enter__")):
                for child in filter(lambda one: isinstance(one, subprocess.Popen), list(frame.f_locals.values())):
                    if getattr(child, "pid", None) and child.returncode is None:
                        child.kill()
                        child.wait()
        traceback.clear_frames(torn)
        minifile.sweep()


def load(chapter: int = 1) -> None:
    """Teach the notebook the magics, and to leave no program behind when a cell is stopped. ``mini`` is as the last chapter left it."""
    shell = get_ipython()
    mini = minifile.Mini(shell, chapter)
    shell.register_magic_function(alone, "cell")
    shell.register_magic_function(mini.add, "cell", "mini")
    mini.begin()
    minifile.sweep(0)  # of a kernel that was killed
    shield_starts()
    if end_what_was_torn not in shell.events.callbacks["post_run_cell"]:
        shell.events.register("post_run_cell", end_what_was_torn)
