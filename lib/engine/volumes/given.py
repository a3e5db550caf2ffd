"""Files that a container is given when it is made, secrets for instance: they lie beside its own files, and go with it."""

from __future__ import annotations

import os
from pathlib import Path

FOLDER = "given"


def write(facts: dict, draft: Path, place: Path) -> None:
    """Write ``facts["files"]`` into the folder of a new container, which lies at ``place`` later; each becomes a mount of its own.

    A file is ``target``, ``content`` (in hexadecimal digits), ``uid``, ``gid`` and ``mode``. Its content stands in no other place.
    """
    (draft / FOLDER).mkdir(0o700)
    for number, one in enumerate(facts.pop("files")):
        file = os.open(draft / FOLDER / str(number), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(file, "wb") as out:
            out.write(bytes.fromhex(one["content"]))
            os.fchown(file, one["uid"], one["gid"])
            os.fchmod(file, one["mode"])
        mount = {"type": "bind", "source": str(place / FOLDER / str(number)), "target": os.path.normpath(one["target"]), "ro": True}
        facts["mounts"] = [*(facts.get("mounts") or ()), {**mount, "mode": "", "propagation": "rprivate", "by": "mount"}]
