"""Every flag of Docker Compose's is an option of ours, or we say of it that it is not done yet; and the other way round."""

from __future__ import annotations

import re
import subprocess
from functools import cache

import click
import pytest
from helpers.needs import COMPOSE, requires

from lib.cli.compose.verbs import ComposeVerbs, compose
from lib.cli.errors import Failed
from lib.cli.flags import notyet
from lib.cli.flags.reading import in_full
from lib.cli.main import main

pytestmark = requires("compose")

FLAG = re.compile(r"^  (?:-(?P<short>\w), |    )--(?P<long>[a-z-]+)", re.MULTILINE)
OURS = {"compose config": {"provenance": ""}}  # what only we have
BY_THEMSELVES = {"why"}  # verbs that only we have


@cache
def told(*verb: str) -> str:
    return subprocess.run([COMPOSE, *verb, "--help"], capture_output=True, text=True, timeout=30).stdout


def theirs(*verb: str) -> dict[str, str]:
    """The long name of each flag, and its short one."""
    return {found["long"]: found["short"] or "" for found in FLAG.finditer(told(*verb))}


def contexts(verb: str) -> click.Context:
    above = click.Context(compose, click.Context(main, info_name="suitcase"), "compose")
    return click.Context(compose.get_command(above, verb), above, verb) if verb else above


def ours(command: click.Command) -> dict[str, str]:
    """Those that the help text tells of; of two spellings the one that Docker tells of."""
    found = {}
    for one in command.params:
        if isinstance(one, click.Option) and not one.hidden:
            short = next((name[1:] for name in one.opts if not name.startswith("--")), "")
            found |= {one.opts[-1 if short == "" else 1][2:]: short}
    return found


def missing(name: str) -> dict[str, str]:
    return {long: short for word in notyet.FLAGS.get(name, "").split() for short, _, long in [word.rpartition("/")]}


def test_the_verbs_are_docker_composes():
    known = set(re.findall(r"^  (\w+) {3,}", told().partition("Management Commands:")[2], re.MULTILINE))
    assert {*ComposeVerbs.homes} - BY_THEMSELVES == known - {"bridge"}, "bridge makes files for other programs than this one"


@pytest.mark.parametrize("verb", ["", *sorted({*ComposeVerbs.homes} - BY_THEMSELVES)])
def test_each_flag_is_done_or_told_not_to_be(verb):
    name = f"compose {verb}".strip()
    context = contexts(verb)
    done = ours(context.command)
    assert {**done, **missing(name)} == {**theirs(*filter(None, [verb])), **OURS.get(name, {})} and not done.keys() & missing(name).keys()
    for long in missing(name):
        with pytest.raises(Failed, match=f"^--{long} is an option of Docker's that is not done here yet(: .+)?$") as error:
            in_full(context, [f"--{long}", "x"])
        assert error.value.message == notyet.told(name, f"--{long}")
    ways = {way.rpartition(" --") for way in notyet.WAYS}
    assert {long for verb, _, long in ways if verb == name} <= missing(name).keys()


def test_docker_has_verbs_of_the_same_names():
    """What is not done of ``compose run`` is another matter than what is not done of ``run``."""
    assert (
        notyet.full_name(contexts("run")) == "compose run"
        and notyet.full_name(click.Context(main.get_command(click.Context(main), "run"))) == "run"
    )


def test_the_first_lines_are_docker_composes():
    for verb in {*ComposeVerbs.homes} - BY_THEMSELVES:
        line = next(line for line in told(verb).split("\n\n")[1:] if line).strip().rstrip(".")
        assert contexts(verb).command.help.splitlines()[0].rstrip(".") == line, verb
