"""The builder's own semantics: when a step is taken from the cache, which stages are built, what the config says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from helpers import layers as make
from helpers.needs import requires
from helpers.sites import Site, cached

from lib.build import Build, BuildError
from lib.build.builder import Options
from lib.dockerfile import DockerfileError
from lib.images import ImageError, image

pytestmark = requires("root", "overlay", "busybox")


# -- the cache: hits ------------------------------------------------------------------------


def test_a_second_build_is_the_first_one_again(site):
    site.write("a", "1")
    text = "FROM base\nENV x=1\nWORKDIR /w\nCOPY a .\nRUN cat a > b\nCMD cat b\n"
    first, second = site.build(text), site.build(text)
    assert cached(first) == [False, False, False] and cached(second) == [True, True, True]
    assert first.id == second.id
    assert first.image.descriptor == second.image.descriptor


def test_a_cached_build_unpacks_nothing(site):
    text = "FROM base\nRUN echo 1 > /a\nRUN echo 2 > /b\n"
    first = site.build(text)
    site.library.chains.sweep(set())
    assert site.build(text).id == first.id and os.listdir(site.library.chains.names) == []
    assert cached(site.build(text + "RUN cat /a /b > /c\n")) == [True, True, False]


@pytest.mark.parametrize("change", ["time", "owner", "comment", "indent"])
def test_what_does_not_count(site, change):
    file = site.write("a", "1")
    text = "FROM base\nCOPY a /a\nRUN echo 1 > /b\n"
    site.build(text)
    if change == "time":
        os.utime(file, (1, 1))
    elif change == "owner":
        os.chown(file, 5, 5)
    else:
        text = text.replace("RUN", "# why\nRUN" if change == "comment" else "RUN  ")
    assert cached(site.build(text)) == [True, True]


# -- the cache: misses, by the part that is another -------------------------------------------

WITH = "FROM base\nRUN mkdir -p /w /v\nARG x=1\nENV y=1\nUSER 0\nWORKDIR /w\nCOPY --chown=0 a /a\nRUN echo hello\n"


@pytest.mark.parametrize(
    "old,new,part",
    [
        ("echo hello", "echo bye", "command"),
        ("y=1", "y=2", "env"),
        ("x=1", "x=2", "env"),
        ("USER 0", "USER 1", "user"),
        ("WORKDIR /w", "WORKDIR /v", "workdir"),
    ],
)
def test_a_run_misses_by_the_part_that_changed(site, old, new, part):
    site.write("a", "1")
    site.build(WITH)
    changed = site.build(WITH.replace(old, new))
    assert cached(changed)[-2:] == [True, False]
    assert [reason.partition(":")[0] for reason in changed.steps[-1].why] == [part]


@pytest.mark.parametrize(
    "old,new,part",
    [("--chown=0", "--chown=1", "looks"), ("--chown=0", "--chmod=700", "looks"), ("a /a", "a /b", "dest"), ("a /a", "b /a", "content")],
)
def test_a_copy_misses_by_the_part_that_changed(site, old, new, part):
    site.write("a", "1")
    site.write("b", "2")
    site.build(WITH)
    changed = site.build(WITH.replace(old, new))
    copy, run = [one for one in changed.steps if one.kind in ("copy", "run")][-2:]
    assert not copy.cached and [reason.partition(":")[0] for reason in copy.why] == [part]
    assert not run.cached and run.why[0].startswith("below: a step before it")


@pytest.mark.parametrize("change", ["content", "mode", "name", "new", "gone", "link"])
def test_content_counts(site, change):
    for name in ("d/a", "d/b"):
        site.write(name, "1")
    os.symlink("a", site.context / "d/l")
    text = "FROM base\nCOPY d /d\n"
    site.build(text)
    file = site.context / "d/a"
    match change:
        case "content":
            about = file.stat()
            file.write_text("2")
            os.utime(file, ns=(about.st_atime_ns, about.st_mtime_ns))
        case "mode":
            file.chmod(0o755)
        case "name":
            file.rename(site.context / "d/c")
        case "new":
            site.write("d/new")
        case "gone":
            file.unlink()
        case "link":
            (site.context / "d/l").unlink()
            os.symlink("b", site.context / "d/l")
    changed = site.build(text)
    assert cached(changed) == [False] and changed.steps[0].why[0].startswith("content")


def test_the_order_counts(site):
    site.build("FROM base\nRUN echo 1 > /a\nRUN echo 2 > /b\n")
    assert cached(site.build("FROM base\nRUN echo 2 > /b\nRUN echo 1 > /a\n")) == [False, False]


def test_the_base_counts(site):
    site.build("FROM base\nRUN echo 0 > /z\n", tags=("base2",))
    site.build("FROM base2\nRUN echo 1 > /a\n")
    site.build("FROM base\nRUN echo 1 > /z\n", tags=("base2",))
    assert cached(site.build("FROM base2\nRUN echo 1 > /a\n")) == [False]


def test_a_folder_elsewhere_with_the_same_files_hits(site, tmp_path):
    site.write("a", "1")
    site.build("FROM base\nCOPY a /a\n")
    other = Site(tmp_path / "other", site.library.store.place)
    other.write("a", "1")
    assert cached(other.build("FROM base\nCOPY a /a\n")) == [True]


def test_no_cache(site):
    text = "FROM base\nRUN cat /proc/sys/kernel/random/uuid > /a\n"
    first, again = site.build(text), site.build(text, no_cache=True)
    assert cached(again) == [False] and site.read(first, "a") != site.read(again, "a")
    assert site.build(text).id == again.id  # the newer record is the one that counts now


def test_build_arg(site):
    text = "FROM base\nRUN echo 0 > /z\nARG x=1\nRUN echo $x > /a\n"
    site.build(text)
    other = site.build(text, build_args={"x": "2"})
    assert cached(other) == [True, False] and site.read(other, "a") == "2\n"
    assert "x was '1', is '2'" in other.steps[-1].why[0]


def test_a_proxy_is_for_the_command_and_counts_for_nothing(site):
    text = "FROM base\nRUN echo $HTTPS_PROXY > /a\nRUN echo 1 > /b\n"
    one = site.build(text, build_args={"HTTPS_PROXY": "http://user:pass@proxy"})
    assert site.read(one, "a") == "http://user:pass@proxy\n"
    assert cached(site.build(text, build_args={"HTTPS_PROXY": "other"})) == [True, True]
    assert "user:pass" not in str(one.image.config)


def test_a_record_whose_layer_is_gone_is_no_hit(site):
    text = "FROM base\nRUN echo 1 > /a\n"
    built = site.build(text)
    site.library.store.path(built.image.layers[-1]["digest"]).unlink()
    again = site.build(text)
    assert cached(again) == [False] and "gone from the cache" in again.steps[0].why[0]


def test_a_damaged_record_is_no_hit(site):
    text = "FROM base\nRUN echo 1 > /a\n"
    first = site.build(text)
    for record in (site.library.store.place / "cache").iterdir():
        record.write_bytes(record.read_bytes()[:40])
    again = site.build(text)
    assert cached(again) == [False] and site.tree(again) == site.tree(first)


def test_50_000_files_and_only_the_changed_one_is_read(site):
    for folder in range(100):
        (site.context / f"d{folder}").mkdir()
        for number in range(500):
            (site.context / f"d{folder}/{number}").touch()
    read = []
    for _ in range(3):
        job = Build(site.library, Options(str(site.context), text="FROM scratch\nCOPY . /all\n", dry=True))
        job.run()
        read.append(job.context.memory.read)
        if len(read) == 2:
            site.write("d7/7", "changed")
    assert read == [50_000, 0, 1]


# -- explained ------------------------------------------------------------------------------


def test_advice_names_the_copy_that_should_come_later(site):
    site.write("needs.txt", "json\n")
    site.write("app.sh", "1")
    text = "FROM base\nCOPY . /app\nRUN echo slow > /packages\n"
    assert site.build(text).advice == []
    site.write("app.sh", "2")
    changed = site.build(text)
    assert changed.steps[0].why == ["content: what is copied is not the same: app.sh"]
    assert len(changed.advice) == 1 and "line 2, COPY . /app" in changed.advice[0]
    good = "FROM base\nCOPY needs.txt /app/\nRUN echo slow > /packages\nCOPY . /app\n"
    site.build(good)
    site.write("app.sh", "3")
    better = site.build(good)
    assert cached(better) == [True, True, False] and better.advice == []


def test_the_first_build_has_no_reasons_to_compare_with(site):
    assert site.build("FROM base\nRUN echo 1 > /a\n").steps[0].why == ["this is the first build"]


def test_a_plan_is_what_the_build_then_does(site):
    site.write("a", "1")
    text = "FROM base AS one\nRUN echo 1 > /a\nFROM base\nCOPY a /a\nRUN echo 2 > /b\nCOPY --from=one /a /c\n"
    assert cached(site.plan(text)) == [False] * 4 and os.listdir(site.library.store.place / "cache") == []
    site.build(text)
    assert cached(site.plan(text)) == [True] * 4
    for changed in (text.replace("2 >", "3 >"), text.replace("1 >", "3 >"), text.replace("a /a\nRUN", "a /b\nRUN")):
        planned = site.plan(changed)
        built = site.build(changed)
        assert [(one.text, one.cached) for one in planned] == [(one.text, one.cached) for one in built.steps], changed


# -- reproducible, many ---------------------------------------------------------------------


def test_source_date_epoch_gives_the_same_image_twice(tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1600000000")
    built = []
    for name in ("one", "two"):
        site = Site(tmp_path / name)
        site.write("a", "1")
        built.append(site.build("FROM base\nCOPY a /a\nRUN echo 1 > /b && mkdir /c\nWORKDIR /d\n"))
    assert built[0].image.descriptor == built[1].image.descriptor
    assert built[0].image.config["created"] == "2020-09-13T12:26:40Z"
    unpacked = make.tree(site.library.folders(built[1].image)[1:], times=True)
    assert {about[-1] for about in unpacked.values()} == {1_600_000_000}


def test_stages_that_wait_for_each_other_are_refused(site):
    circle = "FROM base AS a\nCOPY --from=b /x /\nFROM base AS b\nCOPY --from=a /x /\n"
    with pytest.raises(DockerfileError, match=r"Dockerfile:1:1: circular dependency detected: (a needs b needs a|b needs a needs b)"):
        site.build(circle)
    with pytest.raises(DockerfileError, match="circular dependency detected: a needs a"):
        site.build("FROM base AS a\nCOPY --from=a /x /\n")


def test_a_stage_may_copy_from_a_later_one(site):
    """As in BuildKit; the older builder did not know it."""
    made = site.build("FROM base AS a\nCOPY --from=b /x /y\nFROM base AS b\nRUN echo later > /x\n", target="a")
    assert site.read(made, "/y") == "later\n"


def test_a_stage_whose_name_is_nearly_right(site):
    with pytest.raises(DockerfileError, match="did you mean the stage 'work'"):
        site.build("FROM base AS work\nFROM base\nCOPY --from=wrk /x /y\n")


def test_a_hundred_stages(site):
    """More than run at once; each stands on the one before."""
    text = "FROM base AS s0\n" + "".join(f"FROM s{n} AS s{n + 1}\nENV N{n}=1\n" for n in range(100))
    assert "N99=1" in site.build(text).image.runtime["Env"]


def test_more_than_128_layers(site):
    built = site.build("FROM base\n" + "".join(f"RUN echo {number} > /{number}\n" for number in range(140)) + "RUN cat /0 /139 > /sum\n")
    assert len(built.image.layers) == 142 and site.read(built, "sum") == "0\n139\n"


# -- stages ---------------------------------------------------------------------------------

MEET = "RUN --mount=type=cache,target=/c touch /c/{0}; for i in $(seq 6000); do test -e /c/{1} && exit 0; sleep 0.01; done; exit 1\n"


def test_stages_run_side_by_side(site):
    """Each waits for the other: one after the other they would wait in vain."""
    text = "FROM base AS one\n" + MEET.format("a", "b") + "FROM base AS two\n" + MEET.format("b", "a")
    site.build(text + "FROM scratch\nCOPY --from=one /etc/passwd /1\nCOPY --from=two /etc/passwd /2\n")


def test_a_stage_that_nobody_needs_is_not_built(site):
    text = "FROM base AS no\nRUN exit 1\nFROM base AS yes\nRUN echo 1 > /a\nFROM scratch\nCOPY --from=yes /a /a\n"
    assert [one.stage for one in site.build(text).steps] == ["yes", "2"]


def test_a_stage_that_a_mount_needs_is_built(site):
    text = "FROM base AS tools\nRUN echo 1 > /a\nFROM base\nRUN --mount=type=bind,from=tools,target=/t cat /t/a > /b\n"
    assert site.read(site.build(text), "b") == "1\n"


def test_target(site):
    text = "FROM base AS one\nRUN echo 1 > /a\nFROM base AS Two\nRUN echo 2 > /a\nFROM base\nRUN exit 1\n"
    assert site.read(site.build(text, target="one"), "a") == "1\n"
    assert site.read(site.build(text, target="TWO"), "a") == "2\n"
    assert site.read(site.build(text, target="1"), "a") == "2\n"
    with pytest.raises(BuildError, match=r"could not be found.*there is one, two, 2"):
        site.build(text, target="three")


def test_copy_from_image_stage_and_index(site):
    site.build("FROM scratch\nCOPY <<a.txt /a\nof the image\na.txt\n", tags=("tools:1",))
    text = "FROM base AS one\nRUN echo of the stage > /b\nFROM scratch\n"
    built = site.build(text + "COPY --from=tools:1 /a /1\nCOPY --from=one /b /2\nCOPY --from=0 /b /3\n")
    assert [site.read(built, name) for name in "123"] == ["of the image\n", "of the stage\n", "of the stage\n"]


def test_copy_from_hits_while_the_other_stage_comes_to_the_same(site):
    text = "FROM base AS one\nRUN echo 1 > /a # {}\nFROM base\nCOPY --from=one /a /a\nRUN echo 2 > /b\n"
    site.build(text.format("x"))
    again = site.build(text.format("y"))
    assert cached(again) == [False, True, True]  # the content decides, not the way to it


# -- named contexts -------------------------------------------------------------------------


@pytest.fixture
def folder(site) -> str:
    """A folder beside the context."""
    site.write("../other/f", "of the folder\n")
    site.write("../other/d/g", "deep\n")
    site.write("../other/secret", "s")
    site.write("../other/.dockerignore", "secret\n")
    site.write("f", "of the context\n")
    return str(site.context.parent / "other")


STAGES = "FROM scratch AS Base\nCOPY f /f\nFROM base AS child\nCOPY f /g\nFROM child\nCOPY --from={} /f /h\n"


@pytest.mark.parametrize("way", ["base", "BASE", "0"])
def test_a_named_context_takes_the_place_of_a_stage(site, folder, way):
    text = STAGES.format(way)
    plain, built = site.build(text), site.build(text, contexts={"base": folder})
    assert [site.read(plain, name) for name in "fgh"] == ["of the context\n"] * 3
    assert [site.read(built, name) for name in "fgh"] == ["of the folder\n", "of the context\n", "of the folder\n"]
    assert set(site.tree(built)) == {"f", "g", "h", "d", "d/g", ".dockerignore"}
    assert cached(site.build(text, contexts={"Base": folder})) == [True] * 3
    site.write("../other/f", "another\n")
    assert site.read(site.build(text, contexts={"base": folder}), "h") == "another\n"
    assert site.read(site.build(text, contexts={"base": folder}, target="base"), "f") == "another\n"


def test_a_named_context_is_copied_from_and_mounted(site, folder):
    text = "FROM base\nCOPY --from=docs /d/* f* /x/\nRUN --mount=from=docs,target=/m cat /m/f > /y; ls -A /m >> /y\nCOPY f /z\n"
    built = site.build(text, contexts={"docs": folder, "unused": folder})
    assert (
        site.read(built, "x/g") == "deep\n" and site.read(built, "x/f") == "of the folder\n" and site.read(built, "z") == "of the context\n"
    )
    assert site.read(built, "y") == "of the folder\n.dockerignore\nd\nf\n"
    with pytest.raises(BuildError, match=r"'/none' is not in the stage or image 'docs'"):
        site.build("FROM base\nCOPY --from=docs /none /x\n", contexts={"docs": folder})


def test_a_named_context_is_an_image_or_stands_for_one(site, folder):
    site.build("FROM base\nENV who=me\nCOPY <<x /of\nimage\nx\n", tags=("tools:1",))
    text = "FROM odd:3\nRUN cat /of > /x; echo $who >> /x\n"
    for name in ("odd:3", "docker.io/library/odd:3"):
        assert site.read(site.build(text, contexts={name: "docker-image://tools:1"}), "x") == "image\nme\n"
    same = "FROM tools:1\nCOPY --from=tools:1 /of /x\n"
    assert site.read(site.build(same, contexts={"tools:1": "docker-image://tools:1"}), "x") == "image\n"
    assert set(site.tree(site.build("FROM base\nCOPY f /f\n", contexts={"base": "docker-image://scratch"}))) == {"f"}
    assert set(site.tree(site.build("FROM base\nCOPY f /f\n", contexts={"base:latest": folder}))) == {".dockerignore", "d", "d/g", "f"}


@pytest.mark.parametrize(
    "value,words",
    [
        ("/no/such", "path '/no/such' not found"),
        ("oci-layout:///x", "a folder or docker-image://NAME is known here"),
        ("https://host/x.git", "a folder or docker-image://NAME is known here"),
        ("docker-image://A b", "--build-context one=docker-image://A b: "),
        ("docker-image://nothing:1", "No such image: nothing:1"),
    ],
)
def test_a_named_context_that_is_none(site, value, words):
    with pytest.raises((ImageError, DockerfileError)) as caught:
        site.build("FROM one\n", contexts={"one": value})
    assert words in str(caught.value)


def test_a_variable_in_from_is_refused_before_anything_is_done(site):
    site.write("made")
    with pytest.raises(DockerfileError, match=r"Dockerfile:4:13: COPY --from=\$\{which\}: variables are not replaced here(?s:.*)AS tools"):
        site.build("ARG which=base\nFROM base\nRUN exit 1\nCOPY --from=${which} /a /b\n")


def test_what_does_not_exist(site):
    for text, words in {
        "FROM nothing:1\n": "nothing",
        "FROM scratch\nCOPY --from=nothing:1 /a /a\n": "nothing",
        "FROM base\nCOPY --from=1 /a /a\nFROM base\n": "1",
    }.items():
        with pytest.raises((ImageError, DockerfileError), match=words):
            site.build(text, target="0")


def test_the_root_folder_looks_as_in_the_base(site):
    """What is written to a container's root is a folder of its own, and the highest one is seen."""
    program = Path(site.library.folders(site.library.find("base"))[0], "bin/busybox").read_bytes()
    make.image(site.library, make.tar(make.folder("./", mode=0o711, uid=5), make.member("bin/busybox", program, mode=0o755)), name="odd")
    built = site.build('FROM odd\nRUN ["/bin/busybox", "touch", "/x"]\n')
    about = os.stat(site.library.folders(built.image)[-1])
    assert (about.st_mode & 0o7777, about.st_uid) == (0o711, 5)


