"""Variables of a Dockerfile: every form, every quote, and texts that a stranger thought out."""

from __future__ import annotations

import pytest
from helpers.fuzz import fuzzed, steps
from hypothesis import given
from hypothesis import strategies as st

from lib.dockerfile.expansion import LARGEST, ExpansionError, expand, expand_body, expand_words, expansion

ENV = {
    "home": "/root",
    "empty": "",
    "name": "web",
    "file": "/srv/app/main.tar.gz",
    "stars": "a*b?c",
    "é": "accent",
    "two": "a  b",
    "lines": "a\nb",
}

WORDS = [
    # plain, and what is no variable
    ("plain", "plain"),
    ("$home", "/root"),
    ("a$home/b", "a/root/b"),
    ("$home.x", "/root.x"),
    ("$nothing.", "."),
    ("$", "$"),
    ("$.", "$."),
    ("a$ b", "a$ b"),
    ("$é", "accent"),
    ("$homes", ""),
    ("${home}s", "/roots"),
    ("${home}}", "/root}"),
    # a shell's own variables are known names that are never set
    ("$1x", "x"),
    ("$12x", "x"),
    ("$0$@$*$#$?$-$!", ""),
    ("$$", ""),
    ("$$home", "home"),
    ("${1:-one}", "one"),
    ("${@:-all}", "all"),
    # defaults and alternatives
    ("${nothing:-w}", "w"),
    ("${nothing-w}", "w"),
    ("${empty:-w}", "w"),
    ("${empty-w}", ""),
    ("${home:-w}", "/root"),
    ("${home:+w}", "w"),
    ("${empty:+w}", ""),
    ("${empty+w}", "w"),
    ("${nothing+w}", ""),
    ("${nothing:-}", ""),
    ("${nothing:-a b}", "a b"),
    ("${nothing:-$home}", "/root"),
    ("${nothing:-${empty:-${home}}}", "/root"),
    ("${nothing:-{x}", "{x"),
    ("${nothing:-'}'}", "}"),
    ('${nothing:-"$home"}', "/root"),
    (r"${nothing:-\}}", "}"),
    (r"${nothing:-\$home}", "$home"),
    ("${home:?must}", "/root"),
    ("${empty?must}", ""),
    # quotes
    ("'$home'", "$home"),
    ('"$home"', "/root"),
    ('"it\'s"', "it's"),
    ("'say \"x\"'", 'say "x"'),
    ("a'b'c\"d\"", "abcd"),
    ("''", ""),
    # the escape character
    (r"\$home", "$home"),
    (r"\\$home", r"\/root"),
    (r"a\bc", "abc"),
    (r'"a\bc"', r"a\bc"),
    (r'"a\"b\$c\\"', r'a"b$c' + "\\"),
    (r"'a\b'", r"a\b"),
    ("end\\", "end"),
    (r"\'", "'"),
    # beginnings and ends
    ("${file#*/}", "srv/app/main.tar.gz"),
    ("${file##*/}", "main.tar.gz"),
    ("${file%.*}", "/srv/app/main.tar"),
    ("${file%%.*}", "/srv/app/main"),
    ("${file#x}", "/srv/app/main.tar.gz"),
    ("${file#/s?v}", "/app/main.tar.gz"),
    ("${file%}", "/srv/app/main.tar.gz"),
    ("${file#*}", "/srv/app/main.tar.gz"),
    ("${file##*}", ""),
    ("${file%%*}", ""),
    ("${nothing#x}", ""),
    (r"${stars#a\*}", "b?c"),
    (r"${stars%\?c}", "a*b"),
    ("${file#$home}", "/srv/app/main.tar.gz"),
    # replacing
    ("${name/e/E}", "wEb"),
    ("${file/a/A}", "/srv/App/main.tar.gz"),
    ("${file//a/A}", "/srv/App/mAin.tAr.gz"),
    ("${file//./}", "/srv/app/maintargz"),
    ("${file/*\\//}", "main.tar.gz"),
    (r"${file//\//-}", "-srv-app-main.tar.gz"),
    ("${name/w*/$home}", "/root"),
    ("${name//?/xy}", "xyxyxy"),
    ("${name/zz/y}", "web"),
    ("${nothing/a/b}", ""),
    ("${name//x*/y}", "web"),
    ("${name//b*/y}", "wey"),
    ("${lines//*/y}", "y\ny"),
    ("${lines##*b}", "a\nb"),  # a star ends where the line ends
    ("${lines//a*/}", "\nb"),
]

WRONG = [
    ("'open", "closing '"),
    ('"open', 'closing "'),
    ('"open\\"', 'closing "'),
    ("${", "missing"),
    ("${home", "not known here"),
    ("${}", "name is missing"),
    ("${:-x}", "name is missing"),
    ("${{home}", "name is missing"),
    ("${.}", "not known here"),
    ("${home:x}", "not known here"),
    ("${home=x}", "the forms are"),
    ("${home:=x}", "the forms are"),
    ("${home:#x}", "the forms are"),
    ("${home:-x", "'}' is missing"),
    ("${home/x}", "'/' is missing"),
    ("${home/x/y", "'}' is missing"),
    ("${nothing?}", "nothing: is not set"),
    ("${nothing?say $name}", "nothing: say web"),
    ("${nothing:?}", "nothing: is not set"),
    ("${empty:?}", "empty: is set to nothing"),
    (r"${home#\x}", "means nothing in the pattern"),
    (r"${home/\x/y}", "means nothing in the pattern"),
]


