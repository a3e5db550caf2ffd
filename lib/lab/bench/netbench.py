"""Networks beside Docker's and Podman's: how long joining one takes, how much goes through it, and how fast names are answered.

All three live in a network namespace made for the bench, with a neighbour outside. What is timed inside a container is a program of the
host's that has only its network.
"""

from __future__ import annotations

import http.client
import json
import re
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import lib
from lib import bases, linux
from lib.advice import mountinfo
from lib.lab import peers
from lib.lab.bench.commandbench import IMAGE, ROOTFS, THEIRS, a_store, ours, rows, said
from lib.lab.bench.table import Row
from lib.lab.bench.timing import interleaved, spread, timed
from lib.lab.chapters.places import Place, cable
from lib.network import create, on, remove

SHOP = "bench-shop"
NAMED = "/run/netns"  # where namespaces with a name stand
SLEEP = ("sleep", "3600")
HOST, NEIGHBOUR = "10.31.1.1", "10.31.1.2"
PORT = {"ours": 5211, "docker": 5212}
MANY = 100  # containers on one network
CLIENTS, QUESTIONS = 30, 6000
SECONDS = 2  # of each transfer
SETTLES = 0.2  # seconds in which the kernel takes apart what has gone: meanwhile nobody else may change a link

# Asks for a name as so many clients do, each its next question when the last one is answered; prints the milliseconds that each took.
ASKING = """
import select, socket, struct, sys, time
server, name, clients, questions = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
question = b"".join(bytes([len(one)]) + one.encode() for one in name.split(".")) + b"\\0" + struct.pack("!HH", 1, 1)
lines, poll, asked, took = {}, select.epoll(), {}, []
for number in range(clients):
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    one.connect((server, 53))
    lines[one.fileno()] = one
    poll.register(one, select.EPOLLIN)
def ask(fd):
    asked[fd] = time.perf_counter()
    lines[fd].send(struct.pack("!HHHHHH", fd, 0x100, 1, 0, 0, 0) + question)
for fd in lines:
    ask(fd)
while len(took) < questions:
    for fd, _ in poll.poll(5) or sys.exit("no answer"):
        answer = lines[fd].recv(4096)
        took.append((time.perf_counter() - asked[fd]) * 1e3)
        assert answer[3] & 15 == 0 and answer[7], answer
        ask(fd)
print(*took[clients:])
"""


def networks(rounds: int, many: int = MANY, seconds: float = SECONDS, questions: int = QUESTIONS) -> list[Row]:
    """All rows of this module."""
    host, neighbour = Place("host"), Place("neighbour")
    cable(host, "lan", neighbour, "eth0", [f"{NEIGHBOUR}/24"], f"default via {HOST}")
    host.ip(f"addr add {HOST}/24 dev lan")
    try:
        with host, a_store(), podmans_mount(), peers.dockerd(network=True) as docker, three_networks(docker):
            found = [*joining(docker, rounds), *running(docker, rounds), *crowded(many)]
            with pairs(docker) as inside:
                return [*found, *throughput(inside, neighbour, rounds, seconds), *names(inside, questions)]
    finally:
        host.close()
        neighbour.close()


def podman(*words: str) -> str:
    """With its newer networks: where it was first called without netavark, it stays with its older ones."""
    return said([*peers.PODMAN, "--network-backend", "netavark", *words])


@contextmanager
def podmans_mount() -> Iterator[None]:
    """Podman mounts the folder of named namespaces on itself, as ``ip netns`` does, and leaves that behind: here it is taken away again.

    The kernel refuses (EBUSY) where somebody else has put a namespace there meanwhile: then it is his.
    """
    there = is_mounted(NAMED)
    try:
        yield
    finally:
        if not there and is_mounted(NAMED):
            with suppress(OSError):
                linux.umount(NAMED)


def is_mounted(folder: str) -> bool:
    """``os.path.ismount`` does not see a folder that is mounted on itself."""
    return any(row["target"] == folder for row in mountinfo())


