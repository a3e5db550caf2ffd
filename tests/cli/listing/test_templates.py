"""``--format``: what people use of Go's templates, and what is said of the rest."""

from __future__ import annotations

import json

import pytest

from lib.cli.listing.templates import BadTemplate, as_json, listed, read, rendered

DOCUMENT = {
    "State": {"Pid": 7, "Running": True, "Error": ""},
    "Args": ["-c", "a b", 1],
    "Labels": {"shop": "1", "a": None},
    "None": None,
    "Label": lambda name: f"<{name}>",
    "Text": 'a "b" <c> & ü\u2028',
}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("", ""),
        ("just words", "just words"),
        ("{{.State.Pid}}", "7"),
        ("{{ .State.Pid }}-{{.State.Running}}", "7-true"),
        ("{{.Args}}", "[-c a b 1]"),
        ("{{.Labels}}", "map[a:<nil> shop:1]"),
        ("{{.None}}", "<nil>"),
        ("{{.State.Error}}", ""),
        ("{{json .State}}", '{"Pid":7,"Running":true,"Error":""}'),
        ("{{json .None}} {{json .Args}}", 'null ["-c","a b",1]'),
        ('{{.Label "a b"}}', "<a b>"),
        ("{{.Label `a\\b`}}", "<a\\b>"),
        ('{{.Label "a\\"b"}}', '<a"b>'),
        (r'{{range .Args}}{{.}}{{"\n"}}{{end}}', "-c\na b\n1\n"),
        (r'{{"a\tb\\n\x41\u00fc\101"}}{{join .Args "\n"}}', "a\tb\\nAüA-c\na b\n1"),
        (r"{{`a\n`}}", "a\\n"),
        ('{{json (.Label "x")}}', '"<x>"'),
        ('{{.Label "x" | upper}}', "<X>"),
        ("{{range .Args}}<{{.}}>{{end}}", "<-c><a b><1>"),
        ("{{range $i, $one := .Args}}{{$i}}={{$one}};{{end}}", "0=-c;1=a b;2=1;"),
        ("{{range $key, $value := .Labels}}{{$key}} {{end}}", "a shop "),
        ("{{range .None}}x{{else}}nothing{{end}}", "nothing"),
        ("{{range .Args}}{{$.State.Pid}}{{end}}", "777"),
        ("{{if .State.Running}}up{{else}}down{{end}}", "up"),
        ("{{if .State.Error}}a{{else if eq .State.Pid 7}}b{{else}}c{{end}}", "b"),
        ("{{if and .State.Running (not .State.Error)}}fine{{end}}", "fine"),
        ("{{if or .State.Error .None}}a{{end}}b", "b"),
        ("{{with .State}}{{.Pid}}{{end}}", "7"),
        ("{{with .None}}a{{else}}b{{end}}", "b"),
        ("{{$one := .State}}{{$one.Pid}} {{$one.Running}}", "7 true"),
        ('{{index .Labels "shop"}}', "1"),
        ('{{index .Labels "nosuch"}}', "<nil>"),
        ("{{index .Args 1}} {{len .Args}} {{len .Text}}", "a b 3 17"),
        ('{{join .Args ","}}', "-c,a b,1"),
        ('{{range split "a,b" ","}}[{{.}}]{{end}}', "[a][b]"),
        ('{{title "a new day"}} {{lower "ABC"}} {{upper "abc"}}', "A New Day abc ABC"),
        ('{{printf "%s:%d %q %5s|%-5s|" "a" .State.Pid "b" "c" "d"}}', 'a:7 "b"     c|d    |'),
        ('{{printf "%.3s" .Text}}{{println "x" 1}}', 'a "x 1\n'),
        ('{{slice "abcdef" 1 3}}{{truncate "abcdef" 2}}{{pad "x" 1 2}}', "bcab x  "),
        ("{{if lt .State.Pid 8}}less{{end}}{{if ge .State.Pid 8}}more{{end}}", "less"),
        ("{{(index .Args 0) | json}}", '"-c"'),
        ("{{with $x := .State}}{{$x.Pid}}{{end}}{{/* says nothing */}}", "7"),
        ("{{range .Args}}\n{{- .}}{{end}}", "-ca b1"),
        ("a {{- .State.Pid -}} b", "a7b"),
        ("a\n{{- .State.Pid }} b", "a7 b"),
        ("} }} {x}{{.State.Pid}}}", "} }} {x}7}"),
        ("{{json .Text}}", json.dumps(DOCUMENT["Text"], ensure_ascii=False)),
    ],
)
def test_templates(template, text):
    read(template)
    assert rendered(template, DOCUMENT) == text


