"""The table of keys, beside the specification's own schema, and beside the one that is inside the real Compose."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.composing import Case
from helpers.needs import COMPOSE, requires

from lib import compose
from lib.compose.reading import keys, load
from lib.compose.reading.schema import FILE, SERVICE
from lib.compose.reading.schema.service import BUILD, DEPLOY, HEALTHCHECK
from lib.compose.reading.schema.table import CONFIG, NETWORK, SECRET, VOLUME

# Names alone, from https://github.com/compose-spec/compose-spec/blob/main/schema/compose-spec.json
NAMES = Path(__file__).parents[1] / "spec-keys.txt"
TABLES = {
    "top": FILE, "service": SERVICE, "network": NETWORK, "volume": VOLUME, "secret": SECRET, "config": CONFIG, "build": BUILD,
    "healthcheck": HEALTHCHECK, "deployment": DEPLOY,
}  # fmt: skip
NEWER = {"top": {"jobs"}, "service": {"pre_start"}, "build": {"no_cache_filter"}}  # in Compose already, and not in the published schema


@pytest.mark.parametrize("noun", TABLES)
def test_every_key_of_the_specification_is_known(noun):
    lines = dict(line.split(": ") for line in NAMES.read_text().splitlines())
    assert set(TABLES[noun].keys) - NEWER.get(noun, set()) == set(lines[noun].split())


@requires("compose")
def test_every_key_of_the_real_compose_is_known():
    binary = COMPOSE.read_bytes()
    start = binary.rindex(b"{", 0, binary.index(b'"$id": "compose_spec.json"'))
    schema, _ = json.JSONDecoder().raw_decode(binary[start : start + 200_000].decode(errors="ignore"))
    parts = [schema["$defs"][name]["properties"] for name in ("service", "container_spec", "workload_spec")]
    assert set(SERVICE.keys) == {key for part in parts for key in part}
    assert set(FILE.keys) == set(schema["properties"])


def test_the_page_is_made_from_the_table():
    assert (Path(compose.__file__).parent / "KEYS.md").read_text() == keys.table()


def test_what_is_not_done_is_in_the_table():
    for pattern in keys.NOT_DONE:
        first, *rest = pattern.replace("services.*.", "").split(".")
        table = SERVICE if pattern.startswith("services.*.") else FILE
        assert first in table.keys, pattern
        assert all(step == "*" or step.isidentifier() for step in rest), pattern


def test_who_uses_what_is_not_done_is_told(tmp_path):
    (tmp_path / "compose.yaml").write_text(
        "services:\n  a:\n    image: x\n    runtime: runc\n    deploy:\n      mode: global\n"
        "  b: {image: y, profiles: [off], gpus: all}\nconfigs: {c: {content: x, template_driver: go}}\n"
    )
    told = [str(problem) for problem in load(Case("", tmp_path).request()).warnings]
    assert told == [
        f"{tmp_path}/compose.yaml:4:5: services.a.runtime is not supported here: there is one runtime: this one",
        f"{tmp_path}/compose.yaml:6:7: services.a.deploy.mode is not supported here: it is for a swarm; here there is one machine",
        f"{tmp_path}/compose.yaml:8:27: configs.c.template_driver is not supported here: it is for a swarm; here there is one machine",
    ]
