"""Pictures: each has a text alternative that says what it shows, and is stable where it is compared."""

import os
import re
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest
from helpers.needs import requires

from lib import Namespaces, Plan, show, start
from lib.show import sources
from lib.show.controls import knobs, squeeze, still


def test_a_plan_is_drawn_without_running_it():
    picture = show.plan(Plan(["true"], [Namespaces("pid")], env={}))
    assert picture.kind == "image/svg+xml" and "clone (in the starter): 1" in picture.alt
    assert picture.data.count("<rect") == 1 + 4 and picture.data.count("<title>") == 1 + 4  # the paper, and four stages with their steps


@requires("root", "overlay")
def test_a_container_s_namespaces_are_drawn_as_its_own():
    with start("busybox", ["sleep", "60"]) as box:
        picture = show.namespaces("self", box.pid)
        assert "own namespaces: pid, mnt, uts, ipc, net, cgroup;" in picture.alt
        assert show.tree(box.pid).splitlines()[-1].strip() == "└─ sleep"
    assert "none;" in show.namespaces("self", os.getpid()).alt


def test_text_in_a_picture_is_escaped():
    picture = show.namespaces("self", os.getpid(), names=("<b>", "&"))
    assert "<b>" not in picture.data and "&lt;b&gt;" in picture.data


SLOW = """
import threading
timer = threading.Timer
threading.Timer = lambda patience, call: timer(0, call)  # as if it took longer than anybody's patience
from lib import show
show.bars("t", {"one": 1.0}, "s")
"""


def test_a_first_plot_on_a_slow_machine_prints_nothing(tmp_path):
    """Where matplotlib does not know this machine's fonts yet, it looks for them, and says so on stderr when that takes long."""
    fresh = os.environ | {"MPLCONFIGDIR": str(tmp_path)}
    assert subprocess.run([sys.executable, "-c", SLOW], env=fresh, stderr=subprocess.PIPE, check=True).stderr == b""
    assert list(tmp_path.glob("fontlist-*"))


def test_a_plot_is_a_png_with_its_text_as_alt():
    picture = show.bars("t", {"one": 1.0, "two": 3.0}, "s", "two is longer", limit=2, limit_name="wall")
    data, metadata = picture._repr_mimebundle_()
    assert data["image/png"].startswith(b"\x89PNG") and data["text/plain"] == "two is longer"
    assert metadata["image/png"]["alt"] == "two is longer"
    assert show.lines("t", {"a": ([0, 1], [0, 1])}, "x", "y", "a line", walls={"max": 2}).data.startswith(b"\x89PNG")


def test_the_still_of_the_knobs_says_what_a_limit_does_to_the_greedy():
    limits = {"memory": 48, "cpus": 2.0, "pids": 12}
    picture = still(limits, {"memory": 48, "cpus": 1.0, "pids": 12})
    assert "memory: wanted 96, limit 48: killed at 48" in picture.alt and "cpus: wanted 1, got 1, all that it wanted" in picture.alt
    assert "slowed down at 0.3" in still(limits | {"cpus": 0.3}, {"memory": 48, "cpus": 0.3, "pids": 12}).alt


@requires("root", "overlay", "memory", "cpu", "pids")
def test_the_greedy_container_gets_what_its_limits_allow():
    got = squeeze(memory=32, cpus=0.3, pids=8, seconds=0.4)
    assert 30 <= got["memory"] <= 32 and got["pids"] == 8 and got["cpus"] < 0.6


@requires("root", "overlay", "memory", "cpu", "pids")
def test_turning_a_knob_redraws_the_picture_in_its_place(monkeypatch):
    shown, redrawn = [], []

    class Handle:
        update = staticmethod(redrawn.append)

    monkeypatch.setattr("lib.show.controls.display", lambda one, **_: shown.append(one) or Handle)
    knobs(memory=32, cpus=0.5, pids=8)
    panel = shown[1]
    assert "memory, cpus, pids" in repr(panel)
    panel.children[0].value = 16
    panel.children[3].click()
    assert "memory: wanted 96, limit 16" in redrawn[0].alt and len(shown) == 2


def test_a_birth_is_drawn_as_four_frames():
    assert show.birth().data.count("python") == 6 and "exec puts a different program" in show.birth().alt


def test_the_panes_tell_what_shows_through(tmp_path):
    below, top = tmp_path / "below", tmp_path / "top"
    below.mkdir(), top.mkdir()
    for place in (below / "old", below / "changed", top / "changed", top / "new"):
        place.write_text("x")
    picture = show.panes(below, top, ["old", "changed", "new", "never"])
    assert "old is on the pane below and shows through; changed is on both panes" in picture.alt
    assert "new is on the upper pane only; never is nowhere" in picture.alt
    if os.geteuid() == 0:
        os.mknod(top / "old", 0o20600, 0)
        assert "old is on the pane below, and a black patch on top hides it" in show.panes(below, top, ["old"]).alt