@pytest.mark.parametrize(("text", "word"), WORDS)
def test_a_word(text, word):
    assert expand(text, ENV) == word


@pytest.mark.parametrize(("text", "message"), WRONG)
def test_what_cannot_be_expanded(text, message):
    with pytest.raises(ExpansionError) as error:
        expand(text, ENV)
    assert message in str(error.value)
    assert 0 <= error.value.at <= len(text)


@pytest.mark.parametrize(
    ("text", "word"),
    [("`$home", "$home"), ("a\\b", "a\\b"), ('"`""', '"'), ("a``b", "a`b"), ("\\$home", "\\/root"), ("${nothing:-`}}", "}")],
)
def test_the_other_escape_character(text, word):
    assert expand(text, ENV, "`") == word


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a b\tc", ["a", "b", "c"]),
        ("  a  ", ["a"]),
        ("", []),
        ("$two", ["a", "b"]),
        ("x${two}y", ["xa", "by"]),
        ('"$two"', ["a  b"]),
        ('a"b c"d e', ["ab cd", "e"]),
        (r"a\ b", ["a b"]),
        ("$nothing", []),
        ("''", []),
        ("x '' y", ["x", "y"]),
        ("${nothing:-8080 8081/udp}", ["8080", "8081/udp"]),
        ("1${nothing:-2}3 4", ["123", "4"]),  # BuildKit loses the 1 here
    ],
)
def test_split_into_words(text, words):
    assert expand_words(text, ENV) == words


@pytest.mark.parametrize(
    ("text", "used"),
    [
        ("plain '$home'", set()),
        ("$home ${nothing}", {"home", "nothing"}),
        ("${name:-$home}", {"name", "home"}),  # the default is read although it is not taken
        ("${file/$name/${empty}}", {"file", "name", "empty"}),
        (r"\$home $$", {"$"}),
    ],
)
def test_the_names_that_a_cache_key_needs(text, used):
    assert expansion(text, ENV).used == used


def test_a_heredocs_body_keeps_its_quotes():
    assert expand_body('it\'s "$home" \\$home\n', ENV).word == 'it\'s "/root" $home\n'


def test_a_text_that_would_fill_the_memory_is_refused():
    env = {"a": "x" * (LARGEST // 4)}
    assert len(expand("$a$a$a", env)) == 3 * (LARGEST // 4)
    for text in ("$a" * 5, "${a//x/yyyyyyyy}", '"$a$a$a$a$a"'):
        with pytest.raises(ExpansionError, match="does a variable hold itself"):
            expand(text, env)


def test_variables_inside_each_other_end_somewhere():
    def nested(depth: int) -> str:
        return "${nothing:-" * depth + "x" + "}" * depth

    assert expand(nested(50), {}) == "x"
    with pytest.raises(ExpansionError, match="inside each other"):
        expand(nested(51), {})
    with pytest.raises(ExpansionError, match="inside each other"):
        expand(nested(100_000), {})


PIECES = [
    "$",
    "${",
    "}",
    ":-",
    "-",
    ":+",
    "+",
    "?",
    "#",
    "##",
    "%",
    "%%",
    "/",
    "//",
    "a",
    "*",
    "\\",
    "'",
    '"',
    " ",
    "<",
    "<<",
    "\n",
    "$home",
    "é",
]
TEXTS = st.one_of(st.text(max_size=100), st.lists(st.sampled_from([*PIECES, "${home", "${file/", "${stars//"]), max_size=12).map("".join))


@fuzzed
@given(TEXTS, st.sampled_from("\\`"))
def test_any_text_expands_or_says_why_not(text, escape):
    try:
        result = expansion(text, ENV, escape)
    except ExpansionError as error:
        assert str(error) and 0 <= error.at <= len(text)
        return
    assert all(result.words)


@fuzzed
@given(st.text(alphabet="abc .\n", max_size=40))
def test_in_single_quotes_everything_is_itself(text):
    assert expand(f"'{text}'", ENV) == text
    assert expand("$x", {"x": text}) == text


@pytest.mark.parametrize("part", ["a", "$home", "${name:-x}", "'a'", '"$name"', "\\a", "<<a ", "${", "$", "a ", "${nothing:-"])
def test_twice_the_text_takes_twice_the_steps(part):
    few, many = (steps(expansion, part * count, ENV) for count in (200, 400))
    assert many <= 2 * few + 100


@pytest.mark.parametrize("pattern", ["*a*a*a*a*a*b", "a*a*a*a*a*", "*?*?*?*?*b", "*a", "?" * 50 + "b", "*a?a?a?b"])
@pytest.mark.parametrize("form", ["${x#@}", "${x##@}", "${x%@}", "${x%%@}", "${x/@/y}", "${x//@/y}"])
def test_a_pattern_cannot_keep_us_busy(pattern, form):
    """With ordinary backtracking the first of these takes longer than the test's time limit, by far."""
    text = form.replace("@", pattern)
    few, many = (steps(expand, text, {"x": "a" * size}) for size in (2000, 4000))
    assert many <= 2 * few + 100
    expand(text, {"x": "a" * 100_000})
    expand(text, {"x": "a\n" * 50_000})
