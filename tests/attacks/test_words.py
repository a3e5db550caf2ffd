"""A stranger's words: on a terminal, in a picture and on a page they are text, and do nothing."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest
from helpers import layers as make
from helpers.layers import member
from helpers.needs import requires
from helpers.sites import Site
from matplotlib.backends.backend_agg import RendererAgg

from lib import run, show
from lib.build import StepReport
from lib.build.builder import Built
from lib.build.imageconfig import config_of
from lib.dockerfile import DockerfileError, parse
from lib.engine import making
from lib.engine.wishes import Wishes, facts
from lib.images import ImageError
from lib.ingredients import users
from lib.process import StepError
from lib.show import picture

EVIL = "\x1b]0;title\x07 \x9b2J \x08 \u202e gnp.exe \ud800 \ufffe"
HARMFUL = ("\x1b", "\x07", "\x9b", "\x08", "\u202e", "\ud800", "\ufffe")


def on_a_terminal(*words: str) -> str:
    """What a command prints there."""
    main, side = pty.openpty()
    child = subprocess.Popen([sys.executable, "-m", "lib.cli", *words], stdin=subprocess.DEVNULL, stdout=side, stderr=side)
    os.close(side)
    said = b""
    try:
        while piece := os.read(main, 1 << 16):
            said += piece
    except OSError:  # EIO: the other end is closed
        pass
    os.close(main)
    assert child.wait(60) == 0, said
    return said.decode().replace("\r\n", "\n")


@pytest.fixture
def image(tmp_path, monkeypatch):
    ours = make.library(tmp_path / "images")
    monkeypatch.setenv("SUITCASE_IMAGES", str(tmp_path / "images"))
    config = {"Labels": {"evil": EVIL.replace("\ud800", "").replace("\ufffe", "")}, "Env": ["A=\x9b"]}
    return make.image(ours, make.tar(member("x")), name="evil:1", config=config)


@pytest.mark.parametrize("how", [(), ("-f", "{{.Config.Labels}}"), ("-f", "{{json .Config}}")])
def test_inspect(image, how):
    said = on_a_terminal("inspect", *how, "evil:1")
    assert not [one for one in HARMFUL if one in said] and "\\x9b2J" in said
    piped = subprocess.run([sys.executable, "-m", "lib.cli", "inspect", *how, "evil:1"], capture_output=True, check=True).stdout.decode()
    assert "\\x9b" not in piped  # a program gets it as it is
    if not how:
        assert json.loads(piped)[0]["Config"]["Env"] == ["A=\x9b"]


@requires("root", "overlay")
def test_what_a_RUN_prints(tmp_path, monkeypatch):
    site = Site(tmp_path)
    monkeypatch.setenv("SUITCASE_IMAGES", str(site.library.store.place))
    site.write("Dockerfile", "FROM base\nRUN printf 'a\\033]0;t\\007\\nb\\r\\n\\302\\2332Jc'\n")
    said = on_a_terminal("build", "--progress", "plain", str(site.context))
    assert "| a\\x1b]0;t\\x07\n" in said and "| b\n" in said and "| \\x9b2Jc\n" in said
    assert not [one for one in HARMFUL if one in said]


def test_warnings_of_a_dockerfile(tmp_path, monkeypatch):
    """The parser's words hold those of the file."""
    from lib.cli import building

    said = []
    monkeypatch.setattr(building.click, "echo", lambda text, err: said.append(text))
    building.say(f"[Warning] line 3: {EVIL}")
    assert not [one for one in HARMFUL if one in said[0]]


@pytest.mark.parametrize(
    "draw",
    [
        lambda: picture.svg(10, 10, [picture.label(0, 0, EVIL)], "alt"),
        lambda: picture.svg(10, 10, [picture.box(0, 0, 1, 1, "red", hover=EVIL)], "alt"),
        lambda: picture.svg(10, 10, [], EVIL),
        lambda: show.cake([(EVIL, 3)], [EVIL]),
    ],
)
def test_pictures(draw):
    drawn = draw()
    ET.fromstring(drawn.data)  # with a control character it is no XML, and no picture
    assert not [one for one in HARMFUL if one in drawn.data or one in repr(drawn)]


WORDS = r"RUN echo $A_$B^ '\$C' $" + "\x9b2J"  # two dollars are a formula for matplotlib, and this one is none


def drawn_words(monkeypatch, draw) -> str:
    """Every text of a plot, as it is drawn."""
    found, draws = [], RendererAgg.draw_text

    def note(self, context, x, y, text, *more, **how):
        found.append(text)
        return draws(self, context, x, y, text, *more, **how)

    monkeypatch.setattr(RendererAgg, "draw_text", note)
    monkeypatch.setattr(RendererAgg, "draw_mathtext", lambda *words: pytest.fail(f"a formula: {words}"))
    draw()
    return "\n".join(found)


