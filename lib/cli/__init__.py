"""The steering wheel: images and containers as commands, in Docker's words."""

from __future__ import annotations


def suitcase(line: str) -> None:
    """Run a command as in a terminal, ``suitcase("build -t app .")``, without starting a program.

    What it prints appears here, and its exit code if that is not 0. A word with spaces stands in quotes.
    """
    import shlex

    import click

    from lib.cli.errors import Failed
    from lib.cli.main import main

    try:
        code = main.main(shlex.split(line), prog_name="suitcase", standalone_mode=False)
    except (Failed, click.ClickException) as error:
        error.show()
        code = error.exit_code
    except SystemExit as end:
        code = end.code
    if isinstance(code, int) and code:
        print("exit code", code)
