"""The build cache on its way to another machine: through a folder, and through a registry; damaged, and from people who mean harm."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner
from helpers.needs import requires
from helpers.sites import Site, cached

from lib.build import Build, sharedcache
from lib.build.builder import Options
from lib.cli.main import main
from lib.images import ImageError, digests
from lib.lab.registry import LocalRegistry

pytestmark = requires("root", "overlay", "busybox")
TEXT = (
    "FROM base AS one\nARG token=of-the-first-machine\nRUN echo 1 > /a\nFROM base\nENV x=1\nWORKDIR /w\nCOPY a .\n"
    "COPY --from=one /a /b\nRUN cat a /b > c\nRUN true\nCMD cat c\n"
)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1600000000")  # the two bases are made one after the other, and must be the same
    return site(tmp_path, "here")


@pytest.fixture
def there(tmp_path, here):
    return site(tmp_path, "there")


def site(top: Path, name: str) -> Site:
    made = Site(top / name)
    made.write("a", "2\n")
    return made


def run(site: Site, text: str = TEXT, **options):
    """The build, and what it warned of."""
    job = Build(site.library, Options(str(site.context), text=text, **options))
    return job.run(), job.warnings


def blobs(site: Site) -> set[str]:
    return set(os.listdir(site.library.store.place / "blobs/sha256"))


def through(where: str) -> tuple[dict, dict]:
    """The options that write a cache, and that read it."""
    if not where.startswith("/"):
        return {"cache_to": (f"type=registry,ref={where}",)}, {"cache_from": (where,)}
    return {"cache_to": (f"type=local,dest={where}",)}, {"cache_from": (f"type=local,src={where}",)}


def all_is_cached(here: Site, there: Site, where: str) -> None:
    to, come = through(where)
    first, _ = run(here, **to)
    second, warnings = run(there, **come)
    assert warnings == [] and cached(second) == [True] * 6
    assert second.id == first.id and there.tree(second) == here.tree(first)
    assert cached(run(there, **come)[0]) == [True] * 6
    assert cached(run(there)[0]) == [False] * 6  # what others say a step makes counts only for who asks them


def test_through_a_folder(here, there, tmp_path):
    all_is_cached(here, there, f"{tmp_path}/cache")
    assert {"blobs", "index.json", "oci-layout"} == set(os.listdir(tmp_path / "cache"))


@requires("docker-registry")
def test_through_a_registry(here, there):
    with LocalRegistry() as registry:
        all_is_cached(here, there, f"{registry.name}/app:cache")


def test_a_layer_comes_when_a_step_hits_it(here, there, tmp_path):
    to, come = through(f"{tmp_path}/cache")
    first, _ = run(here, **to)
    before = blobs(there)
    second, _ = run(there, TEXT.replace("cat a /b", "cat /b a"), **come)
    assert cached(second) == [True] * 4 + [False] * 2
    layers = {one["digest"].partition(":")[2] for one in first.image.layers}
    came = (blobs(there) - before) & layers
    assert len(came) == 3 and first.image.layers[-1]["digest"].partition(":")[2] not in came


def test_a_plan_fetches_nothing(here, there, tmp_path):
    to, come = through(f"{tmp_path}/cache")
    run(here, **to)
    before = blobs(there)
    run(there, dry=True, **come)
    assert blobs(there) == before


def test_no_variable_travels_but_in_what_was_made(here, tmp_path):
    to, _ = through(f"{tmp_path}/cache")
    run(here, **to, build_args={"token": "only-for-this-machine"})
    config = json.loads((tmp_path / "cache/index.json").read_text())["manifests"][0]["digest"].partition(":")[2]
    listing = json.loads((tmp_path / "cache/blobs/sha256" / config).read_text())["config"]["digest"].partition(":")[2]
    assert "only-for-this-machine" not in (tmp_path / "cache/blobs/sha256" / listing).read_text()


def test_an_export_replaces_the_one_before(here, there, tmp_path):
    to, come = through(f"{tmp_path}/cache")
    run(here, **to)
    run(here, TEXT.replace("echo 1", "echo 3"), **to)
    assert cached(run(there, TEXT.replace("echo 1", "echo 3"), **come)[0]) == [True] * 6


# -- a cache that is not as it should be ----------------------------------------------------


def parts(cache: Path) -> tuple[Path, dict, Path, dict]:
    """Manifest and list of records, with their paths."""
    manifest = cache / "blobs" / json.loads((cache / "index.json").read_text())["manifests"][0]["digest"].replace(":", "/")
    listing = cache / "blobs" / json.loads(manifest.read_text())["config"]["digest"].replace(":", "/")
    return manifest, json.loads(manifest.read_text()), listing, json.loads(listing.read_text())


def forge(cache: Path, change) -> None:
    """Change the records, and make all digests right again."""
    _, document, _, found = parts(cache)
    change(found)
    data = json.dumps(found).encode()
    document["config"] |= {"digest": digests.of(data), "size": len(data)}
    depot = sharedcache.to_write(f"type=local,dest={cache}")
    depot.write(depot.path(digests.of(data)), [data])
    depot.put_manifest(json.dumps(document).encode())


def layers(cache: Path) -> list[Path]:
    return [cache / "blobs" / one["digest"].replace(":", "/") for one in parts(cache)[1]["layers"]]


def damage_layers(cache: Path) -> None:
    for path in layers(cache):
        path.write_bytes(b"x" * path.stat().st_size)


def cut_layers(cache: Path) -> None:
    for path in layers(cache):
        os.truncate(path, 20)


def lose_layers(cache: Path) -> None:
    for path in layers(cache):
        path.unlink()


def lie(**words):
    """All records say something else of their layers."""

    def change(found: dict) -> None:
        for one in found["records"]:
            if one["layer"]:
                one["layer"]["descriptor"] |= {name: word for name, word in words.items() if name != "diff_id"}
                one["layer"]["diff_id"] = words.get("diff_id", one["layer"]["diff_id"])

    return lambda cache: forge(cache, change)


def first(found: dict) -> dict:
    return next(one for one in found["records"] if one["layer"])


WRONG = {
    "no folder": lambda cache: os.rename(cache, f"{cache}.away"),
    "no json": lambda cache: (cache / "index.json").write_text("{"),
    "an empty index": lambda cache: (cache / "index.json").write_text('{"manifests": []}'),
    "damaged manifest": lambda cache: parts(cache)[0].write_text(json.dumps(parts(cache)[1], indent=1)),
    "damaged list": lambda cache: parts(cache)[2].write_text("{}"),
    "damaged layers": damage_layers,
    "cut layers": cut_layers,
    "lost layers": lose_layers,
    "a way out as a key": lambda cache: forge(cache, lambda found: first(found).update(key="../../../evil")),
    "a way out as a digest": lie(digest="sha256:../../x"),
    "a lie about the content": lie(diff_id="sha256:" + 64 * "0"),
    "a lie about the size": lie(size=5),
    "no list": lambda cache: forge(cache, lambda found: found.update(records="all")),
    "no time": lambda cache: forge(cache, lambda found: first(found).update(created="yesterday\n")),
    "a strange fact": lambda cache: forge(cache, lambda found: found.update(facts={"../x": "y"})),
    "a strange type": lie(mediaType="text/html"),
    "a type that no push takes along": lie(mediaType="application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"),
    "more seconds than a float has": lambda cache: forge(cache, lambda found: first(found).update(seconds=10**400)),
    "seconds that are no number": lambda cache: forge(cache, lambda found: first(found).update(seconds=float("nan"))),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_bad_cache_is_one_warning_and_a_cold_build(wrong, here, there, tmp_path):
    to, come = through(f"{tmp_path}/cache")
    good, _ = run(here, **to)
    WRONG[wrong](tmp_path / "cache")
    built, warnings = run(there, **come)
    assert len(warnings) == 1 and warnings[0].startswith(f"--cache-from type=local,src={tmp_path}/cache is left out: ")
    assert not any(cached(built)) and there.tree(built) == here.tree(good) and there.leftovers() == []
    assert sorted(path.name for path in tmp_path.rglob("*evil*")) == []


def test_a_lie_about_the_size_of_a_layer_that_is_here(here, tmp_path):
    to, come = through(f"{tmp_path}/cache")
    built, _ = run(here, **to)
    lie(size=5)(tmp_path / "cache")
    for record in (here.library.store.place / "cache").iterdir():
        record.unlink()
    again, warnings = run(here, **come)
    assert len(warnings) == 1 and again.image.layers == built.image.layers


def test_an_image_is_no_cache(here, there, tmp_path):
    to, come = through(f"{tmp_path}/cache")
    run(here, **to)
    _, document, _, _ = parts(tmp_path / "cache")
    document["config"]["mediaType"] = "application/vnd.oci.image.config.v1+json"
    sharedcache.to_write(to["cache_to"][0]).put_manifest(json.dumps(document).encode())
    assert "this is not a build cache" in run(there, **come)[1][0]


@pytest.mark.parametrize("text", ["type=gha", "type=local", "type=local,dest=", "type=registry", "a=b"])
def test_words_that_name_no_cache(text, here):
    with pytest.raises(ImageError, match="is not a cache: type=local,"):
        run(here, cache_to=(text,))
    with pytest.raises(ImageError, match="is not a cache: type=local,"):
        run(here, cache_from=(text,))


def test_the_command(here, there, tmp_path, monkeypatch):
    for one in (here, there):
        (one.context / "Dockerfile").write_text(TEXT)
        monkeypatch.setenv("SUITCASE_IMAGES", str(one.library.store.place))
        words = ["--cache-to", f"type=local,dest={tmp_path}/c"] if one is here else ["--cache-from", f"type=local,src={tmp_path}/c"]
        done = CliRunner().invoke(main, ["build", str(one.context), *words])
        assert done.exit_code == 0, done.output
    assert "6 of 6 steps cached" in done.output
    (tmp_path / "c/index.json").unlink()
    done = CliRunner().invoke(main, ["build", "--no-cache", str(there.context), "--cache-from", f"type=local,src={tmp_path}/c"])
    assert done.exit_code == 0 and "[Warning] --cache-from type=local" in done.output
