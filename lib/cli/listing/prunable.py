"""What ``--filter`` means for everything that can be pruned: ``until=24h``, ``label=tier=test``, ``label!=keep``; and what went."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

import click

from lib.cli.listing.moments import moment, nanoseconds


class Filters:
    """Raises ``ValueError`` for a filter that there is not, or a moment that is none."""

    def __init__(self, words: Sequence[str]):
        self.until, self.labels = None, []
        for word in words:
            name, _, value = word.partition("=")
            if name == "until":
                self.until = nanoseconds(moment("until", value))
            elif name in ("label", "label!"):
                self.labels.append((name == "label", *value.partition("=")))
            elif name:
                raise ValueError(f"invalid filter '{name}': there is until, label, label!")

    def let_through(self, created: str, labels: Mapping[str, str]) -> bool:
        """Was it made before that moment, and has it the labels that it must, and none that it must not have?"""
        fits = (wanted == self.has(labels, name, equals, value) for wanted, name, equals, value in self.labels)
        return (self.until is None or since_1970(created) < self.until) and all(fits)

    @staticmethod
    def has(labels: Mapping[str, str], name: str, equals: str, value: str) -> bool:
        return name in labels and (not equals or labels[name] == value)


def since_1970(created: str) -> int:
    """Nanoseconds. An image's moment has the zone of whoever built it. Without one it is of long ago, as in Docker; a text that is no
    moment does not say that it is old enough to go.
    """
    try:
        return nanoseconds(created) if created else 0
    except (ValueError, OverflowError):
        return sys.maxsize


def told(kind: str, names: Sequence[str]) -> None:
    """Say what went, if anything did."""
    if names:
        click.echo(f"Deleted {kind}:\n" + "\n".join(names) + "\n")
