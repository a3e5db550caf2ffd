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
        ('{{json .Label "x"}}', '"<x>"'),
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
    ["{{", "{{.State", "a {{.State.Pid}} {{x", "{{}}", "{{State}}", "{{range .Args}}{{.}}{{end}}", "{{x .Text}}", "{{json}}"],
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