# -- words ----------------------------------------------------------------------------------


def test_onbuild_of_an_image_comes_first(site):
    site.write("b", "2")
    site.build("FROM base\nONBUILD RUN echo 1 > /a\nONBUILD COPY b /b\nONBUILD ENV c=3\n", tags=("parent",))
    built = site.build("FROM parent\nRUN cat /a /b > /c; echo $c >> /c\n")
    assert site.read(built, "c") == "1\n23\n" and "OnBuild" not in built.image.runtime
    assert [one.number for one in built.steps] == [-2, -1, 0, 1]


def test_shell(site):
    built = site.build('FROM base\nSHELL ["/bin/sh", "-xc"]\nRUN echo $- > /a\nCMD hi\n')
    assert "x" in site.read(built, "a") and built.image.runtime["Cmd"] == ["/bin/sh", "-xc", "hi"]
    with pytest.raises(BuildError, match="returned a non-zero code"):
        site.build('FROM base\nSHELL ["/bin/sh", "-ec"]\nRUN false; true\n')


PEOPLE = "RUN echo app:x:7:8::/home/app:/bin/sh >> /etc/passwd; echo staff:x:9:app >> /etc/group; chmod 777 /tmp\n"


@pytest.mark.parametrize(
    "user,expected",
    [("app", "7 8 9 /home/app"), ("7", "7 8 9 /home/app"), ("app:staff", "7 9 - /home/app"), ("5:6", "5 6 - /"), ("0", "0 0 - /root")],
)
def test_user(site, user, expected):
    built = site.build(f"FROM base\n{PEOPLE}USER {user}\nRUN echo $(id -u) $(id -g) $(id -G) $HOME > /tmp/a\n")
    uid, gid, more, home = expected.split()
    assert built.image.runtime["User"] == user
    found = site.read(built, "tmp/a").split()
    assert (found[0], found[1], found[-1]) == (uid, gid, home) and set(found[2:-1]) == {gid} | ({more} - {"-"})


