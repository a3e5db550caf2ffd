"""``system boot``: after the machine was started anew; and the systemd unit that does it."""

from __future__ import annotations

import os
import subprocess

import click

from lib.cli.errors import Failed, errors


@click.command()
@click.option("--install", is_flag=True, help="Write the systemd unit that does this after each boot, and enable it.")
@click.option("--print", "show", is_flag=True, help="Show that unit, and change nothing.")
@click.option("--remove", is_flag=True, help="Disable the unit, and take it away.")
def boot(install: bool, show: bool, remove: bool) -> None:
    """Start the containers that should be running, as their restart policies say."""
    from lib.engine import booting

    with errors():
        if install + show + remove > 1:
            raise ValueError("one at a time: --install, --print or --remove")
        if show:
            click.echo(booting.unit(), nl=False)
        elif install:
            click.echo(f"written: {booting.install()}")
            told("enable")
        elif remove:
            told("disable")
            click.echo(f"removed: {booting.place()}" if booting.remove() else f"there is no {booting.place()}")
        else:
            start()


def start() -> None:
    from lib.cli.library import library
    from lib.engine import booting

    started, failed = booting.boot(library())
    for name in started:
        click.echo(name)
    if failed:
        raise Failed("\n".join(map(str, failed)))


def told(verb: str) -> None:
    """Have systemd know; where it does not run (in a container, say), or says no, the user is told what to type."""
    from lib.engine import booting

    words = ["systemctl", *(["--user"] if os.geteuid() else []), verb, booting.NAME]
    if os.path.isdir("/run/systemd/system"):
        done = subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode == 0:
            return
        click.echo(f"WARNING: {' '.join(words)}: {done.stderr.strip()}", err=True)
    click.echo(f"systemd was not told; where it runs, type: {' '.join(words)}")
    if os.geteuid() and verb == "enable":
        click.echo("and so that it does this before you log in: loginctl enable-linger")
