"""Things that all live equally long from when they were last touched: the oldest is always the first."""

from __future__ import annotations

from collections.abc import Callable, Iterator


class Ages:
    def __init__(self, lifetime: float, clock: Callable[[], float]):
        self.lifetime, self.clock = lifetime, clock
        self.touched: dict[object, float] = {}

    def __len__(self) -> int:
        return len(self.touched)

    def __contains__(self, thing) -> bool:
        return thing in self.touched

    def touch(self, thing) -> None:
        self.drop(thing)
        self.touched[thing] = self.clock()

    def drop(self, thing) -> None:
        self.touched.pop(thing, None)

    def left(self) -> float | None:
        """Seconds until the first one's time is over; None if there is none."""
        first = next(iter(self.touched.values()), None)
        return None if first is None else max(0, first + self.lifetime - self.clock())

    def over(self) -> Iterator:
        """Those whose time is over; who takes one drops it, or touches it."""
        while self.left() == 0:
            yield next(iter(self.touched))
