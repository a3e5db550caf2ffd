"""``system df``: what takes how much room, and how much of that a ``prune`` would give back."""

from __future__ import annotations

from typing import NamedTuple

import click

from lib import sizes
from lib.cli.errors import errors
from lib.cli.listing import templates
from lib.cli.streams import tell

HEADS = {"Type": "TYPE", "TotalCount": "TOTAL", "Active": "ACTIVE", "Size": "SIZE", "Reclaimable": "RECLAIMABLE"}
TABLE = "table {{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}"


class Room(NamedTuple):
    """What one kind of things takes: how many there are, how many are in use, bytes in all, bytes that nobody uses."""

    kind: str
    count: int = 0
    active: int = 0
    size: int = 0
    idle: int = 0
    shared: bool = True  # so that a share in percent says something

    def row(self) -> dict[str, str]:
        share = f" ({100 * self.idle // self.size}%)" if self.shared and self.size else ""
        return {
            "Type": self.kind, "TotalCount": str(self.count), "Active": str(self.active), "Size": sizes.human(self.size),
            "Reclaimable": sizes.human(self.idle) + share,
        }  # fmt: skip


@click.command()
@click.option("--format", "template", help="Format output: 'table', 'table TEMPLATE', 'json' or 'TEMPLATE', as {{.Type}} {{.Size}}.")
def df(template: str | None) -> None:
    """Show disk usage."""
    with errors():
        template = TABLE if template in (None, "", "table") else template
        templates.read(template)
        rows = [one.row() for one in (images(), containers(), volumes(), build_cache())]
        tell(templates.listed(template, HEADS, rows).removesuffix("\n"))


def images() -> Room:
    """A layer that several have counts once; it is idle when no image has it that a container stands on."""
    from lib.cli import reports
    from lib.cli.library import in_use, library

    ours, used = library(), in_use()
    there = ours.images()
    size_of = {chain: size for one in there for chain, size in zip(one.chain_ids, reports.layer_sizes(ours, one), strict=True)}
    needed = {chain for one in there if one.id in used for chain in one.chain_ids}
    idle = sum(size for chain, size in size_of.items() if chain not in needed)
    return Room("Images", len(there), sum(one.id in used for one in there), sum(size_of.values()), idle)


def containers() -> Room:
    from lib.cli.system.prunes import written
    from lib.engine.vitality import alive
    from lib.state import kept

    there = [(alive(facts), written(facts)) for facts in kept.every()]
    return Room("Containers", len(there), sum(runs for runs, _ in there), sum(size for _, size in there),
                sum(size for runs, size in there if not runs))  # fmt: skip


def volumes() -> Room:
    from lib.engine import volumes
    from lib.engine.volumes.pruning import size_of

    there = [(bool(volumes.users(one.name)), size_of(one)) for one in volumes.every() if not one.options]
    return Room("Local Volumes", len(there), sum(used for used, _ in there), sum(size for _, size in there),
                sum(size for used, size in there if not used))  # fmt: skip


def build_cache() -> Room:
    """Bytes that only the cache leads to."""
    from lib.cli.library import library
    from lib.images import Cache

    ours = library()
    of_images = {layer["digest"] for one in ours.images() for layer in one.layers}
    records = Cache(ours.store).records()
    own = {one.layer["descriptor"]["digest"]: one.layer["descriptor"]["size"] for one in records if one.layer}
    size = sum(size for digest, size in own.items() if digest not in of_images)
    return Room("Build Cache", len(records), 0, size, size, shared=False)
