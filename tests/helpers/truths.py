"""What can be said of a step of a scenario, aside from what there is: each word's check, which gives "" if it is true."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib import linux
from lib.ingredients.cgroups.backends import mounted

if TYPE_CHECKING:
    from helpers.scenarios import Play


def differs(what: str, found: object, wanted: object) -> str:
    return "" if found == wanted else f"{what} is {found!r}, not {wanted!r}"


def in_order(moment: str) -> Callable[[Play, list[str]], str]:
    def check(play: Play, names: list[str]) -> str:
        moments = {name: play.container(name)["State"][moment] for name in names}
        return differs(f"the order ({moment})", sorted(names, key=moments.__getitem__), names)

    return check


def environ(play: Play, wanted: dict[str, dict[str, str | None]]) -> str:
    for name, variables in wanted.items():
        pid = play.container(name)["State"]["Pid"]
        assert pid, f"{name} does not run"
        pairs = dict(pair.partition("=")[::2] for pair in Path(f"/proc/{pid}/environ").read_text().split("\0"))
        for variable, value in variables.items():
            if problem := differs(f"{variable} in {name}", pairs.get(variable), value):
                return problem
    return ""


def inside(play: Play, wanted: dict[str, dict[str, str]]) -> str:
    for name, commands in wanted.items():
        play.container(name)
        for command, text in commands.items():
            said = play.side(["docker", "exec", name, "sh", "-c", command], play.folder, {})
            if problem := differs(f"{command} in {name}", (said.out + said.err).strip(), text.strip()):
                return problem
    return ""


def labels(play: Play, wanted: dict[str, dict[str, str | None]]) -> str:
    for name, those in wanted.items():
        found = play.container(name)["Config"]["Labels"] or {}
        for label, value in those.items():
            if problem := differs(f"{label} of {name}", found.get(label), value):
                return problem
    return ""


def aliases(play: Play, wanted: dict[str, dict[str, list[str]]]) -> str:
    for name, networks in wanted.items():
        one = play.container(name)
        there = one["NetworkSettings"]["Networks"]
        found = {key: sorted({*(value["Aliases"] or ())} - {one["Id"][:12], name}) for key, value in there.items()}
        if problem := differs(f"the names of {name}", found, {key: sorted(value) for key, value in networks.items()}):
            return problem
    return ""


def files(play: Play, wanted: dict[str, str]) -> str:
    for name, text in wanted.items():
        path = play.folder / "demo" / name
        if problem := differs(name, path.read_text().strip() if path.exists() else None, text.strip()):
            return problem
    return ""


def cgroup(play: Play, wanted: dict[str, dict[str, str]]) -> str:
    """A line of each file (none: it is empty), by its name on v1. Where the machine has no such tree, there is nothing to be read."""
    tops, _ = mounted()
    for name, those in wanted.items():
        lines = [line.split(":", 2) for line in linux.read(f"/proc/{play.container(name)['State']['Pid']}/cgroup").splitlines()]
        folders = {one: tops[one] + path for _, names, path in lines for one in names.split(",") if one in tops}
        for file, line in those.items():
            if folder := folders.get(file.partition(".")[0]):
                found = linux.read(f"{folder}/{file}").splitlines()
                if line not in (found or [""]):
                    return f"{file} of {name} is {found}, without {line!r}"
    return ""


CHECKS: dict[str, Callable[[Play, Any], str]] = {
    "started": in_order("StartedAt"), "stopped": in_order("FinishedAt"),
    "environ": environ, "inside": inside, "labels": labels, "aliases": aliases, "files": files, "cgroup": cgroup,
}  # fmt: skip
