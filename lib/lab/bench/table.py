"""The bench's result: rows, each ours beside a peer's, as a table and as a picture."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass
class Row:
    """One line of the table. ``reach`` is the ratio (or, without a peer, the value) that we want to stay below.

    ``claim`` is what the series says about it.
    """

    name: str
    chapter: str
    ours: float
    unit: str
    spread: float = 0.0
    peer: float | None = None
    peer_name: str = ""
    reach: float | None = None
    claim: str = ""

    @property
    def ratio(self) -> float | None:
        return None if self.peer is None else self.ours / self.peer

    @property
    def holds(self) -> bool | None:
        if self.reach is None:
            return None
        return (self.ours if self.ratio is None else self.ratio) <= self.reach

    def as_dict(self) -> dict:
        return asdict(self) | {"ratio": self.ratio, "holds": self.holds}


def table(rows: list[Row]) -> str:
    lines = [("measured", "ours", "spread", "peer", "", "ratio", "reach", "", "the series says")]
    for row in rows:
        peer = "" if row.peer is None else f"{row.peer:.4g} {row.unit}"
        ratio = "" if row.ratio is None else f"{row.ratio:.3f}"
        verdict = {None: "", True: "holds", False: "MISSED"}[row.holds]
        limit = "" if row.reach is None else f"≤ {row.reach:g}" + ("×" if row.ratio is not None else f" {row.unit}")
        lines.append((row.name, f"{row.ours:.4g} {row.unit}", f"± {row.spread:.2g}", peer, row.peer_name, ratio, limit, verdict, row.claim))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines)


def picture(rows: list[Row], path: Path) -> None:
    """Each row with a peer as a bar: our share of the peer's cost."""
    from lib.show.plots import bars

    shares = {f"{row.name}, against {row.peer_name}": row.ratio for row in rows if row.ratio is not None}
    drawn = bars("Ours as a share of the peer's cost (1 = the same)", shares, "ratio", "ratios", limit=1, limit_name="the peer")
    path.write_bytes(drawn.data)
