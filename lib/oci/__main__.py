"""An OCI runtime as a translation of words: ``config.json`` in, the same plan as ever, state JSON out.

Thin on purpose: it understands what ``runc spec`` writes, and names what it does not understand instead of
leaving it out in silence. See the OCI runtime specification, config.md and runtime.md.

    python -m lib.oci create --bundle DIR ID | start ID | state ID | kill ID [SIGNAL] | delete ID
"""

from __future__ import annotations

import sys

from lib.oci.lifecycle import create, delete, kill, start, state_json
from lib.oci.translation import OciError


def main(argv: list[str]) -> int:
    """The command line; exit code 1 with one line on stderr when something is wrong."""
    words = [word for word in argv if not word.startswith("-")]
    try:
        match argv:
            case ["create", "--bundle" | "-b", bundle, name]:
                create(name, bundle)
            case ["start", name]:
                start(name)
            case ["state", name]:
                print(state_json(name))
            case ["kill", name, *number]:
                kill(name, *number)
            case ["delete", *_] if len(words) == 2:
                delete(words[1], force="--force" in argv or "-f" in argv)
            case _:
                print(__doc__.split("\n\n")[-1].strip(), file=sys.stderr)
                return 2
    except (OciError, OSError, ValueError, ExceptionGroup) as error:
        print(f"oci: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