def test_an_unknown_user_is_told_where_it_is_used(site):
    with pytest.raises(BuildError, match=r"(?s)Dockerfile:3:1: unable to find user who.*RUN true"):
        site.build("FROM base\nUSER who\nRUN true\n")


def test_workdir_is_made_for_the_user_and_follows_links(site):
    built = site.build(f"FROM base\n{PEOPLE}RUN mkdir /real && ln -s real /link\nUSER app\nWORKDIR /link/sub\nRUN pwd > /tmp/a\n")
    tree = site.tree(built)
    assert tree["real/sub"][2:4] == (7, 8) and site.read(built, "tmp/a") == "/real/sub\n"


def test_an_arg_lives_in_its_stage_and_not_in_the_image(site):
    text = "ARG top=base\nFROM $top AS one\nARG x=1\nARG top\nRUN echo [$x$top] > /a\nFROM base\nCOPY --from=one /a /a\n"
    text += "RUN echo [$x$top] > /b\n"
    built = site.build(text, build_args={"x": "2"})
    assert site.read(built, "a") == "[2base]\n" and site.read(built, "b") == "[]\n"
    assert not any(word.startswith(("x=", "top=")) for word in built.image.runtime["Env"])


def test_a_stage_inherits_the_args_of_the_stage_that_it_is_built_on(site):
    text = (
        "ARG top=of-the-file\nFROM base AS one\nARG TARGETARCH\nARG x=1 y=2 top=of-one\n"
        "FROM one AS two\nARG x=3\nFROM two\nARG y\nARG top\n"
        "RUN echo $TARGETARCH $x $y $top > /a\nFROM one\nRUN echo $x $top > /b\nCOPY --from=2 /a /a\n"
    )
    built = site.build(text, build_args={"y": "4"})
    assert site.read(built, "a") == f"{built.image.config['architecture']} 3 4 of-the-file\n" and site.read(built, "b") == "1 of-one\n"
    site.build("FROM base\nARG z=1\n", tags=("with-arg",))
    assert site.read(site.build("FROM with-arg\nRUN echo [$z] > /a\n"), "a") == "[]\n"  # of an image it is not: nobody has written it down


