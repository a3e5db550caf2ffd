""".dockerignore and the patterns of COPY, by Docker's own tables and by what surprises readers."""

from __future__ import annotations

import contextlib
import re

import pytest
from helpers.fuzz import fuzzed, steps
from helpers.gosource import STRING, block, literal, source
from hypothesis import given
from hypothesis import strategies as st

from lib.build import globs
from lib.build.globs import BadGlob, compile_glob, compile_ignore
from lib.build.ignore import Ignore, IgnoreError

GO = ("moby/patternmatcher/patternmatcher_test.go", "golang-github-moby-patternmatcher-dev")
PATHS = ["a", "b", "ab", "a/b", "b/a", "a/b/a", "a/ab/b", "a.b", ".a", "x/a/b", "b/b/b/b", "aab", "é", "a/é.b"]


def ignored(lines: list[str], *paths: str) -> list[str]:
    rules = Ignore(lines)
    return [path for path in paths if rules.ignored(path)]


# -- what surprises readers --------------------------------------------------------------------


def test_a_star_and_then_exceptions_lets_only_these_in():
    lines = ["*", "!src", "!go.mod"]
    assert ignored(lines, "README.md", "src", "src/main.go", "go.mod", "docs/a") == ["README.md", "docs/a"]


def test_the_order_decides():
    assert ignored(["*.md", "!README.md"], "README.md", "a.md") == ["a.md"]
    assert ignored(["!README.md", "*.md"], "README.md", "a.md") == ["README.md", "a.md"]


def test_an_exception_for_a_folder_is_one_for_all_below_it():
    """As the reference says. BuildKit, which walks down, reads over ``!d`` at d (nothing to take back yet), and forgets it below."""
    assert ignored(["d/x", "!d"], "d/x") == []


def test_an_exception_below_an_ignored_folder_counts():
    assert ignored(["docs", "!docs/README.md"], "docs/README.md", "docs/a") == ["docs/a"], "unlike .gitignore"


def test_a_star_is_one_name_at_the_top():
    assert ignored(["*.log"], "a.log", "x/a.log") == ["a.log"]
    assert ignored(["**/*.log"], "a.log", "x/a.log", "x/y/a.log") == ["a.log", "x/a.log", "x/y/a.log"]
    assert ignored(["*/*.log"], "a.log", "x/a.log", "x/y/a.log") == ["x/a.log"]


def test_exceptions_with_two_stars():
    lines = ["**", "!**/*.go", "vendor/**"]
    assert ignored(lines, "a.go", "x/y/a.go", "vendor/a.go", "a.c") == ["vendor/a.go", "a.c"]


def test_a_folder_with_two_stars_stays_itself():
    assert ignored(["build/**"], "build", "build/x", "build/x/y") == ["build/x", "build/x/y"]


def test_two_stars_before_a_word():
    assert ignored(["**foo"], "foo", "a/foo", "barfoo") == ["foo", "a/foo", "barfoo"]
    assert ignored(["**/foo"], "foo", "a/foo", "barfoo") == ["foo", "a/foo"]
    assert ignored(["foo**"], "foo", "foobar", "foo/x", "a/foo") == ["foo", "foobar", "foo/x"]


@pytest.mark.parametrize(
    "line", ["docs", "docs/", "/docs", "./docs", "docs//", " docs ", "x/../docs", "docs/.", "docs/ /", "docs\r\n", "//docs"]
)
def test_spellings_of_one_folder(line):
    assert ignored([line], "docs", "docs/a", "docs2", "x/docs") == ["docs", "docs/a"]


@pytest.mark.parametrize("line", ["", "   ", "#docs", "# docs", ".", "/", "..", "../docs", "/ "])
def test_lines_that_ignore_nothing(line):
    assert ignored([line], "docs", "a", "#docs") == []


def test_a_hash_counts_only_in_the_first_column():
    assert ignored([" #docs"], "#docs") == ["#docs"]
    assert ignored(["\ufeff# a", "\ufeffb"], "# a", "b") == []  # a byte order mark counts in the first line only


