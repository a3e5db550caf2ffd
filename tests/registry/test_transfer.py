"""Pull and push: against a real registry, with skopeo as the other side, and against registries that lie."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from helpers import layers
from helpers.needs import requires
from helpers.registries import (
    BASIC,
    PASSWORD,
    USER,
    Fake,
    Made,
    certificate,
    descriptor,
    digest_of,
    layer,
    leaves_nothing,
    library,
    make,
    with_password,
    with_tokens,
)
from helpers.waiting import wait_for

from lib.engine.naming import resolve
from lib.images import DigestError, ImageError, StoreError, archive, image
from lib.images.library import REPO_DIGEST
from lib.lab.registry import LocalRegistry
from lib.registry import credentials, pull, pulling, push, transport, uploads
from lib.registry.transfer import RegistryError, Unreachable, pull_all, push_all


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    """No passwords of this machine's user, no proxy, no long pauses."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.setattr(transport, "PAUSE", 0.02)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def local():
    with LocalRegistry() as one:
        yield one


@pytest.fixture
def fake():
    with Fake() as one:
        yield one


@pytest.fixture
def mine(tmp_path):
    return library(tmp_path / "mine")


@pytest.fixture
def other(tmp_path):
    """Another machine's."""
    return library(tmp_path / "other")


class Events:
    """What was told."""

    def __init__(self):
        self.all = []

    def __call__(self, word, what, done=0, total=0):
        self.all.append((word, what, done, total))

    def words(self, what: str | None = None) -> list[str]:
        """Each word once, in order."""
        return list(dict.fromkeys(word for word, about, *_ in self.all if what in (None, about)))


def folder_image(one, tmp_path, name: str, *contents: bytes):
    """An image of some layers, in a library."""
    made = make(*contents)
    for data in made.blobs:
        one.store.put(data)
    one.chains.unpack(made.document["layers"], made.diff_ids)
    about = descriptor(made.manifest, made.kind)
    one.store.put(made.manifest)
    one.store.tag(name, about)
    return one.find(name)


def short(data: bytes) -> str:
    return digest_of(data)[7:19]


def noise(size: int, seed: int = 1) -> bytes:
    """Bytes that no packer makes smaller."""
    import random

    return random.Random(seed).randbytes(size)


# -- there and back


@requires("docker-registry")
def test_push_and_pull(local, mine, other, tmp_path):
    name = f"{local.name}/there/and/back:1"
    sent = folder_image(mine, tmp_path, name, b"one", b"two")
    told = Events()
    digest = push(mine, name, told)
    assert digest == sent.descriptor["digest"]
    assert [word for word in told.words() if word != "Warning"] == ["Preparing", "Pushing", "Pushed", "Digest"]
    told = Events()
    got = pull(other, name, tell=told)
    assert (got.descriptor["digest"], got.names) == (digest, (name,))
    layer = sent.layers[0]["digest"][7:19]
    words = ["Pulling fs layer", "Downloading", "Verifying Checksum", "Download complete", "Extracting", "Pull complete"]
    assert told.words(layer) == words
    assert [Path(folder, f"file{number}").read_bytes() for number, folder in enumerate(other.folders(got))] == [b"one", b"two"]
    assert other.store.names()[name]["annotations"][REPO_DIGEST] == f"{local.name}/there/and/back@{digest}"
    assert mine.store.names()[name]["annotations"][REPO_DIGEST] == f"{local.name}/there/and/back@{digest}"
    leaves_nothing(other, 1)


@requires("docker-registry")
def test_what_is_here_is_not_fetched(local, mine, other, tmp_path):
    name = f"{local.name}/twice:1"
    sent = folder_image(mine, tmp_path, name, b"one")
    push(mine, name)
    pull(other, name)
    told = Events()
    pull(other, name, tell=told)
    assert told.words(sent.layers[0]["digest"][7:19]) == ["Already exists"]
    told = Events()
    push(mine, name, told)
    assert told.words(sent.layers[0]["digest"][7:19])[-1] == "Layer already exists" and "Pushing" not in told.words()


@requires("docker-registry")
def test_by_digest(local, mine, other, tmp_path):
    name = f"{local.name}/digest:1"
    folder_image(mine, tmp_path, name, b"one")
    digest = push(mine, name)
    got = pull(other, f"{local.name}/digest@{digest}")
    assert got.descriptor["digest"] == digest and other.find(f"{local.name}/digest@{digest}").id == got.id
    with pytest.raises(ImageError, match="a digest cannot be pushed to"):
        push(other, f"{local.name}/digest@{digest}")


@requires("docker-registry")
def test_all_tags(local, mine, other, tmp_path):
    for tag in ("1", "2"):
        folder_image(mine, tmp_path, f"{local.name}/all:{tag}", tag.encode())
    folder_image(mine, tmp_path, f"{local.name}/all-others:1", b"no")
    assert set(push_all(mine, f"{local.name}/all")) == {f"{local.name}/all:1", f"{local.name}/all:2"}
    assert {one.names[0] for one in pull_all(other, f"{local.name}/all")} == {f"{local.name}/all:1", f"{local.name}/all:2"}
    for deed in (push_all, pull_all):
        with pytest.raises(ImageError, match="tag can't be used"):
            deed(mine, f"{local.name}/all:1")


