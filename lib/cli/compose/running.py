"""``run``: one more container of a service, for one command, when what it depends on is ready."""

from __future__ import annotations

import os
import shlex
import sys
from typing import TYPE_CHECKING

import click

from lib.cli.compose import carrying, images, members, options
from lib.cli.compose.asked import Asked
from lib.cli.compose.joining import at_a_terminal
from lib.cli.compose.progress import Teller
from lib.cli.compose.remote import trust
from lib.cli.compose.telling import quiet
from lib.cli.containers.options import LABEL, VARIABLE, several, switch
from lib.cli.errors import Failed, errors
from lib.cli.library import library
from lib.compose import acting
from lib.compose.acting import Up
from lib.shield import Shield

if TYPE_CHECKING:
    from lib.compose.model import Mount, Project, Service

wished = several(
    options.build,
    click.option("--cap-add", multiple=True, help="Add Linux capabilities"),
    click.option("--cap-drop", multiple=True, help="Drop Linux capabilities"),
    click.option("-d", "--detach", is_flag=True, help="Run container in background and print container ID"),
    click.option("--entrypoint", help="Override the entrypoint of the image"),
    click.option("-e", "--env", multiple=True, type=VARIABLE, help="Set environment variables"),
    click.option("--env-from-file", "env_file", multiple=True, help="Set environment variables from file"),
    switch("-i", "--interactive", on=True, help="Keep STDIN open even if not attached (default true)"),
    click.option("-l", "--label", multiple=True, type=LABEL, help="Add or override a label"),
    click.option("--name", default="", help="Assign a name to the container"),
    options.no_deps,
    switch("-T", "--no-tty", "--no-TTY", help="Disable pseudo-TTY allocation (default: auto-detected)"),
    click.option("-p", "--publish", multiple=True, help="Publish a container's port(s) to the host"),
    options.pull("always", "missing", "never"),
    click.option("-q", "--quiet", is_flag=True, help="Don't print anything to STDOUT"),
    options.quiet_build,
    options.quiet_pull,
    options.remove_orphans,
    click.option("--rm", is_flag=True, help="Automatically remove the container when it exits"),
    click.option("-P", "--service-ports", is_flag=True, help="Run command with all service's ports enabled and mapped to the host"),
    click.option("--use-aliases", is_flag=True, help="Use the service's network useAliases in the network(s) the container connects to"),
    click.option("-u", "--user", default="", help="Run as specified username or uid"),
    click.option("-v", "--volume", "volumes", multiple=True, help="Bind mount a volume"),
    click.option("-w", "--workdir", default="", help="Working directory inside the container"),
)


@click.command(context_settings={"allow_interspersed_args": False})
@wished
@options.service
@click.argument("command", nargs=-1, metavar="[COMMAND] [ARGS...]", type=click.UNPROCESSED)
@click.pass_obj
def run(asked: Asked, service: str, command: tuple[str, ...], **values) -> None:
    """Run a one-off command on a service."""
    try:
        with errors():
            asked.services = (service,)
            asked.check([service])
            trust.confirm(asked)
            one = overridden(asked.project.services[service], command, values)
            with asked.teller("run") as teller:
                teller = Teller() if values["quiet"] else teller
                made_ready(asked, one, values, teller)
                if asked.dry_run:
                    return teller.tell("Container", name_of(asked, one, values), "Created")
            carried_out(asked, one, values, teller)
    except Failed as error:
        error.exit_code = 1  # also for a program that is not there: 126 and 127 are only what a program itself has said
        raise


def carried_out(asked: Asked, one: Service, values: dict, teller: Teller) -> None:
    """Make the container, and stay with it unless it is to run in the background."""
    from lib.cli.containers import running

    ours = library()
    with Shield() as shield:  # an interrupt must not come between a container and whoever is to remove it
        facts = made(ours, asked, one, values, shield, teller)
        with running.removed_if_it_cannot_start(facts), shield.opened():
            if values["detach"]:
                return running.in_background(ours, facts)
            sys.exit(running.in_foreground(ours, facts, "", not one.tty))


def overridden(service: Service, command: tuple[str, ...], values: dict) -> Service:
    """What the command line says, laid over the file's words."""
    from lib.cli.flags import keyvalues

    changes = {
        "environment": service.environment | keyvalues.environment(values["env_file"], values["env"]),
        "labels": service.labels | keyvalues.labels((), values["label"]),
        "cap_add": [*service.cap_add, *values["cap_add"]], "cap_drop": [*service.cap_drop, *values["cap_drop"]],
        "volumes": over(service.volumes, [mount(word) for word in values["volumes"]]),
        "ports": service.ports if values["service_ports"] else [],
        "stdin_open": values["interactive"] and not values["detach"],
        "tty": not values["no_tty"] and not values["detach"] and at_a_terminal(),
        "container_name": "", "restart": "" if values["rm"] else service.restart,
        **{key: values[flag] for key, flag in (("user", "user"), ("working_dir", "workdir")) if values[flag]},
    }  # fmt: skip
    if values["entrypoint"] is not None:
        changes |= {"entrypoint": shlex.split(values["entrypoint"]), "command": []}
    if command:
        changes["command"] = list(command)
    return service.model_copy(update=changes)


