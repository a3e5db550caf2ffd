"""A project in a registry: what we publish the real Docker Compose reads, and what it publishes we do; what is no project is refused."""

from __future__ import annotations

import io
import json
import os
import subprocess

import pytest
from helpers.commands import Command
from helpers.hosts import BUSYBOX
from helpers.needs import COMPOSE, requires
from helpers.registries import certificate

from lib.cli.compose import artifact
from lib.cli.compose.artifact import ENV_FILE, FILE, MANIFEST, PROJECT, Layer, NoArtifact
from lib.engine.naming import shortnames
from lib.images import Library, Store, digests
from lib.lab.registry import LocalRegistry
from lib.registry.uploads import Upload

pytestmark = requires("docker-registry")

TEXT = "services:\n  web:\n    image: ${IMAGE:-busybox}\n    command: [sleep, '5']\n"
OVERRIDE = "services:\n  web:\n    environment: {A: b}\n"


@pytest.fixture
def demo(tmp_path, monkeypatch):
    monkeypatch.setenv("SUITCASE_STORE", str(tmp_path / "store"))
    (tmp_path / "demo").mkdir()
    monkeypatch.chdir(tmp_path / "demo")
    (tmp_path / "demo/compose.yaml").write_text(TEXT)
    return tmp_path / "demo"


@pytest.fixture
def suitcase(demo, capfd):
    return Command(capfd)


@pytest.fixture
def registry():
    with LocalRegistry() as one:
        yield one


def theirs(*words: str, **env: str) -> subprocess.CompletedProcess:
    return subprocess.run([COMPOSE, *words], capture_output=True, text=True, timeout=60, env=os.environ | env)


def test_what_we_publish_is_what_we_read(demo, suitcase, registry):
    """As it is written: no variable is filled in."""
    name = f"{registry.name}/shop/app:1"
    assert " published sha256:" in suitcase(f"compose publish {name}").err
    said = suitcase(f"compose -f oci://{name} config --format json")
    assert json.loads(said.out)["services"]["web"]["image"] == "busybox" and json.loads(said.out)["name"] == "demo"
    assert "${IMAGE:-busybox}" in suitcase(f"compose -f oci://{name} config --no-interpolate").out
    assert "manifest" in suitcase(f"compose -f oci://{registry.name}/shop/app:2 config").err
    assert suitcase(f"compose publish --dry-run {registry.name}/shop/none:1").code == 0
    assert suitcase(f"compose -f oci://{registry.name}/shop/none:1 config").code == 1


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@requires("compose")
def test_the_real_compose_reads_it(demo, suitcase, registry, version):
    (demo / "compose.override.yaml").write_text(OVERRIDE)
    name = f"{registry.name}/shop/app:1"
    assert suitcase(f"compose publish --oci-version {version} {name}").code == 0
    read = theirs("--insecure-registry", registry.name, "-f", f"oci://{name}", "config", "--format", "json")
    assert json.loads(read.stdout) == json.loads(suitcase(f"compose -f oci://{name} config --format json").out), read.stderr
    assert json.loads(read.stdout)["services"]["web"]["environment"] == {"A": "b"}, "of the override file"


@requires("compose", "openssl", "docker", "root")
def test_we_read_what_the_real_compose_publishes(demo, suitcase, tmp_path, docker):
    """It insists on https. So it trusts the registry's certificate, and we are told not to mind."""
    cert, key = certificate(tmp_path, "registry")
    (demo / "compose.override.yaml").write_text(OVERRIDE)
    with LocalRegistry(http={"tls": {"certificate": cert, "key": key}}) as registry:
        name = f"{registry.name}/shop/app:1"
        done = theirs("publish", "-y", name, SSL_CERT_FILE=cert, DOCKER_HOST=docker.socket)
        assert done.returncode == 0, done.stderr
        said = suitcase(f"compose --insecure-registry {registry.name} -f oci://{name} config --format json")
        assert json.loads(said.out)["services"]["web"] == json.loads(theirs("config", "--format", "json").stdout)["services"]["web"], (
            said.err
        )


