"""``exec attach cp export commit``: one container of a service, as the verbs for containers have it."""

from __future__ import annotations

import sys

import click

from lib.cli.compose import members, options
from lib.cli.compose.asked import Asked
from lib.cli.containers import changing, copying, joining, writings
from lib.cli.containers.options import VARIABLE, switch
from lib.cli.errors import errors


def at_a_terminal() -> bool:
    """Does somebody sit at both ends of what a terminal in the container would be?"""
    return sys.stdin.isatty() and sys.stdout.isatty()


@click.command("exec", context_settings={"allow_interspersed_args": False})
@click.option("-d", "--detach", is_flag=True, help="Detached mode: Run command in the background")
@click.option("-e", "--env", multiple=True, type=VARIABLE, help="Set environment variables")
@options.index
@click.option("-i", "--interactive", type=click.BOOL, default=True, hidden=True, help="Keep STDIN open even if not attached")
@switch("-T", "--no-tty", "--no-TTY", help="Disable pseudo-TTY allocation. By default one is allocated where you sit at a terminal")
@switch("-t", "--tty", hidden=True, help="Allocate a pseudo-TTY")
@switch("--privileged", help="Give extended privileges to the process")
@click.option("-u", "--user", help="Run the command as this user")
@click.option("-w", "--workdir", help="Path to workdir directory for this command")
@options.service
@click.argument("command", nargs=-1, required=True, metavar="COMMAND [ARGS...]", type=click.UNPROCESSED)
@click.pass_obj
def execute(asked: Asked, service: str, command: tuple[str, ...], index: int, no_tty: bool, tty: bool, detach: bool, **words) -> None:
    """Execute a command in a running container."""
    with errors():
        facts = members.chosen(asked, service, index)
        with_tty = not no_tty and not detach and at_a_terminal()
        joining.execute.callback(
            detach=detach, detach_keys="", tty=with_tty, container=facts["id"], command=command, env_file=(), **words
        )  # fmt: skip


@click.command()
@click.option("--detach-keys", default="", help="Override the key sequence for detaching from a container")
@click.option("--index", type=click.INT, default=0, help="index of the container if service has multiple replicas")
@switch("--no-stdin", help="Do not attach STDIN")
@switch("--sig-proxy", on=True, help="Proxy all received signals to the process (default true)")
@options.service
@click.pass_obj
def attach(asked: Asked, service: str, index: int, **words) -> None:
    """Attach local standard input, output, and error streams to a service's running container."""
    with errors():
        joining.attach.callback(container=members.chosen(asked, service, index)["id"], **words)


@click.command()
@click.option("--all", "every", is_flag=True, help="Include containers created by the run command")
@click.option("-a", "--archive", is_flag=True, help="Archive mode (copy all uid/gid information)")
@click.option("-L", "--follow-link", "follow", is_flag=True, help="Always follow symbol link in SRC_PATH")
@options.index
@click.argument("source", metavar="SERVICE:SRC_PATH|SRC_PATH|-")
@click.argument("destination", metavar="DEST_PATH|-|SERVICE:DEST_PATH")
@click.pass_obj
def cp(asked: Asked, source: str, destination: str, every: bool, archive: bool, follow: bool, index: int) -> None:
    """Copy files/folders between a service container and the local filesystem."""
    with errors():
        (from_, path), (to, target) = copying.split(source), copying.split(destination)
        if bool(from_) == bool(to):
            raise ValueError("copying between services is not supported" if from_ else "unknown copy direction")
        with asked.teller("cp") as teller:
            for facts in copied(asked, from_ or to, index, every):
                name = facts["name"]
                words = f"{name}:{path} to {target}" if from_ else f"{path} to {name}:{target}"
                teller.tell("", name, f"Copying {words}")
                if from_:
                    copying.out(facts["id"], path, target, follow, True)
                else:
                    copying.into(path, facts["id"], target, follow, archive, True)
                teller.tell("", name, f"Copied {words}")


def copied(asked: Asked, service: str, index: int, every: bool) -> list[dict]:
    """The one that is meant, or the first; with ``--all`` those that ``run`` has made, too."""
    first = members.chosen(asked, service, index, stopped=True, oneoffs=every)
    return [first] if index or not every else [one for one in members.of(asked.called) if members.service(one) == service]


@click.command()
@click.option("--index", type=click.INT, default=0, help="index of the container if service has multiple replicas.")
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="Write to a file, instead of STDOUT")
@options.service
@click.pass_obj
def export(asked: Asked, service: str, index: int, output: str | None) -> None:
    """Export a service container's filesystem as a tar archive."""
    with errors():
        writings.export.callback(container=members.chosen(asked, service, index)["id"], output=output)


@click.command()
@click.option("-a", "--author", default="", help='Author (e.g., "John Hannibal Smith <hannibal@a-team.com>")')
@click.option("-c", "--change", "changes", multiple=True, help="Apply Dockerfile instruction to the created image")
@click.option("--index", type=click.INT, default=0, help="index of the container if service has multiple replicas.")
@click.option("-m", "--message", default="", help="Commit message")
@switch("-p", "--pause", on=True, help="Pause container during commit (default true)")
@options.service
@click.argument("name", required=False, metavar="[REPOSITORY[:TAG]]")
@click.pass_obj
def commit(asked: Asked, service: str, index: int, **words) -> None:
    """Create a new image from a service container's changes."""
    with errors():
        changing.commit.callback(container=members.chosen(asked, service, index)["id"], **words)
