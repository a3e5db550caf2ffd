"""``up create scale down``: have a project as its file says, and take it away again."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from lib.cli.compose import carrying, options
from lib.cli.compose.asked import Asked
from lib.cli.compose.remote import trust
from lib.cli.compose.telling import Quiet, quiet
from lib.cli.containers.options import several
from lib.cli.errors import Failed, errors
from lib.cli.flags.kinds import WHOLE
from lib.compose.acting import Down, Up
from lib.engine import moments

if TYPE_CHECKING:
    from lib.compose.model import Project

RMI = ("", "local", "all")

making = several(
    options.build,
    options.force_recreate,
    options.no_build,
    options.no_recreate,
    options.quiet_pull,
    options.remove_orphans,
    options.scale,
    options.yes,
)
looking = several(
    click.option(
        "--attach", "shown", multiple=True, help="Restrict attaching to the specified services. Incompatible with --attach-dependencies."
    ),
    click.option("--attach-dependencies", is_flag=True, help="Automatically attach to log output of dependent services"),
    click.option("--no-attach", "hidden", multiple=True, help="Do not attach (stream logs) to the specified services"),
    click.option("--no-color", is_flag=True, help="Produce monochrome output"),
    click.option("--no-log-prefix", is_flag=True, help="Don't print prefix in logs"),
    click.option("--timestamps", is_flag=True, help="Show timestamps"),
    click.option(
        "--abort-on-container-exit", "on_exit", is_flag=True, help="Stops all containers if any container was stopped. Incompatible with -d"
    ),
    click.option(
        "--abort-on-container-failure",
        "on_failure",
        is_flag=True,
        help="Stops all containers if any container exited with failure. Incompatible with -d",
    ),
    click.option(
        "--exit-code-from",
        "code_from",
        default="",
        help="Return the exit code of the selected service container. Implies --abort-on-container-exit",
    ),
)


@click.command()
@click.option("--always-recreate-deps", is_flag=True, help="Recreate dependent containers. Incompatible with --no-recreate.")
@click.option("-d", "--detach", is_flag=True, help="Detached mode: Run containers in the background")
@making
@looking
@options.no_deps
@click.option("--no-start", is_flag=True, help="Don't start the services after creating them")
@options.pull("always", "missing", "never")
@options.quiet_build
@click.option(
    "-V",
    "--renew-anon-volumes",
    "renew_volumes",
    is_flag=True,
    help="Recreate anonymous volumes instead of retrieving data from the previous containers",
)
@click.option(
    "-t",
    "--timeout",
    type=WHOLE,
    help="Use this timeout in seconds for container shutdown when attached or when containers are already running",
)
@options.wait
@options.wait_timeout
@click.option("-w", "--watch", is_flag=True, help="Watch source code and rebuild/refresh containers when files are updated.")
@options.services
@click.pass_obj
def up(asked: Asked, services: tuple[str, ...], detach: bool, wait_timeout: int, no_start: bool, **words) -> None:
    """Create and start containers."""
    with errors():
        look = {name: words.pop(name) for name in LOOK}
        code_from, background = look["code_from"], detach or words["wait"]
        abort = "exit" if look["on_exit"] or code_from else "failure" if look["on_failure"] else ""
        check(words, background, bool(abort or look["watch"] or look["shown"] or look["attach_dependencies"]))
        if look["watch"] and words["no_build"]:
            raise ValueError("--no-build and --watch are incompatible")
        asked.check([*services, *look["shown"], *look["hidden"]])
        if code_from and code_from not in asked.project.services:
            raise ValueError(f"no such service: {code_from}: not found")
        trust.confirm(asked, words["yes"])
        wished, silent = wishes(asked, services, start=not no_start, **words), quiet(words)
        if background or no_start or asked.dry_run:
            carrying.out(asked, "up", wished, wait_timeout, silent)
        else:
            sys.exit(stayed(asked, wished, silent, abort, look, wait_timeout))


LOOK = ("watch", "shown", "attach_dependencies", "hidden", "no_color", "no_log_prefix", "timestamps", "on_exit", "on_failure", "code_from")


def stayed(asked: Asked, wished: Up, silent: Quiet, abort: str, look: dict, patience: int) -> int:
    """In the foreground, until all have ended: the exit code. Of what ran before, only what is new is shown."""
    from lib.cli.compose.logs.staying import Staying

    begun = moments.now()
    names = with_dependencies(asked.project, wished.services)
    there = look["shown"] or (names if look["attach_dependencies"] or not wished.services else wished.services)
    there = [one for one in there if one not in look["hidden"] and (one in look["shown"] or asked.project.services[one].attach)]
    how = {"coloured": asked.coloured(look["no_color"]), "shown": not look["no_log_prefix"], "timestamps": look["timestamps"]}
    watcher = watching(asked, names) if look["watch"] else None
    plan = carrying.prepared(asked, "up", wished, silent)
    return Staying(asked, there, names, wished.timeout, how, abort, look["code_from"], begun, watcher).run(plan, patience)


def watching(asked: Asked, names: list[str]):
    """Raises ``ValueError`` if there is nothing to be watched."""
    from lib.cli.compose.watch.verb import Watcher

    return Watcher(asked, names, tells=asked.beside)


def check(words: dict, background: bool = False, attached: bool = False) -> None:
    """What cannot be meant together. Raises ``ValueError``, in Docker's words."""
    if words["force_recreate"] and words["no_recreate"]:
        raise ValueError("--force-recreate and --no-recreate are incompatible")
    if words.get("always_recreate_deps") and words["no_recreate"]:
        raise ValueError("--always-recreate-deps and --no-recreate are incompatible")
    if words["build"] and words["no_build"]:
        raise ValueError("--build and --no-build are incompatible")
    if background and attached:
        flag = "--wait" if words["wait"] else "--detach"
        others = "--abort-on-container-exit, --abort-on-container-failure, --attach, --attach-dependencies or --watch"
        raise ValueError(f"{flag} cannot be combined with {others}")