@requires("docker-registry")
@pytest.mark.parametrize("kind", ["oci", "docker"])
def test_layers_that_were_never_packed_travel_packed(local, mine, other, kind):
    """What an archive or a root file system brings lies here as it came; who pulls it gets gzip, the very same each time."""
    name = f"{local.name}/plain-{kind}:1"
    sent = layers.image(mine, layers.tar(layers.member("a", b"x" * 50_000)), name=name, pack=bytes)
    if kind == "docker":
        about = {**sent.manifest, "mediaType": image.DOCKER_MANIFEST}
        about["layers"] = [{**one, "mediaType": image.DOCKER + "image.rootfs.diff.tar"} for one in about["layers"]]
        mine.store.tag(name, mine.store.put_json(about, image.DOCKER_MANIFEST))
    mine.tag(name, again := f"{local.name}/plain-{kind}:2")
    digest = push(mine, name)
    got = pull(other, name)
    assert (got.id, got.diff_ids, got.descriptor["digest"]) == (sent.id, sent.diff_ids, digest)
    assert [one["mediaType"].rpartition("tar")[2] for one in got.layers] == ["+gzip" if kind == "oci" else ".gzip"]
    assert got.layers[0]["size"] < 5_000 and push(mine, again) == digest
    assert mine.find(name).descriptor["digest"] == digest and mine.find(name).id == sent.id, "here it is known as it is there"


@requires("docker-registry")
def test_layers_that_came_from_a_registry_go_on_as_they_came(local, mine, other):
    name = f"{local.name}/as-it-came:1"
    sent = layers.image(mine, layers.tar(layers.member("a", b"x")), name=name, pack=bytes)
    mine.store.tag(name, sent.descriptor, **{REPO_DIGEST: f"elsewhere/x@{sent.descriptor['digest']}"})
    assert push(mine, name) == sent.descriptor["digest"] == pull(other, name).descriptor["digest"]


@requires("docker-registry")
def test_no_warning_of_http_on_this_machine(local, mine, other, tmp_path, monkeypatch):
    name = f"{local.name}/quiet:1"
    folder_image(mine, tmp_path, name, b"one")
    told = Events()
    push(mine, name, told)
    pull(other, name, tell=told)
    assert "Warning" not in told.words()
    monkeypatch.setattr("lib.registry.transfer.loopback", lambda name: False)
    pull(other, name, tell=told, insecure=True)
    assert any("answers plain http only" in what for word, what, *_ in told.all if word == "Warning")


def test_what_is_not_here_cannot_be_pushed(mine):
    for deed in (push, push_all):
        with pytest.raises(StoreError, match=r"does not exist locally.*suitcase tag"):
            deed(mine, "localhost:1/none")


@requires("docker-registry")
def test_a_blob_of_another_repository_is_mounted(local, mine, other, tmp_path):
    names = [f"{local.name}/{part}:1" for part in ("first", "second", "third")]
    sent = folder_image(mine, tmp_path, names[0], b"mount me")
    push(mine, names[0])
    mine.tag(names[0], names[1])
    told = Events()
    push(mine, names[1], told)
    assert "Mounted from" in told.words(f"{sent.layers[0]['digest'][7:19]} first") and "Pushing" not in told.words()
    pull(other, names[1])  # it is known from a pull, too
    other.tag(names[1], names[2])
    told = Events()
    push(other, names[2], told)
    assert "Mounted from" in told.words(f"{sent.layers[0]['digest'][7:19]} second")
    assert pull(mine, names[2]).id == sent.id


@requires("docker-registry")
def test_what_cannot_be_mounted_is_sent(local, mine, other, tmp_path):
    from lib.registry.blobsources import Origins

    name = f"{local.name}/unmounted:1"
    sent = folder_image(mine, tmp_path, name, b"never there")
    Origins(mine.store).add([sent.layers[0]["digest"]], local.name, "a/lie")
    told = Events()
    push(mine, name, told)
    assert "Pushed" in told.words(sent.layers[0]["digest"][7:19])
    assert pull(other, name).id == sent.id


def test_the_registry_that_is_not_there(mine):
    with pytest.raises(Unreachable):
        pull(mine, "localhost:1/app")
    leaves_nothing(mine)


@requires("docker-registry", "openssl")
def test_with_tls_and_a_password(mine, other, tmp_path, monkeypatch):
    cert, key = certificate(tmp_path, "registry")
    monkeypatch.setenv("SSL_CERT_FILE", cert)
    with with_password(tmp_path, http={"tls": {"certificate": cert, "key": key}}) as local:
        name = f"{local.name}/safe:1"
        sent = folder_image(mine, tmp_path, name, b"one", noise(3 << 20))
        with pytest.raises(RegistryError, match=f"suitcase login {local.name}"):
            push(mine, name)
        credentials.login(local.name, USER, PASSWORD)
        told = Events()
        push(mine, name, told)
        assert pull(other, name, tell=told).id == sent.id
        assert "Warning" not in told.words()
        credentials.logout(local.name)
        with pytest.raises(RegistryError, match=f"suitcase login {local.name}"):
            pull(other, name)


