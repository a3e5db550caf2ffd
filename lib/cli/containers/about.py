"""``version info``: which program this is, and on what machine. There is no server: the engine runs in the command itself."""

from __future__ import annotations

import os
import platform

import click

from lib import processor, sizes
from lib.cli.errors import VERSION, errors
from lib.cli.listing import templates
from lib.cli.streams import tell


def shown(document: dict, template: str | None, text: str) -> str:
    if template in (None, ""):
        return text
    return templates.rendered("{{json .}}" if template == "json" else template, document)


@click.command()
@click.option("-f", "--format", "template", help="Format output: 'json', or a template as {{.Client.Version}}.")
def version(template: str | None) -> None:
    """Show the version information."""
    found = versions()
    blocks = "\n\n".join(
        f"{name}:\n" + "\n".join(f" {key + ':':<18} {value}" for key, value in block.items()) for name, block in found.items()
    )
    with errors():
        tell(shown(found, template, blocks))


def versions() -> dict:
    client = {"Version": VERSION, "PythonVersion": platform.python_version(), "Os": "linux", "Arch": processor.architecture()}
    return {"Client": client, "Engine": {"Version": VERSION, "KernelVersion": platform.release(), "CgroupVersion": cgroup_version()}}


def cgroup_version() -> str:
    """Empty where no cgroups are mounted."""
    from lib.ingredients import cgroups

    try:
        return str(cgroups.backend().version)
    except RuntimeError:
        return ""


@click.command()
@click.option("-f", "--format", "template", help="Format output: 'json', or a template as {{.Containers}}.")
def info(template: str | None) -> None:
    """Display system-wide information."""
    with errors():
        found = machine()
        tell(shown(found, template, "\n".join(in_words(found))))


def machine() -> dict:
    """In the words of Docker's API."""
    from lib.images.store import Store
    from lib.state import store

    return {
        **counted(),
        "Images": len({one["digest"] for one in Store().index()}),
        "ServerVersion": VERSION,
        "Driver": "overlay",
        "LoggingDriver": "json-file",
        "CgroupDriver": "cgroupfs",
        "CgroupVersion": cgroup_version(),
        "KernelVersion": platform.release(),
        "OperatingSystem": operating_system(),
        "OSType": "linux",
        "Architecture": platform.machine(),
        "NCPU": len(os.sched_getaffinity(0)),
        "MemTotal": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "Name": platform.node(),
        "DockerRootDir": str(store()),
        "ClientInfo": versions()["Client"],
    }


def counted() -> dict[str, int]:
    """What neither runs nor is paused counts as stopped, though it never ran."""
    from lib.engine import finding
    from lib.state import kept

    states = [finding.now(facts)["state"]["status"] for facts in kept.every()]
    running, paused = states.count("running"), states.count("paused")
    stopped = len(states) - running - paused
    return {"Containers": len(states), "ContainersRunning": running, "ContainersPaused": paused, "ContainersStopped": stopped}


def operating_system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return "Linux"


WORDS = {
    "ContainersRunning": "  Running", "ContainersPaused": "  Paused", "ContainersStopped": "  Stopped", "ServerVersion": " Server Version",
    "Driver": " Storage Driver", "LoggingDriver": " Logging Driver", "CgroupDriver": " Cgroup Driver", "CgroupVersion": " Cgroup Version",
    "KernelVersion": " Kernel Version", "OperatingSystem": " Operating System", "NCPU": " CPUs", "MemTotal": " Total Memory",
    "DockerRootDir": " Root Dir",
}  # fmt: skip


def in_words(found: dict) -> list[str]:
    engine = found | {"MemTotal": sizes.binary(found["MemTotal"])}
    client = engine.pop("ClientInfo")
    lines = [f"{WORDS.get(key, ' ' + key)}: {value}" for key, value in engine.items() if value != ""]
    return ["Client:", f" Version: {client['Version']}", "", "Engine:", *lines]
