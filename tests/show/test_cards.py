"""A container's card: how it is now, what it printed last, and its plan; a stranger's words stay words."""

from __future__ import annotations

import pytest
from helpers.lives import apart, log
from helpers.needs import requires
from helpers.waiting import wait_for

from lib import show
from lib.engine import finding

pytestmark = requires("root", "overlay", "busybox")


@pytest.fixture
def lives():
    with apart() as one:
        yield one


def test_it_shows_how_the_container_is_now(lives):
    one = lives.run("for i in $(seq 20); do echo line $i; done; sleep 600", "box")
    wait_for(lambda: b"line 20\n" in log(one))
    card = show.container("box")
    page = card._repr_html_()
    assert f"box ({one['id'][:12]})" in page and "Up " in page and "line 20" in page and "line 10\n" not in page
    assert "pivot: pivot_root(" in page and "clone: clone3(" in page
    lives.ended(stopped(one))
    assert "Exited (137)" in repr(card) and "line 11" in repr(card), "the same card, looked at again"


def stopped(one: dict) -> dict:
    from lib.engine import ending

    ending.stop(one, 0)
    return one


def test_what_a_container_prints_is_no_html_and_no_command_of_a_terminals(lives):
    one = lives.run("printf '<script>x</script>\\033[2J\\n'", "box")
    lives.ended(one)
    page = show.container(one["id"][:6])._repr_html_()
    assert "<script>" not in page and "&lt;script&gt;" in page and "\033" not in page + repr(show.container("box"))


def test_one_that_is_not_there():
    with pytest.raises(finding.NoSuchContainer, match="No such container: nosuch"):
        show.container("nosuch")
