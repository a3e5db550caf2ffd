"""What is being done, as it is shown: on a terminal in its place, elsewhere a line for each change."""

from __future__ import annotations

import json
import re

import pytest

from lib.cli.attached import terminal
from lib.cli.compose import members, progress
from lib.cli.compose.progress import Live, Teller
from lib.cli.errors import Failed

TOLD = [("Network", "demo_default", "Creating"), ("Container", "demo-web-1", "Starting"), ("Network", "demo_default", "Created"),
        ("Container", "demo-web-1", "Error no such image")]  # fmt: skip


def shown(kind: str, capsys, ansi: str = "auto") -> str:
    with progress.teller(kind, ansi, "up") as teller:
        for words in TOLD:
            teller.tell(*words)
    out, err = capsys.readouterr()
    assert out == ""
    return err


def test_in_a_pipe_a_line_for_each_change(capsys):
    assert shown("auto", capsys) == shown("plain", capsys) == "".join(f" {' '.join(words)} \n" for words in TOLD)
    assert shown("quiet", capsys) == ""


def test_as_documents(capsys):
    assert [json.loads(line) for line in shown("json", capsys).splitlines()] == [
        {"id": "Network demo_default", "status": "Working", "text": "Creating"},
        {"id": "Container demo-web-1", "status": "Working", "text": "Starting"},
        {"id": "Network demo_default", "status": "Done", "text": "Created"},
        {"id": "Container demo-web-1", "status": "Error", "text": "Error no such image"},
    ]


def test_on_a_terminal_each_thing_has_its_line(capsys, monkeypatch):
    monkeypatch.setattr(terminal, "size", lambda fd=1: (24, 60))
    written = shown("tty", capsys)
    last = re.split("\x1b\\[\\d+A", written)[-1]
    head, network, web = re.sub("\x1b\\[[?0-9]*[a-zA-Z]|\r", "", last).splitlines()
    assert head == "[+] up 2/2"
    assert re.fullmatch(r" ✔ Network demo_default +Created +\d\.\ds", network) and re.fullmatch(
        r" ✘ Container demo-web-1 .*no such image +\d\.\ds", web
    )
    assert "\x1b[3A" in written, "the lines of before are drawn over"
    assert all(len(re.sub("\x1b\\[[?0-9]*[a-zA-Z]|\r", "", line)) <= 60 for line in written.splitlines())


def test_no_more_lines_than_the_terminal_has(capsys, monkeypatch):
    """Else what is above its top could not be drawn over."""
    monkeypatch.setattr(terminal, "size", lambda fd=1: (10, 60))
    with Live("up") as teller:
        for number in range(30):
            teller.tell("Container", f"demo-web-{number}", "Started")
    assert max(map(int, re.findall("\x1b\\[(\\d+)A", capsys.readouterr().err))) <= 9


def test_a_strangers_words_move_no_cursor(capsys):
    with progress.teller("plain", "auto", "up") as teller:
        teller.tell("Image", "evil\x1b[2J", "Pulling")
        teller.note("Image", "evil", "a line\x1b[2J")
    assert "\x1b" not in capsys.readouterr().err


def test_who_says_nothing():
    Teller().tell("Container", "x", "Starting")
    with pytest.raises(Failed, match='unsupported --progress value "loud": there is auto, tty, plain, json, quiet'):
        progress.teller("loud", "auto", "up")


def test_a_container_with_a_name_of_its_own_is_called_by_that():
    about = {"compose": {"project": "demo", "service": "web"}}
    assert members.label(about | {"name": "demo-web-1"}) == "web-1" and members.label(about | {"name": "mine"}) == "mine"