def test_standstills_are_where_nothing_moves():
    assert show.standstills([0, 1, 2, 3, 4], [0, 1, 1, 1, 2], 1.5) == [(1, 3)]


def test_source_pieces_cover_their_module_and_unknown_ones_are_named():
    known = sources.pieces("linux")
    covered = {line for first, last in known.values() for line in range(first, last + 1)}
    assert covered == set(range(1, len(sources.text("linux").splitlines()) + 1))
    with pytest.raises(LookupError, match="it has head"):
        show.source("linux", "no_such_piece")


def test_a_range_of_pieces_and_a_whole_module():
    code = show.source("linux", "ns_flags..setns").code
    assert "def unshare" in code and "def mount(" not in code
    assert show.source("ingredients.init").code == sources.text("ingredients.init").strip("\n")
    assert show.source("process.handle", "LIVE..").code.endswith(sources.text("process.handle").strip("\n").splitlines()[-1])
    assert (
        "<details>" in show.source("ingredients.init")._repr_html_()
        and repr(show.source("ingredients.init")).startswith("all of it (")
        and "lines of lib/ingredients/init.py)" in repr(show.source("ingredients.init"))
        and repr(show.source("ingredients.init", about="PID 1")).startswith("PID 1 (")
    )


def test_a_table_lines_up():
    assert repr(show.table("a | b", [("x", 1), ("long", 22)])).splitlines() == ["a     b", "────  ──", "x     1", "long  22"]


def test_plots_of_numbers_tell_them():
    stack = show.stack("boot", {"kernel": 1500.0, "app": 500.0}, "s", per=1000, mark=("told", 700.0))
    assert stack.data.startswith(b"\x89PNG") and stack.alt == "boot: kernel 1.5 s; app 500 ms; told 0.7 s."
    assert show.growth("many", {"a": [1, 2, 3], "b": [4.0]}, "MB").alt == "many: a 1 MB each; b 4 MB each."
    assert show.bars("start", {"box": 2.0, "vm": 400.0}, "s", against="box").alt == "start: box 2 s; vm 400 s, × 200."


def test_towers_stand_on_the_kernel_that_answered():
    host = show.Tower("host", "6.1.0-1-amd64", "boot-a")
    picture = show.towers(host, [show.Tower("vm", "5.10.0-2-cloud", "boot-b")], [show.Tower("box", "6.1.0-1-amd64", "boot-a")])
    assert "2 apps" in picture.alt and "1 of them carry a kernel of their own, 1 use the host's. Kernels in all: 2." in picture.alt
    assert picture.data.count("its system") == 1 and picture.data.count("its libraries") == 1 and "Linux 5.10.0<" in picture.data


def test_the_suitcase_holds_what_was_packed():
    picture = show.luggage("moving", {"Python": 20_000_000, "the shop": 60}, 300_000_000)
    assert "Python 20MB, the shop 60B; 20MB in all, and no kernel" in picture.alt and "300MB" in picture.alt
    assert "the house: 300MB" in picture.data and "the suitcase: 20MB" in picture.data


def test_how_many_fit_is_a_division_with_visible_assumptions(monkeypatch):
    from lib.show import capacity

    assert capacity.fits(128, 600) == 218 and capacity.fits(128, 0.5, 256, 2) == 503 and capacity.fits(1, 10, 0, 2) == 0
    with pytest.raises(ValueError, match="costs 0"):
        capacity.fits(128, 0)
    shown = []
    monkeypatch.setattr(capacity, "display", shown.append)
    counts = show.server({"box": 1.0, "vm": 600.0}, {"vm": (10, 15)}, size=8, reserve=0)
    assert counts == {"box": 8192, "vm": 13} and "box: 8192; vm: 13" in shown[0].alt and "the series: 10 to 15" in shown[0].data
    shown[1].children[1].value = 1024
    assert "each app itself needs 1024 MiB more" in shown[2].alt and "Three knobs" in repr(shown[1])


# -- builds ---------------------------------------------------------------------------------


def test_a_cake_tells_each_layer_and_the_whole():
    picture = show.cake([("base", 2_000_000), ("RUN x", 50_000_000)], ["", "A /x"])
    assert repr(picture) == "From the top: RUN x: 50MB (A /x); base: 2MB. In all 52MB."


@requires("root", "busybox")
def test_the_anatomy_of_an_image_leads_from_its_name_to_its_layers(tmp_path):
    from helpers import layers as make

    from lib.engine.naming import shortnames

    ours = make.library(tmp_path / "images")
    one = shortnames.make(ours, "localhost/busybox:static")
    picture = show.anatomy("<base>", one)
    assert repr(picture) == "The name <base> leads to the manifest, and the manifest to: config, layer 1."
    assert one.id[7:19] in picture.data and "&lt;base&gt;" in picture.data


