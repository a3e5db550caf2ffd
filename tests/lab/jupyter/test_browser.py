"""A slider in a real JupyterLab in a real browser, moved: the kernel in the lab VM hears it, and its answer stands in the page.

Chromium is told what to do over its DevTools protocol; JupyterLab itself brings the library for web sockets.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from helpers.needs import requires

from lib.lab.jupyter import kernelspecs

CELL = """import ipywidgets, os
slider, said = ipywidgets.IntSlider(7), ipywidgets.Label("nothing yet")
slider.observe(lambda change: setattr(said, "value", f"{os.uname().nodename} heard {change.new}"), "value")
ipywidgets.VBox([slider, said])"""
RIGHT = {"key": "ArrowRight", "code": "ArrowRight", "windowsVirtualKeyCode": 39}
ENTER = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13}


@contextlib.contextmanager
def program(*argv: str, **how):
    """A program that runs meanwhile; at the end its whole group is ended, first kindly."""
    process = subprocess.Popen(argv, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **how)
    try:
        yield process
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(15)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def patiently(question, what: str, seconds: float = 150):
    """The first answer that says something; a failure that names what did not come."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, IndexError):
            if answer := question():
                return answer
        time.sleep(0.1)
    pytest.fail(f"{what}: not within {seconds} s")


class Page:
    """A browser's page, by https://chromedevtools.github.io/devtools-protocol/."""

    def __init__(self, profile: Path):
        import websocket

        port = patiently(lambda: (profile / "DevToolsActivePort").read_text().split()[0], "chromium")

        def pages() -> list[str]:
            found = json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list"))
            return [page["webSocketDebuggerUrl"] for page in found if page["type"] == "page"]

        address = patiently(pages, "a page")[0]
        self.line, self.count = websocket.create_connection(address, suppress_origin=True, timeout=150), 0

    def ask(self, method: str, **params) -> dict:
        self.count += 1
        self.line.send(json.dumps({"id": self.count, "method": method, "params": params}))
        while (answer := json.loads(self.line.recv())).get("id") != self.count:
            pass
        return answer.get("result", {})

    def js(self, code: str):
        return self.ask("Runtime.evaluate", expression=code, returnByValue=True)["result"].get("value")

    def press(self, element: str, key: dict, shift: bool = False) -> None:
        self.js(f"document.querySelector('{element}').focus()")
        for kind in ("rawKeyDown", "keyUp"):
            self.ask("Input.dispatchKeyEvent", type=kind, modifiers=8 * shift, **key)

    def text(self) -> str:
        return self.js("document.body.innerText") or ""


def jupyter(folder: Path, kernel: str, cells: list[str]) -> tuple[list[str], dict[str, str]]:
    """The command and the environment of a JupyterLab whose files all lie in ``folder``."""
    kernelspecs.install(folder / "data/kernels", kernel)
    code = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
    book = {
        "cells": [code | {"id": f"cell-{number}", "source": cell} for number, cell in enumerate(cells)],
        "metadata": {"kernelspec": {"name": kernel, "display_name": "", "language": "python"}},
        "nbformat": 4, "nbformat_minor": 5,
    }  # fmt: skip
    (folder / "work").mkdir()
    (folder / "work/book.ipynb").write_text(json.dumps(book))
    words = ["--no-browser", "--allow-root", "--port=0", "--ip=127.0.0.1", "--IdentityProvider.token=word", "--ServerApp.port_retries=0"]
    places = {"CONFIG": "config", "DATA": "data", "RUNTIME": "runtime"}
    return [sys.executable, "-m", "jupyterlab", *words], {f"JUPYTER_{name}_DIR": str(folder / place) for name, place in places.items()}


def address_of(folder: Path, pid: int) -> str:
    return patiently(lambda: json.loads((folder / f"runtime/jpserver-{pid}.json").read_text())["url"], "JupyterLab")


@contextlib.contextmanager
def opened(tmp_path: Path, kernel: str, title: str, cells: list[str]):
    """The page of a notebook with these cells, in JupyterLab in chromium, when its kernel is there."""
    command, places = jupyter(tmp_path, kernel, cells)
    profile = tmp_path / "profile"
    browser = ["chromium", "--headless", "--no-sandbox", "--remote-debugging-port=0", f"--user-data-dir={profile}"]
    browser += ["--window-size=1200,800", "about:blank"]  # narrower, JupyterLab folds its toolbar up
    with (
        program(*command, cwd=tmp_path / "work", env=os.environ | places) as server,
        program(*browser, env=os.environ | {"HOME": str(tmp_path)}),
    ):
        page = Page(profile)
        page.ask("Page.navigate", url=f"{address_of(tmp_path, server.pid)}lab/tree/book.ipynb?token=word")
        idle = "document.querySelector('.jp-Notebook-ExecutionIndicator')?.dataset.status == 'idle'"
        patiently(lambda: page.js(idle) and title in page.text(), "the kernel")
        yield page


@pytest.mark.skipif("SUITCASE_GUEST" in os.environ, reason="this is the guest")
@requires("linux.uml", "chromium")
def test_a_slider_moves_in_the_lab_vm(tmp_path):
    with opened(tmp_path, kernelspecs.LAB, "Python (lab VM)", [CELL]) as page:
        page.press(".jp-Notebook .jp-CodeCell .cm-content", ENTER, shift=True)
        patiently(lambda: page.js("Boolean(document.querySelector('.noUi-handle'))") and "nothing yet" in page.text(), "the slider")
        for _ in range(3):
            page.press(".noUi-handle", RIGHT)
        patiently(lambda: re.search(r"lab heard 10\b", page.text()), "the kernel's answer")


LEARNER = [
    """from lib.lab.chapters import exercises
task = exercises.Exercise("sum", "two and two", lambda answer: f"it is {answer}", ["count your fingers", "take both hands"])""",
    "task.look(...)",
    """exercises.ask("What is a container?", {
    "a small machine": (False, "count its kernels"), "an ordinary process": (True, "with a list of ingredients")})""",
]
CLICK = "[...document.querySelectorAll('.jp-Notebook button')].find(one => one.innerText.trim() == '{}')?.click()"


@pytest.mark.skipif("SUITCASE_GUEST" in os.environ, reason="this is the guest")
@requires("chromium")
def test_a_learner_clicks_for_a_hint_and_answers_a_question(tmp_path):
    with opened(tmp_path, kernelspecs.HERE, "Python (this machine)", LEARNER) as page:
        for number, sign in enumerate(("[1]", "a hint, please", "an ordinary process")):
            page.press(f".jp-Notebook .jp-CodeCell:nth-of-type({number + 1}) .cm-content", ENTER, shift=True)
            patiently(lambda sign=sign: sign in page.text(), f"cell {number + 1}")
        for button, answer in (
            ("a hint, please", "hint 1 of 2: count your fingers"),
            ("a hint, please", "hint 2 of 2: take both hands"),
            ("a small machine", "✘ count its kernels"),
            ("an ordinary process", "✔ with a list of ingredients"),
        ):
            page.js(CLICK.format(button))
            patiently(lambda answer=answer: answer in page.text(), answer)
