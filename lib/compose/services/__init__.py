"""A service in the engine's words: what it is called, what it needs, the facts of one of its containers, and what ``run`` would be told."""

from lib.lazy import hand_on

__getattr__, __all__ = hand_on(__name__, {"asrun": "as_run", "naming": "keys", "translation": "Wanted facts"})