@requires("root", "overlay", "busybox")
def test_the_map_of_what_invalidates_what(tmp_path, capsys):
    from helpers import layers as make

    from lib.build import build
    from lib.engine.naming import shortnames

    ours = make.library(tmp_path / "images")
    shortnames.make(ours, "localhost/busybox:static")
    place = tmp_path / "context"
    place.mkdir()
    for name in ("needs", "app", "notes.md"):
        (place / name).write_text(name)
    (place / ".dockerignore").write_text("*.md\n.dockerignore\n")
    text = "FROM localhost/busybox:static\nCOPY needs /\nRUN echo 1 > /x\nCOPY . /all/\nENV A=1\n"
    first = build(str(place), ours, text=text)
    found = show.touch(ours, str(place), text=text)
    assert found == {
        ".dockerignore": [True, True, True], "app": [True, True, False], "needs": [False, False, False], "notes.md": [True, True, True],
    }  # fmt: skip
    assert "needs: step 1, 2, 3 again" in capsys.readouterr().out
    assert "COPY needs /     MISS" in repr(show.steps(first)) and "ENV" not in repr(show.steps(first))
    again = build(str(place), ours, text=text)
    assert all(one.cached for one in show.layered(again.steps))
    picture = show.waterfall("two builds", {"first": first, "again": again}, "the second is all grey, as everything was cached")
    assert picture.kind == "image/png"


@requires("root", "overlay", "busybox")
def test_lines_that_are_put_into_another_order(tmp_path, capsys, monkeypatch):
    from helpers import layers as make

    from lib.engine.naming import shortnames
    from lib.show import lineorder

    ours = make.library(tmp_path / "images")
    shortnames.make(ours, "localhost/busybox:static")
    place = tmp_path / "context"
    place.mkdir()
    (place / "app").write_text("app")
    (place / "needs").write_text("needs")
    shown, redrawn = [], []

    def display(one, **_):
        shown.append(one)
        return SimpleNamespace(update=redrawn.append)

    monkeypatch.setattr(lineorder, "display", display)
    text = "FROM localhost/busybox:static\nCOPY . /all/\nCOPY needs /\nRUN cat /needs > /done\n"
    order = show.reorder(ours, str(place), text, "app", lambda image: len(image.layers), "layers")
    assert [again for _, again in order.again()[0]] == [True, True, True] and order.again()[1] == 4
    assert "COPY needs /            runs again ↻" in repr(shown[0]) and repr(shown[0]).endswith("layers                  4")
    lines, buttons = shown[1].children
    up, down = buttons.children
    lines.value = 2
    up.click()
    assert lines.value == 1 and order.lines[1] == "COPY needs /"
    assert order.again()[0] == [("COPY needs /", False), ("COPY . /all/", True), ("RUN cat /needs > /done", True)]
    up.click()  # FROM stays where it is
    assert lines.value == 1
    lines.value = 2
    down.click()
    assert order.again()[0] == [("COPY needs /", False), ("RUN cat /needs > /done", False), ("COPY . /all/", True)]
    assert "cached ✓" in repr(redrawn[-1]) and len(redrawn) == 3
    lines.value = 2
    up.click()
    assert "This order cannot be built." in repr(redrawn[-1]) and "/needs" in redrawn[-1]
    lines.value = 0
    down.click()
    assert order.lines[0].startswith("FROM")
    shutil.rmtree(place)
    up.click()
    assert "from the top" in redrawn[-1]


def test_a_table_is_html_too_with_strangers_words_as_words():
    left = 'style="text-align: left"'  # JupyterLab's style sheet says right, and only a cell's own word counts more
    assert show.table("a|b", [["<b>", "x\x1b"]])._repr_html_() == (
        '<table style="margin-left: 0">\n'
        f"<tr><th {left}>a</th><th {left}>b</th></tr>\n<tr><td {left}>&lt;b&gt;</td><td {left}>x\\x1b</td></tr>\n</table>"
    )


def test_services_are_drawn_in_the_order_of_their_start():
    waits = {"db": {}, "shop": {"db": "healthy"}, "front": {"shop": "started", "db": "healthy"}}
    picture = show.services(waits, {"db": "healthy", "shop": "exited (1)"})
    assert picture.alt == (
        "shop waits until db is healthy; front waits until shop is started and db is healthy. "
        "Now: db healthy, shop exited (1), front not there."
    )
    columns = [int(re.search(rf'<text x="(\d+)"[^>]*>{name}</text>', picture.data)[1]) for name in waits]
    assert columns == sorted(set(columns)), "each to the right of whom it waits for"
    assert picture.data.count("<polygon") == 3


def test_whoever_waits_for_himself_is_not_drawn():
    with pytest.raises(ValueError, match="cycle"):
        show.services({"a": {"b": "started"}, "b": {"a": "started"}}, {})
