"""Names of images: taken apart as Docker takes them apart, and refused with the way out."""

from __future__ import annotations

import pytest
from helpers.fuzz import fuzzed, steps
from helpers.gosource import block, source, strings
from hypothesis import given
from hypothesis import strategies as st

from lib.images import BadReference, Reference
from lib.images.references import parse

A = "a" * 64
SHA = f"sha256:{A}"
SHA512 = "sha512:" + "0" * 128

# What is written, its canonical form, its short form.
NAMES = [
    ("alpine", "docker.io/library/alpine:latest", "alpine:latest"),
    ("alpine:3.20", "docker.io/library/alpine:3.20", "alpine:3.20"),
    ("bitnami/redis", "docker.io/bitnami/redis:latest", "bitnami/redis:latest"),
    ("docker.io/alpine", "docker.io/library/alpine:latest", "alpine:latest"),
    ("index.docker.io/alpine", "docker.io/library/alpine:latest", "alpine:latest"),
    ("docker.io/library/a/b", "docker.io/library/a/b:latest", "library/a/b:latest"),
    ("library/alpine", "docker.io/library/alpine:latest", "alpine:latest"),
    ("quay.io/a/b/c:v1", "quay.io/a/b/c:v1", "quay.io/a/b/c:v1"),
    ("ghcr.io/alpine", "ghcr.io/alpine:latest", "ghcr.io/alpine:latest"),
    ("localhost/x", "localhost/x:latest", "localhost/x:latest"),
    ("localhost:5000/x:1", "localhost:5000/x:1", "localhost:5000/x:1"),
    ("registry:5000/x", "registry:5000/x:latest", "registry:5000/x:latest"),
    ("registry/x", "docker.io/registry/x:latest", "registry/x:latest"),
    ("127.0.0.1:5000/x", "127.0.0.1:5000/x:latest", "127.0.0.1:5000/x:latest"),
    ("[::1]:5000/x", "[::1]:5000/x:latest", "[::1]:5000/x:latest"),
    ("MyHost/x", "MyHost/x:latest", "MyHost/x:latest"),
    (f"alpine@{SHA}", f"docker.io/library/alpine@{SHA}", f"alpine@{SHA}"),
    (f"alpine:3@{SHA}", f"docker.io/library/alpine:3@{SHA}", f"alpine:3@{SHA}"),
    (f"alpine@{SHA512}", f"docker.io/library/alpine@{SHA512}", f"alpine@{SHA512}"),
    ("a__b/c--d.e", "docker.io/a__b/c--d.e:latest", "a__b/c--d.e:latest"),
    ("x:" + "t" * 128, "docker.io/library/x:" + "t" * 128, "x:" + "t" * 128),
    ("x:_A-1.", "docker.io/library/x:_A-1.", "x:_A-1."),
    (A + "/x", f"docker.io/{A}/x:latest", A + "/x:latest"),
]

# What is refused, and words of the message.
REFUSED = [
    ("", "no name"),
    (":3", "no name"),
    ("Alpine", "lower case; write alpine"),
    ("quay.io/Foo/Bar", "write foo/bar"),
    (A, f"write name@sha256:{A}"),
    ("a//b", "two slashes"),
    ("a/", "two slashes in a row, or one at the end"),
    ("a..b/../c", "host"),
    ("x/a..b", "'..' is not allowed"),
    ("x/../y", "'..' is not allowed"),
    ("-a", "not part of a name"),
    ("a_", "not part of a name"),
    ("a___b", "not part of a name"),
    ("a b", "not part of a name"),
    ("a:b:c", "is not a tag"),
    ("a:", "is not a tag"),
    ("a:.b", "is not a tag"),
    ("a:" + "t" * 129, "at most 128"),
    ("a@sha256:abc", "64 digits"),
    (f"a@sha256:{'A' * 64}", "64 digits"),
    (f"a@sha256:{A}a", "has 65"),
    (f"a@sha512:{A}", "128 digits"),
    (f"a@md5:{'a' * 32}", "is not a digest"),
    ("a@", "is not a digest"),
    ("q.io/" + "a" * 256, "at most 255"),
    ("a/" * 128 + "b", "at most 255"),
    ("https://docker.io/x", "is not a registry"),
    ("host.:5000/x", "is not a registry"),
    ("host:port/x", "is not a registry"),
    ("alpine\n", "not part of a name"),
]


@pytest.mark.parametrize(("written", "canonical", "familiar"), NAMES)
def test_names(written, canonical, familiar):
    reference = parse(written)
    assert (str(reference), reference.familiar) == (canonical, familiar)
    assert parse(canonical) == parse(familiar) == reference


@pytest.mark.parametrize(("written", "words"), REFUSED)
def test_refused(written, words):
    with pytest.raises(BadReference) as error:
        parse(written)
    assert words in str(error.value)
    assert len(str(error.value)) < 400


def test_parts():
    assert parse("localhost:5000/a/b:1") == Reference("localhost:5000", "a/b", "1", None)
    assert parse(f"a@{SHA}").tag is None, "a digest says it all: no latest is added"


def test_the_name_has_its_limit_with_library_included():
    assert parse("a" * 247).repository == "library/" + "a" * 247
    with pytest.raises(BadReference, match="at most 255"):
        parse("a" * 248)


# -- Docker's own tables -----------------------------------------------------------------------


def table(name: str) -> list[str]:
    text = source("docker/distribution/reference/normalize_test.go", "golang-github-docker-distribution-dev")
    return strings(block(text, f"{name} := []string{{"))


@pytest.mark.parametrize("name", ["validRepoNames", "validRepositoryNames"])
def test_docker_takes_these(name):
    rows = table(name)
    assert len(rows) >= 7
    for row in rows:
        parse(row)


@pytest.mark.parametrize("name", ["invalidRepoNames", "invalidRepositoryNames"])
def test_docker_refuses_these(name):
    rows = table(name)
    assert len(rows) >= 7
    for row in rows:
        with pytest.raises(BadReference):
            parse(row)


# -- any text ----------------------------------------------------------------------------------

PIECES = st.sampled_from(
    ["a", "B", "lib", "/", ":", "@", SHA, "docker.io", "localhost", ".", "..", "-", "__", "5000", "[::1]", " ", "\n", "é"]
)


@fuzzed
@given(st.one_of(st.text(max_size=300), st.lists(PIECES, max_size=8).map("".join)))
def test_any_text_is_a_name_or_a_bad_reference(text):
    try:
        reference = parse(text)
    except BadReference:
        return
    assert parse(str(reference)) == parse(reference.familiar) == reference


@pytest.mark.parametrize("part", ["a", "-", "a-", "a_", "a.", "/a", ":", "A", "[:"])
def test_a_long_text_takes_no_more_steps_than_its_length(part):
    assert steps(parse, part * 100_000 + "!/x") < 1000 + 3 * 100_000