@requires("docker-registry", "openssl")
def test_with_tokens(mine, other, tmp_path):
    with with_tokens(tmp_path) as (local, tokens):
        names = [f"{local.name}/{part}:1" for part in ("first", "second")]
        sent = folder_image(mine, tmp_path, names[0], b"one", noise(3 << 20))
        mine.tag(names[0], names[1])
        with pytest.raises(RegistryError, match=f"suitcase login {local.name}"):
            push(mine, names[0])
        credentials.login(local.name, USER, PASSWORD)
        push(mine, names[0])
        told = Events()
        push(mine, names[1], told)
        assert "Mounted from" in told.words(f"{sent.layers[0]['digest'][7:19]} first")
        credentials.logout(local.name)
        sold = tokens.sold
        assert pull(other, names[1]).id == sent.id  # anybody may
        assert tokens.sold == sold + 1


# -- the others


@requires("docker-registry", "skopeo")
def test_skopeo_reads_what_we_push_and_we_what_it_pushes(local, mine, other, tmp_path):
    name = f"{local.name}/skopeo:1"
    sent = folder_image(mine, tmp_path, name, b"one", noise(3 << 20))
    push(mine, name)
    skopeo("copy", "--src-tls-verify=false", f"docker://{name}", f"oci:{tmp_path}/layout:1")
    skopeo("copy", "--dest-tls-verify=false", f"oci:{tmp_path}/layout:1", f"docker://{local.name}/back:1")
    skopeo("copy", "--dest-tls-verify=false", "-f", "v2s2", f"oci:{tmp_path}/layout:1", f"docker://{local.name}/docker:1")
    assert pull(other, f"{local.name}/back:1").id == sent.id
    docker = pull(other, f"{local.name}/docker:1")
    assert docker.manifest["mediaType"] == image.DOCKER_MANIFEST and docker.diff_ids == sent.diff_ids
    push(other, f"{local.name}/docker:1")


def skopeo(*words: str) -> None:
    """With no passwords: it would look for them where nobody may look."""
    environment = os.environ | {"REGISTRY_AUTH_FILE": f"{os.environ['DOCKER_CONFIG']}/none.json"}
    subprocess.run(["skopeo", *words], check=True, capture_output=True, timeout=60, env=environment)


@requires("docker-registry", "skopeo")
def test_an_image_for_several_platforms(local, tmp_path, other):
    made = {word: make(word.encode(), architecture=word) for word in ("amd64", "arm64", "s390x")}
    layout = tmp_path / "several"
    (layout / "blobs/sha256").mkdir(parents=True)

    def put(data: bytes) -> None:
        (layout / "blobs/sha256" / digest_of(data)[7:]).write_bytes(data)

    for one in made.values():
        for data in (*one.blobs, one.manifest):
            put(data)
    entries = [descriptor(one.manifest, one.kind, platform={"os": "linux", "architecture": word}) for word, one in made.items()]
    index = json.dumps({"schemaVersion": 2, "mediaType": image.INDEX, "manifests": entries}).encode()
    put(index)
    (layout / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [descriptor(index, image.INDEX)]}))
    name = f"{local.name}/several:1"
    skopeo("copy", "--all", "--dest-tls-verify=false", f"oci:{layout}", f"docker://{name}")
    here = image.here()["architecture"]
    got = pull(other, name)
    assert got.config["architecture"] == here
    assert other.store.names()[name]["annotations"][REPO_DIGEST].endswith(digest_of(index))
    assert pull(other, name, platform="linux/s390x").config["architecture"] == "s390x"
    with pytest.raises(ImageError, match="nothing for linux/riscv64; it has linux/amd64, linux/arm64, linux/s390x"):
        pull(other, name, platform="linux/riscv64")


def test_the_wrong_platform(fake, mine):
    fake.keep(make(architecture="s390x"))
    with pytest.raises(ImageError, match="it is for linux/s390x, and linux/arm64 was asked for"):
        pull(mine, f"{fake.name}/app", platform="linux/arm64")
    told = Events()
    pull(mine, f"{fake.name}/app", tell=told)  # nobody asked for one: a warning will do, as in Docker
    assert any("its programs may not run here" in what for _, what, *_ in told.all)


def test_an_index_that_does_not_say_what_its_images_are_for(fake, mine):
    several = [make(b"1", architecture="s390x"), make(b"2")]
    for one in several:
        fake.keep(one, digest_of(one.manifest))
    entries = [descriptor(one.manifest, one.kind) for one in several]
    fake.document(json.dumps({"schemaVersion": 2, "mediaType": image.INDEX, "manifests": entries}).encode(), image.INDEX)
    assert pull(mine, f"{fake.name}/app").config["architecture"] == image.here()["architecture"]
    assert pull(mine, f"{fake.name}/app", platform="linux/s390x").config["architecture"] == "s390x"
    with pytest.raises(ImageError, match=r"nothing for linux/riscv64; it has .*linux/s390x"):
        pull(mine, f"{fake.name}/app", platform="linux/riscv64")


