"""Where a short name leads on a machine without the Internet: to an image that set-up has made here, under its own honest name.

``FROM debian:bookworm-slim`` means Docker Hub's image. Where the Hub can be reached, that is what it is. Where it cannot, a
Debian made on this machine from the same packages stands in, and it is said so: nobody should take one for the other.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lib.images import references
from lib.images.store import StoreError

if TYPE_CHECKING:  # a list of containers asks for names only, and should not wait for what unpacks images
    from lib.images import Image, Library

SHELL = {"Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"], "Cmd": ["sh"]}
# Our own names: which base (see lib.bases) each is made of, and how a container of it starts.
HERE: dict[str, tuple[str, dict]] = {
    "localhost/busybox:static": ("busybox", SHELL),
    "localhost/debian:apt": ("apt", SHELL | {"Cmd": ["bash"]}),
    "localhost/debian:python": ("python", SHELL | {"Cmd": ["python3"]}),
    "localhost/debian:nodejs": ("node", SHELL | {"Cmd": ["node"]}),
    "localhost/debian:nginx": (
        "nginx",
        SHELL | {"Cmd": ["nginx", "-g", "daemon off;"], "ExposedPorts": {"80/tcp": {}}, "StopSignal": "SIGQUIT"},
    ),
}
# The Hub's repository → what stands in for it, whatever the tag.
STAND_INS = {
    "library/busybox": "localhost/busybox:static",
    "library/alpine": "localhost/busybox:static",
    "library/debian": "localhost/debian:apt",
    "library/python": "localhost/debian:python",
    "library/node": "localhost/debian:nodejs",
    "library/nginx": "localhost/debian:nginx",
}


def make(library: Library, name: str) -> Image:
    """One of our own images, made from its base if it is not in the store yet. Raises ``KeyError``, ``FileNotFoundError``."""
    try:
        return library.find(name)
    except StoreError:
        from lib import bases
        from lib.images import archive

        base, config = HERE[name]
        return archive.from_folder(library, bases.find(base), name, config)


def stand_in(text: str) -> str | None:
    """The name of the image of this machine that may stand in for an image of the Hub."""
    wanted = references.parse(text)
    if wanted.digest or wanted.registry != references.HUB:
        return None
    return STAND_INS.get(wanted.repository)


def offline() -> bool:
    """``SUITCASE_OFFLINE=1``: do not even try to reach the Hub."""
    return os.environ.get("SUITCASE_OFFLINE", "") not in ("", "0")
