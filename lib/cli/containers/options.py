"""The options of the verbs for containers: Docker's names, defaults and words."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from functools import wraps

import click

from lib import sizes
from lib.cli.containers.rates import BPS, IOPS, WEIGHT
from lib.cli.errors import Failed
from lib.cli.flags.kinds import SHORT, WHOLE, Kind
from lib.cli.networks.attachments import HOST, IP, NETWORK, SERVER
from lib.cli.volumes.mounting import MOUNT

option = click.option


def several(*options: Callable) -> Callable:
    """One decorator of many; ``--help`` lists them in this order."""

    def decorate(verb: Callable) -> Callable:
        for one in reversed(options):
            verb = one(verb)
        return verb

    return decorate


def switch(*names: str, on: bool = False, **how) -> Callable:
    """An option that is on or off."""
    return option(*names, type=click.BOOL, default=on, metavar="", **how)


# -- what may stand there ------------------------------------------------------------------


def cpus(text: str) -> float:
    """``1.5``, ``3/2``, ``1e-1``, as Docker takes them."""
    from fractions import Fraction

    try:
        if not re.fullmatch(r"[+-]?[\d.]{1,20}(/\d{1,20}|e[+-]?\d\d?)?", text, re.IGNORECASE):
            raise ValueError(text)
        return float(Fraction(text))
    except (ValueError, ZeroDivisionError):
        raise ValueError(f"failed to parse {text} as a rational number") from None


def swap(text: str) -> int:
    return -1 if text == "-1" else sizes.in_bytes(text)


def stream(text: str) -> str:
    if text.lower() not in ("stdin", "stdout", "stderr"):
        raise ValueError("valid streams are STDIN, STDOUT and STDERR")
    return text.lower()


def variable(text: str) -> str:
    if not text.partition("=")[0]:
        raise ValueError(f"invalid environment variable: {text}")
    return text


def label(text: str) -> str:
    name = text.partition("=")[0].lstrip(" \t")
    if not name:
        raise ValueError(f"invalid label '{text}': empty name")
    if re.search("[ \t]", name):
        raise ValueError(f"label '{name}' contains whitespaces")
    return text


def duration(text: str) -> int:
    """Nanoseconds."""
    from lib import durations

    try:
        return durations.nanoseconds(text)
    except durations.BadDuration:
        raise ValueError(f'time: invalid duration "{text}"') from None


def ulimit(text: str) -> tuple[str, int, int]:
    """``nofile=1024:2048``, ``core=0``; -1 is no limit. See getrlimit(2)."""
    name, equals, numbers = text.partition("=")
    soft, colon, hard = numbers.partition(":")
    if not equals or not all(re.fullmatch(r"-1|\d{1,19}", one) for one in (soft, hard if colon else soft)):
        raise ValueError(f"invalid ulimit argument: {text}")
    from lib.ingredients.workdir import check_ulimit

    low, high = int(soft), int(hard if colon else soft)
    check_ulimit(name, low, high)
    return name, low, high


def sysctl(text: str) -> str:
    if not all(text.partition("=")[::2]):
        raise ValueError(f"sysctl '{text}' is not allowed: name=value, as net.core.somaxconn=1024")
    return text


def rule(text: str) -> str:
    from lib.ingredients.cgroups.devices import rules_of

    rules_of(text)
    return text


DURATION = Kind("duration", duration)
SIZE, SWAP, CPUS, STREAM = Kind("bytes", sizes.in_bytes), Kind("bytes", swap), Kind("decimal", cpus), Kind("list", stream)
SYSCTL, ULIMIT, RULE = Kind("map", sysctl), Kind("ulimit", ulimit), Kind("list", rule)
VARIABLE, LABEL = Kind("list", variable), Kind("list", label)

# -- the options ---------------------------------------------------------------------------

interactive = switch("-i", "--interactive", help="Keep STDIN open even if not attached")
tty = switch("-t", "--tty", help="Allocate a pseudo-TTY")
user = option("-u", "--user", help='Username or UID (format: "<name|uid>[:<group|gid>]")')
workdir = option("-w", "--workdir", help="Working directory inside the container")
env = option("-e", "--env", multiple=True, type=VARIABLE, help="Set environment variables")
env_file = option("--env-file", multiple=True, help="Read in a file of environment variables")
detach_keys = option("--detach-keys", default="", help="Override the key sequence for detaching a container")
sig_proxy = switch("--sig-proxy", on=True, help="Proxy received signals to the process")
signal = option("-s", "--signal", default="", help="Signal to send to the container")

limits = several(
    option("--blkio-weight", type=SHORT, default=0, help="Block IO (relative weight), between 10 and 1000, or 0 to disable (default 0)"),
    option("--cpu-period", type=WHOLE, help="Limit CPU CFS (Completely Fair Scheduler) period"),
    option("--cpu-quota", type=WHOLE, help="Limit CPU CFS (Completely Fair Scheduler) quota"),
    option("-c", "--cpu-shares", type=WHOLE, help="CPU shares (relative weight)"),
    option("--cpus", type=CPUS, help="Number of CPUs"),
    option("--cpuset-cpus", default="", help="CPUs in which to allow execution (0-3, 0,1)"),
    option("--cpuset-mems", default="", help="MEMs in which to allow execution (0-3, 0,1)"),
    option("-m", "--memory", type=SIZE, help="Memory limit"),
    option("--memory-reservation", type=SIZE, help="Memory soft limit"),
    option("--memory-swap", type=SWAP, help="Swap limit equal to memory plus swap: '-1' to enable unlimited swap"),
    option("--pids-limit", type=WHOLE, help="Tune container pids limit (set -1 for unlimited)"),
)

creating = several(
    option("--add-host", "hosts", multiple=True, type=HOST, help="Add a custom host-to-IP mapping (host:ip)"),
    option("--annotation", multiple=True, type=LABEL, help="Add an annotation to the container (passed through to the OCI runtime)"),
    option("-a", "--attach", multiple=True, type=STREAM, help="Attach to STDIN, STDOUT or STDERR"),
    option("--blkio-weight-device", multiple=True, type=WEIGHT, help="Block IO weight (relative device weight)"),
    option("--cap-add", multiple=True, help="Add Linux capabilities"),
    option("--cap-drop", multiple=True, help="Drop Linux capabilities"),
    option("--cgroupns", default="", help="Cgroup namespace to use (host|private)"),
    option("--cidfile", default="", help="Write the container ID to the file"),
    option("--device", "devices", multiple=True, help="Add a host device to the container"),
    option("--device-cgroup-rule", "rules", multiple=True, type=RULE, help="Add a rule to the cgroup allowed devices list"),
    option("--device-read-bps", multiple=True, type=BPS, help="Limit read rate (bytes per second) from a device"),
    option("--device-read-iops", multiple=True, type=IOPS, help="Limit read rate (IO per second) from a device"),
    option("--device-write-bps", multiple=True, type=BPS, help="Limit write rate (bytes per second) to a device"),
    option("--device-write-iops", multiple=True, type=IOPS, help="Limit write rate (IO per second) to a device"),
    option("--dns", multiple=True, type=SERVER, help="Set custom DNS servers"),
    option("--dns-option", "--dns-opt", "dns_options", multiple=True, help="Set DNS options"),
    option("--dns-search", "search", multiple=True, help="Set custom DNS search domains"),
    option("--domainname", default="", help="Container NIS domain name"),
    option("--entrypoint", help="Overwrite the default ENTRYPOINT of the image"),
    env,
    env_file,
    option("--expose", multiple=True, help="Expose a port or a range of ports"),
    option("--group-add", "groups", multiple=True, help="Add additional groups to join"),
    option("--health-cmd", default="", help="Command to run to check health"),
    option("--health-interval", type=DURATION, default=0, help="Time between running the check (ms|s|m|h) (default 0s)"),
    option("--health-retries", type=WHOLE, default=0, help="Consecutive failures needed to report unhealthy"),
    option(
        "--health-start-interval",
        type=DURATION,
        default=0,
        help="Time between running the check during the start period (ms|s|m|h) (default 0s)",
    ),
    option(
        "--health-start-period",
        type=DURATION,
        default=0,
        help="Start period for the container to initialize before starting health-retries countdown (ms|s|m|h) (default 0s)",
    ),
    option("--health-timeout", type=DURATION, default=0, help="Maximum time to allow one check to run (ms|s|m|h) (default 0s)"),
    option("-h", "--hostname", default="", help="Container host name"),
    switch("--init", help="Run an init inside the container that forwards signals and reaps processes"),
    interactive,
    option("--ip", type=IP, help="IPv4 address (e.g., 172.30.100.104)"),
    option("--ip6", type=IP, help="IPv6 address (e.g., 2001:db8::33)"),
    option("--ipc", default="", help="IPC mode to use"),
    option("-l", "--label", multiple=True, type=LABEL, help="Set meta data on a container"),
    option("--label-file", multiple=True, help="Read in a line delimited file of labels"),
    option("--log-driver", default="", help="Logging driver for the container"),
    option("--log-opt", multiple=True, help="Log driver options"),
    option("--mac-address", default="", help="Container MAC address (e.g., 92:d0:c6:0a:29:33)"),
    limits,
    option("--memory-swappiness", type=WHOLE, default=-1, help="Tune container memory swappiness (0 to 100) (default -1)"),
    option("--mount", "mounts", multiple=True, type=MOUNT, help="Attach a filesystem mount to the container"),
    option("--name", default="", help="Assign a name to the container"),
    option("--network", "--net", "networks", multiple=True, type=NETWORK, help="Connect a container to a network"),
    option("--network-alias", "--net-alias", "aliases", multiple=True, help="Add network-scoped alias for the container"),
    switch("--no-healthcheck", help="Disable any container-specified HEALTHCHECK"),
    switch("--oom-kill-disable", help="Disable OOM Killer"),
    option("--oom-score-adj", type=WHOLE, help="Tune host's OOM preferences (-1000 to 1000)"),
    option("--pid", "pid_mode", default="", help="PID namespace to use"),
    option("--platform", default=lambda: os.environ.get("DOCKER_DEFAULT_PLATFORM", ""), help="Set platform, for example linux/arm64"),
    switch("--privileged", help="Give extended privileges to this container"),
    option("--pull", default="missing", help='Pull image before it is used ("always", "missing", "never")'),
    option("-p", "--publish", multiple=True, help="Publish a container's port(s) to the host"),
    switch("-P", "--publish-all", help="Publish all exposed ports to random ports"),
    switch("-q", "--quiet", help="Suppress the pull output"),
    switch("--read-only", help="Mount the container's root filesystem as read only"),
    option("--restart", default="no", help="Restart policy to apply when a container exits"),
    switch("--rm", help="Automatically remove the container and its associated anonymous volumes when it exits"),
    option("--security-opt", multiple=True, help="Security Options"),
    option("--shm-size", type=SIZE, help="Size of /dev/shm"),
    option("--stop-signal", default="", help="Signal to stop the container"),
    option("--stop-timeout", type=WHOLE, help="Timeout (in seconds) to stop a container"),
    option("--sysctl", "sysctls", multiple=True, type=SYSCTL, help="Sysctl options"),
    option("--tmpfs", multiple=True, help="Mount a tmpfs directory"),
    tty,
    option("--ulimit", "ulimits", multiple=True, type=ULIMIT, help="Ulimit options"),
    user,
    option("--uts", default="", help="UTS namespace to use"),
    option("-v", "--volume", "volumes", multiple=True, help="Bind mount a volume"),
    option("--volumes-from", multiple=True, help="Mount volumes from the specified container(s)"),
    workdir,
)
running = several(switch("-d", "--detach", help="Run container in background and print container ID"), detach_keys, sig_proxy)
executing = several(
    switch("-d", "--detach", help="Detached mode: run command in the background"),
    detach_keys,
    env,
    env_file,
    interactive,
    switch("--privileged", help="Give extended privileges to the command"),
    tty,
    user,
    workdir,
)
starting = several(
    switch("-a", "--attach", help="Attach STDOUT/STDERR and forward signals"),
    detach_keys,
    switch("-i", "--interactive", help="Attach container's STDIN"),
)
attaching = several(detach_keys, switch("--no-stdin", help="Do not attach STDIN"), sig_proxy)
killing = signal
removing = several(
    switch("-f", "--force", help="Force the removal of a running container (uses SIGKILL)"),
    switch("-v", "--volumes", help="Remove anonymous volumes associated with the container"),
)


def stopping(verb: Callable) -> Callable:
    """The options of ``stop`` and ``restart``; the verb gets ``signal`` and ``timeout`` (None if nothing was said)."""

    @several(
        signal,
        option("-t", "--timeout", type=WHOLE, help="Seconds to wait before killing the container"),
        option("--time", type=WHOLE, hidden=True),
    )
    @wraps(verb)
    def called(*words, timeout: int | None, time: int | None, **values):
        if time is not None:
            click.echo("Flag --time has been deprecated, use --timeout instead", err=True)
        if None not in (time, timeout):
            raise Failed("conflicting options: cannot specify both --timeout and --time")
        return verb(*words, timeout=time if timeout is None else timeout, **values)

    return called