@requires("overlay")
def test_a_base_for_another_platform_leaves_the_name_to_this_machines(fake, mine):
    """FROM with --platform: what is here under the name is no answer, and stays."""
    name, said = f"{fake.name}/app", []
    several = {image.here()["architecture"]: make(b"1"), "s390x": make(b"2", architecture="s390x")}
    for one in several.values():
        fake.keep(one, digest_of(one.manifest))
    entries = [descriptor(one.manifest, one.kind, platform={"os": "linux", "architecture": kind}) for kind, one in several.items()]
    fake.document(json.dumps({"schemaVersion": 2, "mediaType": image.INDEX, "manifests": entries}).encode(), image.INDEX)
    here = resolve.image(mine, name, tell=said.append, platform=image.here())
    before = mine.store.names()[f"{name}:latest"]
    far = resolve.image(mine, name, tell=said.append, platform=image.parse_platform("s390x"))
    assert far.platform["architecture"] == "s390x" and mine.store.names()[f"{name}:latest"] == before
    assert resolve.image(mine, name, "never").id == here.id
    with pytest.raises(ImageError, match=r"is here for linux/.* only, and linux/s390x is wanted"):
        resolve.image(mine, name, "never", platform=image.parse_platform("s390x"))
    with pytest.raises(ImageError, match="nothing for linux/riscv64"):
        resolve.image(mine, name, tell=said.append, platform=image.parse_platform("riscv64"))


# -- broken connections


