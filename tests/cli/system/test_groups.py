"""``container ls`` is ``ps``: every verb of a group is there, is one of ours, and does the same."""

from __future__ import annotations

import click
import pytest
from helpers.lives import BUSYBOX
from helpers.needs import requires

from lib.cli.main import main

GROUPS = ("container", "image", "builder", "system")


def group(name: str) -> click.Group:
    return main.get_command(click.Context(main), name)


@pytest.mark.parametrize("name", GROUPS)
def test_every_verb_of_a_group_is_there(name):
    one = group(name)
    verbs = one.list_commands(click.Context(one))
    assert verbs and all(isinstance(one.get_command(click.Context(one), verb), click.Command) for verb in verbs)


def test_other_words_of_dockers_for_the_same():
    one = group("container")
    context = click.Context(one)
    assert one.get_command(context, "ls") is one.get_command(context, "list") is one.get_command(context, "ps")
    assert one.get_command(context, "remove").name == "rm" and group("image").get_command(context, "ls").name == "images"


@requires("root", "overlay", "busybox")
def test_the_long_words_do_what_the_short_ones_do(suitcase, lives):
    one = lives.create("true", "box")
    assert suitcase("container ls -aq").out == suitcase("ps -aq").out == f"{one['id'][:12]}\n"
    assert suitcase("image ls").out == suitcase("images").out and "busybox" in suitcase("image ls").out
    assert suitcase("container inspect -f {{.Name}} box").out == "/box\n"
    assert suitcase("system info -f {{.Containers}}").out == "1\n"
    assert suitcase("container rm box").out == "box\n"


@requires("root", "overlay", "busybox")
def test_inspect_of_a_group_knows_its_own_kind_alone(suitcase, lives):
    lives.create("true", "box")
    refused = suitcase("image inspect box")
    assert (refused.code, refused.out) == (1, "[]\n") and "No such image: box" in refused.err
    assert suitcase(f"image inspect -f {{{{.Os}}}} {BUSYBOX}").out == "linux\n"
    assert suitcase(f"container inspect {BUSYBOX}").code == 1
