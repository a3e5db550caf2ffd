"""The same thing done by others: podman, runc and Docker, where they are on this machine.

A comparison never decides whether a chapter goes on. Where the peer is missing, or cannot work here, the cell says so
in one line; with ``SUITCASE_PEERS=required`` (the project's own tests set it) that is an error instead.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager, suppress
from pathlib import Path

from lib import bases, state
from lib.lab.vm import hypervisor
from lib.process import completed, scratch
from lib.shield import Shield

PODMAN = ["podman", "--cgroup-manager", "cgroupfs", "--runtime", "runc", "--events-backend", "none"]


class Missing(RuntimeError):
    """The peer is not here, or cannot work here."""


def ask(argv: list[str], timeout: float = 20, check: bool = False, cwd=None) -> subprocess.CompletedProcess:
    """Run a peer's command. Raises ``Missing`` if it is not installed, takes too long, or (with ``check``) fails."""
    if shutil.which(argv[0]) is None:
        raise Missing(f"{argv[0]} is not installed here")
    try:
        done = completed(argv, timeout, cwd=cwd)
    except subprocess.TimeoutExpired:
        raise Missing(f"{argv[0]} did not answer within {timeout:g} s") from None
    if check and done.returncode:
        raise Missing(f"{argv[0]} cannot do it here: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
    return done


def podman_run(command: list[str], *flags: str) -> tuple[int, str, dict]:
    """``podman run`` of the busybox base with Docker's flags: (exit code, output, its record of how it ended)."""
    with scratch("podman") as folder:
        name = os.path.basename(folder)
        limits = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096", "--network", "none", "--name", name]
        try:
            run = [*PODMAN, "run", *limits, *flags, "--rootfs", f"{bases.busybox()}:O", *command]
            done = ask(run, cwd=folder)  # after an OOM kill, conmon leaves a file in the folder that it was started in
            seen = ask([*PODMAN, "inspect", name], check=True)
            return done.returncode, done.stdout, json.loads(seen.stdout)[0]["State"]
        finally:
            if shutil.which("podman"):
                completed([*PODMAN, "rm", "-f", "-t", "0", name], timeout=60)


def runc_run(command: list[str]) -> str:
    """``runc run`` of the busybox base with the configuration that ``runc spec`` writes: its output."""
    with scratch("runc") as bundle:
        ask(["runc", "spec", "--bundle", bundle], check=True)
        path = Path(bundle, "config.json")
        config = json.loads(path.read_text())
        config["process"] |= {"terminal": False, "args": command, "rlimits": []}
        config["root"] = {"path": bases.busybox(), "readonly": True}
        path.write_text(json.dumps(config))
        return ask(["runc", "run", "--bundle", bundle, Path(bundle).name], check=True).stdout


def compare(run_peer):
    """Call ``run_peer``; a missing peer is one printed line and None, unless peers are required."""
    try:
        return run_peer()
    except Missing as reason:
        if os.environ.get("SUITCASE_PEERS") == "required":
            raise
        print(f"no comparison: {reason}")
        return None


# -- a Docker of our own -----------------------------------------------------------------------


class Docker:
    """A Docker daemon that only we talk to."""

    def __init__(self, socket: str):
        self.socket = socket

    def call(self, *words: str, stdin=subprocess.DEVNULL) -> str:
        """``docker WORDS``; raises ``Missing`` with its last line when it fails."""
        done = completed(["docker", "-H", self.socket, *words], timeout=120, stdin=stdin)
        if done.returncode:
            raise Missing(f"docker {words[0]}: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
        return done.stdout.strip()

    def import_folder(self, folder: str, name: str) -> None:
        """Make an image of a root file system."""
        with subprocess.Popen(["tar", "-C", folder, "-c", "."], stdout=subprocess.PIPE) as tar:
            self.call("import", "-", name, stdin=tar.stdout)


NO_NETWORK = ("--bridge=none", "--iptables=false", "--ip6tables=false")
# A daemon takes the machine's containerd, where one runs; but that one does not see the mounts of a daemon in a namespace of its own.
ITS_OWN = '[ ! -d /run/containerd ] || mount -t tmpfs tmpfs /run/containerd && exec "$0" "$@"'


@contextmanager
def dockerd(timeout: float = 60, network: bool = False):
    """Start a Docker daemon by hand, with everything of its own (data, sockets, cgroups); end it and remove it all.

    With ``network`` it has its bridge and rules, in our network namespace. Raises ``Missing`` if it is not there, or does not come up.
    """
    must_be_here("dockerd", "docker")
    parent = f"suitcase-docker-{os.getpid()}"
    disk = state.folder("bases").parent  # its overlays need a real file system
    try:
        with scratch("docker", disk) as data, scratch("docker") as place:  # a socket's path has 107 bytes at most, see unix(7)
            socket = f"unix://{place}/docker.sock"
            command = ["unshare", "-m", "sh", "-c", ITS_OWN, "dockerd"]
            command += ["--data-root", data, "--exec-root", f"{place}/exec", "-p", f"{place}/pid"]
            command += ["-H", socket, "--storage-driver=overlay2", *(() if network else NO_NETWORK)]
            command += [f"--cgroup-parent=/{parent}", "--exec-opt", "native.cgroupdriver=cgroupfs"]
            docker = Docker(socket)
            with open(f"{place}/log", "w") as log, Shield() as shield:  # an interrupt must not come between the start and the `try`
                daemon = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
                try:
                    with shield.opened():
                        wait_for(docker, daemon, place, timeout)
                        yield docker
                finally:
                    with suppress(Missing):  # if it never came up, it has none
                        if names := docker.call("ps", "-aq").split():
                            docker.call("rm", "-f", *names)
                    daemon.terminate()
                    with suppress(subprocess.TimeoutExpired):
                        daemon.wait(timeout=30)
                    with suppress(ProcessLookupError):
                        os.killpg(daemon.pid, signal.SIGKILL)
                    daemon.wait()
    finally:
        remove_cgroups(parent)


def must_be_here(*programs: str) -> None:
    """Raises ``Missing``."""
    for program in programs:
        if shutil.which(program) is None:
            raise Missing(f"{program} is not installed here")
    if hypervisor.emulated():
        raise Missing("to come up, dockerd would take minutes here, where the processor is emulated")


def wait_for(docker: Docker, daemon: subprocess.Popen, place: str, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while True:
        try:
            docker.call("version")
            return
        except Missing:
            if daemon.poll() is not None or time.monotonic() > deadline:
                last = Path(place, "log").read_text().strip().splitlines()[-1:]
                raise Missing(f"dockerd does not come up: {''.join(last)}") from None
            time.sleep(0.1)


def remove_cgroups(name: str) -> None:
    """What dockerd leaves in the cgroup trees."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        top, kind = line.split()[1:3]
        if kind.startswith("cgroup"):
            state.rmdir(f"{top}/{name}")