def breaking(fake: Fake, after: int, times: int):
    """The blobs' connection breaks after some bytes, some times."""
    left = [times]

    def answer(handler):
        data = fake.blobs[handler.path.rpartition("/")[2]]
        start = int(handler.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0])
        if left[0] == 0 or len(data) < after:
            return handler.blob(data)
        left[0] -= 1
        ranged = {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"} if start else {}
        return handler.say(206 if start else 200, data[start : start + after], length=len(data) - start, **ranged)

    return answer


def test_a_download_goes_on_where_it_stopped(fake, mine):
    made = fake.keep(make(noise(6 << 20)))
    fake.on["GET /v2/app/blobs"] = breaking(fake, 1_500_000, 3)
    pull(mine, f"{fake.name}/app")
    ranges = [headers.get("Range") for headers in fake.asked("GET", digest_of(made.layers[0]))]
    assert ranges == [None, *(f"bytes={n * 1_500_000}-{len(made.layers[0]) - 1}" for n in (1, 2, 3))]
    leaves_nothing(mine, 1)


def test_a_registry_without_ranges_begins_anew(fake, mine):
    made = fake.keep(make(noise(6 << 20)))
    fake.on["GET /v2/app/blobs"] = breaking(fake, 1_500_000, 1)

    def whole(handler):
        if len(fake.asked("GET", digest_of(made.layers[0]))) > 1:
            return handler.say(200, fake.blobs[handler.path.rpartition("/")[2]])
        return breaking(fake, 1_500_000, 1)(handler)

    fake.on["GET /v2/app/blobs"] = whole
    pull(mine, f"{fake.name}/app")
    assert len(fake.asked("GET", digest_of(made.layers[0]))) == 2


def test_a_download_that_never_gets_on_is_given_up(fake, mine):
    made = fake.keep(make(noise(6 << 20)))
    fake.on["GET /v2/app/blobs"] = breaking(fake, 50_000, 999)
    with pytest.raises(RegistryError, match="the connection broke at byte"):
        pull(mine, f"{fake.name}/app")
    assert len(fake.asked("GET", digest_of(made.layers[0]))) == transport.TRIES
    leaves_nothing(mine)


def test_a_second_try_takes_what_the_first_had(fake, mine):
    made = fake.keep(make(noise(1 << 20, 1), noise(2 << 20, 2)))
    missing = digest_of(made.layers[1])
    data = fake.blobs.pop(missing)

    def late(handler):  # the first one first
        while not mine.store.has(digest_of(made.layers[0])):
            time.sleep(0.01)
        return handler.usual(handler.path)

    fake.on[f"GET /v2/app/blobs/{missing}"] = late
    with pytest.raises(RegistryError, match=f"the blob {missing} of app: status 404"):
        pull(mine, f"{fake.name}/app")
    leaves_nothing(mine)
    fake.blobs[missing] = data
    told = Events()
    pull(mine, f"{fake.name}/app", tell=told)
    assert told.words(short(made.layers[0]))[0] == "Already exists"
    assert len(fake.asked("GET", digest_of(made.layers[0]))) == 1


def killed_and_started(local, seconds: float) -> threading.Thread:
    """A power cut of the registry, and it comes back."""

    def cut():
        local.stop(signal.SIGKILL)
        time.sleep(seconds)
        local.start()

    thread = threading.Thread(target=cut)
    thread.start()
    return thread


@requires("docker-registry")
def test_the_registry_is_killed_in_the_middle_of_a_pull(mine, other, tmp_path, monkeypatch):
    monkeypatch.setattr(transport, "PAUSE", 0.5)
    with LocalRegistry() as local:
        name = f"{local.name}/app:1"
        sent = folder_image(mine, tmp_path, name, *(noise(40 << 20, seed) for seed in (1, 2)))
        push(mine, name)
        cuts = []

        def tell(word, what, done=0, total=0):
            if word == "Downloading" and done > 5 << 20 and not cuts:
                cuts.append(killed_and_started(local, 0.3))
                cuts[0].join(0.2)

        got = pull(other, name, tell=tell)
        cuts[0].join()
        assert got.id == sent.id and all(other.store.has(one["digest"]) for one in sent.layers)
        leaves_nothing(other, 1)


@requires("docker-registry")
@pytest.mark.parametrize("chunk", [8 << 20, 64 << 20])
def test_the_registry_is_killed_in_the_middle_of_a_push(mine, other, tmp_path, monkeypatch, chunk):
    monkeypatch.setattr(transport, "PAUSE", 0.5)
    monkeypatch.setattr(uploads, "CHUNK", chunk)
    with LocalRegistry() as local:
        name = f"{local.name}/app:1"
        sent = folder_image(mine, tmp_path, name, *(noise(40 << 20, seed) for seed in (1, 2)))
        cuts = []

        def tell(word, what, done=0, total=0):
            if word == "Pushing" and done > 20 << 20 and not cuts:
                cuts.append(killed_and_started(local, 0.3))
                cuts[0].join(0.2)

        digest = push(mine, name, tell)
        cuts[0].join()
        got = pull(other, name)
        assert got.descriptor["digest"] == digest and got.id == sent.id
        leaves_nothing(mine, 1)


@requires("docker-registry")
def test_a_push_that_failed_is_completed_by_the_next(mine, other, tmp_path):
    with LocalRegistry() as local:
        name = f"{local.name}/app:1"
        folder_image(mine, tmp_path, name, *(noise(20 << 20, seed) for seed in (1, 2)))

        def tell(word, what, done=0, total=0):
            if word == "Pushing" and done > 5 << 20 and local.process.poll() is None:
                local.stop(signal.SIGKILL)

        with pytest.raises(RegistryError):
            push(mine, name, tell)
        local.start()
        with pytest.raises(RegistryError):  # no manifest without its layers
            pull(other, name)
        push(mine, name)
        pull(other, name)


def uploading(fake: Fake, break_at: int, answers_ranges: bool = True):
    """A registry that takes uploads; the connection breaks once, when so many bytes are there. Returns what it has."""
    had, broken = bytearray(), []

    def read(handler):
        left = int(handler.headers.get("Content-Length", 0))
        while left and (data := handler.rfile.read(min(left, 1 << 16))):
            had.extend(data)
            left -= len(data)
            if len(had) >= break_at and not broken:
                broken.append(1)
                handler.connection.shutdown(2)
                handler.close_connection = True
                return False
        return True

    def post(handler):
        had.clear()
        handler.say(202, Location="/v2/app/blobs/uploads/1?_state=x")

    def patch(handler):
        if read(handler):
            handler.say(202, Location="/v2/app/blobs/uploads/1?_state=x", Range=f"0-{len(had) - 1}")

    def put(handler):
        if "/manifests/" in handler.path:
            handler.rfile.read(int(handler.headers["Content-Length"]))
            return handler.say(201)
        if read(handler):
            digest = digest_of(bytes(had))
            fake.blobs[digest] = bytes(had)
            good = digest[7:] in handler.path
            return handler.say(201 if good else 400)
        return None

    def get(handler):
        status = 204 if answers_ranges else 404
        handler.say(status, Location="/v2/app/blobs/uploads/1?_state=x", Range=f"0-{len(had) - 1}")

    fake.on |= {"POST /v2/app": post, "PATCH /v2/app": patch, "PUT /v2/app": put, "GET /v2/app/blobs/uploads": get}
    return had


@pytest.mark.parametrize("answers_ranges", [True, False])
def test_an_upload_goes_on_where_it_stopped(fake, mine, tmp_path, monkeypatch, answers_ranges):
    monkeypatch.setattr(uploads, "CHUNK", 1 << 20)
    name = f"{fake.name}/app:1"
    sent = folder_image(mine, tmp_path, name, noise(5 << 20))
    uploading(fake, 2_500_000, answers_ranges)
    push(mine, name)
    big = sent.layers[0]
    assert digest_of(fake.blobs[big["digest"]]) == big["digest"]
    starts = [int(headers["Content-Range"].partition("-")[0]) for headers in fake.asked("PATCH", "uploads")]
    assert len(fake.asked("POST", "uploads")) == (2 if answers_ranges else 3)  # the layer's and the config's
    assert (2_500_000 <= starts[3] < 2_600_000) if answers_ranges else starts[3] == 0


@pytest.mark.parametrize("verb", ["PATCH", "PUT"])
def test_a_busy_registry_gets_the_blob_a_moment_later(fake, mine, tmp_path, monkeypatch, verb):
    monkeypatch.setattr(uploads, "CHUNK", 1 << 20)
    sent = folder_image(mine, tmp_path, f"{fake.name}/app:1", noise(3 << 20))
    uploading(fake, 1 << 30)
    usual, left = fake.on[f"{verb} /v2/app"], [2]

    def answer(handler):
        if not left[0]:
            return usual(handler)
        left[0] -= 1
        handler.rfile.read(int(handler.headers["Content-Length"]))
        return handler.say(503)

    fake.on[f"{verb} /v2/app"] = answer
    push(mine, f"{fake.name}/app:1")
    assert left == [0] and all(one["digest"] in fake.blobs for one in sent.layers)


def test_a_registry_that_takes_and_forgets(fake, mine, tmp_path, monkeypatch):
    monkeypatch.setattr(uploads, "CHUNK", 1 << 20)
    folder_image(mine, tmp_path, f"{fake.name}/app:1", noise(5 << 20))
    uploading(fake, 1 << 30)

    def forget(handler):
        handler.rfile.read(int(handler.headers["Content-Length"]))
        handler.say(202, Location="/v2/app/blobs/uploads/1", Range="0-5")

    fake.on["PATCH /v2/app"] = forget
    with pytest.raises(RegistryError, match=r"takes .* and forgets it"):
        push(mine, f"{fake.name}/app:1")


def test_an_upload_to_another_host_goes_without_our_password(fake, mine, tmp_path):
    credentials.login(fake.name, USER, PASSWORD)
    folder_image(mine, tmp_path, f"{fake.name}/app:1", b"one")
    with Fake() as elsewhere:

        def post(handler):
            if handler.headers.get("Authorization") != BASIC:
                return handler.say(401, **{"WWW-Authenticate": 'Basic realm="x"'})
            return handler.say(202, Location=f"http://{elsewhere.name}/put?it=here")

        def take(handler):
            handler.rfile.read(int(handler.headers["Content-Length"]))
            handler.say(201)

        fake.on |= {"POST /v2/app": post, "PUT /v2/app/manifests": take}
        elsewhere.on["PUT /put"] = take
        push(mine, f"{fake.name}/app:1")
        assert len(elsewhere.seen) == 2 and all("Authorization" not in headers for _, _, headers in elsewhere.seen)
        assert all("it=here&digest=sha256" in path for _, path, _ in elsewhere.seen)


# -- layers


def test_three_layers_at_a_time(fake, mine):
    made = fake.keep(make(*(bytes([n]) * 100 for n in range(7))))
    at_once, most, lock = [0], [0], threading.Lock()

    def slow(handler):
        with lock:
            at_once[0] += 1
            most[0] = max(most[0], at_once[0])
        if any(digest_of(one) in handler.path for one in made.layers):  # not the config, which comes alone
            wait_for(lambda: most[0] >= 3)
        time.sleep(0.05)  # in which a fourth would come
        with lock:
            at_once[0] -= 1
        handler.usual(handler.path)

    fake.on["GET /v2/app/blobs"] = slow
    told = Events()
    pull(mine, f"{fake.name}/app", tell=told)
    assert most[0] == 3 and "Waiting" in told.words()


def test_a_layer_is_unpacked_while_another_is_on_the_way(fake, mine):
    made = fake.keep(make(b"first", b"second"))
    told, in_time = Events(), []

    def late(handler):
        deadline = time.monotonic() + 20
        while not (unpacked := "Pull complete" in told.words(short(made.layers[0]))) and time.monotonic() < deadline:
            time.sleep(0.01)
        in_time.append(unpacked)
        handler.usual(handler.path)

    fake.on[f"GET /v2/app/blobs/{digest_of(made.layers[1])}"] = late
    pull(mine, f"{fake.name}/app", tell=told)
    assert in_time == [True]


def test_a_layer_that_is_none_ends_the_downloads_of_the_others(fake, mine):
    """It cannot become an image any more, so nobody waits for a registry that takes its time."""
    bad = b"no tar file"
    good, diff_id = layer("file", noise(3 << 20))
    fake.keep(Made([good, gzip.compress(bad)], [diff_id, digest_of(bad)]))
    over, waited = threading.Event(), []

    def stall(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(good)))
        handler.end_headers()
        handler.wfile.write(good[: 2 << 20])
        waited.append(over.wait(20))

    fake.on[f"GET /v2/app/blobs/{digest_of(good)}"] = stall
    try:
        with pytest.raises(ImageError, match="not a valid tar file"):
            pull(mine, f"{fake.name}/app")
    finally:
        over.set()
    leaves_nothing(mine)
    assert False not in waited


