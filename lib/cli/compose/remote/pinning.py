"""Names of images that can mean nothing else to-morrow: each with the digest that its registry has for it now."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache

from lib.compose.model import Mount, Project, Service


def pinned(project: Project, insecure: Collection[str] = ()) -> Project:
    """The project with a digest behind each name of an image: of its services, their hooks and their mounts. Raises ``ValueError``.

    It is that of all platforms together, where there are several: what is pinned can still be run anywhere.
    """
    to = cache(lambda name: with_digest(name, insecure))
    return project.model_copy(update={"services": {name: of_service(one, to) for name, one in project.services.items()}})


def of_service(one: Service, to) -> Service:
    hooks = [hook.model_copy(update={"image": to(hook.image)}) if hook.image else hook for hook in one.pre_start]
    mounts = [mount.model_copy(update={"source": to(mount.source)}) if is_image(mount) else mount for mount in one.volumes]
    return one.model_copy(update={"image": to(one.image) if one.image else "", "pre_start": hooks, "volumes": mounts})


def is_image(mount: Mount) -> bool:
    return mount.type == "image" and bool(mount.source)


def with_digest(name: str, insecure: Collection[str]) -> str:
    from lib.images import references
    from lib.registry import Registry, RegistryError
    from lib.registry.pulling import ACCEPT
    from lib.registry.repository import Repository

    reference = references.parse(name)
    if reference.digest:
        return str(reference)
    reference = reference._replace(tag=reference.tag or "latest")
    repository = Repository(Registry(reference.registry, reference.registry in insecure), reference.repository)
    try:
        digest = repository.head(reference.tag, ACCEPT)[1] or repository.manifest(reference.tag, ACCEPT)[2]
    except RegistryError as error:
        raise ValueError(f"failed to resolve digest for {name}: {error}") from None
    return str(reference._replace(digest=digest))


def locked(project: Project) -> Project:
    """Nothing but the images: a file to be laid over the one that it was made from."""
    services = {
        name: Service(name=name, image=one.image, volumes=[mount for mount in one.volumes if is_image(mount)])
        for name, one in project.services.items()
    }
    return Project(name="", services=services)
