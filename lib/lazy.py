"""What a wing hands on to others, each name imported when it is first asked for: a command that lists containers pays for no HTTP.

See module ``__getattr__`` in PEP 562.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module


def hand_on(wing: str, homes: dict[str, str]) -> tuple[Callable[[str], object], list[str]]:
    """``__getattr__`` and ``__all__`` for a wing; ``homes`` says which of its modules each line of names lives in."""
    known = {name: module for module, names in homes.items() for name in names.split()}

    def __getattr__(name: str) -> object:
        if name not in known:
            raise AttributeError(f"module {wing!r} has no attribute {name!r}")
        return getattr(import_module(f"{wing}.{known[name]}"), name)

    return __getattr__, sorted(known)