def wishes(asked: Asked, services: tuple[str, ...], *, scales: tuple[str, ...], pull: str, no_build: bool, quiet_pull: bool, yes: bool,
           quiet_build: bool = False, **words) -> Up:  # fmt: skip
    """Raises ``ValueError``."""
    scale = options.scaled(scales)
    if unknown := [name for name in scale if name not in asked.project.services]:
        raise ValueError(f"no such service: {unknown[0]}: not found")
    if no_build:
        cannot_build(asked, services)
    silent = options.says_yes("COMPOSE_IGNORE_ORPHANS")
    if silent and words["remove_orphans"]:
        raise ValueError("cannot combine COMPOSE_IGNORE_ORPHANS and --remove-orphans")
    how = {
        "all_resources": asked.all_resources,
        "pull": "" if pull == "policy" else pull,
        "recreate_volumes": yes,
        "ignore_orphans": silent,
    }
    return Up(services=services, scale=scale, **how, **words)


def cannot_build(asked: Asked, services: tuple[str, ...]) -> None:
    """``--no-build``: an image that is to be built must be here. Raises ``ValueError``."""
    from lib.cli.compose.images import name_of
    from lib.cli.library import library
    from lib.images import ImageError

    for name in with_dependencies(asked.project, services):
        service = asked.project.services[name]
        if service.build:
            try:
                library().find(name_of(asked.project, service))
            except ImageError as error:
                raise ValueError(f"service {name} is to be built, and --no-build says that it is not: {error}") from None


def with_dependencies(project: Project, services: tuple[str, ...]) -> list[str]:
    """Those that are named, and what they depend on; without a name, all."""
    found = list(services or project.services)
    for name in found:
        found += [other for other in project.services[name].depends_on if other in project.services and other not in found]
    return found


@click.command()
@making
@options.pull("always", "missing", "never", "build")
@options.services
@click.pass_obj
def create(asked: Asked, services: tuple[str, ...], pull: str, **words) -> None:
    """Creates containers for a service."""
    with errors():
        check(words)
        asked.check(services)
        trust.confirm(asked, words["yes"])
        build = words.pop("build") or pull == "build"
        wished = wishes(asked, services, pull="" if pull == "build" else pull, start=False, build=build, **words)
        carrying.out(asked, "create", wished, quiet=quiet(words))


@click.command()
@options.no_deps
@click.argument("specifiers", nargs=-1, required=True, metavar="[SERVICE=REPLICAS...]")
@click.pass_obj
def scale(asked: Asked, specifiers: tuple[str, ...], no_deps: bool) -> None:
    """Scale services."""
    with errors():
        counts = options.scaled(specifiers)
        asked.check(counts)
        trust.confirm(asked)
        carrying.out(asked, "scale", Up(services=tuple(counts), scale=counts, no_deps=no_deps))


@click.command()
@options.remove_orphans
@click.option(
    "--rmi",
    default="",
    metavar="string",
    help='Remove images used by services. "local" remove only images that don\'t have a custom tag ("local"|"all")',
)
@options.grace
@click.option(
    "-v",
    "--volumes",
    is_flag=True,
    help='Remove named volumes declared in the "volumes" section of the Compose file and anonymous volumes attached to containers',
)
@options.services
@click.pass_obj
def down(asked: Asked, services: tuple[str, ...], remove_orphans: bool, rmi: str, timeout: int | None, volumes: bool) -> None:
    """Stop and remove containers, networks."""
    with errors():
        if rmi not in RMI:
            raise Failed(f'invalid value for --rmi: "{rmi}"')
        asked.check(services)
        wished = Down(services=services, volumes=volumes, images=rmi, remove_orphans=remove_orphans, timeout=timeout)
        found = carrying.out(asked, "down", wished)
        if not found and not services:
            click.echo(f'WARN No resource found to remove for project "{asked.called}".', err=True)
