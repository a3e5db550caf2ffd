"""Which files, variables and names a project has when nobody says so."""

from __future__ import annotations

import io

import pytest

from lib.compose.reading import ComposeError, Request, load
from lib.compose.reading.finding import normal

ONE = "services: {web: {image: 'x:${TAG-none}'}}\n"


def request(folder, environ=None, **more) -> Request:
    return Request(cwd=str(folder), environ=environ or {}, **more)


def image(wanted: Request) -> str:
    return load(wanted).project.services["web"].image


def test_a_file_in_a_folder_above(tmp_path):
    (tmp_path / "compose.yml").write_text(ONE)
    (tmp_path / ".env").write_text("TAG=above\n")
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    found = load(request(below)).project
    assert (found.working_dir, found.files) == (str(tmp_path), [str(tmp_path / "compose.yml")])
    assert found.services["web"].image == "x:above"


def test_the_first_of_several_names_and_a_warning(tmp_path):
    (tmp_path / "compose.yaml").write_text(ONE)
    (tmp_path / "docker-compose.yml").write_text("services: {other: {image: y}}")
    found = load(request(tmp_path))
    assert list(found.project.services) == ["web"]
    assert "compose.yaml, docker-compose.yml; the first one is used" in str(found.warnings[0])


def test_nothing_there(tmp_path):
    with pytest.raises(ComposeError, match="no configuration file provided: not found; "):
        load(request(tmp_path))


def test_from_the_standard_input(tmp_path):
    found = load(request(tmp_path, files=("-",), stdin=io.StringIO(ONE)))
    assert found.project.working_dir == str(tmp_path)
    assert found.origins["services.web.image"].file == "-"


def test_a_file_that_is_fetched(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "compose.yaml").write_text(ONE)
    found = load(request(tmp_path, files=("oci://registry/app:1",), fetch=lambda name: str(tmp_path / "there" / "compose.yaml")))
    assert found.project.name == "there"
    with pytest.raises(ComposeError, match="can't be fetched here"):
        load(request(tmp_path, files=("oci://registry/app:1",)))


def test_the_shell_wins_over_env_files_and_the_later_over_the_earlier(tmp_path):
    (tmp_path / "compose.yaml").write_text(ONE)
    (tmp_path / ".env").write_text("TAG=dot\n")
    (tmp_path / "a.env").write_text("TAG=a\n")
    (tmp_path / "b.env").write_text("TAG=b\n")
    assert image(request(tmp_path)) == "x:dot"
    assert image(request(tmp_path, {"COMPOSE_DISABLE_ENV_FILE": "1"})) == "x:none"
    assert image(request(tmp_path, {"COMPOSE_ENV_FILES": "b.env,a.env"})) == "x:a"
    assert image(request(tmp_path, env_files=("a.env", "b.env"))) == "x:b"
    assert image(request(tmp_path, {"TAG": "shell"}, env_files=("a.env",))) == "x:shell"
    with pytest.raises(ComposeError, match=r"couldn't find env file: .*/none\.env"):
        load(request(tmp_path, env_files=("none.env",)))


def test_files_of_a_variable(tmp_path):
    (tmp_path / "a.yaml").write_text(ONE)
    (tmp_path / "b.yaml").write_text("services: {web: {image: b}}")
    assert image(request(tmp_path, {"COMPOSE_FILE": "a.yaml:b.yaml"})) == "b"
    assert image(request(tmp_path, {"COMPOSE_FILE": "b.yaml,a.yaml", "COMPOSE_PATH_SEPARATOR": ","})) == "x:none"
    assert image(request(tmp_path, {"COMPOSE_FILE": "nope.yaml"}, files=("b.yaml",))) == "b"


def test_the_name(tmp_path):
    folder = tmp_path / "My App.2"
    folder.mkdir()
    (folder / "compose.yaml").write_text(ONE)
    assert load(request(folder)).project.name == "myapp2"
    assert load(request(folder, {"COMPOSE_PROJECT_NAME": "env"})).project.name == "env"
    assert load(request(folder, {"COMPOSE_PROJECT_NAME": "env"}, name="option")).project.name == "option"
    with pytest.raises(ComposeError, match="invalid project name 'No': must consist only of lowercase"):
        load(request(folder, name="No"))
    assert normal("__-Ä-9_x") == "9_x"


def test_a_folder_for_paths(tmp_path):
    (tmp_path / "compose.yaml").write_text("services: {web: {build: ./here}}")
    (tmp_path / "else").mkdir()
    found = load(request(tmp_path, files=("compose.yaml",), directory="else")).project
    assert found.services["web"].build.context == str(tmp_path / "else" / "here")
    assert found.name == "else"


def test_profiles_of_named_services_are_on(tmp_path):
    (tmp_path / "compose.yaml").write_text("services: {web: {image: x}, tool: &off {image: y, profiles: [debug]}, more: *off}")
    assert set(load(request(tmp_path)).project.disabled) == {"tool", "more"}
    assert load(request(tmp_path, services=("tool",))).project.profiles == ["debug"]
    assert not load(request(tmp_path, {"COMPOSE_PROFILES": "a, debug"})).project.disabled
    assert not load(request(tmp_path, profiles=("*",))).project.disabled


def test_a_service_that_needs_one_that_is_off(tmp_path):
    (tmp_path / "compose.yaml").write_text("services:\n  web: {image: x, depends_on: [db]}\n  db: {image: y, profiles: [data]}\n")
    with pytest.raises(ComposeError) as error:
        load(request(tmp_path))
    told = "services.web.depends_on.db: db belongs to profiles that are off (data); switch one on, or say `required: false`"
    assert str(error.value) == f"{tmp_path}/compose.yaml:2:32: {told}"


def test_the_content_of_secrets_that_are_variables(tmp_path):
    (tmp_path / "compose.yaml").write_text(
        "services: {}\nsecrets: {s: {environment: KEY}, t: {environment: NOPE}}\nconfigs: {c: {environment: KEY}}\n"
    )
    project = load(request(tmp_path, {"KEY": "sesame"})).project
    assert (project.secrets["s"].content, project.secrets["t"].content, project.configs["c"].content) == ("sesame", "", "sesame")