def test_files_that_are_extended_or_included_go_along(demo, suitcase, registry):
    (demo / "compose.yaml").write_text(
        "include: [more.yaml]\nservices:\n  web:\n    extends: {file: base.yaml, service: base}\n    image: busybox\n"
    )
    (demo / "base.yaml").write_text("services:\n  base:\n    environment: {OF: base}\n")
    (demo / "more.yaml").write_text("services:\n  more:\n    image: busybox\n")
    name = f"{registry.name}/shop/app:1"
    assert suitcase(f"compose publish {name}").code == 0
    for path in demo.iterdir():
        path.unlink()
    said = suitcase(f"compose -f oci://{name} config --format json")
    assert said.code == 0, said
    read = json.loads(said.out)["services"]
    assert read.keys() == {"web", "more"} and read["web"]["environment"] == {"OF": "base"}


def test_what_may_not_be_meant_for_everybody(demo, suitcase, registry):
    (demo / "my.env").write_text("A=1\n")
    (demo / "compose.yaml").write_text(
        "services:\n  web:\n    image: busybox\n    env_file: my.env\n    volumes: ['/etc:/etc']\n    environment: {DB_PASSWORD: x}\n"
    )
    name = f"{registry.name}/shop/app:1"
    said = suitcase(f"compose publish {name}")
    assert said.code == 1 and "mounts /etc of this machine" in said.err and "DB_PASSWORD" in said.err and "--with-env" in said.err
    assert suitcase(f"compose publish -y --with-env {name}").code == 0
    (demo / "my.env").unlink()
    said = suitcase(f"compose -f oci://{name} config --format json")
    assert said.code == 0, said
    assert json.loads(said.out)["services"]["web"]["environment"]["DB_PASSWORD"] == "x"


def test_a_file_that_lies_elsewhere_cannot_go_along(demo, suitcase, registry, tmp_path):
    (tmp_path / "far.env").write_text("A=1\n")
    (demo / "compose.yaml").write_text("services:\n  web:\n    image: busybox\n    env_file: ../far.env\n")
    assert "does not lie beside the Compose file" in suitcase(f"compose publish -y --with-env {registry.name}/shop/app:1").err


@pytest.mark.parametrize("name", ["../evil.yaml", "/etc/passwd", "a/b", "..", "", "a\0b", "x" * 300])
def test_a_strangers_name_of_a_file_is_no_path(demo, registry, name):
    """Whoever can push there may say what he likes."""
    sent = f"oci://{registry.name}/shop/evil:1"
    artifact.sent(sent, [Layer(FILE, "compose.yaml", TEXT.encode()), Layer(ENV_FILE, name, b"A=1\n")])
    with pytest.raises(NoArtifact, match="no name of a file"):
        artifact.brought(sent)


def put(registry, manifest: dict, tag: str = "1") -> str:
    from lib.images import references

    address = f"oci://{registry.name}/shop/odd:{tag}"
    shelf = artifact.shelf(references.parse(address.removeprefix("oci://")), (), "pull,push")
    Upload(shelf, io.BytesIO(b"{}"), digests.of(b"{}"), 2).run()
    for one in manifest.get("layers", ()):
        Upload(shelf, io.BytesIO(TEXT.encode()), one["digest"], len(TEXT)).run()
    shelf.put_manifest(tag, json.dumps(manifest).encode(), MANIFEST)
    return address


EMPTY = {"mediaType": artifact.EMPTY, "digest": digests.of(b"{}"), "size": 2}
LAYER = {"mediaType": FILE, "digest": digests.of(TEXT.encode()), "size": len(TEXT)}
ODD = {
    "an image": ({"artifactType": "", "layers": [LAYER]}, "is not a compose project OCI artifact, but an image"),
    "something else": ({"artifactType": "application/x", "layers": [LAYER]}, "is not a compose project OCI artifact, but application/x"),
    "without a file": ({"artifactType": PROJECT, "layers": []}, "has no Compose file in it"),
    "only an extended file": (
        {"artifactType": PROJECT, "layers": [LAYER | {"annotations": {"com.docker.compose.extends": "true"}}]},
        "has no Compose file in it",
    ),
}


