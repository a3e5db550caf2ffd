"""``python -m lib.engine``: the command ``suitcase``."""

from lib.engine.cli import main

main(prog_name="suitcase")
