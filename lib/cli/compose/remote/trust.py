"""What a project from a registry wants of this machine. Whoever runs it is told, and asked, before anything of that is handed over.

A stranger's file may name the variables of your shell, your files and your devices, and all of that would be in their containers.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import click

from lib.cli import text
from lib.cli.compose.asked import Asked
from lib.visible import visible

OWN = ("not set", "the project's name")  # sources of variables that tell nothing of anybody
NAMESPACES = ("network_mode", "pid", "ipc", "uts", "userns_mode", "cgroup")
POWERS = ("privileged", "devices", "cap_add", "security_opt", "device_cgroup_rules", "cgroup_parent", "gpus", "use_api_socket")
LONGEST = 40  # characters of a value that are shown


class Wanted(NamedTuple):
    """A variable (name, value, where it is from), by its name; and everything else, each in a sentence."""

    variables: dict[str, tuple[str, str]]
    things: list[str]


def confirm(asked: Asked, yes: bool = False) -> None:
    """Nothing happens unless the project is a stranger's. Raises ``ValueError`` if somebody says no, or nobody is there to say yes."""
    if yes or asked.dry_run or not (asked.known and asked.fetched):
        return
    found = wanted(asked.loaded, tuple(asked.fetched.values()))
    if not (found.variables or found.things):
        return
    click.echo(visible("\n".join(told(asked, found))), err=True)
    if not sys.stdin.isatty():
        raise ValueError(
            f"nobody is there to be asked whether {', '.join(asked.fetched)} may have this: up -y and create -y agree to it, and "
            "config -o compose.yaml makes it a file of yours, that you can read and change"
        )
    if not click.confirm("Do you want to proceed?", prompt_suffix=" [y/N]: ", show_default=False, err=True):
        raise ValueError("operation cancelled by user")


def told(asked: Asked, found: Wanted) -> Iterator[str]:
    yield f"{', '.join(asked.fetched)} is not a file of yours, and wants something of this machine."
    if found.variables:
        yield "\nFound the following variables in configuration:"
        yield text.table(
            ["VARIABLE", "VALUE", "SOURCE"],
            [[name, text.shorten(value, LONGEST), source] for name, (value, source) in found.variables.items()],
        )
    if found.things:
        yield "\nIts containers would have:"
        yield from (f"  - {one}" for one in found.things)


def wanted(loaded, folders: tuple[str, ...]) -> Wanted:
    """``folders`` are those where strangers' files lie: what is written elsewhere is nobody's business."""
    variables: dict[str, tuple[str, str]] = {}
    files: dict[str, None] = {}
    for name in named_beside(folders):
        if name in loaded.variables.values and loaded.variables.sources.get(name) not in OWN:
            variables[name] = loaded.variables.values[name], loaded.variables.sources.get(name, "")
    for node in nodes(loaded.tree):
        if strange(node, folders):
            for name, source in node.place.variables:
                if source not in OWN:
                    variables[name] = loaded.variables.values.get(name, ""), source
        elif node.place.file not in loaded.project.files:
            files[node.place.file] = None
    things = [*(f"what is in the file {path}" for path in files), *of_services(loaded.tree, folders), *of_the_rest(loaded, folders)]
    return Wanted(dict(sorted(variables.items())), list(dict.fromkeys(things)))


def named_beside(folders: tuple[str, ...]) -> Iterator[str]:
    """The variables that the files beside the project's name: files of variables may have some of ours in their values."""
    from lib.cli.compose.artifact import PROJECT_FILE
    from lib.compose.reading.interpolation import BadTemplate, names_in

    for path in (one for folder in folders for one in Path(folder).iterdir() if one.name != PROJECT_FILE):
        for line in path.read_text(errors="replace").splitlines():
            with suppress(BadTemplate):
                yield from (one.name for one in names_in(line))


def nodes(node) -> Iterator:
    yield node
    for child in (*node.map.values(), *node.items):
        yield from nodes(child)


def strange(node, folders: tuple[str, ...]) -> bool:
    return within(node.place.file, folders)


def within(path: str, folders: tuple[str, ...]) -> bool:
    return any(os.path.normpath(path).startswith(f"{folder}/") for folder in folders)


def entries(tree, kind: str) -> Mapping:
    found = tree.get(kind)
    return found.map if found else {}


def of_services(tree, folders: tuple[str, ...]) -> Iterator[str]:
    for name, service in entries(tree, "services").items():
        for key, node in service.map.items():
            if any(strange(one, folders) for one in nodes(node)):
                theirs = [one for one in node.items if any(strange(part, folders) for part in nodes(one))]
                own = of_build(node, folders) if key == "build" else of_key(key, node, theirs)
                yield from (f"{words} (service {name})" for words in own)


def of_build(node, folders: tuple[str, ...]) -> Iterator[str]:
    """What an image is built from, unless it came along."""
    more = node.get("additional_contexts")
    for context in (node.text("context"), *(str(one.value) for one in (more.map.values() if more else ()))):
        if os.path.isabs(context) and context not in folders and not within(context, folders):
            yield f"the folder {context}, from which its image is built"
    if node.get("ssh"):
        yield "your SSH agent, while its image is built"


def of_key(key: str, node, items: list) -> Iterator[str]:
    """What a key of a service gives its containers; of a list these ``items``."""
    if key == "volumes":
        for one in items:
            if one.text("type") == "bind":
                yield f"{one.text('source')} of this machine{'' if one.text('read_only') == 'true' else ', to write to'}"
    elif key == "develop":
        for one in node.get("watch").items if node.get("watch") else ():
            yield f"the files below {one.text('path')}, as they change"
    elif key == "volumes_from":
        yield from (f"the volumes of {one.value}" for one in items if str(one.value).startswith("container:"))
    elif key in NAMESPACES and str(node.value).startswith(("host", "container:")):
        yield f"{key}: {node.value}"
    elif key in POWERS and node.value:
        values = [str(one.text("source") if one.map else one.value) for one in items]
        yield f"{key}: {', '.join(values) or str(node.value).lower()}"


def of_the_rest(loaded, folders: tuple[str, ...]) -> Iterator[str]:
    """Secrets and configs that are files or variables of this machine; networks and volumes that may have been there before."""
    for kind in ("secrets", "configs"):
        for key, node in entries(loaded.tree, kind).items():
            if strange(node, folders):
                if (path := node.text("file")) and not within(path, folders):
                    yield f"the file {path} ({kind[:-1]} {key})"
                if name := node.text("environment"):
                    yield f"the variable {name} ({kind[:-1]} {key})"
    for kind, inside in (("networks", "who is on it"), ("volumes", "what is in it")):
        for key, node in entries(loaded.tree, kind).items():
            if strange(node, folders):
                options = node.get("driver_opts") if kind == "volumes" else None
                if options and (device := options.text("device")):
                    yield f"{device} of this machine (volume {key})"
                there = getattr(loaded.project, kind)
                if key in there and there[key].name not in ("", f"{loaded.project.name}_{key}"):
                    yield f"the {kind[:-1]} {there[key].name}, and {inside}"
