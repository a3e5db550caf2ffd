"""``python -m lib.cli``: the command ``suitcase``."""

from lib.cli.cli import main

main(prog_name="suitcase")
