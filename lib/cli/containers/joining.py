"""``attach exec``: to come to a container that runs."""

from __future__ import annotations

import subprocess
import sys

import click

from lib.cli.containers import options
from lib.cli.errors import errors
from lib.cli.flags import completing
from lib.cli.library import library

CANNOT_BEGIN = 126  # the exit code when a user or a folder is wrong, say


@click.command()
@options.attaching
@completing.container
def attach(detach_keys: str, no_stdin: bool, sig_proxy: bool, container: str) -> None:
    """Attach local standard input, output, and error streams to a running container."""
    from lib.cli.attached import staying, terminal
    from lib.cli.attached.detaching import parsed
    from lib.engine import finding

    with errors():
        parsed(detach_keys)
        facts = finding.current(container)
        if facts["state"]["status"] == "restarting":
            raise ValueError("cannot attach to a restarting container, wait until it is running")
        if facts["state"]["status"] == "paused":
            raise ValueError("cannot attach to a paused container, unpause it first")
        if facts["state"]["status"] != "running":
            raise ValueError("cannot attach to a stopped container, start it first")
        config = facts["config"]
        terminal.check(not no_stdin, config["tty"])
        sys.exit(staying.attached(facts, config["open_stdin"] and not no_stdin, detach_keys, sig_proxy and not config["tty"]))


@click.command("exec", context_settings={"allow_interspersed_args": False})
@options.executing
@completing.container
@click.argument("command", nargs=-1, required=True, metavar="COMMAND [ARG...]", type=click.UNPROCESSED)
def execute(detach: bool, detach_keys: str, interactive: bool, tty: bool, container: str, command: tuple[str, ...], **values) -> None:
    """Execute a command in a running container."""
    from lib.cli.attached import staying, terminal
    from lib.cli.attached.detaching import parsed
    from lib.engine import finding, joining

    with errors():
        parsed(detach_keys)
        facts = finding.current(container)
        if not detach:
            terminal.check(interactive, tty)
        wanted = wished(command, tty, values)
        with errors(1 if detach else CANNOT_BEGIN):
            plan = joining.plan(library(), facts, wanted)
            tell = joining.telling(facts, command)
            if detach:
                joining.Exec(plan, stdout=subprocess.DEVNULL).close()
            else:
                sys.exit(staying.joined(plan, interactive, tty, detach_keys, tell))


def wished(command: tuple[str, ...], tty: bool, values: dict):
    from lib.cli.flags import keyvalues
    from lib.engine.joining import Joined

    env = keyvalues.environment(values["env_file"], values["env"])
    known = {name: value for name, value in env.items() if value is not None}
    return Joined(command, known, values["workdir"], values["user"], tty, values["privileged"])


@click.command()
@click.option("-c", "--command", help="Evaluate the specified commands instead, in one shell, and end.")
@options.detach_keys
@completing.container
def debug(command: str | None, detach_keys: str, container: str) -> None:
    """Get a shell into a container that has none, with tools that only you can see."""
    from lib.cli.attached import staying
    from lib.cli.attached.detaching import parsed
    from lib.engine import finding, joining

    with errors():
        parsed(detach_keys)
        facts, tty = finding.current(container), command is None and sys.stdin.isatty()
        with errors(CANNOT_BEGIN):
            plan = joining.with_tools(library(), facts, ["sh", "-c", command] if command is not None else ["sh"], tty)
            sys.exit(staying.joined(plan, command is None, tty, detach_keys))
