"""What every chapter must be, checked without running it: its shape, its cells, its outputs, its pace.

nbval compares the outputs themselves (``make test``); these rules are about what nbval cannot see.
"""

import ast
import configparser
import json
import re
from pathlib import Path
from statistics import median

import pytest

from lib.lab.jupyter.chapterlist import home, there
from lib.lab.nbval.measured import HOLDS, IGNORED, MEASURED
from lib.show.sources import lines_of

ROOT = Path(__file__).parents[3]
SANITIZE = ROOT / "tests/nbval_sanitize.cfg"

FOLDED = {"source", "fact", "holds"}

# Chapters of which only a part is written, and what is still to come: they say so in their title cell, and may be shorter. What is there
# keeps every other rule.
UNFINISHED: dict[str, str] = {}


class Notebook:
    def __init__(self, path: Path):
        self.path, self.cells = path, json.loads(path.read_text())["cells"]
        for cell in self.cells:
            cell["source"], cell["tags"] = "".join(cell["source"]), set(cell["metadata"].get("tags", []))
        self.code = [cell for cell in self.cells if cell["cell_type"] == "code"]
        self.prose = [cell for cell in self.cells if cell["cell_type"] == "markdown"]
        self.shown = [cell for cell in self.code if not cell["tags"] & FOLDED]  # what a reader is asked to read

    def tagged(self, tag: str) -> list[dict]:
        return [cell for cell in self.cells if tag in cell["tags"]]


BOOKS = [Notebook(chapter.path(home())) for chapter in there()]
each = pytest.mark.parametrize("book", BOOKS, ids=lambda book: book.path.stem)


def test_there_is_a_chapter():
    assert BOOKS


@each
def test_the_shape_of_a_chapter(book):
    for tag in ("parameters", "setup", "opening", "leaks"):
        assert len(book.tagged(tag)) == 1, f"one cell must be tagged {tag}"
    assert book.code[0]["tags"] >= {"parameters"}, "the parameters are the first code cell"
    assert "leaks" in book.code[-1]["tags"], "the last cell says that nothing is left"
    text_of_all = "\n".join(cell["source"] for cell in book.prose)
    assert text_of_all.startswith(("#", "<")) and text_of_all.count("What Docker calls this") >= 3
    for heading in ("## The pain", "## Exercises", "### A challenge", "## Recap", "## What's next", "Where to read more"):
        assert heading in text_of_all


@each
def test_every_section_asks_a_question_before_it_answers(book):
    sections = re.split(r"^## \d+\. ", "\n".join(cell["source"] for cell in book.prose), flags=re.M)[1:]
    assert len(sections) >= 5
    for section in sections:
        assert "?" in section, section.splitlines()[0]


@each
def test_cells_are_small_and_prose_leads(book):
    sizes = [len(cell["source"].splitlines()) for cell in book.shown]
    assert 2 <= median(sizes) <= 5
    long = [cell["id"] for cell in book.shown if len(cell["source"].splitlines()) > 15]
    assert len(long) <= 3, f"more than 15 lines: {long}"
    assert len(book.prose) > len(book.shown)
    assert (50 if book.path.stem in UNFINISHED else 90) <= len(book.prose) + len(book.shown) <= 130
    assert len({cell["id"] for cell in book.cells}) == len(book.cells)
    for cell in book.shown:
        assert max(map(len, cell["source"].splitlines())) <= 112, f"{cell['id']}: a page cuts lines off that are longer"


@each
def test_a_chapter_that_is_not_finished_says_so(book):
    assert ("first part; the file itself follows" in book.prose[0]["source"]) == (book.path.stem in UNFINISHED)


@each
def test_few_outputs_are_ignored(book):
    assert len(book.tagged(IGNORED)) <= 0.15 * len(book.code)


@each
def test_whatever_may_vary_is_followed_by_what_holds_of_it(book):
    """nbval asks for it, too, and tries whether each claim can fail; here it is seen without a run."""
    for cell, after in zip(book.code, [*book.code[1:], None], strict=True):
        if cell["tags"] & {MEASURED, IGNORED}:
            assert after and HOLDS in after["tags"], f"{cell['id']}: no cell tagged holds after it"
        if HOLDS in cell["tags"]:
            assert cell["metadata"].get("jupyter", {}).get("source_hidden") and not cell["outputs"], cell["id"]


@each
def test_nothing_that_a_reader_sees_is_there_for_the_tests_sake(book):
    for cell in book.shown:
        assert not re.search(r"^\s*assert\b|\bre\.sub\(", cell["source"], re.M), cell["id"]
        for output in cell["outputs"]:
            text = "".join(output.get("text") or output.get("data", {}).get("text/plain", ""))
            assert not re.search(r": (True|False)\s*$", text, re.M), f"{cell['id']}: a number, or a word, would say more"


WORDS, LINES, EXERCISE = 150, 8, 10  # words and lines of code a minute; minutes an exercise


def minutes(book: Notebook) -> tuple[int, int]:
    """How long a chapter takes, by count: to read, and for its exercises."""
    apart = {"exercise", "navigation"}
    read = [cell for cell in book.prose if not cell["tags"] & apart and not any(tag.startswith("solution:") for tag in cell["tags"])]
    words = sum(len(cell["source"].split()) for cell in read)
    lines = sum(
        len(cell["source"].splitlines()) for cell in book.shown if not any(":" in tag and "star" not in tag for tag in cell["tags"])
    )
    return round(words / WORDS + lines / LINES), EXERCISE * len(book.tagged("exercise"))