@pytest.mark.parametrize(
    "draw",
    [
        lambda: show.bars(WORDS, {WORDS: 1.0, "b": 2.0}, WORDS, "alt", 1.5, WORDS),
        lambda: show.lines(WORDS, {WORDS: ([1, 2], [1, 2])}, WORDS, WORDS, "alt", {WORDS: 2.0}),
        lambda: show.stack(WORDS, {WORDS: 1.0}, WORDS, mark=(WORDS, 0.5)),
        lambda: show.growth(WORDS, {WORDS: [1, 2]}, WORDS),
        lambda: show.waterfall(WORDS, {WORDS: Built(None, [StepReport(WORDS, 1, 1, WORDS, 1, "run")], 1.0, [])}, "alt"),
    ],
    ids=["bars", "lines", "stack", "growth", "waterfall"],
)
def test_plots(monkeypatch, draw):
    said = drawn_words(monkeypatch, draw)
    assert said.count(r"RUN echo $A_$B^ '\$C' $\x9b2J") >= 3 and "\x9b" not in said


def test_tables():
    shown = repr(show.table("step | why", [(EVIL, EVIL)]))
    assert not [one for one in HARMFUL if one in shown]
    assert shown.splitlines()[2].startswith("\\x1b]0;title\\x07 \\x9b2J")


@requires("root", "overlay", "busybox")
def test_an_error_that_a_notebook_shows(tmp_path):
    """The first line of a script in an image names an interpreter that is not there, in words of its author's choosing."""
    script = tmp_path / "script"
    script.write_bytes(b"#!/bin/" + EVIL.encode("utf-8", "surrogatepass") + b"\n")
    script.chmod(0o755)
    with pytest.raises(StepError, match="interpreter in its first line") as caught:
        run("busybox", ["/script"], volumes=[f"{script}:/script:ro"], show=False)
    assert not [word for word in HARMFUL if word in str(caught.value)], str(caught.value)


@pytest.mark.parametrize("digits", ["\u00b2", "\u0663", "9" * 5000], ids=["superscript", "Arabic", "many"])
def test_digits_that_int_does_not_take_or_nobody_means(digits):
    with pytest.raises(DockerfileError, match="is not a port"):
        config_of((f"EXPOSE {digits}",))
    with pytest.raises(users.UnknownUser, match="unable to find user"):
        users.find(digits, lambda path: "")


SAID = EVIL.replace("\ud800", "").replace("\ufffe", "").replace(" ", "")
DOCKERFILES = {
    "an instruction": f"RUNN {SAID}",
    "a flag": f"COPY --{SAID} a b",
    "a source": f'COPY ["{SAID}", "/x/"]',
    "a pattern": f"COPY [{SAID.replace(']', '')} /x/",
    "a port": f"EXPOSE {SAID}",
    "a variable": f"LABEL a=${{b?{SAID}}}",
    "a user": f"USER {SAID}\nWORKDIR /x",
    "a mode": f"COPY --chmod={SAID} a /b",
    "an image": f"COPY --from={SAID} a /b",
    "a duration": f"HEALTHCHECK --interval={SAID} CMD true",
}


@pytest.mark.parametrize("text", DOCKERFILES.values(), ids=DOCKERFILES)
def test_errors_of_a_build_that_a_notebook_shows(tmp_path, text):
    site = Site(tmp_path)
    site.write("a")
    with pytest.raises((ImageError, ValueError)) as caught:
        site.build(f"FROM scratch\n{text}\n")
    assert not [word for word in HARMFUL if word in str(caught.value)], str(caught.value)
    assert "\\x1b" in str(caught.value)


@requires("root", "overlay")
def test_the_last_words_of_a_RUN_that_a_notebook_shows(tmp_path):
    with pytest.raises(ImageError) as caught:
        Site(tmp_path).build("FROM base\nRUN printf '\\033]0;t\\007\\302\\2332J\\n'; exit 3\n")
    assert not [word for word in HARMFUL if word in str(caught.value)] and "\\x1b]0;t\\x07\\x9b2J" in str(caught.value)


def test_an_error_of_rules_that_a_notebook_shows(tmp_path):
    site = Site(tmp_path)
    site.write(".dockerignore", f"[{SAID.replace(']', '')}\n")
    with pytest.raises(ValueError, match=r"\.dockerignore:1:") as caught:
        site.build("FROM scratch\nCOPY . /\n")
    assert not [word for word in HARMFUL if word in str(caught.value)], str(caught.value)


@pytest.mark.parametrize("config", [{"User": SAID}, {"WorkingDir": SAID}], ids=["user", "folder"])
@requires("root", "overlay")
def test_errors_of_an_images_config_that_a_notebook_shows(tmp_path, config):
    ours = make.library(tmp_path / "images")
    found = make.image(ours, make.tar(member("x")), name="evil:1", config=config)
    with pytest.raises((LookupError, ValueError)) as caught:
        making.container(ours, facts(found, Wishes(["/x"])) | {"id": "0" * 64, "name": "evil", "auto_remove": True})
    assert not [word for word in HARMFUL if word in str(caught.value)], str(caught.value)


def test_the_caret_stands_below_what_is_shown():
    with pytest.raises(DockerfileError) as caught:
        parse("FROM a\nCOPY --from=\x1b\x1b --wrong a b\n")
    _, line, caret, _ = str(caught.value).split("\n")
    assert line[caret.index("^") :].startswith("--wrong") and caret.count("^") == len("--wrong")
