"""What a service has mounted, and the files that it is given (secrets, configs), as the facts of a container have them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from lib.compose.model import FileGrant, FileSource, Mount, Project, Service
from lib.engine.volumes import wished
from lib.regularfile import open_regular

SECRETS = "/run/secrets"
LONGEST = 1 << 20  # bytes of a secret or a config that is copied
NOBODY = (1 << 32) - 1  # no user's number: it means that the owner stays who he is. See chown(2)
MODES = 0o7777


def is_short(one: Mount) -> bool:
    """Can it be said with ``-v``? A place with a colon cannot, and what has more to say about itself."""
    if one.type not in ("bind", "volume") or ":" in one.source + one.target or not one.source:
        return False
    more = one.volume if one.type == "volume" else one.bind
    if more is None:
        return one.type == "volume"
    return not (more.labels or more.subpath) if one.type == "volume" else more.create_host_path and not more.recursive


def word(project: Project, one: Mount) -> str:
    """``-v``'s: ``source:target[:options]``."""
    more = [one.bind.propagation, one.bind.selinux] if one.bind else ["nocopy" if one.volume and one.volume.nocopy else ""]
    mode = ",".join(filter(None, ["ro" if one.read_only else "", *more]))
    return f"{named(project, one)}:{one.target}" + (f":{mode}" if mode else "")


def named(project: Project, one: Mount) -> str:
    """The source: of a volume the name that the engine has for it."""
    return project.volumes[one.source].name if one.type == "volume" and one.source in project.volumes else one.source


def binds(project: Project, service: Service) -> list[str]:
    return [word(project, one) for one in service.volumes if is_short(one)]


def without_a_name(service: Service) -> list[str]:
    return [one.target for one in service.volumes if is_anonymous(one)]


def is_anonymous(one: Mount) -> bool:
    return one.type == "volume" and not one.source and not one.volume and not one.read_only


def asked(project: Project, service: Service, inherits: Mapping[str, str], other: Callable[[str], dict]) -> dict:
    """See ``engine.volumes.asked``. Raises ``ValueError``."""
    own = {one.target for one in service.volumes if one.source or one.type != "volume"}
    kept = {target: name for target, name in inherits.items() if target not in own}
    rest = [one for one in service.volumes if not (is_short(one) or is_anonymous(one) or one.target in kept)]
    long = [wish(project, one) for one in rest] + bound(project, service)
    for one in long:
        wished.check(one)
    sealed = {one.target for one in service.volumes if one.read_only}
    taken_over = [
        wished.as_kept({"type": "volume", "source": name, "target": target, "ro": target in sealed}) | {"anonymous": True}
        for target, name in kept.items()
    ]  # fmt: skip
    found = {"mounts": [*map(wished.as_kept, long), *taken_over], "volumes_from": lent(service, other)}
    return found if any(found.values()) else {}


def lent(service: Service, other: Callable[[str], dict]) -> list[str]:
    """``volumes_from``, with containers' names and ids."""
    found = []
    for text in service.volumes_from:
        if text.startswith("container:"):
            found.append(text.partition(":")[2])
        else:
            name, colon, mode = text.partition(":")
            found.append(other(name)["id"] + colon + mode)
    return found


def wish(project: Project, one: Mount) -> dict:
    """See ``engine.volumes.wished``."""
    found = {"type": one.type, "source": named(project, one), "target": one.target, "ro": one.read_only}
    if one.bind:
        found |= {"propagation": one.bind.propagation, "recursion": one.bind.recursive, "create": one.bind.create_host_path}
    if one.volume:
        found |= {"nocopy": one.volume.nocopy, "labels": one.volume.labels, "volume_subpath": one.volume.subpath}
    if one.tmpfs:
        found |= {"size": one.tmpfs.size, "permissions": one.tmpfs.mode}
    if one.image:
        found |= {"image_subpath": one.image.subpath}
    return {name: value for name, value in found.items() if value or name in ("source", "ro")}


# -- secrets and configs ------------------------------------------------------------------------------------------------


def grants(project: Project, service: Service) -> Iterator[tuple[FileGrant, FileSource, str]]:
    """Each with where its content comes from, and its place in the container. Raises ``ValueError``."""
    for kind, those, sources, folder in (
        ("secret", service.secrets, project.secrets, f"{SECRETS}/"), ("config", service.configs, project.configs, "/"),
    ):  # fmt: skip
        for one in those:
            source = sources.get(one.source)
            if source is None:
                raise ValueError(f"service {service.name} wants the {kind} {one.source}, which the file's {kind}s do not name")
            if source.external:
                raise ValueError(f"{kind} {one.source} is external: only a swarm keeps such ones, and there is none here")
            target = one.target or one.source
            yield one, source, target if target.startswith("/") else folder + target


def is_bound(one: FileGrant, source: FileSource) -> bool:
    """A file of this machine that is to belong to nobody else is mounted as it is: so it may change later."""
    return bool(source.file) and not (one.uid or one.gid or one.mode is not None)


def bound(project: Project, service: Service) -> list[dict]:
    return [
        {"type": "bind", "source": source.file, "target": target, "ro": True}
        for one, source, target in grants(project, service) if is_bound(one, source)
    ]  # fmt: skip


def files(project: Project, service: Service) -> list[dict]:
    """Those that the container gets a copy of: place, content, owner and mode. Raises ``ValueError``."""
    return [
        {"target": target, "content": content(source).hex(), "uid": owner(one, "uid"), "gid": owner(one, "gid"),
         "mode": 0o444 if one.mode is None else one.mode & MODES}
        for one, source, target in grants(project, service) if not is_bound(one, source)
    ]  # fmt: skip


def owner(one: FileGrant, key: str) -> int:
    """Raises ``ValueError``."""
    given = getattr(one, key) or "0"
    if not (given.isascii() and given.isdigit() and int(given[:20]) < NOBODY):
        raise ValueError(
            f"{key} of {one.source} must be a number, not {given[:40]!r}: whoever copies the file knows no names of the image's"
        )
    return int(given)


def content(source: FileSource) -> bytes:
    if source.file:
        with open_regular(source.file) as file:
            found = file.read(LONGEST + 1)
    elif source.environment and not source.content:
        raise ValueError(f"environment variable {source.environment!r} is to be a secret or a config, and is not set, or empty")
    else:
        found = source.content.encode()
    if len(found) > LONGEST:
        raise ValueError(f"a secret or a config may have {LONGEST >> 20} MiB at most")
    return found