@each
def test_the_time_it_says_it_takes_is_counted(book):
    reading, exercises = minutes(book)
    said = re.search(r"(\d+) minutes of reading.*?(\d+)", book.prose[0]["source"], re.S)
    assert said, "the opening says: … N minutes of reading … M for the exercises"
    assert abs(int(said[1]) - reading) <= 0.15 * reading and int(said[2]) == exercises, f"by count {reading} and {exercises}"


@each
def test_every_output_is_there_and_in_order(book):
    assert [cell["execution_count"] for cell in book.code] == list(range(1, len(book.code) + 1))
    silent = {"parameters", "setup", "defines", "fact", "holds"}
    for cell in book.code:
        if not cell["outputs"] and not cell["tags"] & silent and not any(tag.startswith("answer:") for tag in cell["tags"]):
            assert defines_only(cell["source"]), f"{cell['id']} has no output"
        assert not [one for one in cell["outputs"] if one["output_type"] == "error" and "raises-exception" not in cell["tags"]]
        assert all(one.get("execution_count", cell["execution_count"]) == cell["execution_count"] for one in cell["outputs"]), cell["id"]


def defines_only(source: str) -> bool:
    """Does a cell only define things? Then it has nothing to print."""
    definitions = ast.FunctionDef | ast.ClassDef | ast.Assign | ast.Import | ast.ImportFrom
    return all(isinstance(node, definitions) for node in ast.parse(source).body)


@each
def test_every_picture_has_words(book):
    for cell in book.code:
        for output in cell["outputs"]:
            data = output.get("data", {})
            if any(kind.startswith("image/") for kind in data):
                words = "".join(data["text/plain"])
                assert len(words) > 30 and "object at 0x" not in words and "<Figure" not in words, cell["id"]
                told = [about["alt"] for about in output["metadata"].values() if "alt" in about]
                assert set(told) <= {words}, f"{cell['id']}: a page's words for this picture are those of another run"


@each
def test_no_magic_and_no_path_of_a_machine(book):
    for cell in book.cells:
        assert not re.search(r"^\s*!|curl .*\|\s*sh", cell["source"], re.M), cell["id"]
        everything = cell["source"] + json.dumps(cell.get("outputs", []))
        for path in ("/home/", "/root/", "/work/", "/Users/", str(ROOT)):
            assert path not in everything, f"{cell['id']} holds {path}"


@each
def test_no_fork_in_the_notebook_s_own_kernel(book):
    for cell in book.code:
        if "os.fork(" in cell["source"]:
            assert cell["source"].startswith(("%%alone", "%%mini")), cell["id"]


@each
def test_exercises_have_an_answer_a_check_and_a_folded_solution(book):
    names = {tag.split(":")[1] for cell in book.cells for tag in cell["tags"] if tag.startswith("check:")}
    assert len(names) >= 3
    for name in names:
        assert len(book.tagged(f"answer:{name}")) == 1
        (solution,) = book.tagged(f"solution:{name}")
        assert "<details>" in solution["source"] and "```python" in solution["source"]
        (check,) = book.tagged(f"check:{name}")
        assert "not yet" in json.dumps(check["outputs"]) and ".hint()" in json.dumps(check["outputs"])


# -- the engine's source --------------------------------------------------------------------------


def shown_lines(book: Notebook) -> int:
    """How many lines of ``lib`` a chapter shows, folded or not, read from its calls of ``show.source``."""
    found = 0
    for cell in book.code:
        if not cell["source"].startswith("%%"):
            for node in ast.walk(ast.parse(cell["source"])):
                if isinstance(node, ast.Call) and ast.unparse(node.func) == "show.source":
                    first, *names = (argument.value for argument in node.args)
                    found += sum(end - start + 1 for start, end in lines_of(first, tuple(names)))
    return found


@each
def test_a_chapter_shows_what_is_worth_reading_and_links_the_rest(book):
    """The reader's own lines are in mini.py; of ours nobody reads thousands."""
    assert shown_lines(book) <= 300
    for target in re.findall(r"\]\(\.\./(lib/[^)#]*)", "\n".join(cell["source"] for cell in book.prose)):
        assert (ROOT / target).exists(), target


@each
def test_source_stands_near_prose(book):
    """A folded block of source follows a cell of prose, and no chapter has two such blocks in a row."""
    for before, cell in zip(book.cells, book.cells[1:], strict=False):
        if "source" in cell["tags"]:
            assert "source" not in before["tags"], cell["id"]


# -- what may change from run to run ------------------------------------------------------------------

HARMLESS = ["exit 137: killed by the memory limit (64 MiB)", "memory.max = 67108864", "my pid is 1", "cpu.max = 50000 100000", "20"]


def patterns() -> list[tuple[str, str]]:
    book = configparser.RawConfigParser()
    book.read(SANITIZE)
    return [(book[name]["regex"], book[name]["replace"]) for name in book.sections()]


def test_the_sanitiser_s_patterns_are_few_and_leave_results_alone():
    assert len(patterns()) <= 8
    for regex, replacement in patterns():
        for line in HARMLESS:
            assert re.sub(regex, replacement, line) == line, f"{regex} would hide a difference in {line!r}"
