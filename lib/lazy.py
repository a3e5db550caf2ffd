"""Imports that wait until somebody needs them: a command that lists containers pays for no HTTP."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from importlib import import_module
from types import ModuleType


def hand_on(wing: str, homes: dict[str, str]) -> tuple[Callable[[str], object], list[str]]:
    """``__getattr__`` and ``__all__`` for a wing; ``homes`` says which of its modules each line of names lives in.

    Each name is imported when it is first asked for. See module ``__getattr__`` in PEP 562.
    """
    known = {name: module for module, names in homes.items() for name in names.split()}

    def __getattr__(name: str) -> object:
        if name not in known:
            raise AttributeError(f"module {wing!r} has no attribute {name!r}")
        return getattr(import_module(f"{wing}.{known[name]}"), name)

    return __getattr__, sorted(known)


def put_off(names: Iterable[str]) -> None:
    """Whoever imports one of these modules gets a stand-in, which imports it when something of it is first asked for.

    That is for a program of our own, not for a notebook's kernel: there the modules are others' too.
    """
    for name in names:
        sys.modules.setdefault(name, stand_in(name))


def stand_in(name: str, **known: object) -> ModuleType:
    """``known`` is what it has itself: asking for that imports nothing."""
    module = ModuleType(name)
    module.__dict__.update(known)

    def __getattr__(attribute: str) -> object:
        if attribute == "__path__":  # ``from name import …`` asks whether it is a package
            raise AttributeError(attribute)
        if sys.modules.get(name) is module:
            del sys.modules[name]
        return getattr(import_module(name), attribute)

    module.__getattr__ = __getattr__
    return module
