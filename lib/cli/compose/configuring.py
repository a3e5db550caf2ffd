"""``config why``: the project as it was understood, part by part; and why something was made anew, or is."""

from __future__ import annotations

import json
from collections.abc import Callable

import click

from lib.cli import text
from lib.cli.compose import options
from lib.cli.compose.asked import Asked
from lib.cli.containers.options import several
from lib.cli.errors import errors
from lib.cli.streams import tell

FORMATS = ("yaml", "json")
LEFT_OUT = {
    "consistency": "no_consistency", "env": "no_env_resolution", "normalize": "no_normalize", "paths": "no_path_resolution",
}  # fmt: skip
WIDE = 20  # columns of its table


asked_for = several(
    click.option("--environment", is_flag=True, help="Print environment used for interpolation."),
    click.option("--format", "template", default="", help="Format the output. Values: [yaml | json]"),
    click.option("--hash", "hashed", default="", help="Print the service config hash, one per line."),
    click.option("--images", is_flag=True, help="Print the image names, one per line."),
    click.option("--lock-image-digests", is_flag=True, help="Produces an override file with image digests"),
    click.option("--models", is_flag=True, help="Print the model names, one per line."),
    click.option("--networks", is_flag=True, help="Print the network names, one per line."),
    click.option("--no-consistency", is_flag=True, help="Don't check model consistency - warning: may produce invalid Compose output"),
    click.option("--no-env-resolution", is_flag=True, help="Don't resolve service env files"),
    click.option("--no-interpolate", is_flag=True, help="Don't interpolate environment variables"),
    click.option("--no-normalize", is_flag=True, help="Don't normalize compose model"),
    click.option("--no-path-resolution", is_flag=True, help="Don't resolve file paths"),
    click.option("-o", "--output", default="", help="Save to file (default to stdout)"),
    click.option("--profiles", is_flag=True, help="Print the profile names, one per line."),
    click.option("--provenance", is_flag=True, help="Print where each value came from: file and line, .env file, shell."),
    click.option("-q", "--quiet", is_flag=True, help="Only validate the configuration, don't print anything"),
    click.option("--resolve-image-digests", is_flag=True, help="Pin image tags to digests"),
    click.option("--services", "only_services", is_flag=True, help="Print the service names, one per line."),
    click.option("--variables", is_flag=True, help="Print model variables and default values."),
    click.option("--volumes", is_flag=True, help="Print the volume names, one per line."),
)


@click.command()
@asked_for
@options.services
@click.pass_obj
def config(asked: Asked, services: tuple[str, ...], template: str, output: str, quiet: bool, **words) -> None:
    """Parse, resolve and render compose file in canonical format."""
    with errors():
        if template not in ("", *FORMATS):
            raise ValueError(f'unsupported format "{template}": there is {" and ".join(FORMATS)}')
        asked.reading = {name: False for name, flag in LEFT_OUT.items() if words[flag]}
        part = next((name for name in PARTS if words[name]), "")
        told = (PARTS[part] if part else whole)(asked, services, template, words)
        if output and not part:
            with open(output, "w") as file:
                return print(told, file=file)
        if told and not quiet:
            tell(told)


def whole(asked: Asked, services: tuple[str, ...], template: str, words: dict) -> str:
    from lib.compose.reading import canonical
    from lib.compose.reading.canonical.writing import json_text, yaml_text

    pins = words["lock_image_digests"] or words["resolve_image_digests"]
    if words["no_interpolate"]:
        if pins:
            raise ValueError(
                "--no-interpolate leaves variables in the names of images, which have no digest then: leave one of the two out"
            )
        found = canonical.uninterpolated(asked.request(**asked.reading))
        return (json_text if template == "json" else yaml_text)(found).rstrip("\n")
    write = canonical.as_json if template == "json" else canonical.as_yaml
    project = selected(asked, services)
    if pins:
        project = with_digests(asked, project, words["lock_image_digests"])
    return write(project, env_files=words["no_env_resolution"], everything=asked.all_resources).rstrip("\n")


