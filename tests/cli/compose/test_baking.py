"""``build --print``: a file for ``docker buildx bake``, letter by letter that of the real Compose, which needs no daemon for it."""

from __future__ import annotations

import json
import os
import subprocess

import pytest
from helpers.needs import COMPOSE, requires

FILE = """
name: demo
services:
  a:
    image: aa
    build:
      context: .
      platforms: [linux/amd64, linux/arm64]
      args: {A: "1$${X}<&>", N: }
      labels: {l: v}
      tags: ["x:1"]
      cache_from: ["type=local,src=c"]
      target: t
      shm_size: 64m
      ulimits: {nofile: {soft: 5, hard: 6}}
      secrets: [s, {source: e, target: q}]
      ssh: [default]
      pull: true
      no_cache: true
      network: host
      extra_hosts: ["x:1.2.3.4", "x:1.2.3.5"]
      privileged: true
      entitlements: [network.host]
      additional_contexts: {b: "service:b.c", d: docker-image://z, f: ./ctx}
      no_cache_filter: [z]
      provenance: mode=max
      sbom: "true"
  b.c: {build: {context: sub, dockerfile: D2, provenance: false, sbom: "false"}, platform: linux/amd64}
  c: {image: x}
  e: {build: {context: sub, provenance: true}}
  d: {build: {dockerfile_inline: "FROM x\\nRUN echo $${HOME} $$A"}, depends_on: [b.c, c]}
secrets: {s: {file: ./sec}, e: {environment: E}}
"""
BUILDX = """#!/bin/sh
[ "$1" = docker-cli-plugin-metadata ] && echo '{"SchemaVersion":"0.1.0","Vendor":"nobody","Version":"v0.30.0"}'
exit 0
"""


@pytest.fixture
def theirs(tmp_path):
    """The lines of the real one, which believes that it has a buildx."""
    plugin = tmp_path / "config/cli-plugins/docker-buildx"
    plugin.parent.mkdir(parents=True)
    plugin.write_text(BUILDX)
    plugin.chmod(0o755)

    def run(file, line: str) -> str:
        env = os.environ | {"DOCKER_CONFIG": str(tmp_path / "config"), "DOCKER_HOST": f"unix://{tmp_path}/none", "E": "1"}
        return subprocess.run([COMPOSE, "-f", file, *line.split()], env=env, capture_output=True, text=True, check=True).stdout

    return run


def likened(text: str) -> tuple[dict, str]:
    """Who has made it is somebody else, and theirs has the group's targets in any order."""
    text = text.replace('version": "suitcase"', 'version": "5.6.1"')
    found = json.loads(text)
    found["group"]["default"]["targets"].sort()
    return found, text[text.index('"target": {') :]


@requires("compose")
@pytest.mark.parametrize("more", ["", "a", "d", "d --with-dependencies --push", "a --push --pull --build-arg B=2", "--check d", "e"])
def test_print_is_that_of_the_real_one(compose, theirs, more, monkeypatch):
    monkeypatch.setenv("E", "1")
    compose.write(FILE)
    line = f"build --print {more} --memory 64m --provenance true --builder any"
    assert likened(compose(line).out) == likened(theirs(compose.file, line))
    assert compose("ps -aq").out == ""


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("build --builder x d", 'no builder "x" found'),
        ("build --provenance mode=max d", "Attestation is not supported for the docker driver"),
        ("build --sbom true d", "Attestation is not supported for the docker driver"),
        ("build a", "compose.yaml:8:7: services.a.build.platforms: Multi-platform build is not supported for the docker driver"),
    ],
)
def test_what_the_builder_does_not_do(compose, line, words):
    compose.write(FILE)
    assert words in compose(line, 1).err


def test_of_several_platforms_up_builds_this_ones(compose):
    compose.write('services: {a: {build: {dockerfile_inline: "FROM scratch\\nCMD [x]", platforms: [linux/s390x, linux/386]}}}')
    compose("up --no-start")
    assert json.loads(compose.host("image inspect demo-a").out)[0]["Architecture"] not in ("s390x", "386")