def over(those: list[Mount], more: list[Mount]) -> list[Mount]:
    """At one place there is one mount: the later one."""
    return [*(one for one in those if one.target not in {other.target for other in more}), *more]


def mount(word: str) -> Mount:
    """``-v``, as the model has it. Raises ``ValueError``."""
    from lib.compose.model import Mount
    from lib.volumes import parsed

    if ":" not in word:
        return Mount(type="volume", target=word)
    found = parsed(os.path.abspath(word) if word.startswith((".", "~")) else word)
    return Mount(
        type=found["type"], source=found.get("source") or found.get("name", ""), target=found["target"], read_only=bool(found.get("ro")),
        bind={"create_host_path": True} if found["type"] == "bind" else None,
    )  # fmt: skip


# -- before it ----------------------------------------------------------------------------------------------------------


def made_ready(asked: Asked, one: Service, values: dict, teller: Teller) -> None:
    """What it depends on runs, and is as it is to be; its networks and volumes are there, and its image."""
    from lib.compose.services import possible

    with asked.pointing():
        possible.check(asked.project, one)
    needs = () if values["no_deps"] else tuple(name for name in one.depends_on if name in asked.project.services)
    if needs:
        wishes = Up(services=needs, no_recreate=True, remove_orphans=values["remove_orphans"])
        carrying.out(asked, "run", wishes, quiet=quiet(values), teller=teller if values["quiet"] else None)
    if asked.dry_run:
        return
    awaited(asked, one, needs, teller)
    if one.build and (values["build"] or one.pull_policy == "build" or not is_here(images.name_of(asked.project, one))):
        images.built(asked, teller, one, values["quiet_build"])
    elif not one.build:
        policy = values["pull"] if values["pull"] not in ("", "policy") else one.pull_policy
        if policy == "always" or not is_here(one.image):
            images.pulled(asked, teller, one, policy if policy in ("always", "never") else "missing")
    carrying.furnished(asked, one, teller)


def is_here(name: str) -> bool:
    from lib.images import ImageError

    try:
        return bool(library().find(name))
    except ImageError:
        return False


def awaited(asked: Asked, one: Service, needs: tuple[str, ...], teller: Teller) -> None:
    """The conditions of ``depends_on``. Raises ``Failed``."""
    from lib.compose.planning.downward import waits
    from lib.compose.planning.operations import Draft

    draft, observed = Draft(asked.project), acting.observe(library(), asked.project)
    for name in needs:
        how = one.depends_on[name]
        if how.condition != "service_started":
            waits(draft, observed.of(name), how.condition, how.required, f"{one.name} depends on it", ())
    carrying.through(draft.plan(), teller)


# -- the container ------------------------------------------------------------------------------------------------------


def name_of(asked: Asked, one: Service, values: dict) -> str:
    return values["name"].removeprefix("/") or f"{asked.called}-{one.name}-run-{os.urandom(6).hex()}"


def made(ours, asked: Asked, one: Service, values: dict, shield: Shield, teller: Teller) -> dict:
    """Written down. Raises ``ValueError``, ``LookupError``."""
    from lib.compose.acting.images import of
    from lib.compose.services.mounts import described
    from lib.engine import lifecycle, wishes

    name = name_of(asked, one, values)
    teller.tell("Container", name, "Creating")
    image = of(ours, asked.project, one)
    with wishes.kept(image):
        facts = facts_of(asked.project, one, values, image)
        facts = lifecycle.create(ours, facts, name, shield.opened, described(asked.project), warned)
    teller.tell("Container", name, "Created")
    return facts


def warned(text: str) -> None:
    click.echo(f"WARN {text}", err=True)


def facts_of(project: Project, one: Service, values: dict, image) -> dict:
    """As of a container of the service, but for what the command line says, and that nobody finds it by the service's name."""
    from lib.compose.services import translation
    from lib.engine.networks.published import published

    others = [facts for facts in members.of(project.name) if members.service(facts) == one.name and members.is_oneoff(facts)]
    wanted = translation.Wanted(project, one, len(others) + 1, oneoff=True, other=lambda name: members.of_service(project.name, name))
    facts = translation.facts(wanted, image) | {"auto_remove": values["rm"]}
    if not values["detach"]:
        facts["config"]["attach"] = ["stdin", "stdout", "stderr"] if one.stdin_open else ["stdout", "stderr"]
        facts["config"]["stdin_once"] = one.stdin_open
    facts["network"]["ports"] += published(values["publish"])
    if not values["use_aliases"]:
        for attached in facts["network"]["networks"]:
            attached["aliases"] = []
    return facts
