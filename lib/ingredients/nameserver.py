"""The container's end of its resolver: sockets at 127.0.0.11 that somebody outside answers at.

They listen at a port of their own, and what goes to port 53 is led there by rules in the container's own namespace. A socket *at* port 53
would be in the way of a name server in the container, which wants 0.0.0.0:53 for itself. What is answered comes from port 53 again: the
kernel has noted whom it had led where (conntrack).
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence

from lib.process import Ref, Step

ADDRESS = "127.0.0.11"
PORTS = range(32768, 60999)  # none of them is anybody's in a namespace that is new
SETTINGS = "names.json"


class Nameserver:
    """``folder`` is the container's run folder; the others see ``network.names.Settings``, which is written there, so that the manager
    answers it. Without a folder it is answered by whoever makes it.
    """

    gives = "dns-udp", "dns-tcp"  # what its sockets are called

    def __init__(self, folder: str, servers: Sequence[str] = (), ndots: bool = False, links: Sequence[Sequence[str]] = ()):
        self.folder, self.servers, self.ndots, self.links = folder, list(servers), ndots, [list(one) for one in links]
        self.port = PORTS[int.from_bytes(os.urandom(4)) % len(PORTS)]

    @property
    def rules(self) -> str:
        led = [f"  ip daddr {ADDRESS} {kind} dport 53 dnat to {ADDRESS}:{self.port}" for kind in ("udp", "tcp")]
        return "\n".join(["table ip suitcase-names {", " chain led {", "  type nat hook output priority -100;", *led, " }", "}"])

    def steps(self) -> list[Step]:
        return [
            *self.settings(),
            Step("map", "open", ("/proc/{pid}/ns/net",), "it may end before we come to use it", gives="netns"),
            Step("beside", "link_up_in", (Ref("netns"), "lo"), "127.0.0.11 is nobody's own before that"),
            *(
                Step("beside", "socket_in", (Ref("netns"), name[-3:], ADDRESS, self.port), "answered from outside", gives=name)
                for name in self.gives
            ),
            Step("beside", "nft_in", (Ref("netns"), self.rules), "port 53 itself stays free for a name server of its own"),
        ]

    def settings(self) -> list[Step]:
        if not self.folder:
            return []
        text = json.dumps({"servers": self.servers, "ndots": self.ndots, "port": self.port, "links": self.links})
        return [Step("provide", "write_file", (f"{self.folder}/{SETTINGS}", text), "whoever answers finds there whom to ask in turn")]
