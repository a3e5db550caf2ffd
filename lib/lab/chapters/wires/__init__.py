"""Chapter 4's instruments: taps on wires, questions to a network, a request followed, an Internet to ask, and a stopwatch."""

from lib.lazy import hand_on

__getattr__, __all__ = hand_on(__name__, {"tap": "Tap", "following": "Inside serve"})