def test_the_dockerfile_is_a_file_like_any_other():
    assert ignored(["Dockerfile", ".dockerignore"], "Dockerfile", ".dockerignore") == ["Dockerfile", ".dockerignore"]


def test_spaces_after_the_exclamation_mark():
    assert ignored(["*", "! a", "!/b"], "a", "b", "c") == ["c"]


def test_the_rule_that_decided_is_named():
    rules = Ignore(["# mine", "*", "!src", "src/tmp"], "my/.dockerignore")
    assert str(rules.match("src/tmp/x")) == "my/.dockerignore:4: src/tmp"
    assert str(rules.match("src/x")) == "my/.dockerignore:3: !src"
    assert rules.match("x").line == 2
    assert Ignore(["x"]).match("y") is None
    assert Ignore(["!x"]).match("x") is None, "nothing was ignored, so nothing is taken back"


# -- folders that nobody needs to look into ----------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "folder", "skips"),
    [
        (["node_modules"], "node_modules", True),
        (["node_modules"], "src", False),
        (["node_modules", "!README.md"], "node_modules", True),
        (["node_modules", "!node_modules/mine"], "node_modules", False),
        (["node_modules", "!node_modules/mine"], "node_modules/mine", False),
        (["node_modules", "!node_modules/mine"], "node_modules/yours", True),
        (["*", "!*.md"], "src", True),
        (["*", "!src/*.md"], "src", False),
        (["*", "!src/*.md"], "src/deep", True),
        (["*", "!s*/x/y"], "src", False),
        (["*", "!s*/x/y"], "tmp", True),
        (["*", "!**/x"], "tmp", False),
        (["*", "!tmp/**"], "src", True),
        (["!tmp/x", "tmp"], "tmp", True),
        (["*", "!src"], "src", False),
        (["*", "!a/b", "a/b/c"], "a/b/c", True),
        (["*", "!a", "a/b/c", "!a/b"], "a/b/c", False),
        (["a/b", "!a"], "a/b", False),
        (["!a", "a/b/c", "!x/y"], "a/b/c", True),
        (["a/b/c", "!*/*"], "a/b/c", False),
    ],
)
def test_which_folders_are_skipped(lines, folder, skips):
    assert Ignore(lines).skips(folder) == skips


LINES = st.lists(
    st.lists(st.sampled_from(["a", "b", "*", "**", "/", "**/", "?", "[ab]", "[^a]", ".", "\\*", "é", "!"]), max_size=7).map("".join),
    max_size=4,
)


@fuzzed
@given(LINES)
def test_a_skipped_folder_hides_nothing_that_is_wanted(lines):
    try:
        rules = Ignore(lines)
    except IgnoreError:
        return
    for folder in PATHS:
        if rules.skips(folder):
            assert all(rules.ignored(path) for path in PATHS if path.startswith(folder + "/"))


# -- errors ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("!", "takes nothing back"),
        ("! ", "takes nothing back"),
        ("!/", "takes nothing back"),
        ("[", "a ']' is missing"),
        ("a[b", "a ']' is missing"),
        ("[]a]", "is empty"),
        ("[a-]", "has no end"),
        ("[z-a]", "write a-z"),
        ("a\\", "nothing follows the backslash"),
        ("!x[", "a ']' is missing"),
    ],
)
def test_a_bad_line_is_named(line, words):
    with pytest.raises(IgnoreError, match=re.escape("my/.dockerignore:2: ")) as error:
        Ignore(["ok", line], "my/.dockerignore")
    assert words in str(error.value)


# -- Docker's own tables -----------------------------------------------------------------------


def rows(begin: str, row: str) -> list[tuple[str, ...]]:
    return re.findall(row, block(source(*GO), begin))


def test_dockers_table_of_single_patterns():
    found = rows("tests := []matchesTestCase{", rf"\{{({STRING}), ({STRING}), (true|false)\}}")
    assert len(found) >= 60
    wrong = [row for row in found if Ignore([literal(row[0])]).ignored(literal(row[1])) != (row[2] == "true")]
    assert not wrong


