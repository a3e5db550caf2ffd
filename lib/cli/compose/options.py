"""Options that several verbs of ``compose`` share."""

from __future__ import annotations

import os

import click

from lib.cli.flags.kinds import WHOLE

option = click.option


def services_there(context: click.Context, param: click.Parameter, beginning: str) -> list[str]:
    """For a shell's completion; a file that cannot be read has none."""
    from contextlib import suppress

    while context.obj is None and context.parent:
        context = context.parent
    with suppress(ValueError, OSError, AttributeError):
        return [name for name in context.obj.loaded.outline.services if name.startswith(beginning)]
    return []


def note(context: click.Context, param: click.Parameter, services: tuple[str, ...]) -> tuple[str, ...]:
    """Whoever names a service has its profile on, too."""
    context.obj.services = services
    return services


def says_yes(name: str) -> bool:
    """Does this variable of the shell?"""
    return os.environ.get(name, "").lower() in ("1", "t", "true", "y", "yes")


services = click.argument("services", nargs=-1, metavar="[SERVICE...]", callback=note, shell_complete=services_there)
service = click.argument("service", shell_complete=services_there)
grace = option("-t", "--timeout", type=WHOLE, help="Specify a shutdown timeout in seconds")
index = option("--index", type=WHOLE, default=0, help="Index of the container if service has multiple replicas")
build = option("--build", is_flag=True, help="Build images before starting containers")
no_build = option("--no-build", is_flag=True, help="Don't build an image, even if it's policy")
force_recreate = option(
    "--force-recreate", is_flag=True, help="Recreate containers even if their configuration and image haven't changed"
)  # fmt: skip
no_recreate = option(
    "--no-recreate", is_flag=True, help="If containers already exist, don't recreate them. Incompatible with --force-recreate."
)  # fmt: skip
no_deps = option("--no-deps", is_flag=True, help="Don't start linked services")
quiet_pull = option("--quiet-pull", is_flag=True, help="Pull without printing progress information")
quiet_build = option("--quiet-build", is_flag=True, help="Suppress the build output")
remove_orphans = option(
    "--remove-orphans",
    is_flag=True,
    default=lambda: says_yes("COMPOSE_REMOVE_ORPHANS"),
    help="Remove containers for services not defined in the Compose file",
)
scale = option(
    "--scale",
    "scales",
    multiple=True,
    metavar="SERVICE=NUM",
    help="Scale SERVICE to NUM instances. Overrides the scale setting in the Compose file if present.",
)
wait = option("--wait", is_flag=True, help="Wait for services to be running|healthy. Implies detached mode.")
wait_timeout = option(
    "--wait-timeout", type=WHOLE, default=0, help="Maximum duration in seconds to wait for the project to be running|healthy"
)  # fmt: skip
yes = option("-y", "--yes", is_flag=True, help='Assume "yes" as answer to all prompts and run non-interactively')


def pull(*words: str):
    """When an image is pulled; what is said in the file goes, unless one of these is."""
    there = "|".join(f'"{word}"' for word in words)
    return option(
        "--pull", type=click.Choice(["", "policy", *words]), default="", help=f"Pull image before running ({there})", metavar="string"
    )


def scaled(specifiers: tuple[str, ...]) -> dict[str, int]:
    """``web=3``. Raises ``ValueError``, in Docker's words."""
    found = {}
    for word in specifiers:
        name, equals, number = word.partition("=")
        if not (name and equals and number.isascii() and number.isdigit() and len(number) < 6):
            raise ValueError(f"invalid scale specifier: {word}")
        found[name] = int(number)
    return found
