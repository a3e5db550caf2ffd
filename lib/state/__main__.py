"""``python -m lib.state gc|df|uninstall``: reap what dead owners left, weigh the store, remove it all."""

from __future__ import annotations

import sys

from lib.state.places import store
from lib.state.reaping import gc
from lib.state.uninstalling import disk_used, uninstall


def main(argv: list[str]) -> int:
    """``python -m lib.state gc|df|uninstall``; exit code 1 when containers keep it from uninstalling."""
    if argv == ["gc"]:
        print(f"reaped: {', '.join(gc()) or 'nothing to do'}")  # an error shows as a traceback with all its causes
    elif argv == ["df"]:
        print(f"{store()}: {disk_used() / 1e6:.0f} MB")
    elif argv == ["uninstall"]:
        try:
            print(uninstall())
        except RuntimeError as error:
            print(error, file=sys.stderr)
            return 1
    else:
        print("usage: python -m lib.state gc|df|uninstall", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
