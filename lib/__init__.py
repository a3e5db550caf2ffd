"""A container is an ordinary process plus a list of ingredients. What a notebook needs most is at hand here: ``from lib import run``."""

from lib.lazy import hand_on

__getattr__, __all__ = hand_on(
    __name__,
    {
        "process": "Plan Process Step Ref STAGES StepError Exit TimeLimit",
        "ingredients.namespaces": "Namespaces Join User Time Hostname Loopback",
        "ingredients.cgroups": "Cgroup",
        "ingredients.rootfs": "RootFS Bind Tmpfs",
        "ingredients.init": "Init",
        "container": "Container run create start",
        "state": "gc",
    },
)
