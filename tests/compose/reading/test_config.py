"""The project written down again, beside what the real ``config`` prints for each of its options."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from functools import cache

import pytest
from helpers.composing import DIFFERENCES, FOLDERS, Case, theirs
from helpers.needs import requires
from ruamel.yaml import YAML

from lib.compose.reading import ComposeError, load
from lib.compose.reading import canonical as config
from lib.compose.reading.loading import Loaded

# Without variables filled in: their reader refuses "true" in quotes, writes a day in another way and an empty list as null, and shows a
# secret that comes through an include.
NOT_RAW = {"casts", "environment", "every-key", "include", "name-bad", *DIFFERENCES}
MANIFOLD = {"every-key", "include", "merge-everything", "profiles", "profiles-all", "short-forms"}

# A hook takes what its service has once more, and a `$` in a key is written `$$`, though no variables are filled in there.
NOT_TWICE = {"every-key", "interpolated-keys-stay", "interpolation"}
LISTS = {
    "--services": config.services, "--images": config.images, "--volumes": config.volumes, "--networks": config.networks,
    "--profiles": config.profiles,
}  # fmt: skip


@cache
def loaded() -> list[tuple[Case, Loaded]]:
    """What can be read of the corpus."""
    found = []
    for case in map(Case.of, FOLDERS):
        with suppress(ComposeError):
            found.append((case, load(case.request())))
    return found


@requires("compose")
def test_yaml():
    for case, found in loaded():
        if case.name not in DIFFERENCES:
            ours = config.as_yaml(found.project)
            assert ours == theirs(case, "--format", "yaml").text, case.name
            assert YAML(typ="safe", pure=True).load(ours)["name"] == found.project.name


@requires("compose")
def test_what_was_written_is_read_again(tmp_path):
    for case, found in loaded():
        if case.name in NOT_TWICE:
            continue
        (tmp_path / "compose.yaml").write_text(config.as_yaml(found.project))
        again = load(Case(case.name, tmp_path, ("--profile", "*")).request())
        first, second = config.document(found.project, yaml=True), config.document(again.project, yaml=True)
        assert second == first, case.name


@requires("compose")
def test_hashes_are_those_of_compose():
    for case, found in loaded():
        if case.name not in DIFFERENCES:
            expected = dict(line.split() for line in theirs(case, "--hash", "*").text.splitlines())
            assert {name: config.config_hash(one) for name, one in found.project.services.items()} == expected, case.name


@requires("compose")
@pytest.mark.parametrize("option", LISTS)
def test_lists(option):
    for case, found in loaded():
        if case.name not in MANIFOLD:
            continue
        assert sorted(LISTS[option](found.project)) == sorted(set(theirs(case, option).text.split())), case.name


@requires("compose")
def test_variables_as_they_are_written():
    for case, _ in loaded():
        if case.name not in NOT_RAW:
            expected = theirs(case, "--no-interpolate", "--format", "json").document
            assert config.uninterpolated(case.request()) == expected, case.name


@requires("compose")
def test_variables():
    case = next(case for case, _ in loaded() if case.name == "interpolation")
    expected = json.loads(theirs(case, "--variables", "--format", "json").text)
    ours = {row["name"]: row for row in config.variables(load(case.request(interpolate=False)).tree)}
    assert set(ours) == set(expected)
    for name, row in expected.items():
        assert ours[name]["required"] == row["Required"], name


def test_environment_has_the_project_s_name():
    case, found = loaded()[0]
    assert config.environment(found)["COMPOSE_PROJECT_NAME"] == found.project.name
    assert config.environment(found)["HOME"] == case.environ["HOME"]


def test_provenance(tmp_path):
    (tmp_path / "compose.yaml").write_text(
        "services:\n  web:\n    image: nginx:${TAG}\n    environment:\n      - MODE\n    env_file: web.env\n    stop_grace_period: 90s\n"
    )
    (tmp_path / "compose.override.yaml").write_text("services:\n  web:\n    labels: {a: '${NOPE}'}\n")
    (tmp_path / ".env").write_text("# tags\nTAG=1.25\n")
    (tmp_path / "web.env").write_text("\nLEVEL=debug\n")
    found = load(Case("provenance", tmp_path, (), ("MODE=dev",)).request())
    origins = {origin.path: (origin.value, origin.source) for origin in config.provenance(found)}
    file, override = tmp_path / "compose.yaml", tmp_path / "compose.override.yaml"
    assert origins["services.web.image"] == ("nginx:1.25", f"{file}:3:5 (TAG from .env:2)")
    assert origins["services.web.environment.MODE"] == ("dev", f"{file}:5:9 (MODE from the shell)")
    assert origins["services.web.stop_grace_period"] == ("90s", f"{file}:7:5")
    assert origins["services.web.environment.LEVEL"] == ("debug", f"{tmp_path / 'web.env'}:2:1")
    assert origins["services.web.labels.a"] == ("", f"{override}:3:14 (NOPE is not set)")
    assert origins["networks.default.name"][1].startswith(f"{file}:2:3")
    assert found.origins["services.web.image"].line == 3
    assert [str(warning) for warning in found.warnings] == [
        f"{override}:3:14: the variable NOPE is not set; an empty text takes its place in services.web.labels.a"
    ]


LEFT_OUT = {
    "--no-normalize": {"normalize": False},
    "--no-path-resolution": {"paths": False},
    "--no-consistency": {"consistency": False},
    "--no-env-resolution": {"env": False},
    "--no-env-resolution --no-normalize --no-path-resolution": {"env": False, "normalize": False, "paths": False},
}


@requires("compose")
@pytest.mark.parametrize("options", LEFT_OUT)
def test_less_is_done_with_it(options):
    how = LEFT_OUT[options]
    for case, _ in loaded():
        if case.name not in {*DIFFERENCES, "include-nested"}:  # theirs begins paths of an include in an include halfway
            ours = config.as_yaml(load(replace(case.request(), **how)).project, env_files=not how.get("env", True))
            assert ours == theirs(case, *options.split(), "--format", "yaml").text, case.name


@requires("compose")
def test_what_cannot_be_together_is_let_pass(tmp_path):
    (tmp_path / "compose.yaml").write_text("services: {web: {image: x, networks: [nowhere], secrets: [none], env_file: my.env}}\n")
    (tmp_path / "my.env").write_text("A=1\n")
    case = Case("odd", tmp_path, ())
    with pytest.raises(ComposeError, match="there is no network nowhere"):
        load(case.request())
    found = load(replace(case.request(), consistency=False, paths=False)).project
    assert config.as_yaml(found) == theirs(case, "--no-consistency", "--no-path-resolution", "--format", "yaml").text
    assert found.services["web"].environment == {"A": "1"}, "the file is found, although its path stays as it is"
