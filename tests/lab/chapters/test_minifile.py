"""The reader's own file: how it grows, what is kept of theirs, and that what the chapters' cells make of it is a runtime."""

import contextlib
import importlib.util
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.needs import requires

from lib import bases, linux, run
from lib.lab.chapters import minifile
from lib.lab.chapters.minifile import Mini, cells, put, read, up_to, written
from lib.lab.jupyter.chapterlist import there

LONG = 10**6 + os.getpid()  # seconds, and nobody else on this machine sleeps so long


class Shell:
    def __init__(self):
        self.user_ns = {}


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A reader with nothing yet."""
    monkeypatch.setenv("SUITCASE_READER", str(tmp_path))
    monkeypatch.delitem(sys.modules, "mini", raising=False)
    return tmp_path / "mini.py"


def test_a_paragraph_is_added_replaced_and_put_before_another(own):
    shell = Shell()
    mini = Mini(shell, 1)
    mini.add("one", "x = 1\n")
    mini.add("two", "y = x\n")
    mini.add("zero before one", "w = 0\n")
    outline = mini.add("one", "x = 1\nz = 3\n")
    assert list(read(own.read_text())[1]) == ["zero", "one", "two"]
    assert shell.user_ns["mini"].z == 3 and sys.modules["mini"] is shell.user_ns["mini"]
    assert repr(outline) == "mini.py, 4 lines: zero · [one] · two\n  x = 1\n+ z = 3"
    shown, _, folded = outline._repr_html_().partition("<details>")
    assert shown == "<pre>  x = 1\n+ z = 3</pre>\n" and "  # %% zero\n  w = 0\n\n  # %% one\n  x = 1\n+ z = 3\n\n  # %% two" in folded


def test_a_new_paragraph_is_not_printed_a_second_time(own):
    outline = Mini(Shell(), 1).add("one", "x = 1")
    assert (
        repr(outline) == "mini.py, 1 line: [one]" and outline._repr_html_().startswith("<details>") and "+ x = 1" in outline._repr_html_()
    )


def test_run_again_it_is_the_same_file_and_the_same_words(own):
    mini = Mini(Shell(), 1)
    first, text = mini.add("one", "x = 1"), own.read_text()
    second = mini.add("one", "x = 1")
    assert own.read_text() == text and repr(first) == repr(second)


def test_what_the_reader_wrote_stays(own, capsys):
    mini = Mini(Shell(), 1)
    mini.add("one", "x = 1")
    own.write_text("# mine\n" + own.read_text().replace("x = 1", "x = 'changed by hand'") + "\n# %% extra\nextra = True\n")
    mini.add("one", "x = 2")
    assert own.read_text().startswith("# mine\n") and "extra = True" in own.read_text()
    assert "changed by hand" in own.with_name("mini.py~").read_text()
    assert "your version is kept in mini.py~" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "cell", "said"),
    [
        ("", "x = 1", "%%mini wants a name"),
        ("a after b", "x = 1", "wants a name"),
        ("a before b", "x = 1", "no paragraph 'b', it has: one"),
    ],
)
def test_a_wrong_word_says_what_is_right_and_changes_nothing(own, line, cell, said):
    mini = Mini(Shell(), 1)
    mini.add("one", "x = 1")
    before = own.read_text()
    with pytest.raises((ValueError, LookupError), match=re.escape(said)):
        mini.add(line, cell)
    with pytest.raises(SyntaxError):
        mini.add("one", "x = (")
    assert own.read_text() == before


def test_a_file_that_does_not_run_is_named_and_stops_no_chapter(own, capsys):
    own.write_text("# %% run\nrun = (\n")
    Mini(Shell(), 1).begin()
    assert "mini.py does not run as it is: SyntaxError" in capsys.readouterr().out


def test_head_and_paragraphs_survive_being_read_and_written():
    text = written(minifile.HEAD, put(put({}, "a", "x = 1"), "b", "y = 2", "a"))
    assert read(text) == (minifile.HEAD + "\n", {"b": "y = 2", "a": "x = 1"}) and written(*read(text)) == text


# -- what the chapters' own cells make of it ------------------------------------------------------------

WRITTEN = [int(one.number) for one in there() if cells(one.number)]


@pytest.fixture(scope="module")
def mini(tmp_path_factory):
    """The file as the last chapter leaves it, made from the notebooks' cells and nothing else."""
    place = tmp_path_factory.mktemp("mini") / "mini.py"
    place.write_text(written(minifile.HEAD, up_to(max(WRITTEN))))
    spec = importlib.util.spec_from_file_location("mini", place)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def said(call, *words, **more) -> tuple[str, int]:
    """What a container of mini's printed, and its exit code."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        code = call(*words, **more)
    return printed.getvalue(), code


def test_whoever_starts_at_a_chapter_gets_what_the_chapters_before_have_built(own):
    for number in WRITTEN[1:]:
        own.unlink(missing_ok=True)
        shell = Shell()
        Mini(shell, number).begin()
        assert read(own.read_text())[1] == up_to(number - 1) and hasattr(shell.user_ns["mini"], "run")


def test_whoever_goes_back_to_an_earlier_chapter_finds_the_later_one_as_it_was(own):
    for name, _, body in cells("01"):
        own.write_text(written(minifile.HEAD, up_to(2) | {name: body}))
        Mini(Shell(), 3).begin()
        assert read(own.read_text())[1] == up_to(2)


def test_what_a_later_chapter_has_added_is_not_in_the_way(own):
    """Its paragraphs may need what an earlier one's cell is about to take back: chapter 4's ``names`` does."""
    own.write_text(written(minifile.HEAD, up_to(max(WRITTEN))))
    for number in WRITTEN[1:]:
        mini = Mini(Shell(), number)
        mini.begin()
        assert read(own.read_text())[1] == up_to(number - 1)
        for name, before, body in cells(f"{number:02}"):
            mini.add(f"{name} before {before}" if before else name, body)


def test_what_the_reader_has_changed_stays(own):
    mine = up_to(2) | {"run": "def run(root, *command):\n    'mine'"}
    own.write_text(written(minifile.HEAD, mine))
    Mini(Shell(), 3).begin()
    assert read(own.read_text())[1] == mine


def test_it_is_short():
    """The reader types or reads every line: some eighty after chapter 2, and as many more in each one after it."""
    for number, most in ((1, 12), (2, 100), (3, 150), (4, 240), (5, 300)):
        lines = [line for body in up_to(number).values() for line in body.splitlines() if line.strip()]
        assert len(lines) <= most, f"after chapter {number}: {len(lines)} lines"


@pytest.mark.v2
@requires("root", "overlay", "memory", "pids")
@pytest.mark.parametrize(
    "command",
    ["echo $$", "echo /proc/[0-9]*", "ls /", "cat /proc/net/dev | cut -d: -f1", "exit 3", "echo x > /new; cat /new", "cat /dev/null",
     "kill -9 $$; echo still here", "cat /etc/shadow 2>&1"],
)  # fmt: skip
def test_it_shows_a_program_the_same_as_lib_does(mini, command):
    root = bases.busybox()
    text, code = said(mini.run, root, "sh", "-c", command)
    ours = run("busybox", ["sh", "-c", command], show=False)
    assert (text, code) == (ours.text, ours.code)


@pytest.mark.v2
@requires("root", "overlay", "memory", "pids")
def test_it_has_a_name_of_its_own_and_leaves_the_machines_alone(mini):
    name = os.uname().nodename
    assert said(mini.run, bases.busybox(), "hostname") == ("mini\n", 0) and os.uname().nodename == name


@pytest.mark.v2
@requires("root", "overlay", "memory", "pids")
def test_its_limits_are_the_kernels_and_nothing_is_left_of_them(mini):
    root, before = bases.busybox(), cgroups_of_the_dead()
    text, code = said(mini.run, root, "sh", "-c", "for one in 1 2 3 4 5 6 7 8; do sleep 1 & done", pids=4)
    assert code and "can't fork" in text
    assert said(mini.run, root, "dd", "if=/dev/zero", "of=/dev/null", "bs=200M", "count=1", memory="32m")[1] == 137 or swap()
    assert cgroups_of_the_dead() <= before


def cgroups_of_the_dead() -> set[str]:
    """What a mini has left. (A chapter that runs beside this has some of its own, which are alive.)"""
    found = {str(one) for place in ("", "memory", "pids") for one in Path("/sys/fs/cgroup", place).glob("mini-*")}
    return {one for one in found if not os.path.exists(f"/proc/{one.partition('mini-')[2]}")}


@pytest.mark.v2
@requires("root", "memory", "pids")
def test_what_a_killed_mini_left_is_swept_and_what_is_at_work_stays():
    child = subprocess.Popen(["sleep", "60"])
    try:
        gone = subprocess.Popen(["true"])
        gone.wait()
        top = Path("/sys/fs/cgroup", "" if os.path.exists("/sys/fs/cgroup/cgroup.controllers") else "pids")
        for pid in (child.pid, gone.pid):
            (top / f"mini-{pid}").mkdir()
        minifile.sweep()
        assert (top / f"mini-{child.pid}").is_dir() and not (top / f"mini-{gone.pid}").exists()
    finally:
        child.kill()
        child.wait()
        minifile.sweep()
    assert not (top / f"mini-{child.pid}").exists()


def swap() -> bool:
    """Where there is some, what has no memory left goes there: mini does not limit it."""
    return len(linux.read("/proc/swaps").splitlines()) > 1


@pytest.mark.v2
@requires("root", "overlay", "memory", "pids")
def test_when_it_is_killed_its_container_ends_with_it(mini):
    python = "import sys, mini; mini.contain(sys.argv[1])"
    box = f'{{"root": "{bases.busybox()}", "command": ["sleep", "{LONG}"]}}'
    caller = subprocess.Popen([sys.executable, "-Bc", python, box], cwd=Path(mini.__file__).parent)
    try:
        while not (found := sleeping()):
            assert caller.poll() is None
    finally:
        caller.kill()
        caller.wait()
    while sleeping():
        pass
    assert len(found) == 1


def sleeping() -> list[str]:
    found = []
    for one in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found += [one.parent.name] if one.read_bytes() == f"sleep\0{LONG}\0".encode() else []
    return found


@requires("root", "overlay")
def test_a_command_that_is_not_there_is_said(mini):
    text, code = said(mini.run, bases.busybox(), "nosuch")
    assert code == 127 and "No such file or directory" in text
