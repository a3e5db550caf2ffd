"""Arguments whose names a shell can complete: the containers that there are, or the images."""

from __future__ import annotations

import click


def containers_there(context: click.Context, param: click.Parameter, beginning: str) -> list[str]:
    from lib.state import kept

    return sorted(facts["name"] for facts in kept.every() if facts["name"].startswith(beginning))


def images_there(context: click.Context, param: click.Parameter, beginning: str) -> list[str]:
    from lib.images import references
    from lib.images.store import Store

    names = [references.parse(name).familiar for name in Store().names()]
    return sorted(name for name in names if name.startswith(beginning))


container = click.argument("container", shell_complete=containers_there)
containers = click.argument(
    "containers", nargs=-1, required=True, metavar="CONTAINER [CONTAINER...]", shell_complete=containers_there
)  # fmt: skip
image = click.argument("image", shell_complete=images_there)