def test_dockers_table_of_several_patterns():
    found = rows("multiPatternTests := []multiPatternTestCase{", rf"\[\]string\{{([^}}]*)\}}, ({STRING}), (true|false)")
    assert len(found) >= 4
    for patterns, path, passes in found:
        assert Ignore([literal(line) for line in re.findall(STRING, patterns)]).ignored(literal(path)) == (passes == "true")


# Rows that Go itself reads differently in two places, and how we read them.
FILEPATH_MATCH_DIFFERS = {("a*", "ab/c"): "a folder above matches, which filepath.Match alone does not know"}


def test_gos_table_of_file_names():
    """The table of filepath.Match, as .dockerignore and as COPY read it."""
    found = rows("var matchTests = []matchTest{", rf"\{{({STRING}), ({STRING}), (true|false), (nil|filepath\.ErrBadPattern)\}}")
    assert len(found) >= 50
    different = []
    for pattern, path, passes, error in found:
        pattern, path = literal(pattern), literal(path)
        if error != "nil":
            for bad in (compile_glob, lambda pattern: Ignore([pattern])):
                with pytest.raises((BadGlob, IgnoreError)):
                    bad(pattern)
            continue
        assert Ignore([pattern]).ignored(path) == (passes == "true"), (pattern, path)
        if bool(compile_glob(pattern).fullmatch(path)) != (passes == "true"):
            different.append((pattern, path))
    assert different == list(FILEPATH_MATCH_DIFFERS)


# -- COPY's patterns ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "paths"),
    [
        ("a*", ["a", "ab", "a.b", "aab"]),
        ("*/b", ["a/b"]),
        ("?", ["a", "b", "é"]),
        ("*.b", ["a.b"]),
        ("[^a]", ["b", "é"]),
        ("a**", ["a", "ab", "a.b", "aab"]),  # no ** here: two stars are one
        ("x/*/b", ["x/a/b"]),
        ("*a*b*", ["ab", "aab", "a.b"]),
    ],
)
def test_copy_patterns(pattern, paths):
    assert [path for path in PATHS if compile_glob(pattern).fullmatch(path)] == sorted(paths, key=PATHS.index)


# -- any pattern -------------------------------------------------------------------------------


@fuzzed
@given(LINES)
def test_the_expression_and_the_long_way_agree(lines):
    """The translation with its atomic groups against a walk over all possibilities."""
    try:
        rules = Ignore(lines).rules
    except IgnoreError:
        return
    for rule in rules:
        if not rule.pattern.startswith("**") or rule.pattern.startswith("**/"):  # "**name" has a rule of its own
            signs = list(globs._with_folders(rule.pattern))
            assert [path for path in PATHS if rule.matches(path)] == [path for path in PATHS if globs._walker(signs)(path)]


@fuzzed
@given(st.text(alphabet="ab*?[]^-\\/!. é", max_size=12), st.text(alphabet="ab/.", max_size=12))
def test_any_text_is_a_pattern_or_a_bad_one(pattern, path):
    with contextlib.suppress(IgnoreError):
        Ignore([pattern]).match(path)
    with contextlib.suppress(BadGlob):
        compile_glob(pattern).fullmatch(path)


@pytest.mark.parametrize("pattern", ["*a" * 20 + "b", "**/a/" * 20 + "b", "**/*a" * 20 + "b", "**/*a*/" * 20 + "b", "**/?" * 20 + "b*c"])
def test_a_pattern_cannot_keep_us_busy(pattern):
    """With ordinary backtracking each of these takes longer than the test's time limit, by far."""
    rules = Ignore([pattern])
    assert not rules.ignored("a" * 2000)
    assert not rules.ignored("a/" * 1000 + "a")
    assert not compile_glob(pattern).fullmatch("a/" * 1000 + "a")


def test_the_long_way_is_no_longer_than_pattern_times_path():
    matches = compile_ignore("a**" * 10 + "[^x]b")
    few, many = (steps(matches, "a/" * size) for size in (200, 400))
    assert many <= 2.1 * few
