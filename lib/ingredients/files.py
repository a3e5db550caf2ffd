"""Three small files that a container needs of its own: its hostname, its hosts, its name servers."""

from __future__ import annotations

import os

from lib import linux
from lib.process import Step


class Files:
    """``/etc/hostname``, ``/etc/hosts`` and ``/etc/resolv.conf``: written for this container, bound over the image's.

    On the host's network its name servers are the host's, too.
    """

    def __init__(self, folder: str, hostname: str, network: str = "none"):
        self.folder, self.hostname, self.network = folder, hostname, network

    def texts(self) -> dict[str, str]:
        hosts = f"127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost\n127.0.1.1\t{self.hostname}\n"
        return {"hostname": self.hostname + "\n", "hosts": hosts, "resolv.conf": self.resolvers()}

    def resolvers(self) -> str:
        if self.network == "host" and os.path.exists("/etc/resolv.conf"):
            return linux.read("/etc/resolv.conf")
        return "# no network yet: see chapter 4\n"

    @property
    def bound(self) -> dict[str, str]:
        return {f"/etc/{name}": f"{self.folder}/{name}" for name in self.texts()}

    def steps(self) -> list[Step]:
        folder = Step("provide", "mkdir", (self.folder,), "for three small files", undo=(("rmtree", self.folder),))
        return [folder] + [
            Step("provide", "write_file", (f"{self.folder}/{name}", text), f"becomes /etc/{name}") for name, text in self.texts().items()
        ]
