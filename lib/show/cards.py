"""A container at a glance, in a notebook: how it is, what it printed last, and the plan that made it."""

from __future__ import annotations

from html import escape

from lib.cli.library import library
from lib.cli.listing import rows
from lib.engine import finding, making
from lib.engine.log.reader import frames
from lib.process.steps import shorten
from lib.show.tables import Table
from lib.state import kept
from lib.visible import visible

LINES, WIDEST = 10, 110  # of the log's end, and characters of a step


class Card:
    """What is known of a container when the card is shown; each look is a new one. Plain text has the same words."""

    def __init__(self, name: str):
        """Raises ``NoSuchContainer``."""
        self.name = finding.find(name)["id"]

    def facts(self) -> dict:
        return finding.current(self.name)

    def about(self, facts: dict) -> Table:
        row = rows.Row(facts, facts["image_name"])
        known = {"container": f"{facts['name']} ({row.id()})", "image": facts["image_name"], "command": " ".join(facts["argv"]),
                 "status": row.status(), "ports": row.ports(), "mounts": row.mounts(), "networks": row.networks()}  # fmt: skip
        return Table(["what", "now"], [pair for pair in known.items() if pair[1]])

    def log(self, facts: dict) -> str:
        """The last lines, those of both streams in their order."""
        data = b"".join(piece.data for piece in frames(kept.place(facts), tail=LINES))
        return visible(data.decode(errors="replace")).rstrip("\n")

    def steps(self, facts: dict) -> list[str]:
        """What its next start would do, but for its network, which is chosen then."""
        made = making.container(library(), {**facts, "options": {**facts["options"], "pid_mode": "private"}})
        return [f"{step.stage}: {visible(shorten(step, WIDEST))}" for step in made.plan.steps]

    def __repr__(self) -> str:
        facts = self.facts()
        said = self.log(facts)
        return f"{self.about(facts)!r}" + (f"\n\nit printed last:\n{said}" if said else "")

    def _repr_html_(self) -> str:
        facts = self.facts()
        said, steps = self.log(facts), self.steps(facts)
        log = f"<p>it printed last:</p><pre>{escape(said)}</pre>" if said else ""
        plan = f"<details><summary>the plan: {len(steps)} steps</summary><pre>{escape(chr(10).join(steps))}</pre></details>"
        return self.about(facts)._repr_html_() + log + plan


def container(name: str) -> Card:
    """The container of this name, or of an id that begins so. Raises ``NoSuchContainer``."""
    return Card(name)
