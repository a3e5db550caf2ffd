"""Knobs: turn a limit, see what it does to a running container.

With a front end the knobs can be turned; without one (papermill, nbval, a static page) the same cell shows a still of
the same experiment with the values that it was called with.
"""

from __future__ import annotations

import re
import time

import ipywidgets
from IPython.display import display

from lib.container import start
from lib.show.picture import BLUE, GREEN, GREY, INK, RED, Picture, box, label, svg

# What the container in the box tries to do: more than most settings of the knobs allow.
WANTED = {"memory": 96, "cpus": 1.0, "pids": 30}
UNITS = {"memory": "MiB", "cpus": "cpu", "pids": "processes"}
SPIN = "i=0; while :; do i=$((i+1)); done"


def squeeze(memory: int, cpus: float, pids: int, seconds: float = 0.5) -> dict[str, float]:
    """Run a greedy container under these limits: what it got of memory (MiB), of processors, of processes.

    It wants 96 MiB, one whole processor for ``seconds``, and 30 processes. ``memory`` is reported as it stood when the
    kernel said stop, or all of it.
    """
    with start("busybox", ["sleep", "60"], memory=f"{memory}m", memory_swap=f"{memory}m", cpus=cpus, pids_limit=pids) as box_:
        eater = box_.exec(["dd", "if=/dev/zero", "of=/dev/null", f"bs={WANTED['memory']}M", "count=1"], show=False)
        got = {"memory": WANTED["memory"] if eater.code == 0 else memory}
        before, began = box_.cgroup.stats()["cpu.usage_usec"], time.monotonic()
        box_.exec(["timeout", str(seconds), "sh", "-c", SPIN], show=False)
        got["cpus"] = (box_.cgroup.stats()["cpu.usage_usec"] - before) / (time.monotonic() - began) / 1e6
        forks = f"for n in $(seq {WANTED['pids']}); do sleep 9 & done; echo $(ls -d /proc/[0-9]* | wc -l)"
        got["pids"] = count(box_.exec(["sh", "-c", forks], show=False), pids)
        box_.kill()
        box_.wait()
    return got


def count(done, limit: int) -> int:
    """How many processes it could have; a shell that may not fork any more cannot count them either."""
    return min(int(done.text), limit) if re.fullmatch(r"\s*[0-9]{1,9}\s*", done.text) and done.code == 0 else limit


def still(limits: dict[str, float], got: dict[str, float]) -> Picture:
    """For each limit a bar: what was wanted, where the wall stands, what was had."""
    parts, words = [], []
    for row, (name, wanted) in enumerate(WANTED.items()):
        y, full = 30 + 58 * row, max(wanted, limits[name])
        scale = 420 / full
        held = limits[name] < wanted
        parts += [label(20, y, f"{name}: {UNITS[name]}", INK, weight="bold")]
        parts += [box(150, y - 14, int(wanted * scale), 22, "#e3e8ee")]
        parts += [box(150, y - 14, int(min(got[name], full) * scale), 22, BLUE if held else GREEN)]
        wall = 150 + int(limits[name] * scale)
        parts += [f'<line x1="{wall}" y1="{y - 20}" x2="{wall}" y2="{y + 14}" stroke="{RED}" stroke-width="3"/>']
        parts += [label(150, y + 26, f"wanted {wanted:g}, limit {limits[name]:g}", GREY, size=11)]
        words.append(f"{name}: wanted {wanted:g}, limit {limits[name]:g}, {'held by the limit' if held else 'had it all'}")
    return svg(640, 40 + 58 * len(WANTED), parts, "; ".join(words) + ".")


class Panel(ipywidgets.VBox):
    """A column of widgets whose text form says what it is: a page without JupyterLab shows that."""

    def __init__(self, children, words: str):
        super().__init__(children)
        self.words = words

    def __repr__(self) -> str:
        return self.words


def knobs(memory: int = 48, cpus: float = 0.3, pids: int = 12) -> dict[str, float]:
    """Show the greedy container under these limits, and (in JupyterLab) three knobs to turn them; returns what it got."""
    limits = {"memory": memory, "cpus": cpus, "pids": pids}
    got = squeeze(**limits)
    display(still(limits, got))
    sliders = {
        "memory": ipywidgets.IntSlider(memory, 8, 128, 8, description="memory"),
        "cpus": ipywidgets.FloatSlider(value=cpus, min=0.1, max=1.5, step=0.1, description="cpus"),
        "pids": ipywidgets.IntSlider(pids, 4, 40, description="pids"),
    }
    button, out = ipywidgets.Button(description="run it"), ipywidgets.Output()

    def again(_):
        chosen = {name: slider.value for name, slider in sliders.items()}
        with out:
            out.clear_output()
            display(still(chosen, squeeze(**chosen)))

    button.on_click(again)
    words = "Three knobs and a button: memory, cpus, pids. They can be turned in JupyterLab."
    display(Panel([*sliders.values(), button, out], words))
    return got
