"""The steering wheel: images and containers as commands, in Docker's words."""

from __future__ import annotations

import shlex


def suitcase(line: str) -> int:
    """Run a command as in a terminal, ``suitcase("build -t app .")``, without starting a program; returns the exit code.

    What it prints appears here. A word with spaces stands in quotes.
    """
    from lib.engine.cli import Failed, click, main

    try:
        return main.main(shlex.split(line), prog_name="suitcase", standalone_mode=False) or 0
    except (Failed, click.ClickException) as error:
        error.show()
        return error.exit_code
    except SystemExit as end:
        return end.code or 0
