"""Knobs: turn a limit, see what it does to a running container.

With a front end the knobs can be turned; without one (papermill, nbval, a static page) the same cell shows a still of
the same experiment with the values that it was called with.
"""

from __future__ import annotations

import time

import ipywidgets
from IPython.display import display

from lib.container import start
from lib.show.picture import BLUE, GREEN, INK, RED, Picture, box, label, svg

# What the container in the box tries to do: more than most settings of the knobs allow.
WANTED = {"memory": 96, "cpus": 1.0, "pids": 30}
UNITS = {"memory": "memory (MiB)", "cpus": "cpus", "pids": "processes"}
VERDICTS = {"memory": "killed", "cpus": "slowed down", "pids": "refused"}
SPIN = "i=0; while :; do i=$((i+1)); done"


def squeeze(memory: int, cpus: float, pids: int, seconds: float = 0.5) -> dict[str, float]:
    """Run a greedy container under these limits: what it got of memory (MiB), of processors, of processes, as its cgroup counts.

    It wants 96 MiB, one whole processor for ``seconds``, and 30 processes.
    """
    with start("busybox", ["sleep", "60"], memory=f"{memory}m", memory_swap=f"{memory}m", cpus=cpus, pids_limit=pids) as box_:
        group, got = box_.cgroup, {}
        eater = box_.exec(["dd", "if=/dev/zero", "of=/dev/null", f"bs={WANTED['memory']}M", "count=1"], show=False)
        peak = group.number("memory.peak") >> 20 if group.has("memory.peak") else memory if eater.code else WANTED["memory"]
        got["memory"] = min(peak, WANTED["memory"])
        before, began = group.stats()["cpu.usage_usec"], time.monotonic()
        box_.exec(["timeout", str(seconds), "sh", "-c", SPIN], show=False)
        got["cpus"] = (group.stats()["cpu.usage_usec"] - before) / (time.monotonic() - began) / 1e6
        box_.exec(["sh", "-c", f"for n in $(seq {WANTED['pids'] - 2}); do sleep 9 & done"], show=False)
        refused = group.table("pids.events")["max"]  # a shell that may not fork ends: then one is missing already
        got["pids"] = pids if refused else group.number("pids.current") + 1
        box_.kill()
        box_.wait()
    return got


def verdict(name: str, limit: float, got: float) -> str:
    """What a limit does to somebody who wants more: memory kills, cpus slow down, pids refuse."""
    if limit >= WANTED[name]:
        return f"got {got:.2g}, all that it wanted"
    return f"limit {limit:g}: {VERDICTS[name]} at {got:.2g}"


def still(limits: dict[str, float], got: dict[str, float]) -> Picture:
    """For each limit a bar: what was wanted, where the wall is, what was had, and what became of it."""
    parts, words = [], []
    for row, (name, wanted) in enumerate(WANTED.items()):
        y, full = 34 + 66 * row, max(wanted, limits[name])
        scale, said = 450 / full, verdict(name, limits[name], got[name])
        parts += [label(12, y + 3, UNITS[name], INK, weight="bold", size=14), box(140, y - 14, int(wanted * scale), 26, "#dde4eb")]
        parts += [box(140, y - 14, int(min(got[name], full) * scale), 26, BLUE if limits[name] < wanted else GREEN)]
        wall = 140 + int(limits[name] * scale)
        parts += [f'<line x1="{wall}" y1="{y - 20}" x2="{wall}" y2="{y + 18}" stroke="{RED}" stroke-width="4"/>']
        parts += [label(140, y + 32, f"wanted {wanted:g}, {said}", INK, size=14)]
        words.append(f"{name}: wanted {wanted:g}, {said}")
    return svg(640, 40 + 66 * len(WANTED), parts, "; ".join(words) + ".")


class Panel(ipywidgets.VBox):
    """A column of widgets whose text form says what it is: a page without JupyterLab shows that, or a ``still`` of it."""

    def __init__(self, children, words: str, still: Picture | None = None):
        super().__init__(children)
        self.words, self.still = words, still

    def __repr__(self) -> str:
        return self.words

    def _repr_mimebundle_(self, **asked) -> dict:
        return super()._repr_mimebundle_(**asked) | ({self.still.kind: self.still.data} if self.still else {})


def knobs(memory: int = 48, cpus: float = 0.3, pids: int = 12) -> dict[str, float]:
    """Show the greedy container under these limits, and (in JupyterLab) three knobs to turn them; returns what it got."""
    limits = {"memory": memory, "cpus": cpus, "pids": pids}
    got, out = squeeze(**limits), ipywidgets.Output()
    shown = display(still(limits, got), display_id=True)
    sliders = {
        "memory": ipywidgets.IntSlider(memory, 8, 128, 8, description="memory"),
        "cpus": ipywidgets.FloatSlider(value=cpus, min=0.1, max=1.5, step=0.1, description="cpus"),
        "pids": ipywidgets.IntSlider(pids, 4, 40, description="pids"),
    }
    button = ipywidgets.Button(description="run it")

    def again(_):
        chosen = {name: slider.value for name, slider in sliders.items()}
        with out:  # what goes wrong is seen below the button
            out.clear_output()
            shown.update(still(chosen, squeeze(**chosen)))

    button.on_click(again)
    display(Panel([*sliders.values(), button, out], "Three knobs and a button: memory, cpus, pids. Run this cell to get them."))
    return got
