"""What the resolver has to know of one container beside its names: a small file in its run folder, made before the container is.

So a manager that comes later finds whom it serves, and how.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

ADDRESS = "127.0.0.11"  # Docker's: a resolver is found there in every container
FILE = "names.json"


@dataclass(frozen=True)
class Settings:
    """``servers`` are those of ``--dns``, none means the host's; ``ndots`` and ``links`` see ``View``; ``port`` where it listens."""

    servers: tuple[str, ...] = ()
    ndots: bool = False
    port: int = 0
    links: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, folder: Path) -> Settings | None:
        """Those in a container's run folder; None if it has no names."""
        with suppress(OSError, ValueError, TypeError, LookupError):
            facts = json.loads((folder / FILE).read_bytes())
            servers = tuple(map(str, facts["servers"]))
            links = tuple((str(name), str(other)) for name, other in facts.get("links", ()))
            return cls(servers, bool(facts["ndots"]), int(facts["port"]), links)
        return None
