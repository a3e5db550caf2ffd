"""``completion``: what a shell needs to finish your words: verbs and flags, and the names of what there is."""

from __future__ import annotations

import click

from lib.cli.errors import NAME, errors

VARIABLE = f"_{NAME.upper()}_COMPLETE"  # in it the shell asks us, see "Shell Completion" in click's manual
PLACES = {
    "bash": f"source <({NAME} completion bash), in ~/.bashrc",
    "fish": f"{NAME} completion fish > ~/.config/fish/completions/{NAME}.fish",
    "zsh": f"source <({NAME} completion zsh), in ~/.zshrc",
}


@click.command()
@click.argument("shell", metavar="bash|fish|zsh")
def completion(shell: str) -> None:
    """Generate the autocompletion script for the specified shell."""
    from click.shell_completion import get_completion_class

    from lib.cli.main import main

    with errors():
        if shell not in PLACES:
            raise ValueError(f"there is no completion for {shell!r}, but for {', '.join(PLACES)}")
        click.echo(f"# To use it: {PLACES[shell]}")
        click.echo(get_completion_class(shell)(main, {}, NAME, VARIABLE).source())