@pytest.mark.parametrize("text", ["ARG need=${need:?}\nFROM base\nARG need\n", "FROM base\nARG need=${need:?}\n"])
def test_an_arg_that_must_be_given(site, text):
    assert site.read(site.build(f"{text}RUN echo $need > /a\n", build_args={"need": "1"}), "a") == "1\n"
    with pytest.raises(DockerfileError, match="need: is not set"):
        site.build(text)


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY"])
def test_a_proxy_has_both_its_names(site, name):
    text = "FROM base\nRUN echo $HTTP_PROXY $http_proxy > /a\n"
    assert site.read(site.build(text, build_args={name: "x"}), "a") == "x x\n"
    assert site.read(site.build(text.replace("RUN", f"ARG {name}=y\nRUN"), no_cache=True), "a") == "y y\n"


@pytest.mark.parametrize("name", ["http_proxy", "ALL_PROXY"])
def test_a_proxy_that_an_arg_declares_counts(site, name):
    """Else what it answered would be the cached answer of the same RUN without it."""
    text = f"FROM base\nARG {name}\nRUN echo [${name}] > /a\n"
    for value in ("one", "two"):
        built = site.build(text.replace(f"ARG {name}", f"ARG {name}={value}"))
        assert site.read(built, "a") == f"[{value}]\n" and f"{name}={value}" in built.image.history[-1]["created_by"]
    assert site.read(site.build(text, build_args={name: "three"}), "a") == "[three]\n"
    plain = text.replace(f"ARG {name}\n", "")
    assert site.read(site.build(plain), "a") == "[]\n"
    assert cached(site.build(plain, build_args={name: "four"})) == [True]  # one that nobody declares is only a way to the net


