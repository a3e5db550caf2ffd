"""``run``: a command in a new container."""

from __future__ import annotations

import re
import sys
from fractions import Fraction

import click

from lib.cli.errors import errors
from lib.cli.library import library
from lib.cli.variables import pairs


def cpus(context: click.Context, option: click.Option, value: str | None) -> float | None:
    """``1.5``, ``3/2``, ``1e-1``, as Docker takes them."""
    if value is None:
        return None
    try:
        if not re.fullmatch(r"[+-]?[\d.]{1,20}(/\d{1,20}|e[+-]?\d\d?)?", value, re.IGNORECASE):
            raise ValueError(value)
        return float(Fraction(value))
    except (ValueError, ZeroDivisionError):
        raise click.BadParameter(f"failed to parse {value} as a rational number") from None


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("image")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@click.option("--rm", is_flag=True, help="Remove the container when it exits (they all are, until chapter 5).")
@click.option("-i", "--interactive", is_flag=True, help="Keep STDIN open.")
@click.option("-t", "--tty", is_flag=True, help="Allocate a pseudo-TTY.")
@click.option("--name", help="Assign a name to the container.")
@click.option("-h", "--hostname", help="Container host name.")
@click.option("-e", "--env", multiple=True, help="Set environment variables.")
@click.option("-w", "--workdir", help="Working directory inside the container.")
@click.option("-u", "--user", help="Username or UID (format: <name|uid>[:<group|gid>]).")
@click.option("-v", "--volume", "volumes", multiple=True, help="Bind mount a volume: /host:/container[:ro].")
@click.option("--tmpfs", multiple=True, help="Mount a tmpfs directory.")
@click.option("--entrypoint", help="Overwrite the default ENTRYPOINT of the image.")
@click.option("--network", type=click.Choice(["none", "host"]), default="none", help="Connect to a network (bridges come in chapter 4).")
@click.option("--read-only", is_flag=True, help="Mount the container's root filesystem as read only.")
@click.option("--init", is_flag=True, help="Run an init inside the container that reaps processes.")
@click.option("-m", "--memory", help="Memory limit.")
@click.option("--cpus", callback=cpus, help="Number of CPUs.")
@click.option("--pids-limit", type=int, help="Tune container pids limit.")
@click.option("--cap-add", multiple=True, help="Add Linux capabilities.")
@click.option("--cap-drop", multiple=True, help="Drop Linux capabilities.")
@click.option("--privileged", is_flag=True, help="Give extended privileges to this container.")
@click.option("--pull", type=click.Choice(["always", "missing", "never"]), default="missing", help="Pull image before running.")
def run(
    image: str, command: tuple[str, ...], rm: bool, interactive: bool, env: tuple, workdir, user, entrypoint, pull: str, **options
) -> None:
    """Run a command in a new container."""
    from lib.engine import resolve
    from lib.engine.wishes import Wishes, kept

    with errors(125):
        variables = pairs(env)
        ours = library()
        found = resolve.image(ours, image, pull)
        wishes = Wishes(command, entrypoint, variables, workdir, user, {key: value for key, value in options.items() if value})
    with errors(125), kept(found):
        sys.exit(foreground(ours, found, wishes, interactive))


def foreground(ours, found, wishes, interactive: bool) -> int:
    """Run it to its end; returns its exit code."""
    from lib.engine.wishes import container

    made = container(ours, found, wishes)
    stdin = sys.stdin.buffer.read() if interactive and not sys.stdin.isatty() else b""
    return made.run(stdin=stdin).code
