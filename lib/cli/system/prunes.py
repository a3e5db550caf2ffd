"""``prune`` in its groups: what nobody uses any more goes, once that is agreed to."""

from __future__ import annotations

import click

from lib import sizes
from lib.cli.containers.looking import FILTER
from lib.cli.errors import errors
from lib.cli.listing.prunable import Filters, told
from lib.cli.streams import agreed
from lib.state import events

force = click.option("-f", "--force", is_flag=True, help="Do not prompt for confirmation.")
filters = click.option("--filter", "words", multiple=True, type=FILTER, help='Provide filter values (e.g. "until=<timestamp>").')


def reclaimed(number: int) -> None:
    click.echo(f"Total reclaimed space: {sizes.human(number)}")


# -- containers -------------------------------------------------------------------------------------------------------


@click.command("container-prune")
@filters
@force
def container_prune(words: tuple[str, ...], force: bool) -> None:
    """Remove all stopped containers."""
    with errors():
        if agreed("This will remove all stopped containers.", force):
            reclaimed(remove_containers(words))


def remove_containers(words: tuple[str, ...] = ()) -> int:
    """Every one that does not run, and that the filters let through; returns the bytes that they had written."""
    from lib.engine import ending, finding
    from lib.engine.vitality import alive
    from lib.state import kept

    wanted, gone, bytes_ = Filters(words), [], 0
    for facts in map(finding.now, kept.every()):
        if not alive(facts) and wanted.let_through(facts["created"], facts["config"]["labels"]):
            size = written(facts)
            try:
                ending.remove(facts)
            except ending.Conflict:  # somebody has started it meanwhile
                continue
            gone.append(facts["id"])
            bytes_ += size
    told("Containers", gone)
    events.of_prune("container", bytes_)
    return bytes_


def written(facts: dict) -> int:
    from lib.cli import reports
    from lib.state import kept

    try:
        return reports.files(str(kept.place(facts) / "upper"))
    except FileNotFoundError:
        return 0


# -- images, and what builds have left ----------------------------------------------------------------------------------


@click.command("image-prune")
@click.option("-a", "--all", "every", is_flag=True, help="Remove all unused images, not just dangling ones.")
@filters
@force
def image_prune(every: bool, words: tuple[str, ...], force: bool) -> None:
    """Remove unused images."""
    kind = "images without at least one container associated to them" if every else "dangling images"
    with errors():
        if agreed(f"This will remove all {kind}.", force):
            reclaimed(remove_images(every, words))


def remove_images(every: bool, words: tuple[str, ...] = ()) -> int:
    """Those without a name, or all, but never one that a container stands on; returns the bytes of the blobs that went."""
    from lib.cli.images import left, waits
    from lib.cli.library import disk, in_use, library

    ours, wanted, said = library(), Filters(words), []
    before, used = disk(ours), in_use()
    for one in ours.images():
        fits = wanted.let_through(str(one.config.get("created", "")), one.runtime.get("Labels") or {})
        if one.id not in used and fits and (every or not one.names):
            said += [line for name in one.names or (one.id,) for line in ours.remove(name, True, used, left)]
    ours.gc(waits)
    told("Images", [line[0].lower() + line[1:] for line in said])
    size = max(0, before - disk(ours))
    events.of_prune("image", size)
    return size


@click.command("builder-cache-prune")
@click.option("-a", "--all", "every", is_flag=True, help="Remove all unused build cache, not just dangling ones.")
@force
def builder_cache_prune(every: bool, force: bool) -> None:
    """Remove build cache."""
    with errors():
        if agreed(f"This will remove all {'' if every else 'dangling '}build cache.", force):
            reclaimed(remove_cache())


def remove_cache() -> int:
    """What the build cache alone leads to; returns the bytes of the blobs that went."""
    from lib.cli.images import waits
    from lib.cli.library import disk, library
    from lib.images import Cache

    ours = library()
    before = disk(ours)
    Cache(ours.store).prune(waits)
    ours.gc(waits)
    return max(0, before - disk(ours))


# -- all of it ----------------------------------------------------------------------------------------------------------


@click.command("system-prune")
@click.option("-a", "--all", "every", is_flag=True, help="Remove all unused images, not just dangling ones.")
@click.option("--volumes", is_flag=True, help="Prune anonymous volumes.")
@filters
@force
def system_prune(every: bool, volumes: bool, words: tuple[str, ...], force: bool) -> None:
    """Remove unused data."""
    from lib.cli.networks import verbs as networks

    kind = "images without at least one container associated to them" if every else "dangling images"
    cache = "all build cache" if every else "unused build cache"
    going = ["all stopped containers", "all networks not used by at least one container", f"all {kind}", cache]
    going[2:2] = ["all anonymous volumes not used by at least one container"] * volumes
    with errors():
        if agreed("This will remove:\n" + "".join(f"  - {one}\n" for one in going), force):
            bytes_ = remove_containers(words)
            networks.remove_idle(words)
            bytes_ += remove_volumes(words) if volumes else 0
            reclaimed(bytes_ + remove_images(every, words) + remove_cache())


def remove_volumes(words: tuple[str, ...] = ()) -> int:
    """Those without a name that no container has; returns the bytes of their files."""
    from lib.engine import volumes

    wanted = Filters(words)
    gone = volumes.prune(wanted=lambda one: wanted.let_through(one.created, one.labels))
    told("Volumes", gone.names)
    events.of_prune("volume", gone.size)
    return gone.size
