"""The first comments of a Dockerfile may be no comments: ``# escape=` ``, ``# syntax=…``, ``# check=…``.

They count only before everything else; an empty line or any other comment ends them. Source: the Dockerfile reference,
"Parser directives".
"""

from __future__ import annotations

import re

from lib.dockerfile.positions import Source

KNOWN = ("syntax", "escape", "check")
ESCAPES = ("\\", "`")
_DIRECTIVE = r"#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(\S.*)"


def read(source: Source) -> dict[str, str]:
    """The directives at the top of a file, by name. Each stands for one line. Raises: DockerfileError."""
    found: dict[str, str] = {}
    for number, line in enumerate(source.lines, 1):
        match = re.fullmatch(_DIRECTIVE, line.strip())
        name = match[1].lower() if match else ""
        if name not in KNOWN:
            break
        if name in found:
            raise source.error(number, f"a second '{name}' directive", "keep one of them, before everything else in the file")
        found[name] = match[2]
    if found.get("escape", "\\") not in ESCAPES:
        line = list(found).index("escape") + 1
        raise source.error(line, f"'{found['escape'][:40]}' cannot be the escape character", "write # escape=\\ or # escape=`")
    return found
