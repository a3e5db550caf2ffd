"""The batch runner, on small notebooks made here: what it refuses, what it writes, how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from helpers.waiting import wait_for
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from lib.lab.jupyter import batch, chapterlist, navigation, notebooks, outputdiff, outputs
from lib.lab.jupyter.batch import claim
from lib.lab.jupyter.chapterlist import CHAPTERS, ROOT, there
from lib.lab.jupyter.page import cover, page, picture_of
from lib.lab.jupyter.parameters import WrongUse, check_parameters, parameters_of, split_parameters, value_for
from lib.lab.jupyter.pool import may_start
from lib.lab.jupyter.worker import Job

PARAMETERS = "memory = '64m'\nrepeats = 3\nshare: float = 0.5\nquick = True\nsizes = [1, 2]\nfolder = make()"


def write(folder: Path, number: str, *cells: tuple[str, list[str]]) -> Path:
    chapter = next(one for one in CHAPTERS if one.number == number)
    code = [new_code_cell(source, id=f"cell-{index}", metadata={"tags": tags}) for index, (source, tags) in enumerate(cells)]
    path = chapter.path(folder)
    nbformat.write(new_notebook(cells=[new_markdown_cell("# A chapter", id="title"), *code]), path)
    return path


def command(folder: Path, *words: str, out: Path | None = None) -> list[str]:
    where = ["--notebooks", str(folder), "--out", str(out or folder / "out"), "--anyway"]
    return [sys.executable, "-m", "lib.lab.jupyter.batch", *where, *words]


def run(folder: Path, *words: str) -> subprocess.CompletedProcess:
    return subprocess.run(command(folder, *words), cwd=ROOT, capture_output=True, text=True, env=quiet())


def quiet() -> dict[str, str]:
    """The environment without what `make` may have set."""
    return {key: value for key, value in os.environ.items() if key not in ("ONLY", "PARAMS", "JOBS", "CELL_TIMEOUT", "OUT")}


def report(folder: Path) -> dict[str, dict]:
    return {row["chapter"]: row for row in json.loads((folder / "report.json").read_text())["chapters"]}


# -- what is asked for ----------------------------------------------------------------------------


def test_parameters_are_read_from_the_cell(tmp_path):
    path = write(tmp_path, "02", (PARAMETERS, ["parameters"]))
    assert parameters_of(path) == {"memory": "64m", "repeats": 3, "share": 0.5, "quick": True, "sizes": [1, 2], "folder": ...}


def test_words_are_split_as_a_shell_does():
    assert split_parameters("02.memory=64m 2.name='two words' 03.x=[1,2]") == [
        ("02", "memory", "64m"), ("02", "name", "two words"), ("03", "x", "[1,2]"),
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["memory=64m", "02.memory", "02.=3", "x2.memory=3", "02.2=3", "02.name='open"])
def test_a_malformed_word_is_named(text):
    with pytest.raises(WrongUse, match="PARAMS"):
        split_parameters(text)


@pytest.mark.parametrize(
    ("default", "text", "value"),
    [("64m", "12", "12"), ("a", "no", "no"), (3, "5", 5), (3, "0.5", 0.5), (0.5, "2", 2), (True, "false", False), ([1], "[2, 3]", [2, 3]),
     ((1,), "[2]", (2,)), (..., "x", "x"), (None, "7", 7)],
)  # fmt: skip
def test_values_take_the_kind_of_the_default(default, text, value):
    assert value_for(default, text) == value


@pytest.mark.parametrize(("default", "text"), [(3, "three"), (3, "true"), (True, "1"), ([1], "1"), ([1], "[1"), ({}, "[1]"), (3, "")])
def test_values_of_another_kind_are_refused(default, text):
    with pytest.raises(WrongUse):
        value_for(default, text)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--params", "02.memry=64m"], "chapter 02 has no parameter 'memry': there are folder, memory, quick, repeats, share, sizes"),
        (["--params", "03.x=1"], "chapter 03 is not among those that run (02)"),
        (["--params", "02.repeats=many"], "02.repeats: 'many' is str, the default 3 is int"),
        (["--only", "9"], "no chapter 09: there are 02"),
        (["--jobs", "0"], "JOBS"),
        (["--cell-timeout", "0"], "CELL_TIMEOUT"),
    ],
)
def test_wrong_use_runs_nothing(tmp_path, words, told):
    write(tmp_path, "02", (PARAMETERS, ["parameters"]))
    done = run(tmp_path, *words)
    assert (done.returncode, told in done.stderr, (tmp_path / "out").exists()) == (2, True, False), done.stderr


def test_no_chapter_is_wrong_use(tmp_path):
    assert run(tmp_path).returncode == 2


def test_a_lack_is_told_before_anything_runs(tmp_path, monkeypatch, capsys):
    write(tmp_path, "02", ("1", []))
    monkeypatch.setattr(batch, "lacks", lambda jobs: ["overlay: none. No layers. What to do: that."])
    assert batch.main(["--notebooks", str(tmp_path), "--out", str(tmp_path / "out")]) == 3
    assert "What to do: that." in capsys.readouterr().err


def test_the_parameters_of_make_come_by_the_environment(monkeypatch):
    monkeypatch.setenv("ONLY", "02")
    monkeypatch.setenv("JOBS", "")  # make exports what is not set as empty
    args = batch.parser().parse_args([])
    assert (args.only, args.jobs) == ("02", 1)


# -- running ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """One batch of four chapters: one is fine, one raises, one hangs, one loses its kernel."""
    folder = tmp_path_factory.mktemp("mixed")
    write(
        folder, "02", (PARAMETERS.replace("make()", "None"), ["parameters"]), ("print(memory, repeats)", []), ("1/0", ["raises-exception"]),
        ("import lib; lib.__file__", []), ("[03](03-images-layers-and-slow-builds.ipynb)", ["raises-exception"]),
    )  # fmt: skip
    write(folder, "04", ("x = 1", []), ("raise ValueError('this one')", ["the-tag"]), ("print('never')", []))
    write(folder, "05", ("import time", []), ("time.sleep(600)", []))
    write(folder, "06", ("import os; os.kill(os.getpid(), 9)", []), ("print('never')", []))
    done = run(folder, "--jobs", "2", "--cell-timeout", "15", "--params", "02.memory=32m 02.repeats=5")
    return folder / "out", done


def test_one_failure_keeps_the_others(mixed):
    out, done = mixed
    assert done.returncode == 1, done.stderr
    assert {name: row["status"] for name, row in report(out).items()} == {"02": "ok", "04": "failed", "05": "failed", "06": "failed"}
    for row in report(out).values():
        assert Path(row["executed"]).exists() and Path(row["page"]).exists()


def test_parameters_arrive_and_a_meant_error_is_no_failure(mixed):
    executed = nbformat.read(report(mixed[0])["02"]["executed"], as_version=4)
    assert "32m 5" in str(executed.cells)


def test_the_kernel_is_this_python_with_this_checkout(mixed):
    executed = nbformat.read(report(mixed[0])["02"]["executed"], as_version=4)
    assert str(ROOT / "lib/__init__.py") in str(executed.cells)


def test_the_failing_cell_is_named(mixed):
    out, done = mixed
    error = report(out)["04"]["error"]
    assert (error["name"], error["message"]) == ("ValueError", "this one")
    assert (error["cell"]["index"], error["cell"]["id"], error["cell"]["tags"]) == (2, "cell-1", ["the-tag"])
    assert "cell 2 (id cell-1): ValueError: this one" in done.stdout


def test_a_cell_that_hangs_meets_its_limit(mixed):
    error = report(mixed[0])["05"]["error"]
    assert error["cell"]["id"] == "cell-1"
    assert "had not ended after 15 seconds" in error["message"]


def test_a_dead_kernel_is_told(mixed):
    assert "kernel died" in report(mixed[0])["06"]["error"]["message"]


def test_where_to_look_is_printed(mixed):
    out, done = mixed
    assert "1 of 4 chapters ran whole" in done.stdout
    assert str(out / "index.html") in done.stdout and (out / "index.html").exists()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_leaves_nothing(tmp_path, number, code):
    mark = tmp_path / "pid"
    write(tmp_path, "02", (f"import os, time; open({str(mark)!r}, 'w').write(str(os.getpid())); time.sleep(600)", []))
    write(tmp_path, "04", ("1", []))
    process = subprocess.Popen(command(tmp_path), cwd=ROOT, env=quiet(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    kernel = wait_for(lambda: mark.exists() and mark.read_text(), 60)
    process.send_signal(number)
    text, _ = process.communicate(timeout=60)
    assert process.returncode == code, text
    assert not os.path.exists(f"/proc/{kernel}"), "the kernel outlived the batch"
    assert {name: row["status"] for name, row in report(tmp_path / "out").items()} == {"02": "interrupted", "04": "not run"}


def test_a_killed_batch_takes_its_kernel_along(tmp_path):
    mark = tmp_path / "pid"
    write(tmp_path, "02", (f"import os, time; open({str(mark)!r}, 'w').write(str(os.getpid())); time.sleep(600)", []))
    process = subprocess.Popen(command(tmp_path), cwd=ROOT, env=quiet(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    kernel = wait_for(lambda: mark.exists() and mark.read_text(), 60)
    process.kill()
    process.wait()
    wait_for(lambda: not os.path.exists(f"/proc/{kernel}"), 60)


# -- side by side -----------------------------------------------------------------------------------------


def test_a_second_batch_writes_elsewhere(tmp_path):
    first, lock = claim(tmp_path / "build")
    second, other = claim(tmp_path / "build")
    assert (first, second) == (tmp_path / "build", tmp_path / "build/batch-2")
    os.close(lock)
    again, third = claim(tmp_path / "build")
    assert again == first
    os.close(other)
    os.close(third)


def test_chapters_that_measure_times_run_alone():
    def running(number):
        return type("Worker", (), {"job": Job(number, "", "", "", "")})()

    alone, other = (next(one.number for one in CHAPTERS if one.alone == wanted) for wanted in (True, False))
    assert may_start(Job(other, "", "", "", ""), [running(other)], 2)
    assert not may_start(Job(other, "", "", "", ""), [running(other)], 1)
    assert not may_start(Job(alone, "", "", "", ""), [running(other)], 2)
    assert not may_start(Job(other, "", "", "", ""), [running(alone)], 2)
    assert may_start(Job(alone, "", "", "", ""), [], 1)


def test_check_parameters_returns_values(tmp_path):
    write(tmp_path, "02", (PARAMETERS, ["parameters"]))
    assert check_parameters("2.repeats=4", chapterlist.there(tmp_path), tmp_path) == {"02": {"repeats": 4}}


# -- notebooks as files --------------------------------------------------------------------------------------


def test_outputs_rewrites_only_what_changed(tmp_path, monkeypatch):
    path = write(tmp_path, "02", ("print('one')", []), ("import os; print(os.getpid())", ["nbval-ignore-output"]))
    monkeypatch.setattr(chapterlist, "home", lambda: tmp_path)
    assert notebooks.main(["outputs", "--check"]) == 1  # never run
    assert notebooks.main(["outputs"]) == 0
    assert notebooks.main(["outputs", "--check"]) == 0  # the pid differs, and is ignored
    written = nbformat.read(path, as_version=4)
    assert [cell.get("execution_count") for cell in written.cells] == [None, 1, 2]
    assert written.cells[1].id == "cell-0" and "one" in written.cells[1].outputs[0].text
    assert set(written.metadata) == {"kernelspec", "language_info"}
    path.write_text(path.read_text().replace('"one\\n"', '"two\\n"'))
    assert notebooks.main(["outputs", "--check"]) == 1


def test_outputs_leaves_a_failing_notebook_alone(tmp_path, monkeypatch, capsys):
    path = write(tmp_path, "02", ("1/0", []))
    before = path.read_text()
    monkeypatch.setattr(chapterlist, "home", lambda: tmp_path)
    assert notebooks.main(["outputs"]) == 1
    assert path.read_text() == before and "ZeroDivisionError" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_outputs_can_be_stopped_and_the_files_stay_whole(tmp_path, number):
    """The chapter that runs stays as it was, its kernel ends, the next one is not begun, no draft is left."""
    mark = tmp_path / "pid"
    first = write(tmp_path, "02", (f"import os, time; open({str(mark)!r}, 'w').write(str(os.getpid())); time.sleep(600)", []))
    second = write(tmp_path, "04", ("1", []))
    before = first.read_text(), second.read_text()
    program = "from pathlib import Path; from lib.lab.jupyter import chapterlist, notebooks"
    program += f"; chapterlist.home = lambda: Path({str(tmp_path)!r})"
    command = [sys.executable, "-c", f"{program}; raise SystemExit(notebooks.main(['outputs']))"]
    process = subprocess.Popen(command, cwd=ROOT, env=quiet(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    kernel = wait_for(lambda: mark.exists() and mark.read_text(), 60)
    process.send_signal(number)
    text, _ = process.communicate(timeout=60)
    ours = f'File "{ROOT}/lib/'  # in a traceback of the command; ipykernel may print one of its own when it is told to end
    assert (process.returncode, "02: interrupted, the file is left as it was" in text, ours in text) == (130, True, False), text
    assert (first.read_text(), second.read_text()) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([first.name, second.name, "pid"])
    assert not os.path.exists(f"/proc/{kernel}"), "the kernel outlived the command"


def picture(words: str | None, data: str = "iVBORw0KGgo=", kind: str = "image/png"):
    metadata = {kind: {"alt": words, "width": 3}} if words else {}
    return nbformat.v4.new_output("display_data", {kind: data, "text/plain": "a picture"}, metadata=metadata)


def test_the_words_of_a_picture_stay_and_nothing_else_of_its_metadata():
    cell = new_code_cell("x", outputs=[picture("A wall."), picture("A line.", "<svg/>", "image/svg+xml"), picture(None)])
    outputs.normalise(new_notebook(cells=[cell]))
    assert [one.metadata for one in cell.outputs] == [{"image/png": {"alt": "A wall."}}, {"image/svg+xml": {"alt": "A line."}}, {}]


def test_new_words_for_the_same_picture_are_taken():
    old, new = (new_notebook(cells=[new_code_cell("x", outputs=[picture(words)])]) for words in ("Old.", "New."))
    outputs.keep_equal_outputs(old, new, [])
    assert new.cells[0].outputs[0].metadata["image/png"]["alt"] == "New."


def test_the_numbers_of_a_picture_that_stays_are_its_own():
    old, new = (new_notebook(cells=[new_code_cell("x", outputs=[picture(words)])]) for words in ("Ready at 3.1 s.", "Ready at 3.2 s."))
    outputs.keep_equal_outputs(old, new, [])
    assert new.cells[0].outputs[0].metadata["image/png"]["alt"] == "Ready at 3.1 s."


def test_a_kept_output_has_the_number_of_its_cell():
    old, new = (
        new_notebook(cells=[new_code_cell("6 * 7", execution_count=number, outputs=[
            nbformat.v4.new_output("execute_result", {"text/plain": "42"}, execution_count=number)])]) for number in (1, 2)
    )  # fmt: skip
    outputs.keep_equal_outputs(old, new, [])
    assert new.cells[0].outputs[0].execution_count == 2


# -- pages -------------------------------------------------------------------------------------------------


def test_a_page_needs_no_network_and_hides_what_jupyterlab_folds(tmp_path):
    widget = nbformat.v4.new_output("display_data", {outputs.WIDGET_VIEW: {"model_id": "1"}, "text/plain": "three knobs"})
    cells = [
        new_markdown_cell("[all](../README.md#the-seven-chapters) [next](03-images-layers-and-slow-builds.ipynb)"),
        new_code_cell("bring_source()", metadata={"tags": ["source"]}, outputs=[nbformat.v4.new_output("stream", text="the source")]),
        new_code_cell("assert fact", metadata={"tags": ["fact"]}),
        new_markdown_cell("## 1. A question?"),
        new_code_cell("import os", metadata={"tags": ["setup"]}),
        new_code_cell("draw()", outputs=[picture('A "wall".'), picture(None, "<svg/>", "image/svg+xml"), widget]),
        new_code_cell("ours()", outputs=[picture(None, "<svg><title>boxes</title></svg>", "image/svg+xml")]),
    ]
    path = tmp_path / CHAPTERS[1].file
    nbformat.write(new_notebook(cells=cells, metadata={"widgets": {}}), path)
    text = page(str(path))
    assert "<script" not in text and 'src="http' not in text and "the source" in text
    assert "bring_source" not in text and "assert" not in text.split("<main>")[1] and "draw" in text
    assert "alt='A \"wall\".'" in text and 'alt="a picture"' in text and "three knobs" in text and "model_id" not in text
    assert 'href="index.html"' in text and 'href="03-images-layers-and-slow-builds.html"' in text
    assert f"<title>2. {CHAPTERS[1].title.split(chr(39))[0]}" in text
    assert "<svg><title>boxes</title></svg>" in text, "the pointer must find what a drawing of ours says"
    assert text.count('<li><a href="#1.-A-question?">1. A question?</a></li>') == 2 and "<summary>Set-up (1 lines)</summary>" in text
    assert "prefers-color-scheme: dark" in text and "white-space: pre-wrap" in text


def test_the_first_page_tells_what_each_chapter_is_and_shows_its_emblem(tmp_path):
    cells = [
        new_code_cell(
            "draw()", metadata={"tags": ["emblem"]}, outputs=[picture(None, "<svg><title>a tower</title></svg>", "image/svg+xml")]
        )
    ]
    path = tmp_path / CHAPTERS[0].file
    nbformat.write(new_notebook(cells=cells), path)
    text = cover([("<a href='one.html'>1. Why</a>", "Two & two.", "ok, 3 s", picture_of(str(path))), ("2. What", "", "failed", "")])
    assert "Two &amp; two." in text and "data:image/svg+xml;utf8,%3Csvg%3E%3Ctitle%3Ea%20tower" in text and 'alt="a picture"' in text
    assert text.count("<section>") == 2 and 'src="http' not in text
    assert all(one.about.count(". ") >= 1 for one in there())


def test_navigation_is_written_once(tmp_path):
    chapter = CHAPTERS[1]
    path = write(tmp_path, "02", ("1", []))
    assert navigation.write_navigation(chapter, tmp_path, check=True)
    assert navigation.write_navigation(chapter, tmp_path, check=False)
    assert not navigation.write_navigation(chapter, tmp_path, check=False), "the second time nothing changes"
    cells = nbformat.read(path, as_version=4).cells
    assert [cell.id for cell in cells] == ["title", "navigation-top", "cell-0", "navigation-end"]
    assert "(not written yet)" in cells[1].source and "Chapter 2 of 7" in cells[1].source
    write(tmp_path, "01", ("1", []))
    assert navigation.write_navigation(chapter, tmp_path, check=False)
    assert "](01-why-docker-exists.ipynb)" in nbformat.read(path, as_version=4).cells[1].source


def test_a_sanitised_difference_is_none(tmp_path):
    config = tmp_path / "sanitize.cfg"
    config.write_text("[id]\nregex: [0-9a-f]{12}\nreplace: ID\n")
    patterns = outputdiff.sanitizers(config)
    one, two = (new_code_cell("x", outputs=[nbformat.v4.new_output("stream", text=f"container {name}\n")]) for name in ("a" * 12, "b" * 12))
    assert outputdiff.comparable(one, patterns) == outputdiff.comparable(two, patterns)
    assert outputdiff.comparable(one, []) != outputdiff.comparable(two, [])
