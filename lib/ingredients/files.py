"""Three small files that a container needs of its own: its hostname, its hosts, its name servers."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from lib import linux
from lib.process import Ref, Step


@dataclass
class Files:
    """``/etc/hostname``, ``/etc/hosts`` and ``/etc/resolv.conf``: written for this container, bound over the image's.

    ``resolvers`` is the last one's text; on the host's network it is the host's own, if nothing is said. ``hosts`` are more lines of the
    second one (address, name …); ``own`` are its own addresses, which are known only when it joins its networks. With a ``domain`` its
    whole name stands before the short one, so that ``hostname -f`` finds it.
    """

    folder: str
    hostname: str
    network: str = "none"
    resolvers: str | None = None
    hosts: Sequence[Sequence[str]] = ()
    own: Sequence[Ref] = ()
    domain: str = ""

    @property
    def names(self) -> list[str]:
        """Its own in ``/etc/hosts``, as Docker has them: the whole name, and what of it comes before the first dot."""
        whole = f"{self.hostname}.{self.domain}" if self.domain else self.hostname
        return list(dict.fromkeys([whole, whole.partition(".")[0] or whole]))

    def texts(self) -> dict[str, str]:
        lines = [("127.0.0.1", "localhost"), ("::1", "localhost ip6-localhost"), *([] if self.own else [("127.0.1.1", *self.names)])]
        hosts = "".join("\t".join(line) + "\n" for line in [*lines, *self.hosts])
        return {"hostname": self.hostname + "\n", "hosts": hosts, "resolv.conf": self.name_servers()}

    def name_servers(self) -> str:
        if self.resolvers is not None:
            return self.resolvers
        if self.network == "host" and os.path.exists("/etc/resolv.conf"):
            return linux.read("/etc/resolv.conf")
        return "# no network yet: see chapter 4\n"

    @property
    def bound(self) -> dict[str, str]:
        return {f"/etc/{name}": f"{self.folder}/{name}" for name in self.texts()}

    def steps(self) -> list[Step]:
        folder = Step("provide", "mkdir", (self.folder,), "for three small files", undo=(("rmtree", self.folder),))
        return [
            folder,
            *(
                Step("provide", "write_file", (f"{self.folder}/{name}", text), f"becomes /etc/{name}")
                for name, text in self.texts().items()
            ),
            *(
                Step("provide", "add_line", (f"{self.folder}/hosts", [one, *self.names]), "its own name is its own address")
                for one in self.own
            ),
        ]
