"""Steps of a test's own."""

from __future__ import annotations


class Steps:
    """An ingredient made of given steps."""

    def __init__(self, *steps):
        self.given = steps

    def steps(self):
        return list(self.given)