def test_a_layer_twice_is_fetched_once(fake, mine):
    data, diff_id = layer("file", b"twice")
    fake.keep(Made([data, data], [diff_id, diff_id]))
    assert len(mine.folders(pull(mine, f"{fake.name}/app"))) == 2
    assert len(fake.asked("GET", digest_of(data))) == 1


def test_foreign_layers(fake, mine, other, tmp_path):
    made = make(b"ours", b"theirs")
    made.document["layers"][1]["mediaType"] = image.OCI + "layer.nondistributable.v1.tar+gzip"
    made.document["layers"][1]["urls"] = ["http://192.0.2.1/layer"]
    fake.keep(made)
    pull(mine, f"{fake.name}/app")  # this registry has it
    told = Events()
    uploading(fake, 1 << 30)
    fake.blobs.clear()
    push(mine, f"{fake.name}/app", told)
    assert told.words(short(made.layers[1])) == ["Skipped foreign layer"] and digest_of(made.layers[1]) not in fake.blobs
    with pytest.raises(RegistryError, match="licence forbids"):
        pull(other, f"{fake.name}/app")
    leaves_nothing(other)


# -- hostile registries: one clear error, and nothing half-made stays


def hostile(fake: Fake, made: Made, do) -> None:
    fake.keep(made)
    fake.on[f"GET /v2/app/blobs/{digest_of(made.layers[0])}"] = do


