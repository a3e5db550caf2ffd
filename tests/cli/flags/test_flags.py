"""Every flag of Docker's is an option of ours, or we say of it that it is not done yet."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from lib.cli.errors import Failed
from lib.cli.flags import notyet
from lib.cli.flags.reading import in_full
from lib.cli.main import HOMES, main

DOCKERS = json.loads((Path(__file__).parent / "flags_of_docker.json").read_text())  # of version 29.7
VERBS = [verb for verb in DOCKERS if verb in HOMES]
OURS = {"help"}  # click's, and Docker's for every verb


def command(verb: str) -> click.Command:
    return main.get_command(click.Context(main), verb)


def options(verb: str) -> dict[str, str]:
    """The long name of each option, and its short one."""
    found = {}
    for one in command(verb).params:
        if isinstance(one, click.Option):
            short = next((name[1:] for name in one.opts if not name.startswith("--")), "")
            found |= {name[2:]: short for name in one.opts if name.startswith("--")}
    return found


def spellings(flag: dict) -> Iterator[list[str]]:
    """The ways in which a flag of Docker's is typed."""
    name, short = flag["name"], flag["short"]
    yield from ([f"--{name}", "x"], [f"--{name}=x"])
    if short:
        yield from ([f"-{short}", "x"], [f"-{short}x"], [f"-{short}=x"])


@pytest.mark.parametrize("verb", VERBS)
def test_what_is_done_is_an_option_of_ours(verb):
    done = {flag["name"]: flag["short"] for flag in DOCKERS[verb] if flag["done"]}
    assert done == {name: short for name, short in options(verb).items() if name not in OURS}


@pytest.mark.parametrize("verb", VERBS)
def test_what_is_not_done_says_so(verb):
    missing = [flag for flag in DOCKERS[verb] if not flag["done"]]
    assert {flag["name"] for flag in missing} == {word.rpartition("/")[2] for word in notyet.FLAGS.get(verb, "").split()}
    for flag in missing:
        for words in spellings(flag):
            with pytest.raises(Failed) as caught:
                in_full(context(command(verb)), [*words, "image"])
            assert (caught.value.message, caught.value.exit_code) == (
                f"--{flag['name']} is an option of Docker's that is not done here yet",
                125,
            )


def context(verb: click.Command) -> click.Context:
    return click.Context(verb, info_name=verb.name, **verb.context_settings)


def test_the_table_is_whole():
    """All verbs for containers, each flag once; and a verb that the table does not know has no flags waiting."""
    of_compose = {name for name in notyet.FLAGS if name.startswith("compose")}  # which has a test of its own
    assert set(notyet.FLAGS) - of_compose <= set(DOCKERS) and len(DOCKERS) == 17
    for verb, flags in DOCKERS.items():
        assert len({flag["name"] for flag in flags}) == len(flags), verb
        shorts = [flag["short"] for flag in flags if flag["short"]]
        assert len(set(shorts)) == len(shorts), verb
