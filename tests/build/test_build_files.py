"""COPY and ADD: flags, archives, downloads, and errors that say where and why."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import http.server
import lzma
import os
import re
import tarfile
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import zstandard
from helpers import layers as make
from helpers.layers import folder, link, member
from helpers.needs import requires
from helpers.sites import cached

from lib.build import BuildError
from lib.dockerfile import DockerfileError
from lib.images import digests

pytestmark = requires("root", "overlay", "busybox")


# -- flags ----------------------------------------------------------------------------------


def test_copy_chown_and_chmod(site):
    site.write("d/a", "1")
    built = site.build(
        "FROM base\nRUN echo app:x:7:8::/:/bin/sh >> /etc/passwd\nCOPY --chown=app --chmod=0640 d /new/d\nCOPY --chown=3:4 d/a /b\n"
    )
    tree = site.top_layer(built) | site.tree(built)
    assert tree["new/d/a"][1:4] == ("0o640", 7, 8) and tree["new/d"][2:4] == (7, 8) and tree["b"][2:4] == (3, 4)


def test_copy_chmod_must_be_a_mode(site):
    site.write("a")
    for wrong in ("x+", "u=rwy", "99", "u", "u+r;o-r", "77777"):
        with pytest.raises(DockerfileError, match=rf"(?s)--chmod: '{re.escape(wrong)}' is no mode.*COPY --chmod={re.escape(wrong)} a /a"):
            site.build(f"FROM base\nCOPY --chmod={wrong} a /a\n")


def test_chmods_own_words(site):
    site.write("d/plain", mode=0o600)
    site.write("d/run.sh", mode=0o700)
    (site.context / "d/e").mkdir(mode=0o700)
    tree = site.tree(
        site.build("FROM scratch\nARG m=u=rwX,go=rX\nCOPY --chmod=$m d /d\nCOPY --chmod=+x d/plain /p\nADD --chmod=a-r d/plain /q\n")
    )
    modes = {"d/plain": "0o644", "d/run.sh": "0o755", "d/e": "0o755", "p": "0o711", "q": "0o200"}
    assert {path: tree[path][1] for path in modes} == modes


def test_copy_exclude(site):
    for name in ("d/a.txt", "d/b.log", "d/sub/c.log", "d/sub/d.txt"):
        site.write(name)
    text = "FROM scratch\nCOPY --exclude=*.log --exclude=sub/*.txt d /e\n"
    assert sorted(site.tree(site.build(text))) == ["e", "e/a.txt", "e/sub", "e/sub/c.log"]
    site.write("d/b.log", "changed, and excluded")
    assert cached(site.build(text)) == [True]


def test_copy_parents(site):
    for name in ("x/y/a", "x/z/b", "w/c"):
        site.write(name)
    assert sorted(site.tree(site.build("FROM scratch\nCOPY --parents x/y/a w/c /to/\n"))) == [
        "to",
        "to/w",
        "to/w/c",
        "to/x",
        "to/x/y",
        "to/x/y/a",
    ]
    assert sorted(site.tree(site.build("FROM scratch\nCOPY --parents x/./*/a /to/\n"))) == ["to", "to/y", "to/y/a"]


def test_copy_parents_with_two_stars(site):
    """Any number of folders, none too; a folder that matches comes whole; without --parents two stars are one."""
    for name in ("p", "a/p", "a/x/p", "b/y/z/p", "b/other", "c/w/all/of/it"):
        site.write(f"src/{name}")
    site.write("src/a/x/hidden/p")
    site.write(".dockerignore", "src/a/x/hidden\n")

    def files(line: str) -> set[str]:
        built = site.build(f"FROM scratch AS one\nCOPY . /out\nFROM scratch\n{line}\n")
        return {path for path, about in site.tree(built).items() if about[0] == oct(0o100000)}

    everywhere = {"p", "a/p", "a/x/p", "b/y/z/p"}
    assert files("COPY --parents ./src/**/p /t/") == {f"t/src/{path}" for path in everywhere}
    assert files("COPY --parents src/./**/p /t/") == {f"t/{path}" for path in everywhere}
    assert files("COPY --from=one --parents /out/./**/y/*/p /t/") == {"t/src/b/y/z/p"}
    assert files("COPY --parents **/[vw] /t/") == {"t/src/c/w/all/of/it"}
    assert files("COPY --parents src/b/** /t/") == {"t/src/b/y/z/p", "t/src/b/other"}
    assert files("COPY src/**/p /t/") == {"t/p"}


def test_copy_parents_excludes_by_the_whole_path(site):
    for name in ("a/p", "a/node_modules/x/p", "node_modules/p", "b/c/p", "b/c/q", "b/c/node_modules/r"):
        site.write(name)
    text = "FROM scratch\nCOPY --parents --exclude=**/node_modules --exclude=b/c/q ./**/p b/c /t/\n"
    built = site.build(text)
    assert {path for path, about in site.tree(built).items() if about[0] == oct(0o100000)} == {"t/a/p", "t/b/c/p"}
    site.write("a/node_modules/x/p", "changed, and excluded")
    assert cached(site.build(text)) == [True]
    site.write("b/c/p", "changed")
    assert cached(site.build(text)) == [False]


@pytest.mark.parametrize("dest,where", [(".", "w/"), ("./", "w/"), ("..", ""), ("sub/..", "w/"), ("$nothing", "w/"), ("/x/.", "x/")])
def test_a_destination_that_can_only_be_a_folder(site, dest, where):
    for name in ("a", "b"):
        site.write(name, name)
    built = site.build(f"FROM scratch\nWORKDIR /w\nCOPY a b {dest}\nADD a b {dest}\n")
    assert site.read(built, f"{where}a") == "a" and site.read(built, f"{where}b") == "b"


@pytest.mark.parametrize("sources", ["a lock*", "lock* a", "lock* none? a", "lock* <<a\nA\na"])
def test_a_pattern_may_match_nothing_beside_another_source(site, sources):
    site.write("a", "A\n")
    words, _, rest = sources.partition("\n")
    for keyword in ("COPY", "ADD"):
        assert site.read(site.build(f"FROM scratch\n{keyword} {words} /x/\n{rest}\n"), "x/a") == "A\n"
    with pytest.raises(BuildError, match=r"no file in the build context matches 'lock\*'"):
        site.build("FROM scratch\nCOPY lock* none? /x/\n")


def test_a_pattern_goes_through_links_to_folders(site):
    for name in ("usr/lib/x86/libz.so.1", "usr/lib/x86/libz.so.2", "usr/lib/secret/libz.so.3"):
        site.write(f"root/{name}", name)
    for name, to in {"lib": "usr/lib", "lib64": "lib", "round": "round", "out": "../../../etc"}.items():
        os.symlink(to, site.context / "root" / name)
    site.write(".dockerignore", "root/usr/lib/secret\n")
    text = "FROM scratch AS one\nCOPY root /\nFROM scratch\n"
    for line in ("COPY root/lib/*/libz* /x/", "COPY --from=one /lib64/x?6/*.so.* /x/", "COPY root/l*64/x86/libz.so.[12] /x/"):
        assert set(site.tree(site.build(f"{text}{line}\n"))) == {"x", "x/libz.so.1", "x/libz.so.2"}, line
    for nowhere in ("root/round/*", "root/out/pass*"):
        with pytest.raises(BuildError, match="no file in the build context matches"):
            site.build(f"FROM scratch\nCOPY {nowhere} /x/\n")


def test_a_link_and_what_it_leads_to_are_no_change(site):
    site.write("real", "R")
    site.write("d/t.tar", make.tar(member("in", b"1")))
    os.symlink("real", site.context / "link")
    os.symlink("d", site.context / "dir")
    built = site.build(
        "FROM scratch\nCOPY link /a\nCOPY real /b\nCOPY . /all\nCOPY dir/t.tar d/t.tar /t/\nADD dir/t.tar /u/\nADD d/t.tar /v/\n"
    )
    assert [site.read(built, name) for name in ("a", "b", "all/link", "u/in", "v/in")] == ["R", "R", "R", "1", "1"]


def test_a_bracket_begins_a_pattern_and_it_is_said_how_to_write_one(site):
    for name in ("app/[id]/page", "app/[...all]/page", "app/[-x]/page"):
        site.write(name, name)
    for name in ("app/[id]/page", "app/[...all]/page", "app/[-x]/page"):
        with pytest.raises(
            BuildError, match=re.escape(f"in COPY and ADD a [ begins a set of characters: write {(right := name.replace('[', '[[]'))}")
        ):
            site.build(f"FROM scratch\nCOPY {name} Dockerfil* .dockerign* /x/\n")
        assert site.read(site.build(f"FROM scratch\nCOPY {right} /x/\n"), "x/page") == name
    with pytest.raises(BuildError, match=re.escape("write app/[[]id]/p*")):
        site.build("FROM scratch\nADD app/[id]/p* /x/\n")
    mounted = site.build("FROM base\nRUN --mount=source=app/[id],target=/m cp /m/page /y\n")
    assert site.read(mounted, "y") == "app/[id]/page"  # a mount's source is no pattern


HARD = {
    "COPY": "FROM scratch\nCOPY d /d\n",
    "COPY again": "FROM scratch\nCOPY d /d\nCOPY --chown=7:8 d /d\n",
    "COPY --from": "FROM base AS one\nRUN mkdir /d && echo 1 > /d/a && ln /d/a /d/b\nFROM scratch\nCOPY --from=one /d /d\n",
    "ADD": "FROM scratch\nADD t.tar /\n",
    "ADD a folder": "FROM scratch\nADD d /d\n",
}


@pytest.mark.parametrize("way", HARD)
def test_two_names_of_one_file_stay_so(site, way):
    file = site.write("d/a", "1\n")
    os.link(file, site.context / "d/b")
    site.write("d/c", "1\n")
    site.write("t.tar", make.tar(folder("d"), member("d/a", b"1\n"), make.hard("d/b", "d/a")))
    built = site.build(HARD[way])
    with site.library.store.open(built.image.layers[-1]["digest"]) as packed, tarfile.open(fileobj=packed, mode="r:gz") as layer:
        assert {one.name: one.linkname for one in layer if one.islnk()}["d/b"] == "d/a"
    top = Path(site.library.folders(built.image)[-1])
    assert (top / "d/a").samefile(top / "d/b") and site.read(built, "d/b") == "1\n"


def test_a_second_name_is_of_the_copy_and_not_of_what_replaced_it(site):
    os.link(site.write("x/a", "old"), site.context / "b")
    site.write("y/a", "new")
    built = site.build("FROM scratch\nCOPY x/a y/a b /t/\n")
    assert site.read(built, "t/a") == "new" and site.read(built, "t/b") == "old"


def looks(site, text: str, *paths: str) -> list[tuple]:
    tree = site.tree(site.build(text))
    return [tree[path][1:4] for path in paths]


def test_a_folder_that_is_there_gets_the_looks_of_its_source_but_the_top_does_not(site):
    site.write("one/s/a")
    site.write("two/s/b")
    for name, mode in {"one": 0o711, "one/s": 0o750, "two": 0o700, "two/s": 0o705}.items():
        (site.context / name).chmod(mode)
    text = "FROM base AS of\nRUN mkdir -p /two/s && chown 3:4 /two /two/s && chmod 701 /two /two/s\nFROM scratch\nCOPY one /x\n"
    assert looks(site, f"{text}COPY --chown=7:8 two /x\n", "x", "x/s") == [("0o755", 0, 0), ("0o705", 7, 8)]
    assert looks(site, f"{text}COPY --chmod=770 two /x\n", "x", "x/s") == [("0o755", 0, 0), ("0o770", 0, 0)]
    assert looks(site, f"{text}COPY --from=of two /x\n", "x", "x/s") == [("0o755", 0, 0), ("0o701", 3, 4)]
    assert looks(site, f"{text}ADD two /x\n", "x/s") == [("0o705", 0, 0)]
    twice = "COPY --parents --chown=7:8 two/s /x\nCOPY --parents --chown=9 two/s /x\n"
    assert looks(site, text + twice, "x/two/s") == [("0o755", 7, 8)]


def test_an_archive_gives_its_looks_to_the_folders_that_it_describes(site):
    site.write("x/s/t/a")
    site.write("t.tar", make.tar(folder("./", mode=0o700, uid=1), folder("s", mode=0o711, uid=5, gid=6), member("s/t/b", b"")))
    text = "FROM scratch\nCOPY --chown=2 x /x\nADD t.tar /x\n"
    assert looks(site, text, "x", "x/s", "x/s/t") == [("0o755", 2, 2), ("0o711", 5, 6), ("0o755", 2, 2)]


TIMES = "FROM base\nCOPY d /d\nCOPY d/e/f /new/g\nADD t.tar /t/\nADD t.tar /etc/\nCOPY d/e/f /etc/\n"


def test_folders_keep_their_times_so_that_two_builds_are_one(site):
    """The clock goes on between the two: what had the time of the build would differ."""
    site.write("d/e/f", "1")
    site.write("t.tar", make.tar(folder("a", mtime=1_000_000_000), member("a/b", b"1"), member("implied/c", b"1")))
    for number, name in enumerate(("d/e/f", "d/e", "d", "t.tar")):
        os.utime(site.context / name, (1_600_000_000 + number, 1_600_000_000 + number))
    first = site.build(TIMES)
    tree = make.tree(site.library.folders(first.image)[1:], times=True)
    assert tree["t/a"][-1] == 1_000_000_000 and {tree[path][-1] for path in ("t", "t/implied")} == {1_600_000_003}
    assert [tree[path][-1] for path in ("d", "d/e", "new")] == [1_600_000_002, 1_600_000_001, 1_600_000_000]
    time.sleep(1.1 - time.time() % 1)
    assert site.build(TIMES, no_cache=True).image.diff_ids == first.image.diff_ids


def test_copy_link_is_the_same_tree(site):
    site.write("d/a", "1")
    assert site.tree(site.build("FROM base\nCOPY --link d /e\n")) == site.tree(site.build("FROM base\nCOPY d /e\n"))


def test_copy_replaces_a_file_and_keeps_the_rest(site):
    site.write("a", "new")
    built = site.build("FROM base\nRUN mkdir -m 711 /d && echo old > /d/a && echo old > /d/b\nCOPY a /d/a\n")
    assert site.read(built, "d/a") == "new" and site.read(built, "d/b") == "old\n"
    assert site.tree(built)["d"][1] == "0o711" and set(site.top_layer(built)) == {"d", "d/a"}


def test_copy_of_a_folder_onto_a_file_is_an_error(site):
    site.write("d/a")
    with pytest.raises(BuildError, match="cannot copy a folder to '/etc/passwd'"):
        site.build("FROM base\nCOPY d /etc/passwd\n")


def test_copy_from_keeps_owners_times_and_attributes(site):
    make_it = "mkdir /d; echo 1 > /d/a; chown 3:4 /d/a; chmod 4750 /d/a; touch -d @1000000000 /d/a; ln -s a /d/l; mkfifo /d/p"
    text = f"FROM base AS one\nRUN {make_it}\n"
    built = site.build(text + "FROM scratch\nCOPY --from=one /d /e\n")
    tree = make.tree(site.library.folders(built.image), times=True)
    assert tree["e/a"][1:4] == ("0o4750", 3, 4) and tree["e/a"][-1] == 1_000_000_000
    assert tree["e/l"][4] == "a" and tree["e/p"][0] == oct(0o010000)


def test_heredocs(site):
    built = site.build(
        "FROM base\nENV x=1\nCOPY <<a.txt <<'b.txt' /t/\n$x\na.txt\n$x\nb.txt\n"
        "RUN <<EOF\nread a < /t/a.txt\necho $a$x > /c\nEOF\n"
        "RUN <<EOF\n#!/bin/cat\nnot the shell's\nEOF\n"
        "RUN cat <<one > /d && cat <<two >> /d\n1\none\n2\ntwo\n"
    )
    assert [site.read(built, name) for name in ("t/a.txt", "t/b.txt", "c", "d")] == ["1\n", "$x\n", "11\n", "1\n2\n"]
    assert "tmp" not in site.top_layer(built)


# -- errors ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line,words",
    [
        ("COPY app.pj /a", r"'app.pj' is not in the build context; there is app.py"),
        ("COPY secret.key /a", r"it is there, but a rule takes it out \(.dockerignore.*\*.key"),
        ("COPY ../outside /a", r"forbidden path outside the build context: '../outside'"),
        ("COPY *.none /a", r"no file in the build context matches '\*.none'"),
        ("COPY a b /c", r"the destination must be a directory and end with a /: /c"),
        ("COPY --chown=nobody-knows a /b", r"unable to find user nobody-knows"),
        ("COPY --from=one /nothing /a", r"'/nothing' is not in the stage or image 'one'"),
    ],
)
def test_an_error_has_the_line_and_the_reason(site, line, words):
    for name in ("app.py", "secret.key", "a", "b"):
        site.write(name)
    site.write(".dockerignore", "# keys\n*.key\n")
    with pytest.raises(BuildError) as caught:
        site.build(f"FROM base AS one\nRUN true\nFROM base\n{line}\n")
    said = str(caught.value)
    assert re.search(words, said) and f"\n    {line}\n" in said
    column = int(said.split(":")[2])  # the word that the error quotes; where it quotes none of the line's, the instruction
    quoted = next((word for word in line.split() if repr(word) in said), line)
    assert said.startswith(f"Dockerfile:4:{line.index(quoted) + 1}: ") and said.splitlines()[2] == " " * (column + 3) + "^" * (
        len(quoted) if quoted != line else 1
    )


# -- ADD: archives --------------------------------------------------------------------------

PACKINGS = {"tar": bytes, "gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "zst": zstandard.compress}


@pytest.mark.parametrize("packing", PACKINGS)
def test_add_unpacks(site, packing):
    site.write("file", PACKINGS[packing](make.tar(folder("d", mode=0o700, uid=5), member("d/a", b"1", uid=3, gid=4), link("l", "d/a"))))
    tree = site.tree(site.build("FROM scratch\nADD file /x\n"))
    assert set(tree) == {"x", "x/d", "x/d/a", "x/l"}
    assert tree["x/d/a"][1:5] == ("0o644", 3, 4, b"1") and tree["x/l"][4] == "d/a" and tree["x/d"][1:3] == ("0o700", 5)
    assert (
        set(site.tree(site.build("FROM scratch\nCOPY file /x\n")))
        == set(site.tree(site.build("FROM scratch\nADD --unpack=false file /x\n")))
        == {"x"}
    )


def test_add_of_what_is_packed_and_no_archive_copies_it(site):
    site.write("file.gz", gzip.compress(b"text"))
    assert site.tree(site.build("FROM scratch\nADD file.gz /x/\n"))["x/file.gz"][4] == (site.context / "file.gz").read_bytes()


def test_add_of_a_hostile_archive_stays_inside(site, tmp_path):
    site.write("evil.tar", make.tar(link("out", str(tmp_path)), member("out/evil", b"1")))
    with pytest.raises(BuildError, match="'out' is a link"):
        site.build("FROM scratch\nADD evil.tar /x/\n")
    assert not (tmp_path / "evil").exists()


def test_add_of_a_damaged_archive_is_an_error(site):
    site.write("bad.tar", make.tar(member("a", os.urandom(5000)))[:3000])
    with pytest.raises(BuildError, match=r"(?s)Dockerfile:2:1: .*ADD bad.tar /x/"):
        site.build("FROM scratch\nADD bad.tar /x/\n")


# -- ADD: the net ---------------------------------------------------------------------------


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        name = self.path.lstrip("/")
        if name == "there":
            return self.answer(302, Location="/file.txt")
        if name == "local":
            return self.answer(302, Location="file:///etc/passwd")
        if name == "endless":
            self.answer(200)
            with suppress(OSError):
                while True:
                    self.wfile.write(bytes(1 << 16))
            return None
        if name == "gone":
            return self.answer(404)
        body = self.server.files.get(name, b"")
        self.answer(
            200, **{"Content-Length": str(len(body) + 10 * (name == "lying"))}, **{"Last-Modified": "Sun, 13 Sep 2020 12:26:40 GMT"}
        )
        self.wfile.write(body)
        self.close_connection = True

    def answer(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.end_headers()

    def log_message(self, *words):
        pass


@contextmanager
def web(**files: bytes):
    """A web server with these files, and some bad manners."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.files = {name.replace("_", "."): data for name, data in files.items()}
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_add_from_the_net(site):
    with web(file_txt=b"hello") as url:
        text = f"FROM scratch\nADD {url}/file.txt /x/\nADD {url}/there /y\n"
        built = site.build(text)
        assert cached(site.build(text)) == [True, True]
    tree = make.tree(site.library.folders(built.image), times=True)
    assert tree["x/file.txt"][1] == "0o600" and tree["x/file.txt"][4] == b"hello" and tree["x/file.txt"][-1] == 1_600_000_000
    assert tree["y"][4] == b"hello"


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("sp%20ace.txt", "sp ace.txt"),
        ("a%5B1%5D%2A.txt", "a[1]*.txt"),
        ("%C3%A9", "é"),
        ("d%2Fe", "e"),
        ("%2e%2e", "index"),
        ("a%00b", "index"),
        ("x/", "index"),
        ("100%25", "100%"),
        ("a+b?c=d", "a+b"),
    ],
)
def test_add_names_the_file_as_the_address_means_it(site, written, name):
    with web(any="1") as url:
        assert set(site.tree(site.build(f"FROM scratch\nADD {url}/{written} /t/\n"))) == {"t", f"t/{name}"}