@pytest.mark.parametrize(
    ("do", "words"),
    [
        (lambda h, data: h.endless(), "more comes: refused"),
        (lambda h, data: h.say(200, data, length=len(data) + 9), r"are announced"),
        (lambda h, data: h.say(200, data[:-9], length=len(data) - 9), r"are announced"),
        (lambda h, data: h.say(200, data[:-1] + b"x"), "it was damaged or swapped"),
        (lambda h, data: h.say(206, data, **{"Content-Range": "bytes 5-9/10"}), "asked for bytes from 0 on"),
        (lambda h, data: h.say(206, data), "asked for bytes from 0 on"),
        (lambda h, data: h.say(302, Location="file:///etc/passwd"), "only http and https"),
        (lambda h, data: h.say(302, Location=h.path), "more than 5 redirects"),
        (lambda h, data: h.say(403), "suitcase login"),
        (lambda h, data: h.say(200, data[:-9], length=len(data)), "the connection broke at byte"),
        (lambda h, data: h.say(200, data, **{"Content-Encoding": "gzip"}), None),  # the layer's own gzip stays as it is
    ],
)
def test_a_blob_that_is_wrong(fake, mine, do, words):
    made = make(noise(3 << 20))
    hostile(fake, made, lambda handler: do(handler, made.layers[0]))
    if words is None:
        pull(mine, f"{fake.name}/app")
        return
    with pytest.raises(ImageError, match=words):
        pull(mine, f"{fake.name}/app")
    leaves_nothing(mine)


def test_the_wrong_range(fake, mine):
    made = fake.keep(make(noise(3 << 20)))

    def answer(handler):
        data = made.layers[0]
        if "Range" not in handler.headers:
            return handler.say(200, data[: 1 << 20], length=len(data))
        return handler.say(206, data[:1000], **{"Content-Range": f"bytes 0-999/{len(data)}"})

    fake.on[f"GET /v2/app/blobs/{digest_of(made.layers[0])}"] = answer
    with pytest.raises(RegistryError, match=r"asked for bytes from 1048576 on, it sends 'bytes 0-999"):
        pull(mine, f"{fake.name}/app")
    leaves_nothing(mine)


def changed(**parts) -> bytes:
    return json.dumps(make().document | parts).encode()


def entry(**parts) -> dict:
    return make().document["layers"][0] | parts


def index_of(one: dict, **parts) -> bytes:
    return json.dumps({"schemaVersion": 2, "mediaType": image.INDEX, "manifests": [one | {"platform": image.here()}], **parts}).encode()


@pytest.mark.parametrize(
    ("data", "kind", "words"),
    [
        (b"[" * 100_000, image.MANIFEST, "is not valid JSON"),
        (b"[]", image.MANIFEST, "not an object"),
        (changed(), "text/html", "it came as 'text/html'"),
        (changed(), image.INDEX, "it came as .*and says that it is"),
        (changed(), image.DOCKER_MANIFEST, "it came as .*and says that it is"),
        (changed(mediaType=["x"]), image.MANIFEST, "and says that it is"),
        (json.dumps({"schemaVersion": 1, "name": "x"}).encode(), "application/vnd.docker.distribution.manifest.v1+prettyjws", "schema 1"),
        (json.dumps({"schemaVersion": 1, "name": "x"}).encode(), "application/json", "schema 1"),
        (changed(layers=[entry()] * 1000), image.MANIFEST, "has 1000 layers"),
        (changed(layers=[entry(digest="sha256:../../../etc/passwd")]), image.MANIFEST, "is not a digest"),
        (changed(layers=[entry(size=1 << 49)]), image.MANIFEST, "SUITCASE_LAYER_LIMIT"),
        (changed(layers=[entry(size=-1)]), image.MANIFEST, "no valid size"),
        (changed(layers=[entry(mediaType="text/plain")]), image.MANIFEST, "is not a file system"),
        (changed(config=entry(size=1 << 30)), image.MANIFEST, "the config of"),
        (changed(config=entry()), image.MANIFEST, "its config is of the type"),
        (changed(layers=[]), image.MANIFEST, "names 1 layers, the manifest 0"),
        (index_of(descriptor(b"", image.MANIFEST)), image.INDEX, "status 404"),
        (index_of(descriptor(changed(), image.MANIFEST, size=7)), image.INDEX, "the index announces 7"),
        (json.dumps({"schemaVersion": 2, "mediaType": image.INDEX, "manifests": []}).encode(), image.INDEX, "no platform at all"),
    ],
)
def test_a_manifest_that_is_wrong(fake, mine, data, kind, words):
    fake.keep(make(), "good")
    fake.document(data, kind)
    with pytest.raises(ImageError, match=words):
        pull(mine, f"{fake.name}/app")
    leaves_nothing(mine)


