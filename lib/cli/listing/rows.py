"""One container as a line of ``ps``: each column is a field of the template, computed when it is asked for."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import cache

from lib import sizes
from lib.cli import text
from lib.engine.finding import mounts, ways_in

TABLE = "table {{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}"
HEADS = {
    "Command": "COMMAND", "CreatedAt": "CREATED AT", "HealthStatus": "HEALTH STATUS", "ID": "CONTAINER ID", "Image": "IMAGE",
    "Labels": "LABELS", "LocalVolumes": "LOCAL VOLUMES", "Mounts": "MOUNTS", "Names": "NAMES", "Networks": "NETWORKS",
    "Platform": "PLATFORM", "Ports": "PORTS", "RunningFor": "CREATED", "Size": "SIZE", "State": "STATE", "Status": "STATUS",
    "Label": lambda name: re.sub("[-_]", " ", name.rpartition(".")[2]),
}  # fmt: skip


class Platform(dict):
    """An object for programs, ``linux/amd64`` for people."""

    def __str__(self) -> str:
        return "/".join(self.values())


class Row(Mapping):
    """The fields of one container. ``image`` is its image's name now; ``measure`` counts the bytes it has written, and has in all."""

    def __init__(self, facts: dict, image: str, full: bool = False, measure: Callable[[dict], tuple[int, int]] | None = None):
        self.facts, self.image_name, self.full, self.measure = facts, image, full, measure

    def __iter__(self) -> Iterator[str]:
        return (name for name in HEADS if name != "Label")

    def __len__(self) -> int:
        return len(HEADS) - 1

    def __contains__(self, name: object) -> bool:
        return name in HEADS

    def __getitem__(self, name: str) -> object:
        return getattr(self, method(name))()

    def id(self) -> str:
        return self.facts["id"] if self.full else self.facts["id"][:12]

    def image(self) -> str:
        return self.image_name

    def names(self) -> str:
        return self.facts["name"]

    def command(self) -> str:
        first, *others = self.facts["argv"]
        words = " ".join([first, *(f"'{word}'" if " " in word else word for word in others)])
        return quoted(words if self.full else text.shorten(words, 20))

    def created_at(self) -> str:
        """In local time, as Go writes it."""
        moment = datetime.fromisoformat(self.facts["created"]).timestamp()
        return time.strftime("%Y-%m-%d %H:%M:%S %z %Z", time.localtime(moment))

    def running_for(self) -> str:
        return text.age(f"{self.facts['created'][:19]}Z")  # of whole seconds

    def state(self) -> str:
        return self.facts["state"]["status"]

    def status(self) -> str:
        return status(self.facts["state"], self.health_status())

    def health_status(self) -> str:
        return health_of(self.facts) or ""

    def label(self) -> Callable[[str], str]:
        return lambda name: self.facts["config"]["labels"].get(name, "")

    def labels(self) -> str:
        return ",".join(sorted(f"{name}={value}" for name, value in self.facts["config"]["labels"].items()))

    def mounts(self) -> str:
        sources = [one.get("name") or one.get("source", "") for one in mounts(self.facts) if one["type"] != "tmpfs"]
        return ",".join(sources if self.full else [text.shorten(one, 15) for one in sources])

    def local_volumes(self) -> str:
        return str(sum(one["type"] == "volume" for one in mounts(self.facts)))

    def networks(self) -> str:
        return ",".join(sorted(self.facts["state"].get("networks") or {})) or network(self.facts)

    def platform(self) -> Platform:
        return Platform(zip(("os", "architecture", "variant"), self.facts["platform"].split("/"), strict=False))

    def ports(self) -> str:
        return ports(self.facts)

    def size(self) -> str:
        written, whole = self.measure(self.facts)
        return f"{sizes.human(written)} (virtual {sizes.human(whole)})" if whole else sizes.human(written)


@cache
def method(name: str) -> str:
    """``RunningFor`` is told by ``running_for``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def ports(facts: dict) -> str:
    """``443/tcp, 0.0.0.0:90-91->90-91/tcp, 0.0.0.0:8080->80/tcp``: of one that runs, what is published, and what it only exposes.

    Neighbours are one range, unless they are published by another number than their own: those come last, each by itself.
    """
    ranges: dict[tuple[str, str], tuple[int, int]] = {}  # the last one of each address and protocol
    found, elsewhere = [], []
    for protocol, ip, host, port in sorted(doors(facts), key=lambda row: (row[3], row[1], row[2], row[0])):
        if host not in (0, port):
            elsewhere.append(f"{address(ip)}:{host}->{port}/{protocol}")
            continue
        first, last = ranges.get((ip, protocol), (port, port - 1))
        if port != last + 1:
            found.append(shown(protocol, ip, first, last))
            first = port
        ranges[ip, protocol] = first, port
    found += [shown(protocol, ip, *ends) for (ip, protocol), ends in ranges.items()]
    return ", ".join(found + elsewhere)


def doors(facts: dict) -> list[tuple[str, str, int, int]]:
    """Protocol, address, host's port and container's port; of what is only exposed, no address and 0. Of one that runs."""
    if (published := ways_in(facts)) is None:
        return []
    told = {(one["port"], one["protocol"]) for one in published}
    rows = [(one["protocol"], ip, one["host"], one["port"]) for one in published for ip in ANY.get(one["ip"], (one["ip"],))]
    for word in facts["config"]["exposed_ports"] or ():
        port, _, protocol = word.partition("/")
        if (int(port), protocol) not in told:
            rows.append((protocol, "", 0, int(port)))
    return sorted(rows, key=lambda row: (row[3], row[0], ":" in row[1], row[1]))


def shown(protocol: str, ip: str, first: int, last: int) -> str:
    inside = f"{first}-{last}" if last > first else str(first)
    return f"{address(ip)}:{inside}->{inside}/{protocol}" if ip else f"{inside}/{protocol}"


def address(ip: str) -> str:
    return f"[{ip}]" if ":" in ip else ip


ANY = {"": ("0.0.0.0", "::")}  # the addresses of a port that is published at all of them


def network(facts: dict) -> str:
    return facts["network"]["mode"]


def health_of(facts: dict) -> str | None:
    """``starting``, ``healthy`` or ``unhealthy``; None of one that nobody asks. Few need load what knows it."""
    if not facts["config"].get("healthcheck"):
        return None
    from lib.engine.health import known

    return (known.of(facts) or {}).get("Status")


def status(state: dict, health: str = "") -> str:
    """``Up 3 seconds (healthy)``, ``Exited (0) 2 minutes ago``."""
    if state["status"] in ("running", "paused"):
        up = f"Up {text.duration(text.seconds_since(state['started']) or 0)}"
        more = "Paused" if state["status"] == "paused" else "health: starting" if health == "starting" else health
        return f"{up} ({more})" if more else up
    if word := {"exited": "Exited", "restarting": "Restarting"}.get(state["status"]):
        code = "unknown" if state["exit_code"] is None else state["exit_code"]
        return f"{word} ({code}) {text.age(state['finished'])}"
    return {"created": "Created", "removing": "Removal In Progress"}[state["status"]]


ESCAPES = {'"': '\\"', "\\": "\\\\", "\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}


def quoted(words: str) -> str:
    """In quotes as Go writes them: what cannot be seen, or moves the cursor, is shown as its number."""
    return '"' + "".join(ESCAPES.get(one) or (one if one.isprintable() else numbered(ord(one))) for one in words) + '"'


def numbered(code: int) -> str:
    if code < 0x80 or 0xDC80 <= code < 0xDD00:  # the latter a byte that is not UTF-8
        return f"\\x{code & 0xFF:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
