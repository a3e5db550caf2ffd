"""Whom a registry's address may be proved by, and what we show it of ourselves, where the machine's owner says so in ``certs.d``.

``certs.d/HOST:PORT/`` holds ``*.crt``, authorities that are trusted for this address besides the machine's own, and pairs of
``*.cert`` and ``*.key``, which are shown to it and to nobody else. See Docker's manual, "Verify repository client with certificates".
"""

from __future__ import annotations

import os
import ssl
from pathlib import Path

from lib import state
from lib.images import ImageError


def places() -> list[Path]:
    """Where ``certs.d`` may lie: the machine's, and the user's own (that is where rootless Docker looks)."""
    own = os.environ.get("XDG_CONFIG_HOME") or state.home() / ".config"
    return [Path("/etc/docker/certs.d"), Path(own, "docker/certs.d")]


def folders(host: str, port: int) -> list[Path]:
    """The folders that speak of this address. The port of https may be left out."""
    name = f"[{host}]" if ":" in host else host
    names = [f"{name}:{port}", name] if port == 443 else [f"{name}:{port}"]
    return [place / one for place in places() for one in names if (place / one).is_dir()]


def context(host: str, port: int, verify: bool = True) -> ssl.SSLContext | None:
    """A TLS context for this address; None where ``certs.d`` has nothing of it. Raises ``ImageError`` for a file that is of no use."""
    if not (found := folders(host, port)):
        return None
    made = ssl.create_default_context()  # the machine's authorities, or those of SSL_CERT_FILE
    if not verify:
        made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    for path in sorted(path for folder in found for path in folder.iterdir()):
        try:
            use(path, made)
        except (OSError, ssl.SSLError) as error:
            raise ImageError(f"{path}: of no use as a certificate or key: {error.strerror or error}") from None
    return made


def use(path: Path, made: ssl.SSLContext) -> None:
    """What a file means depends on how its name ends."""
    other = path.with_suffix({".cert": ".key", ".key": ".cert"}.get(path.suffix, path.suffix))
    if path.suffix == ".crt":
        made.load_verify_locations(path)
    elif not other.exists():
        raise ImageError(f"{path}: {other.name} is missing beside it. An authority's certificate must end in .crt")
    elif path.suffix == ".cert":
        made.load_cert_chain(path, other)