@pytest.mark.parametrize("case", ODD)
def test_what_is_no_project_is_refused(demo, registry, case):
    more, said = ODD[case]
    with pytest.raises(NoArtifact, match=said):
        artifact.brought(put(registry, {"schemaVersion": 2, "mediaType": MANIFEST, "config": EMPTY} | more))


@pytest.mark.parametrize("layers", [[LAYER | {"size": 2 << 20}], [LAYER] * 65])
def test_what_is_too_large_is_not_fetched(layers):
    with pytest.raises(NoArtifact, match="at most 64 files of 1 MiB each"):
        artifact.layers_of({"layers": layers}, "oci://x")


@requires("root", "overlay", "busybox")
@pytest.mark.parametrize("option", ["--resolve-image-digests", "--lock-image-digests", "--lock-image-digests --format json"])
def test_images_are_pinned_to_the_digests_that_their_registry_has(demo, suitcase, registry, option, request):
    name, beside = (
        f"{registry.name}/a/b:1",
        "pre_start: [{image: IMAGE, command: 'true'}], volumes: [{type: image, source: IMAGE, target: /x}]",
    )
    shortnames.make(Library(Store()), BUSYBOX)
    assert suitcase(f"tag {BUSYBOX} {name}").code == suitcase(f"push {name}").code == 0
    text = f"services:\n  web: {{image: IMAGE, {beside}}}\n  built: {{build: .}}\n"
    (demo / "compose.yaml").write_text(text.replace("IMAGE", f"'{name}'"))
    said = suitcase(f"compose config {option}")
    assert said.code == 0 and f"{name}@sha256:" in said.out and ("hook images are not pinned" in said.err) == ("lock" in option)
    if COMPOSE.exists():
        docker = request.getfixturevalue("docker")
        assert said.out.rstrip("\n") == theirs("config", *option.split(), DOCKER_HOST=docker.socket).stdout.rstrip("\n")


@requires("root", "overlay", "busybox", "compose")
def test_pinned_images_are_published_beside_the_file(demo, suitcase, registry):
    """As it is written all the same; and whoever reads it, the real one too, has the images of to-day, also those of a profile."""
    image, name = f"{registry.name}/a/b:1", f"{registry.name}/shop/app:1"
    shortnames.make(Library(Store()), BUSYBOX)
    assert suitcase(f"tag {BUSYBOX} {image}").code == suitcase(f"push {image}").code == 0
    (demo / "compose.yaml").write_text(f"services: {{web: {{image: '{image}'}}, tool: {{image: '{image}', profiles: [x]}}}}\n")
    assert suitcase(f"compose publish --resolve-image-digests {name}").code == 0
    ours = suitcase(f"compose --profile x -f oci://{name} config --format json").out
    read = theirs("--insecure-registry", registry.name, "--profile", "x", "-f", f"oci://{name}", "config", "--format", "json").stdout
    for said in (ours, read):
        assert all(f"{image}@sha256:" in one["image"] for one in json.loads(said)["services"].values()), said
    (demo / "compose.yaml").write_text(f"services: {{web: {{image: '{registry.name}/a/none:1'}}}}\n")
    assert "failed to resolve digest" in suitcase(f"compose publish --resolve-image-digests {name}").err


def test_what_cannot_be_pinned(demo, suitcase, registry):
    (demo / "compose.yaml").write_text(f"services: {{web: {{image: '{registry.name}/a/none:1'}}}}\n")
    assert f"failed to resolve digest for {registry.name}/a/none:1: " in suitcase("compose config --resolve-image-digests").err
    assert "leave one of the two out" in suitcase("compose config --lock-image-digests --no-interpolate").err