@pytest.mark.parametrize("written,kept", [("/tmp/", "/tmp/"), ("/", "/"), ("rel/", "/rel"), ("/a/../b/", "/b/")])
def test_a_workdir_is_kept_as_it_is_written(site, written, kept):
    built = site.build(f"FROM base\nWORKDIR {written}\nRUN pwd > where\nCOPY <<x .\n1\nx\nWORKDIR sub\nRUN pwd > /there\n")
    assert built.image.history[-5]["created_by"] == f"WORKDIR {written}"
    where = os.path.normpath(kept)
    assert site.read(built, f"{where}/where") == f"{where}\n" and site.read(built, f"{where}/x") == "1\n"
    assert built.image.runtime["WorkingDir"] == os.path.join(where, "sub")
    assert site.build(f"FROM base\nWORKDIR {written}\n").image.runtime["WorkingDir"] == kept


def test_a_build_arg_that_nobody_asks_for(site):
    job = Build(site.library, Options(str(site.context), text="FROM base\nARG x\n", build_args={"x": "1", "X": "2"}))
    job.run()
    assert job.unused == ["X"]


@pytest.fixture
def other(site) -> str:
    """The platform of another machine. ``far`` is an image for it."""
    kind = "s390x" if image.here()["architecture"] != "s390x" else "riscv64"
    found = site.library.find("base")
    made = image.save(site.library.store, {**found.config, "architecture": kind}, found.layers)
    site.library.store.tag("docker.io/library/far:latest", made.descriptor)
    return f"linux/{kind}"


