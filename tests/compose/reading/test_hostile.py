"""Files that are made to hurt: an error, with the place, and not a machine that is busy for a week."""

from __future__ import annotations

import pytest

from lib.compose.reading import ComposeError, Request, load

LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"x-a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]\n" for level in range(1, 9)
)
MERGES = "x-m0: &m0 {k: 1}\n" + "".join(
    f"x-m{level}: &m{level} {{a{level}: *m{level - 1}, b{level}: *m{level - 1}, <<: *m{level - 1}}}\n" for level in range(1, 30)
)
ONE = "services: {a: {image: x, %s}}\n"

BOMBS = {
    "billion laughs": ("x-" + LAUGHS, "values, counting what its aliases"),
    "merges": (MERGES, "values, counting what its aliases"),
    "an alias of itself": ("x-a: &a {b: *a}\n", "&a can't contain itself"),
    "a merge of itself": ("x-a: &a\n  <<: *a\n", "&a can't contain itself"),
    "deep lists": ("x-a: " + "[" * 5000, "nested"),
    "deep mappings": ("x-a: " + "{a: " * 5000, "nested"),
    "deep blocks": ("".join(" " * depth + "a:\n" for depth in range(300)), "nested"),
    "too large": ("x-a: " + "a" * (5 << 20), "larger than"),
    "long list": ("x-a: [" + "1, " * 200_000 + "]", "values"),
    "ports without end": (
        ONE % ("ports: [" + ", ".join(f"'1-65535/{protocol}'" for protocol in ("tcp", "udp") * 1000) + "]"),
        "65536 ports",
    ),
    "nested variables": (ONE % ("labels: ['a=" + "${A:-" * 500 + "}" * 500 + "']"), "nested"),
    "a huge number": (ONE % ("scale: " + "9" * 5000), "services.a.scale"),
    "a huge float": (ONE % "cpus: 1e400", "services.a.cpus"),
    "a number that is none": (ONE % "cpus: .nan", "services.a.cpus"),
    "a long time": (ONE % "stop_grace_period: 999999w", "292 years"),
    "an endless size": (ONE % ("mem_limit: '" + "9" * 5000 + "g'"), "services.a.mem_limit"),
    "binary": ("\x00\x01\x02", "not YAML"),
    "not a text": ("services: !!binary aGk=", "services must be"),
    "control characters": (ONE % 'user: "\\x1b[2J", port: 1', "`port` is not known"),
    "a name of control characters": ('"\\x1b[2J": 1\n', "\\x1b[2J"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_an_error(name, tmp_path):
    text, message = BOMBS[name]
    (tmp_path / "compose.yaml").write_text(text)
    request = Request(cwd=str(tmp_path), environ={})
    with pytest.raises(ComposeError) as error:
        load(request)
    assert message in str(error.value)
    assert str(error.value).startswith(f"{tmp_path}/compose.yaml:")
    assert "\x1b" not in str(error.value)
    assert len(str(error.value)) < 1000


def write(folder, **files: str) -> Request:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    return Request(files=("compose.yaml",), cwd=str(folder), environ={})


def refused(request: Request) -> str:
    with pytest.raises(ComposeError) as error:
        load(request)
    return str(error.value)


def test_includes_in_a_circle(tmp_path):
    text = refused(write(tmp_path, compose="include: [a.yaml]", a="include: [b.yaml]", b="include: [compose.yaml]"))
    assert text == f"{tmp_path}/b.yaml:1:11: include goes round in a circle: compose.yaml → a.yaml → b.yaml → compose.yaml"


def test_a_tree_of_includes_that_doubles_with_each_file(tmp_path):
    files = {f"f{level}": f"include: [f{level + 1}.yaml, f{level + 1}.yaml]\n" for level in range(40)}
    assert "more than 500 files" in refused(write(tmp_path, compose="include: [f0.yaml]", f40="services: {a: {image: x}}", **files))


def test_extends_in_a_circle_of_files(tmp_path):
    a = "services: {a: {extends: {file: b.yaml, service: b}}}"
    text = refused(write(tmp_path, compose=a, b="services: {b: {extends: {file: compose.yaml, service: a}}}"))
    assert text.endswith("services.a.extends goes round in a circle: a (compose.yaml) → b (b.yaml) → a (compose.yaml)")


def test_a_long_chain_of_extends(tmp_path):
    services = "".join(f"  s{number}: {{extends: s{number + 1}}}\n" for number in range(3000))
    assert "circle" in refused(write(tmp_path, compose=f"services:\n{services}  s3000: {{image: x}}\n"))


def test_a_long_chain_of_dependencies(tmp_path):
    services = "".join(f"  s{number}: {{image: x, depends_on: [s{number + 1}]}}\n" for number in range(3000))
    request = write(tmp_path, compose=f"services:\n{services}  s3000: {{image: x}}\n")
    assert len(load(request).project.services) == 3001


def test_a_file_that_is_not_utf_8(tmp_path):
    (tmp_path / "compose.yaml").write_bytes(b"services: {a: {image: \xff}}")
    assert refused(Request(cwd=str(tmp_path), environ={})).endswith("compose.yaml:1:1: this is not a text in UTF-8")


def test_a_folder_in_place_of_a_file(tmp_path):
    (tmp_path / "compose.yaml").mkdir()
    assert "Is a directory" in refused(Request(cwd=str(tmp_path), environ={}))


def test_variables_that_double(tmp_path):
    (tmp_path / "compose.yaml").write_text("services: {a: {image: x, env_file: x.env}}")
    (tmp_path / "x.env").write_text("A=x\n" + "A=$A$A\n" * 60)
    assert "x.env:22:3: with its variables filled in, the text is longer than 1 MiB" in refused(Request(cwd=str(tmp_path), environ={}))


def test_a_text_of_many_variables(tmp_path):
    request = Request(cwd=str(tmp_path), environ={"A": "x" * 100_000})
    (tmp_path / "compose.yaml").write_text("services: {a: {image: x, user: '" + "${A}" * 100_000 + "'}}")
    assert "longer than 1 MiB" in refused(request)


def test_an_error_does_not_repeat_what_is_long(tmp_path):
    (tmp_path / "compose.yaml").write_text("x-a: *" + "a" * 100_000)
    assert len(refused(Request(cwd=str(tmp_path), environ={}))) < 1000
