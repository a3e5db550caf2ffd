"""``python -m lib.cli``: the command ``suitcase``."""

from lib.cli.main import main

main(prog_name="suitcase")
