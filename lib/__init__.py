"""A container is an ordinary process plus a list of ingredients.

The names below are what a notebook needs most; each is imported when it is first
used, because a command that only lists containers should not pay for the rest.
"""

from importlib import import_module

_HOMES = {
    "Plan": "process", "Process": "process", "Step": "process", "Ref": "process", "STAGES": "process",
    "StepError": "process", "Exit": "process", "TimeLimit": "process",
    "Namespaces": "namespaces", "Join": "namespaces", "User": "namespaces", "Time": "namespaces",
    "Hostname": "namespaces", "Loopback": "namespaces",
    "Cgroup": "cgroups",
    "RootFS": "rootfs", "Bind": "rootfs", "Tmpfs": "rootfs",
    "Init": "init",
    "Container": "container", "run": "container", "create": "container", "start": "container",
    "gc": "state",
}  # fmt: skip

__all__ = sorted(_HOMES)  # noqa: PLE0605 - the table above is the one list


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module 'lib' has no attribute '{name}'")
    return getattr(import_module(f"lib.{_HOMES[name]}"), name)