def test_an_index_in_an_index(fake, mine):
    inner = fake.document(index_of(descriptor(b"", image.MANIFEST)), image.INDEX)
    fake.document(index_of(inner), image.INDEX)
    with pytest.raises(ImageError, match="leads to another index"):
        pull(mine, f"{fake.name}/app")
    leaves_nothing(mine)


def test_an_index_that_says_it_is_in_itself(fake, mine):
    data = index_of({"mediaType": image.INDEX, "digest": "sha256:" + "a" * 64, "size": 9})
    fake.manifests |= {"latest": (data, image.INDEX), "sha256:" + "a" * 64: (data, image.INDEX)}
    with pytest.raises(DigestError, match="damaged or exchanged"):
        pull(mine, f"{fake.name}/app")
    leaves_nothing(mine)


def test_a_config_that_lies_about_its_layers(fake, mine):
    made = make(b"one")
    made = fake.keep(Made(made.layers, [digest_of(b"another")]))
    with pytest.raises(DigestError, match="unpacked"):
        pull(mine, f"{fake.name}/app")
    leaves_nothing(mine)


def test_an_image_larger_than_the_disk(fake, mine, monkeypatch):
    import shutil

    fake.keep(make(noise(1 << 20)))
    monkeypatch.setattr(pulling.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(100, 99, 1))
    with pytest.raises(StoreError, match=r"are free in .*suitcase image prune"):
        pull(mine, f"{fake.name}/app")
    leaves_nothing(mine)


# -- interrupts and memory


CALL = """
import sys, re
from lib.registry import transfer
from lib.images.library import Library
from lib.images.store import Store
library = Library(Store(sys.argv[1], durable=False))
{deed}
# Not ru_maxrss: that is kept over exec, and counts what the process that started us had. See proc_pid_status(5).
print(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
"""


def in_a_process(deed: str, *words: str) -> subprocess.Popen:
    command = [sys.executable, "-c", CALL.format(deed=deed), *words]
    return subprocess.Popen(command, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("silent", [False, True])
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_pull_that_is_stopped(fake, mine, how, silent):
    """Ctrl-C while a layer waits for bytes that do not come, or even for an answer."""
    made = fake.keep(make(noise(3 << 20)))
    waiting, over = threading.Event(), threading.Event()

    def stall(handler):
        if silent:
            waiting.set()
            over.wait(30)
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(made.layers[0])))
        handler.end_headers()
        handler.wfile.write(made.layers[0][: 2 << 20])
        waiting.set()
        over.wait(30)

    fake.on[f"GET /v2/app/blobs/{digest_of(made.layers[0])}"] = stall
    process = in_a_process("transfer.pull(library, sys.argv[2])", str(mine.store.place), f"{fake.name}/app")
    try:
        assert waiting.wait(20)
        time.sleep(0.1)
        process.send_signal(how)
        _, errors = process.communicate(timeout=20)  # long before the registry goes on
    finally:
        over.set()
        process.kill()
        process.wait()
    if how == signal.SIGINT:
        assert "KeyboardInterrupt" in errors
    else:  # what a dead process left goes with the next clean-up
        mine.gc()
    leaves_nothing(mine)
    fake.on.clear()
    pull(mine, f"{fake.name}/app")


def test_a_push_that_is_stopped(fake, mine, tmp_path):
    """Ctrl-C while the registry takes its time."""
    name = f"{fake.name}/app:1"
    folder_image(mine, tmp_path, name, noise(30 << 20))
    taking, over = threading.Event(), threading.Event()

    def slowly(handler):
        while not over.is_set() and handler.rfile.read(1 << 16):
            taking.set()
            time.sleep(0.1)
        handler.close_connection = True

    fake.on |= {"POST /v2/app": lambda handler: handler.say(202, Location="/v2/app/blobs/uploads/1"), "PATCH /v2/app": slowly}
    process = in_a_process("transfer.push(library, sys.argv[2])", str(mine.store.place), name)
    try:
        assert taking.wait(20)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)  # all of it would take twice as long
        assert "KeyboardInterrupt" in errors
    finally:
        over.set()
        process.kill()
        process.wait()
    leaves_nothing(mine, 1)


@requires("docker-registry")
def test_memory_does_not_grow_with_the_layer(local, mine, other, tmp_path):
    """A layer of 1 GiB, of which 128 MiB are noise."""
    name, zeros = f"{local.name}/big:1", bytes(1 << 20)
    folder = tmp_path / "big"
    folder.mkdir()
    with open(folder / "file", "wb") as file:
        for number in range(1024):
            file.write(noise(1 << 20, number) if number % 8 == 0 else zeros)
    archive.from_folder(mine, str(folder), name)
    for one, deed in ((mine, "push"), (other, "pull")):  # and pull unpacks
        process = in_a_process(f"transfer.{deed}(library, sys.argv[2])", str(one.store.place), name)
        output, errors = process.communicate(timeout=100)
        assert process.returncode == 0, errors
        assert int(output) < 100_000, f"{deed}: {output} kB"
    assert os.stat(f"{other.folders(other.find(name))[0]}/file").st_size == 1 << 30