@contextmanager
def three_networks(docker: peers.Docker) -> Iterator[None]:
    """One of each engine's, called the same."""
    docker.import_folder(bases.busybox(), THEIRS)
    docker.call("network", "create", SHOP)
    podman("network", "create", SHOP)
    shop = create(SHOP)
    try:
        yield
    finally:
        podman("network", "rm", "-f", SHOP)
        remove(shop)


# -- joining ------------------------------------------------------------------------------------------------------------


def joining(docker: peers.Docker, rounds: int) -> list[Row]:
    """As a library call, beside the two requests to Docker's API; whoever is on the network already stays there meanwhile."""
    kept = lib.start("busybox", SLEEP, network=on(SHOP))
    docker.call("run", "-d", "--name", "kept", "--network", SHOP, THEIRS, *SLEEP)
    times: dict[str, list[float]] = {"ours": [], "none": [], "docker": []}
    for number in range(rounds + 1):
        for name, start in (("ours", lambda: ours_on(on(SHOP))), ("none", lambda: ours_on("none")), ("docker", lambda: by_api(docker))):
            took, gone = start()
            gone()
            time.sleep(SETTLES)  # else whoever comes next pays for it
            times[name] += [took] * bool(number)
    kept.remove()
    docker.call("rm", "-f", "kept")
    added = [mine - none for mine, none in zip(times["ours"], times.pop("none"), strict=True)]
    found = rows("start with a bridge network, as a call", {"ours": times["ours"], "docker, create and start": times["docker"]},
                 {"docker, create and start": 0.1})  # fmt: skip
    return [*found, Row("added to a start by its network", "04", statistics.median(added), "ms", spread(added), reach=8)]


def ours_on(network) -> tuple[float, Callable]:
    begin = time.perf_counter()
    one = lib.start("busybox", SLEEP, network=network)
    return (time.perf_counter() - begin) * 1e3, one.remove


def by_api(docker: peers.Docker) -> tuple[float, Callable]:
    begin = time.perf_counter()
    ident = api(docker, "/containers/create", {"Image": THEIRS, "Cmd": SLEEP, "HostConfig": {"NetworkMode": SHOP}})["Id"]
    api(docker, f"/containers/{ident}/start", {})
    return (time.perf_counter() - begin) * 1e3, lambda: docker.call("rm", "-f", ident)


def api(docker: peers.Docker, path: str, body: dict) -> dict:
    line = http.client.HTTPConnection("docker")
    line.sock = socket.socket(socket.AF_UNIX)
    line.sock.connect(docker.socket.removeprefix("unix://"))
    try:
        line.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        answer = line.getresponse()
        text = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{path}: {text.decode()}")
        return json.loads(text or "{}")
    finally:
        line.close()


def running(docker: peers.Docker, rounds: int) -> list[Row]:
    works = {
        "ours": lambda: ours("run", "--rm", "--network", SHOP, IMAGE, "true"),
        "docker run": lambda: docker.call("run", "--rm", "--network", SHOP, THEIRS, "true"),
        "podman run": lambda: podman("run", "--rm", "--network", SHOP, *ROOTFS, "true"),
    }
    return rows("suitcase run --rm with its network", interleaved(works, rounds, SETTLES), {"docker run": 0.4, "podman run": 0.4})