def test_add_counts_by_what_the_net_has_now(site):
    with web(file_txt=b"1") as url:
        site.build(f"FROM scratch\nADD {url}/file.txt /x\n")
    with web(file_txt=b"2") as other:
        assert site.read(site.build(f"FROM scratch\nADD {other}/file.txt /x\n"), "x") == "2"


def test_add_unpacks_from_the_net_only_if_told(site):
    with web(a_tar=make.tar(member("in", b"1"))) as url:
        assert set(site.tree(site.build(f"FROM scratch\nADD {url}/a.tar /x/\n"))) == {"x", "x/a.tar"}
        assert set(site.tree(site.build(f"FROM scratch\nADD --unpack {url}/a.tar /x/\n"))) == {"x", "x/in"}


def test_add_checksum(site):
    with web(file_txt=b"hello") as url:
        good = digests.of(b"hello")
        assert site.read(site.build(f"FROM scratch\nADD --checksum={good} {url}/file.txt /x\n"), "x") == "hello"
        with pytest.raises(BuildError, match=r"(?s)Dockerfile:2:1: .*the download has the digest.*ADD --checksum="):
            site.build(f"FROM scratch\nADD --checksum={digests.of(b'other')} {url}/file.txt /x\n")


@pytest.mark.parametrize("kind", ["sha256", "sha384", "sha512"])
def test_add_checksum_of_each_kind(site, kind):
    with web(file_txt=b"hello") as url:
        good, bad = (f"{kind}:{hashlib.new(kind, data).hexdigest()}" for data in (b"hello", b"other"))
        assert site.read(site.build(f"FROM scratch\nADD --checksum={good} {url}/file.txt /x\n"), "x") == "hello"
        with pytest.raises(BuildError, match="the download has the digest"):
            site.build(f"FROM scratch\nADD --checksum={bad} {url}/file.txt /x\n")