@pytest.mark.parametrize(
    "text",
    [
        "FROM base\nRUN true\n",
        "FROM base\n",
        "FROM scratch\nCOPY --from=base /etc/passwd /\n",
        "FROM far\nCOPY --from=base /etc/passwd /\n",
        "FROM --platform=$BUILDPLATFORM far\n",
        "FROM --platform=$BUILDPLATFORM base AS one\nFROM --platform=$BUILDARCH far\n",
    ],
)
def test_no_image_calls_itself_what_its_programs_are_not(site, other, text):
    with pytest.raises(DockerfileError, match=r"(base|far) is for linux/.*, and linux/.* is wanted(?s:.*)BUILDPLATFORM"):
        site.build(text, platform=image.parse_platform(other))


def test_a_base_for_another_platform_is_no_base_without_a_word(site, other):
    with pytest.raises(DockerfileError, match=f"far is for {other}, and linux/.* is wanted"):
        site.build("FROM far\n")
    with pytest.raises(DockerfileError, match=r"Dockerfile:1:6: platform 'a/b/c/d'"):
        site.build("FROM --platform=a/b/c/d base\n")


def test_an_image_says_what_its_last_stage_is_for(site, other):
    here, wanted = image.platform_name(image.here()), image.parse_platform(other)
    tools = "FROM --platform=$BUILDPLATFORM base AS tools\nARG TARGETARCH\nRUN echo $TARGETARCH > /made\n"
    for text, says, options in (
        (tools + "FROM scratch\nCOPY --from=tools /made /\n", other, {"platform": wanted}),
        (tools + "FROM far\nCOPY --from=tools /made /\n", other, {"platform": wanted}),
        (tools, here, {"platform": wanted}),
        ("FROM tools\n".join((tools, "COPY <<x /\nx\n")), here, {"platform": wanted}),
        (f"FROM --platform={other} far\n", other, {}),
        ("FROM --platform=$BUILDPLATFORM base\n", here, {}),
    ):
        built = site.build(text, **options)
        assert image.platform_name(built.image.platform) == says, text
        if "tools" in text:
            assert site.read(built, "made") == f"{wanted['architecture']}\n"


