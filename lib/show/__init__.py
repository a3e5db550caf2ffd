"""The dashboard: pictures, plots and knobs of what the runtime does.

Everything here looks at plans, processes and cgroups from outside; the runtime knows nothing of it.
"""

import logging
from importlib import import_module

from lib.shield import Shield

# That it looks for this machine's fonts, it says after five seconds (an emulated processor takes twenty); a cell prints only its own words.
logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)

_HOMES = {
    "Picture": "picture",
    "source": "sources",
    "plan": "diagrams", "namespaces": "diagrams", "tree": "diagrams", "services": "diagrams",
    "birth": "sketches", "panes": "sketches",
    "bars": "plots", "lines": "plots", "standstills": "plots", "watch": "plots", "growth": "plots", "stack": "plots",
    "knobs": "controls", "squeeze": "controls",
    "table": "tables",
    "Tower": "machines", "towers": "machines",
    "server": "capacity",
    "luggage": "carried",
    "cake": "layers",
    "steps": "builds", "layered": "builds", "waterfall": "builds", "touch": "builds", "touched": "builds",
    "reorder": "lineorder", "anatomy": "layers",
    "topology": "networks", "path": "networks",
    "container": "cards",
    "health": "lives", "backoff": "lives", "gantt": "lives",
}  # fmt: skip

__all__ = sorted(_HOMES)  # noqa: PLE0605


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module 'lib.show' has no attribute '{name}'")
    with Shield():  # an import of matplotlib that the stop button tears in two cannot be made good in the same kernel
        return getattr(import_module(f"lib.show.{_HOMES[name]}"), name)