MD5 = "md5:" + "0" * 32


@pytest.mark.parametrize(
    "checksum", [MD5, "sha1:" + "0" * 40, "shake_128:00", "blake2b:" + "0" * 128, "sha256:xyz", "sha256", "sha256:" + "A" * 64, "$X"]
)
def test_add_checksum_that_would_protect_nobody(site, checksum):
    """Nothing is fetched for it: nobody is asked at that address."""
    with pytest.raises(DockerfileError, match=r"Dockerfile:3:5: ADD --checksum: .*is not a digest"):
        site.build(f"FROM scratch\nARG X={MD5}\nADD --checksum={checksum} http://127.0.0.1:1/x /x\n")


@pytest.mark.parametrize("sources", ["a", "http://127.0.0.1:1/x http://127.0.0.1:1/y", "a http://127.0.0.1:1/x"])
def test_add_checksum_is_for_one_download(site, sources):
    site.write("a")
    with pytest.raises(DockerfileError, match=r"Dockerfile:2:5: ADD --checksum is for one http\(s\) source"):
        site.build(f"FROM scratch\nADD --checksum={digests.of(b'')} {sources} /x/\n")


@pytest.mark.parametrize("path,words", [("lying", "IncompleteRead|more expected|broken"), ("gone", "answers 404"), ("local", "ADD http")])
def test_add_from_a_bad_server(site, path, words):
    with web(lying=b"short") as url, pytest.raises(BuildError, match=words) as caught:
        site.build(f"FROM scratch\nADD {url}/{path} /x\n")
    assert "Dockerfile:2:1" in str(caught.value)


def test_add_without_end_is_cut_off(site, monkeypatch):
    monkeypatch.setenv("SUITCASE_LAYER_LIMIT", "100000")
    for name in ("big", "endless"):
        with web(big=bytes(200_000)) as url, pytest.raises(BuildError, match="larger than the 100000 bytes"):
            site.build(f"FROM scratch\nADD {url}/{name} /x\n")


def test_add_from_nowhere(site):
    with pytest.raises(BuildError, match=r"(?s)Dockerfile:2:1: ADD http://127.0.0.1:1/x: .*refused"):
        site.build("FROM scratch\nADD http://127.0.0.1:1/x /x\n")
