"""A volume that is a file system of its own: in memory (tmpfs), on another machine (nfs), on a disk.

It is mounted for the first container that has it when that starts, the others see the same, and it is unmounted after the last has ended.
Who mounts it, and who is left, is known from ``state.shared``: so it is taken off again whoever is killed in between.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from lib import state
from lib.engine.volumes.store import Volume
from lib.ingredients import Bind
from lib.process import Step


@dataclass
class Mounted(Bind):
    """The volume's place, shown in a container; ``facts`` are the container's (see ``state.kept``).

    ``prepare`` raises ``OSError`` if the host whose files they are is not known.
    """

    volume: Volume | None = None
    facts: dict = field(default_factory=dict)

    def prepare(self, rootless: bool) -> list[Step]:
        options, place = self.volume.options, str(state.runtime_dir() / "volumes" / self.volume.name)
        mount = ["mount", options["device"], self.volume.data, options["type"], addressed(options)]
        member, facts = self.facts["id"][: state.kept.SHORT], {"name": self.facts["name"]}
        words = (place, member, facts, [], [mount], [["umount", self.volume.data]])
        why = f"the volume {self.volume.name}: the first who has it mounts it, the last takes it off"
        return [Step("prepare", "join", words, why, undo=(("leave", place, member),))]


def addressed(options: dict[str, str]) -> str:
    """What the file system is told; mount(2) knows no names of hosts. See ``addr`` in nfs(5)."""
    return ",".join(f"addr={address(word[5:])}" if word.startswith("addr=") else word for word in options.get("o", "").split(","))


def address(host: str) -> str:
    import socket  # few volumes are on another machine

    try:
        return socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][4][0]
    except OSError as error:
        raise OSError(error.errno, f"error resolving passed in network volume address {host}: {error.strerror}") from None
