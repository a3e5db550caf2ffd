"""What a project builds, as a file for ``docker buildx bake``: ``build --print``. Nothing is built.

See https://docs.docker.com/build/bake/reference/
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

from lib.compose.model import Build, Project, Service
from lib.compose.services import dependencies, naming


@dataclass(frozen=True)
class Said:
    """What the command line says over the file."""

    args: Mapping[str, str] = field(default_factory=dict)
    ssh: Mapping[str, str] = field(default_factory=dict)
    pull: bool = False
    no_cache: bool = False
    push: bool = False
    check: bool = False


def file(project: Project, services: Collection[str], said: Said) -> dict:
    """The group ``default`` has the ``services`` and whose images theirs are built from; what else they need is a target, too."""
    there = {name: one for name in reached(project, services) if (one := project.services[name]).build}
    names = targets(project.services)
    found = {names[name]: target(project, one, names, said) for name, one in sorted(there.items())}
    named = {*services, *reached(project, services, naming.bases)} & there.keys()
    return {"group": {"default": {"targets": [names[name] for name in sorted(named)]}}, "target": found}


def needs(service: Service) -> list[str]:
    return [*dependencies.of(service), *naming.bases(service)]


def reached(project: Project, services: Iterable[str], following: Callable[[Service], list[str]] = needs) -> list[str]:
    found = list(services)
    for name in found:
        found += [other for other in following(project.services[name]) if other in project.services and other not in found]
    return found


def targets(services: Iterable[str]) -> dict[str, str]:
    """A dot means something to bake, so a target has an underscore there; of two that would be called alike the later has one more."""
    found: dict[str, str] = {}
    for name in sorted(services):
        word = name.replace(".", "_")
        while word in found.values():
            word += "_"
        found[name] = word
    return found


def target(project: Project, service: Service, names: Mapping[str, str], said: Said) -> dict:
    build = service.build
    own = {"project": project.name, "service": service.name, "version": naming.VERSION}
    found = {
        "context": build.context,
        "contexts": {name: context(where, names) for name, where in sorted(build.additional_contexts.items())},
        "dockerfile": dockerfile(build),
        "dockerfile-inline": escaped(build.dockerfile_inline),
        "args": {name: escaped(value) for name, value in sorted((build.args | dict(said.args)).items()) if value is not None},
        "labels": dict(sorted((build.labels | {f"{naming.LABEL}.{name}": value for name, value in own.items()}).items())),
        "tags": [*build.tags, naming.image(project, service)],
        "cache-from": build.cache_from,
        "cache-to": build.cache_to,
        "target": build.target,
        "secret": secrets(project, build),
        "ssh": [f"{name}={where}" for name, where in (build.ssh | dict(said.ssh)).items()],
        "platforms": build.platforms or [service.platform] * bool(service.platform),
        "pull": build.pull or said.pull,
        "no-cache": build.no_cache or said.no_cache,
        "network": build.network,
        "no-cache-filter": build.no_cache_filter,
        "shm-size": str(build.shm_size or ""),
        "ulimits": [f"{name}={one.soft}" if one.single else f"{name}={one.soft}:{one.hard}" for name, one in build.ulimits.items()],
        "call": "lint" if said.check else "",
        "entitlements": [*build.entitlements, *["security.insecure"] * build.privileged],
        "extra-hosts": {name: ",".join(addresses) for name, addresses in sorted(build.extra_hosts.items())},
        "output": [] if said.check else [output(service, said.push)],
        "attest": [*attested("provenance", build.provenance), *attested("sbom", build.sbom)],
    }  # fmt: skip
    return {name: value for name, value in found.items() if value}


def context(where: str, names: Mapping[str, str]) -> str:
    """What another service is built to is the target of that name."""
    name = where.removeprefix(naming.OF_SERVICE)
    return f"target:{names.get(name, name)}" if where.startswith(naming.OF_SERVICE) else where


def dockerfile(build: Build) -> str:
    if not build.dockerfile or "://" in build.context:
        return build.dockerfile
    folder, name = os.path.split(os.path.join(build.context, build.dockerfile))
    return os.path.join(os.path.realpath(folder), name)


def escaped(text: str | None) -> str | None:
    """Bake has variables of its own."""
    return text.replace("${", "$${") if text else text


def secrets(project: Project, build: Build) -> list[str]:
    found = []
    for one in build.secrets:
        source, ident = project.secrets[one.source], one.target or one.source
        if source.environment:
            found.append(f"id={ident},type=env,env={source.environment}")
        elif source.file:
            found.append(f"id={ident},type=file,src={source.file}")
    return found


def output(service: Service, push: bool) -> str:
    push = push and bool(service.image)
    if len(service.build.platforms) > 1:
        return f"type=image,push={str(push).lower()}"
    return "type=registry" if push else "type=docker"


def attested(kind: str, said: str) -> list[str]:
    more = {"true": "", "false": ",disabled=true"}.get(said, f",{said}")
    return [f"type={kind}{more}"] if said else []
