"""The command ``suitcase``: Docker's words for images, and for running one container.

Here stands only where each verb lives. Its module is loaded when the verb is called, and imports what it needs then: a command that
lists images should not wait for HTTP.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from importlib import import_module

import click

from lib.cli.errors import NAME
from lib.cli.signals import ended_in_order

VERBS = {
    "images": "images history inspect tag rmi prune",
    "archives": "save load import",
    "containers.running": "run",
    "containers.writings": "diff export",
    "builds": "build builder-prune",
    "registries": "pull push login logout",
}
HOMES = {verb: module for module, verbs in VERBS.items() for verb in verbs.split()}


@contextmanager
def dockers_codes() -> Iterator[None]:
    """What is wrong with an option ends with 125 in every verb, as in Docker: click's 2 might be that of a program in a container."""
    try:
        yield
    except click.UsageError as error:
        if isinstance(error, click.NoSuchOption | click.BadOptionUsage) or isinstance(getattr(error, "param", None), click.Option):
            error.exit_code = 125
        raise


class Verbs(click.Group):
    """A group of commands that are loaded one by one. See "Lazily Loading Subcommands" in click's manual."""

    def list_commands(self, context: click.Context) -> list[str]:
        return sorted(HOMES)

    def main(self, *words, standalone_mode: bool = True, **how):
        """As a program of its own it ends in good order; a notebook's kernel has handlers of its own."""
        with ended_in_order() if standalone_mode else nullcontext():
            return super().main(*words, standalone_mode=standalone_mode, **how)

    def make_context(self, *words, **how) -> click.Context:
        with dockers_codes():
            return super().make_context(*words, **how)

    def invoke(self, context: click.Context):
        with dockers_codes():
            return super().invoke(context)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in HOMES:
            return None
        module = import_module(f"lib.cli.{HOMES[name]}")
        return next(one for one in vars(module).values() if isinstance(one, click.Command) and one.name == name)


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option("0.1", prog_name=NAME)
def main() -> None:
    """Pack, build, ship and run images: the engine of "Docker: From Zero to Production", all of it in Python that you can read."""
