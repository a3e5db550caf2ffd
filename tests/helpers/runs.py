"""``run`` with all its flags, which tells how they were read and starts nothing."""

from __future__ import annotations

import click

from lib.cli.containers import options


@click.command("run", context_settings={"allow_interspersed_args": False, "help_option_names": ["--help"]})
@options.creating
@options.running
@click.argument("image")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def run(**values):
    return values
