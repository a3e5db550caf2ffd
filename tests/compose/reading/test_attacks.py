"""Projects whose files use each other, and the machine's: no more than a moment and a little memory is spent on any of them."""

from __future__ import annotations

import os

import pytest

from lib.compose.reading import ComposeError, Request, canonical, load

ONE = "services: {a: {image: x, %s}}\n"
TEN_TIMES = "A0=" + "x" * 1000 + "\n" + "".join(f"A{level + 1}={f'$A{level}' * 10}\n" for level in range(8))
LONG = "A=" + "x" * 1_000_000 + "\n"


def refused(folder, text: str, **files: str) -> str:
    for name, content in files.items():
        (folder / f"{name}.env").write_text(content)
    (folder / "compose.yaml").write_text(text)
    with pytest.raises(ComposeError) as error:
        load(Request(cwd=str(folder), environ={}, env_files=("given.env",) if "given" in files else ()))
    return str(error.value)


def test_a_file_of_variables_that_grow_ten_times_with_each_line(tmp_path):
    assert "given.env:5:4: with its variables filled in" in refused(tmp_path, ONE % "", given=TEN_TIMES)
    assert "own.env:5:4: with its variables filled in" in refused(tmp_path, ONE % "env_file: own.env", own=TEN_TIMES)


def test_a_long_variable_that_is_used_often(tmp_path):
    lines = LONG + "".join(f"B{number}=$A\n" for number in range(100))
    assert "the values are larger than 16 MiB" in refused(tmp_path, ONE % "", given=lines)
    labels = "".join(f"    l{number}: $A\n" for number in range(100))
    text = refused(tmp_path, f"services:\n  a:\n   image: x\n   labels:\n{labels}", given=LONG)
    assert "services.a.labels.l67: with all variables filled in, the project is larger than 64 MiB" in text


def test_a_large_service_that_is_extended_often(tmp_path):
    large = ", ".join(f"A{number}: x" for number in range(5000))
    many = "".join(f"  s{number}: {{extends: a}}\n" for number in range(2000))
    text = refused(tmp_path, f"services:\n  a:\n    image: b\n    environment: {{{large}}}\n{many}")
    assert "s19.extends: more than 100000 values are copied" in text


def test_many_variables_take_no_longer_than_they_must(tmp_path):
    (tmp_path / ".env").write_text("A0=x\n" + "".join(f"A{number + 1}=$A{number}\n" for number in range(30_000)))
    (tmp_path / "compose.yaml").write_text(ONE % "hostname: $A30000")
    loaded = load(Request(cwd=str(tmp_path), environ={}))
    assert loaded.project.services["a"].hostname == "x"
    assert loaded.origins["services.a.hostname"].variables == (("A30000", ".env:30001"),)


@pytest.mark.parametrize("key", ["env_file: pipe", "label_file: pipe", "extends: {file: pipe, service: a}"])
def test_nobody_waits_at_a_pipe(key, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert "pipe can't be read: it is a named pipe" in refused(tmp_path, ONE % key)
    assert "pipe can't be read: it is a named pipe" in refused(tmp_path, "include: [pipe]\n" + ONE % "")


@pytest.mark.parametrize("key", ["env_file: /dev/zero", "label_file: /dev/tty", "extends: {file: /dev/zero, service: a}"])
def test_no_device_is_opened(key, tmp_path):
    assert "it is a device" in refused(tmp_path, ONE % key)


def test_nothing_is_in_dev_null(tmp_path):
    (tmp_path / "compose.yaml").write_text(ONE % "env_file: /dev/null")
    assert load(Request(cwd=str(tmp_path), environ={})).project.services["a"].environment == {}


@pytest.mark.parametrize("text", ['"a\\0b"', '"\\ud800"'])
def test_what_no_path_can_hold_is_refused_where_it_stands(text, tmp_path):
    for key in ("env_file", "container_name", "command"):
        assert "compose.yaml:1:" in (found := refused(tmp_path, ONE % f"{key}: {text}")) and "can't have the character" in found
    assert "can't have the character" in refused(tmp_path, ONE % "env_file: [own.env]", own="B=1\nA=a\0b\n")


@pytest.mark.parametrize("number", ["9" * 350, "-" + "9" * 350, "0x" + "f" * 350])
def test_a_number_of_hundreds_of_digits(number, tmp_path):
    assert "services.a.scale" in refused(tmp_path, ONE % f"scale: {number}")


def test_an_escape_that_is_no_character(tmp_path):
    (tmp_path / ".env").write_text('A="\\0899"\n')
    (tmp_path / "compose.yaml").write_text(ONE % "hostname: a")
    load(Request(cwd=str(tmp_path), environ={}))


def test_what_a_secret_holds_is_in_nothing_that_is_printed(tmp_path):
    (tmp_path / "compose.yaml").write_text(ONE % "secrets: [s]" + "secrets: {s: {environment: TOLD, x-a: b}}\n")
    loaded = load(Request(cwd=str(tmp_path), environ={"TOLD": "a word to nobody"}))
    assert loaded.project.secrets["s"].content == "a word to nobody"
    for printed in (canonical.provenance(loaded), canonical.as_json(loaded.project), canonical.as_yaml(loaded.project)):
        assert "environment" in str(printed) and "nobody" not in str(printed)


def test_a_large_file_that_is_included_often(tmp_path):
    (tmp_path / "large.yaml").write_text("x-a: &a [" + "x, " * 300 + "]\nx-b: [" + "*a, " * 300 + "]\n")
    includes = ", ".join(["large.yaml"] * 100)
    assert "the files of this project have more than 300000 values" in refused(tmp_path, f"include: [{includes}]\n" + ONE % "")


def test_documents_without_end(tmp_path):
    assert "compose.yaml:1002:1: the file has more than 500 documents" in refused(tmp_path, "---\na\n" * 10_000)
