"""Values of the right form that mean nothing all the same: found before anything is made, and by the key that says them.

``config`` prints such a file, as Compose does, whose daemon finds them one after the other when it makes the containers. Here a project is
not left half made for that. What hangs on the image (a user by name, say) is known only when that is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from lib.compose.model import Attachment, Project, Service
from lib.compose.reading.nodes import Path, dotted
from lib.compose.services import connections, mounts, translation
from lib.compose.services.translation import Wanted
from lib.engine.health.asked import laid_over
from lib.engine.networks.exposed import exposed
from lib.engine.networks.published import interface, mac
from lib.engine.volumes import wished
from lib.ingredients.cgroups import rare, rules_of
from lib.ingredients.workdir import absolute, check_ulimit
from lib.volumes import parsed

Check = tuple[Path, Callable[[], object]]
NAMESPACES = ("cgroup", "ipc", "pid", "userns_mode", "uts")
BELOW = {"cpus": "limits", "memory": "limits", "pids_limit": "limits", "memory_reservation": "reservations"}  # deploy.resources


class Impossible(ValueError):
    """``path`` is that of the value in the model."""

    def __init__(self, path: Path, why: str):
        super().__init__(f"{dotted(path)}: {why}")
        self.path = path


def check(project: Project, service: Service) -> None:
    """Can a container of it be? Raises ``Impossible``."""
    for path, tried in checks(project, service):
        try:
            tried()
        except (ValueError, LookupError) as error:
            raise Impossible(("services", service.name, *path), str(error).removeprefix(f"service {service.name}: ")) from None


def checks(project: Project, service: Service) -> Iterator[Check]:
    """Each value with what raises if it means nothing."""
    yield from of_life(service)
    yield from of_networks(project, service)
    yield from of_mounts(project, service)
    for key in NAMESPACES:
        if said := getattr(service, key):
            yield (key,), partial(translation.shared, Wanted(project, Service(name=service.name, **{key: said})))
    for name, one in service.ulimits.items():
        yield ("ulimits", name), partial(check_ulimit, name, one.soft, one.hard)
    yield from of_resources(service)
    yield from of_options(project, service)


def of_resources(service: Service) -> Iterator[Check]:
    """What of them is told, and left out, where a kernel does not have it: that does not make a wrong value right."""
    if service.mem_swappiness is not None:
        yield ("mem_swappiness",), partial(rare.check_swappiness, service.mem_swappiness)
    for number, text in enumerate(service.device_cgroup_rules):
        yield ("device_cgroup_rules", number), partial(rules_of, text)
    said = service.blkio_config or {}
    yield ("blkio_config", "weight"), partial(rare.check_weight, said.get("weight") or 0)
    for number, one in enumerate(said.get("weight_device") or ()):
        yield ("blkio_config", "weight_device", number), partial(rare.check_weight_of, one.get("path", ""), one.get("weight") or 0)
    for key in translation.RATES:
        for number, one in enumerate(said.get(key) or ()):
            yield ("blkio_config", key, number), partial(rare.check_rate_of, one.get("path", ""), one.get("rate") or 0)


def of_life(service: Service) -> Iterator[Check]:
    policy = ("deploy", "restart_policy") if service.deploy and service.deploy.restart_policy else ("restart",)
    yield ("stop_signal",), partial(translation.signal, service.stop_signal)
    yield policy, partial(translation.restart, service)
    yield ("logging",), partial(translation.log, service)
    yield ("healthcheck",), lambda: laid_over({}, translation.healthcheck(service))
    yield ("working_dir",), lambda: absolute(service.working_dir or "/")


def of_networks(project: Project, service: Service) -> Iterator[Check]:
    yield ("expose",), partial(exposed, tuple(service.expose))
    for number, one in enumerate(service.ports):
        yield ("ports", number), partial(connections.port, one)
    for number, address in enumerate(service.dns):
        yield ("dns", number), partial(connections.address, address)
    for name, addresses in service.extra_hosts.items():
        for address in addresses:
            yield ("extra_hosts", name), partial(connections.host, address)
    yield ("network_mode",), lambda: connections.mode(service)
    for key, words in connections.refused_by_mode(service):
        yield (key,), partial(fail, words)
    for path, one in [((), service), *((("networks", name), one or Attachment()) for name, one in service.networks.items())]:
        for key, right in (("mac_address", mac), ("ipv4_address", connections.address), ("ipv6_address", connections.address)):
            if said := getattr(one, key, ""):
                yield (*path, key), partial(right, said)
    for name, one in service.networks.items():
        if one and (said := connections.attachment(name, one)["interface"]):
            yield ("networks", name, "interface_name" if one.interface_name else "driver_opts"), partial(interface, said)
        for key in ("ipv4_address", "ipv6_address"):
            if one and (said := getattr(one, key)):
                yield ("networks", name, key), partial(connections.holds, project, name, said)


def fail(words: str) -> None:
    raise ValueError(words)


def of_user(service: Service, name: str) -> Path:
    """The key that names a user or a group that an image does not have; empty if it is the image itself."""
    key = "user" if name in service.user.split(":") else "group_add" if name in service.group_add else ""
    return ("services", service.name, key) if key else ()


def of_mounts(project: Project, service: Service) -> Iterator[Check]:
    for number, one in enumerate(service.volumes):
        if mounts.is_short(one):
            yield ("volumes", number), partial(parsed, mounts.word(project, one))
        else:
            yield ("volumes", number), partial(wished.check, mounts.wish(project, one))


def of_options(project: Project, service: Service) -> Iterator[Check]:
    """What ``Container`` would refuse: all of it together, and then by the key that it refuses by itself."""
    from lib.container import Container
    from lib.engine.making import without_others

    options = without_others({"options": translation.options(Wanted(project, service))})
    options.pop("volumes", None)  # those have names here; see ``of_mounts``
    network = "host" if service.network_mode == "host" else "none"
    made = partial(Container, [], ["true"], network=network)
    try:
        made(**options)
    except ValueError:
        for name, value in options.items():
            yield said_by(service, name), partial(made, **{name: value})
        yield (), partial(made, **options)


def said_by(service: Service, name: str) -> Path:
    """The key that an option comes from."""
    key = translation.LIMITS.get(name, name)
    resources = service.deploy.resources if service.deploy else None
    below = BELOW.get(name, "")
    if below and resources and getattr(resources, below) and not getattr(service, key):
        return ("deploy", "resources", below, key.removeprefix("mem_").removesuffix("_limit") if key != "mem_limit" else "memory")
    return (key,)