def test_platform_arguments(site):
    text = "FROM base\nARG TARGETARCH\nARG TARGETPLATFORM\nRUN echo $TARGETARCH $TARGETPLATFORM > /a\n"
    architecture = site.build("FROM base\n").image.config["architecture"]
    assert site.read(site.build(text), "a") == f"{architecture} linux/{architecture}\n"


def test_healthcheck_labels_and_the_rest(site):
    built = site.build(
        'FROM base\nHEALTHCHECK --interval=10s --retries=2 CMD true\nLABEL a=1\nEXPOSE 80\nVOLUME /v\nSTOPSIGNAL INT\nENTRYPOINT ["e"]\n',
        labels={"b": "2"},
    )
    words = built.image.runtime
    assert words["Healthcheck"] == {"Test": ["CMD-SHELL", "true"], "Interval": 10_000_000_000, "Retries": 2}
    assert words["Labels"] == {"a": "1", "b": "2"} and words["ExposedPorts"] == {"80/tcp": {}} and words["Volumes"] == {"/v": {}}
    assert words["StopSignal"] == "INT" and words["Entrypoint"] == ["e"] and "Cmd" not in words


def test_a_maintainer_is_the_images_author(site):
    built = site.build("FROM base AS one\nMAINTAINER A B <a@b>\nFROM one\nENV a=1\n", tags=("kept",))
    assert built.image.config["author"] == "A B <a@b>" and built.image.history[-2]["created_by"] == "MAINTAINER A B <a@b>"
    assert site.build("FROM kept\n").image.config["author"] == "A B <a@b>"
    assert "author" not in site.build("FROM base\n").image.config


def test_history_has_a_line_for_each_instruction(site):
    built = site.build("FROM base\nENV a=1\nRUN echo 1 > /a\nRUN true\n", tags=("name:1", "name:2"))
    new = built.image.history[-3:]
    assert [one.get("empty_layer", False) for one in new] == [True, False, True]
    assert [one["created_by"] for one in new] == ["ENV a=1", "RUN /bin/sh -c echo 1 > /a", "RUN /bin/sh -c true"]
    assert built.image.names == ("docker.io/library/name:1", "docker.io/library/name:2")
