"""Chapter 5's shop in two hands: ours, and the real Docker Compose with a Docker daemon. What can be seen of it is the same."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from urllib.request import Request, urlopen

import pytest
from helpers import sides
from helpers.hosts import host
from helpers.needs import requires
from helpers.scenarios import Picture, Program
from helpers.waiting import wait_for

from lib import bases
from lib.lab import peers
from lib.lab.bench import composebench
from lib.lab.bench.enginebench import in_memory

__all__ = ["host"]

WAITS = {"web": ["api"], "api": ["db", "queue"], "worker": ["db", "queue"]}  # service → whose health it waits for
OWN = ("config-hash", "image", "project.config_files", "version")  # labels whose values differ: of a file, of an image, of a program
NOW = ("CreatedAt", "ID", "Labels", "Mounts", "RunningFor", "Size", "Status")  # of ``ps``: ids, ages, and what is said elsewhere


class Shop:
    """One side's, and what it is seen to be."""

    def __init__(self, side, files: list[str], folder: Path):
        self.side, self.files, self.folder = side, files, folder

    def __call__(self, *words: str, code: int = 0, password: str = "secret") -> str:
        said = self.side(["compose", *self.files, *words], self.folder, {"PASSWORD": password})
        assert said.code == code, f"{self.side.name}: {words}\n{said}"
        return said.out

    @contextmanager
    def heard(self) -> Iterator[Callable[[], list[tuple[str, str]]]]:
        """From now on: which service, and what it is about."""
        program = Program(self.side, ["compose", *self.files, "events", "--json", "--since", "1h"], self.folder, {"PASSWORD": "secret"})
        try:
            yield lambda: [(one["service"], one["action"]) for one in map(json.loads, program.lines)]
        finally:
            program.end()

    def look(self) -> Picture:
        return Picture.of(self.side, self.folder)

    def states(self) -> dict[str, str]:
        there = self.look()
        return {name: there.state(name, there) for name in sorted(there.containers)}

    def page(self, path: str, data: bytes | None = None) -> str:
        """What the server says to somebody outside; "" while it does not answer."""
        try:
            return self.side.place(lambda: urlopen(Request(f"http://127.0.0.1:8080{path}", data), timeout=10).read().decode())
        except OSError:
            return ""

    # -- what is seen -------------------------------------------------------------------------------------------------

    def live(self) -> dict[str, object]:
        seen: dict[str, object] = {}
        self("up", "-d", password="", code=1)
        seen["without a password"] = self.states()
        with self.heard() as events:
            self("up", "--wait")
            wait_for(lambda: ("web", "start") in events())
        seen["early"] = early(events())
        self.running(seen)
        self("up", "--wait")
        seen["order"] = self.page("/book", b"")
        wait_for(lambda: self.page("/").endswith(": 1 order\n"))
        seen["unchanged"] = self.states()
        self("stop", "-t", "60")  # on a busy machine two seconds may be too few for Python
        seen["stopped"] = self.states()
        self("down")
        seen["after down"] = vars(self.look())
        self("up", "--wait")
        seen["what was ordered"] = wait_for(lambda: self.page("/"))
        self("down", "-v")
        seen["after down -v"] = vars(self.look())
        return seen

    def running(self, seen: dict[str, object]) -> None:
        there = self.look()
        seen["states"], seen["networks"], seen["volumes"] = self.states(), there.networks, there.volumes
        seen["page"] = wait_for(lambda: self.page("/"))
        seen["of each"] = {name: self.of(name, one) for name, one in sorted(there.containers.items())}
        seen["ps"] = {row["Name"]: row for row in rows(self("ps", "-a", "--format", "json"))}
        seen["exec"] = sorted(set(self("exec", "-T", "api", "env").splitlines()) - {f"HOSTNAME={ident(there, 'shop-api-1')}"})
        seen["port"], seen["services"] = self("port", "web", "80"), sorted(self("ps", "--services").split())
        self("exec", "-T", "db", "sh", "-c", "exit 7", code=7)
        self("run", "--rm", "-T", "worker", "python3", "-c", "raise SystemExit(5)", code=5)

    def of(self, name: str, one: dict) -> dict[str, object]:
        own, config = one["Id"][:12], one["Config"]
        environ = Path(f"/proc/{one['State']['Pid']}/environ").read_text().split("\0")
        networks = one["NetworkSettings"]["Networks"]
        labels = {key.removeprefix("com.docker.compose."): value for key, value in config["Labels"].items()}
        return {
            "environ": sorted(word for word in environ if word and word != f"HOSTNAME={own}"),
            "labels": {key: "…" if key in OWN else sorted(value.split(",")) for key, value in labels.items()},
            "aliases": {key: sorted({*value["Aliases"]} - {own, name}) for key, value in networks.items()},
            "user": config["User"], "folder": config["WorkingDir"], "hostname is its id": config["Hostname"] == own,
            "mounts": sorted((mount["Type"], mount.get("Name", ""), mount["Destination"], mount["RW"]) for mount in one["Mounts"]),
            "restart": one["HostConfig"]["RestartPolicy"]["Name"] or "no", "limits": one["HostConfig"]["Memory"],
        }  # fmt: skip


def ident(there: Picture, name: str) -> str:
    return there.containers[name]["Id"][:12]


def rows(text: str) -> list[dict]:
    return [{key: "…" if key in NOW else value for key, value in json.loads(line).items()} for line in text.splitlines()]


def flat(seen: object, *path: str) -> Iterator[tuple[tuple[str, ...], object]]:
    """Each thing with the way to it."""
    if isinstance(seen, dict):
        for key, value in seen.items():
            yield from flat(value, *path, key)
    else:
        yield path, seen


def early(events: list[tuple[str, str]]) -> list[str]:
    """Who has started before somebody was healthy whom it waits for."""
    pairs = [(name, other) for name, others in WAITS.items() for other in others]
    return [
        f"{name} before {other}" for name, other in pairs if events.index((name, "start")) < events.index((other, "health_status: healthy"))
    ]


@pytest.fixture(scope="module")
def debian() -> str:
    """From the store that set-up has filled; the host has one of its own."""
    return bases.find("shop")


@pytest.fixture
def shops(debian, host, monkeypatch) -> Iterator[tuple[Shop, Shop]]:
    ours = sides.Ours(host)
    try:
        with in_memory() as memory, sides.theirs() as theirs:
            monkeypatch.setenv("SUITCASE_IMAGES", f"{memory}/images")
            with host.place:
                files = composebench.shop(SimpleNamespace(place=memory, docker=theirs.docker), debian)
            try:
                yield Shop(ours, files["ours"], memory), Shop(theirs, files[composebench.PEER], memory)
            finally:
                ours.clear()
    except peers.Missing as reason:
        pytest.skip(f"no docker to compare with: {reason}")


@requires("root", "overlay", "nft", "ip", "docker", "compose", "mmdebstrap")
@pytest.mark.timeout(240)
def test_the_shop_is_the_same_in_both_hands(shops):
    ours, theirs = (dict(flat(shop.live())) for shop in shops)
    assert [ours[("early",)], theirs[("early",)]] == [[], []]
    differ = {path: (ours.get(path), theirs.get(path)) for path in {**ours, **theirs} if ours.get(path) != theirs.get(path)}
    assert differ == {}