@pytest.mark.parametrize(
    "template",
    [
        "{{",
        "{{.State",
        "a {{.State.Pid}} {{x",
        "{{}}",
        "{{State}}",
        "{{range .Args}}{{.}}",
        "{{x .Text}}",
        "{{json}}",
        "{{end}}",
        "{{if .State}}a{{else b}}c{{end}}",
        "{{$nosuch}}",
        "{{(.State}}",
        "{{.State)}}",
        "{{.State | }}",
        "{{json .State .Args}}",
        "{{.State ?}}",
        "{{x := 1}}",
        "{{else}}",
        r'{{"a\q"}}',
        "{{(" + "(" * 200 + "{{if 1}}" * 200,
    ],
)
def test_what_cannot_be_read(template):
    """Whatever it is laid over: so it is known before anything is looked for."""
    for reading in (read, lambda text: rendered(text, DOCUMENT)):
        with pytest.raises(BadTemplate, match="template parsing error: "):
            reading(template)


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{{.Nosuch}}", "no field 'Nosuch' in {{.Nosuch}}; there is State, Args, Labels, None, Label, Text"),
        ("{{.State.Nosuch}}", "no field 'Nosuch' in {{.State.Nosuch}}; there is Pid, Running, Error"),
        ("{{.State.Pid.More}}", "no field 'More' in {{.State.Pid.More}}; there is int"),
        ("{{.Label}}", "{{.Label}}: of the fields only .Label takes a word, and it needs one, in quotes"),
        ("{{index .Args 9}}", "{{index .Args 9}}: error calling index: index out of range: 9"),
        ("{{range .State.Pid}}{{end}}", "range can't iterate over 7"),
        ("{{len .State.Pid}}", "{{len .State.Pid}}: len cannot be made of 7"),
        ('{{.State "x"}}', '{{.State "x"}}: of the fields only .Label takes a word, and it needs one, in quotes'),
    ],
)
def test_a_field_that_is_not_there(template, said):
    with pytest.raises(ValueError) as caught:
        rendered(template, DOCUMENT)
    assert str(caught.value) == f"template parsing error: {said}" and not isinstance(caught.value, BadTemplate)


HEADS = {"ID": "CONTAINER ID", "Names": "NAMES", "Label": lambda name: name.upper()}
ROWS = [{"ID": "1", "Names": "one", "Label": lambda name: ""}, {"ID": "22222222222", "Names": "two", "Label": lambda name: name}]


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("table {{.ID}}\\t{{.Names}}", "CONTAINER ID   NAMES\n1              one\n22222222222    two\n"),
        ("table {{.ID}}\t{{.Names}}", "CONTAINER ID   NAMES\n1              one\n22222222222    two\n"),
        ('table {{.Names}}\t{{.Label "x"}}', "NAMES     X\none       \ntwo       x\n"),
        ("{{.ID}}\\n{{.Names}}", "1\none\n22222222222\ntwo\n"),
        (" {{.Names}} ", "one\ntwo\n"),
        ("x", "x\nx\n"),
    ],
)
def test_lists(template, text):
    assert listed(template, HEADS, ROWS) == text


def test_a_list_of_nothing_is_its_heads_and_a_wrong_field_is_told_all_the_same():
    assert listed("table {{.ID}}\t{{.Names}}", HEADS, []) == "CONTAINER ID   NAMES\n"
    assert listed("{{.ID}}", HEADS, []) == ""
    for template, said in (("{{.Nosuch}}", "no field 'Nosuch' in .*; there is ID, Names, Label"), ("{{x}}", "what can stand")):
        with pytest.raises(ValueError, match=said) as caught:
            listed(template, HEADS, [])
        assert not isinstance(caught.value, BadTemplate), "of a list, Docker ends with 1"


def test_what_is_no_character_is_replaced():
    assert as_json("a\udcff\ud800") == '"a\ufffd\ufffd"' and rendered("{{.x}}\udcff", {"x": "\udc80"}) == "\ufffd\ufffd"