def with_digests(asked: Asked, project, lock: bool):
    """Raises ``ValueError``."""
    from lib.cli.compose.remote import pinning

    project = pinning.pinned(project, asked.insecure)
    if not lock:
        return project
    for name, one in project.services.items():
        if any(hook.image for hook in one.pre_start):
            words = "pre_start hook images are not pinned in the override file produced by --lock-image-digests"
            click.echo(f'WARN service "{name}": {words}, use the full --resolve-image-digests output to pin them', err=True)
    return pinning.locked(project)


def selected(asked: Asked, services: tuple[str, ...]):
    """The project with these services and what they depend on; without a name, all of it. Raises ``ValueError``."""
    from lib.cli.compose.upping import with_dependencies

    asked.check(services)
    project = asked.project
    return project.model_copy(update={"services": {name: project.services[name] for name in with_dependencies(project, services)}})


def lines(name: str) -> Callable[..., str]:
    def told(asked: Asked, services: tuple[str, ...], template: str, words: dict) -> str:
        from lib.compose.reading import canonical

        return "\n".join(getattr(canonical, name)(selected(asked, services)))

    return told


def hashes(asked: Asked, services: tuple[str, ...], template: str, words: dict) -> str:
    """What stands in the label ``config-hash`` of a service's containers."""
    from lib.compose.reading import canonical

    wanted = asked.project.services if words["hashed"] == "*" else words["hashed"].split(",")
    asked.check(wanted)
    return "\n".join(f"{name} {canonical.config_hash(asked.project.services[name])}" for name in sorted(wanted))


def environment(asked: Asked, services: tuple[str, ...], template: str, words: dict) -> str:
    from lib.compose.reading import canonical

    return "\n".join(f"{name}={value}" for name, value in canonical.environment(asked.loaded).items())


def variables(asked: Asked, services: tuple[str, ...], template: str, words: dict) -> str:
    """Those that the file names, whether they are set or not."""
    from lib.compose.reading import canonical, load

    rows = canonical.variables(load(asked.request(interpolate=False)).tree)
    if template == "json":
        keys = {"Name": "name", "DefaultValue": "default", "PresenceValue": "alternative", "Required": "required"}
        return json.dumps({row["name"]: {key: row[name] for key, name in keys.items()} for row in rows}, indent=4)
    heads = ["NAME", "REQUIRED", "DEFAULT VALUE", "ALTERNATE VALUE"]
    return text.table(heads, [[row["name"], str(row["required"]).lower(), row["default"], row["alternative"]] for row in rows], WIDE)


def provenance(asked: Asked, services: tuple[str, ...], template: str, words: dict) -> str:
    from lib.compose.reading import canonical

    found = canonical.provenance(asked.loaded)
    if template == "json":
        return json.dumps([{"path": one.path, "value": one.value, "source": one.source} for one in found], indent=2)
    return text.table(["PATH", "VALUE", "SOURCE"], [[one.path, one.value.replace("\n", "\\n"), one.source] for one in found])


PARTS = {
    "only_services": lines("services"), "volumes": lines("volumes"), "networks": lines("networks"), "images": lines("images"),
    "models": lines("models"),
    "profiles": lines("profiles"), "hashed": hashes, "environment": environment, "variables": variables, "provenance": provenance,
}  # fmt: skip


@click.command()
@options.services
@click.pass_obj
def why(asked: Asked, services: tuple[str, ...]) -> None:
    """Say why a service's containers would be made anew, or stay as they are."""
    from lib.cli.library import library
    from lib.compose import acting

    with errors():
        asked.check(services)
        plan = acting.plan(asked.project, acting.observe(library(), asked.project), acting.Up())
        for name in services or asked.project.services:
            tell("\n".join(acting.why(plan, name)))