def crowded(many: int) -> list[Row]:
    """The last ones on one network beside the first."""
    some, there, times = max(1, many // 10), [], []
    try:
        for _ in range(many):
            times.append(timed(lambda: there.append(lib.start("busybox", SLEEP, network=on(SHOP)))))
    finally:
        for one in there:
            one.remove()
    last, first = times[-some:], times[1 : some + 1]
    name = f"start of the last {some} of {many} on one network"
    return [Row(name, "04", statistics.median(last), "ms", spread([*last, *last]), statistics.median(first), f"the first {some}", 1.2)]


# -- what goes through it -----------------------------------------------------------------------------------------------


@contextmanager
def pairs(docker: peers.Docker) -> Iterator[dict[str, list[tuple[int, str]]]]:
    """Two containers of each engine: of each the process, and the address."""
    commands = {"ours": (ours, (IMAGE,)), "docker": (docker.call, (THEIRS,)), "podman": (podman, ROOTFS)}
    try:
        found: dict[str, list[tuple[int, str]]] = {}
        for engine, (call, image) in commands.items():
            ports = ["-p", f"{PORT[engine]}:5201"] if engine in PORT else []
            call("run", "-d", "--name", "bench-server", "--network", SHOP, *ports, *image, *SLEEP)
            call("run", "-d", "--name", "bench-client", "--network", SHOP, *image, *SLEEP)
            told = [json.loads(call("inspect", f"bench-{one}"))[0] for one in ("server", "client")]
            found[engine] = [(one["State"]["Pid"], one["NetworkSettings"]["Networks"][SHOP]["IPAddress"]) for one in told]
        yield found
    finally:
        for call, _ in commands.values():
            call("rm", "-f", "bench-server", "bench-client")


def within(pid: int, *argv: str) -> list[str]:
    return ["nsenter", "-t", str(pid), "-n", *argv]


def throughput(inside: dict, neighbour: Place, rounds: int, seconds: float) -> list[Row]:
    """In turn; a ratio of times for the same bytes, as every row is the better the smaller it is."""
    servers = [subprocess.Popen(within(inside[one][0][0], "iperf3", "-s"), stdout=subprocess.DEVNULL) for one in PORT]
    try:
        between = {one: [] for one in PORT}
        through = {one: [] for one in PORT}
        for _ in range(max(2, rounds // 4)):
            for one in PORT:
                (_, address), (client, _) = inside[one]
                between[one].append(per_gibibyte(lambda client=client, address=address: said(within(client, *iperf(address, seconds)))))
                through[one].append(per_gibibyte(lambda one=one: neighbour.run(*iperf(HOST, seconds, PORT[one]))))
    finally:
        for one in servers:
            one.kill()
            one.wait()
    return [
        *rows("a GiB from container to container", {"ours": between["ours"], "docker": between["docker"]}, {"docker": 1 / 0.95}),
        *rows("a GiB in through a published port", {"ours": through["ours"], "docker": through["docker"]}, {"docker": 1 / 0.95}),
    ]


def iperf(address: str, seconds: float, port: int = 5201) -> list[str]:
    return ["iperf3", "-J", "-c", address, "-p", str(port), "-t", str(seconds)]


def per_gibibyte(transfer: Callable[[], str], tries: int = 50) -> float:
    """Milliseconds. The server may not have come up yet, or not be done with the last one."""
    while "error" in (told := json.loads(transfer())):
        tries -= 1
        if not tries:
            raise RuntimeError(f"iperf3: {told['error']}")
        time.sleep(0.1)
    return 8e3 * (1 << 30) / told["end"]["sum_received"]["bits_per_second"]


def names(inside: dict, questions: int) -> list[Row]:
    """A name of a neighbour's, asked for by many clients at a time."""
    found = {}
    for one, ((_, address), (client, _)) in inside.items():
        server = address.rpartition(".")[0] + ".1" if one == "podman" else "127.0.0.11"
        name = "bench-server.dns.podman" if one == "podman" else "bench-server"
        told = said(within(client, sys.executable, "-c", ASKING, server, name, str(CLIENTS), str(questions)))
        took = sorted(map(float, re.findall(r"\S+", told)))
        found[one] = {"half": took[len(took) // 2], "99 of 100": took[len(took) * 99 // 100]}
    return [
        Row(f"names, {CLIENTS} clients: {share} are answered in", "04", found["ours"][share], "ms", 0, found[peer][share], peer, 1.5)
        for share in ("half", "99 of 100") for peer in ("docker", "podman")
    ]  # fmt: skip
