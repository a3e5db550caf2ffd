"""Small Dockerfiles with their contexts, one for each corner of a build: the same build by us, by Docker and by buildah must agree.

``base`` is an image that the comparison makes: busybox with its names in /bin, ``PATH`` set, and in /etc/passwd and /etc/group
root (0:0), daemon (1:1) and app (1000:1000). Cases without it begin with ``scratch``.
"""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

NOTHING = MappingProxyType({})
WHEN = 1_600_000_000  # seconds since 1970: the time of every file of a context, and in every archive


class Link(NamedTuple):
    """A symbolic link."""

    to: str


class Mode(NamedTuple):
    """A file with other permissions than 0644."""

    bits: int
    content: str = ""


class Folder(NamedTuple):
    """An empty folder, or one with other permissions than 0755."""

    bits: int = 0o755


class Archive(NamedTuple):
    """A tar file of these members; ``packing``: empty or gz."""

    members: dict[str, object]
    packing: str = ""


class Case(NamedTuple):
    """``files``: path → text, Link, Mode, Folder or Archive. ``args``: ``--build-arg``. ``fails``: the build must not succeed.

    ``needs``: the frontend's version that knows what the case uses, so that an old builder is not asked for it (1.0: every one).
    ``not_by``: builders that are known to do otherwise, and how. buildah is to be asked with ``--format docker``: an OCI image
    has no place for SHELL, ONBUILD and HEALTHCHECK.
    """

    dockerfile: str
    files: Mapping[str, object] = NOTHING
    args: Mapping[str, str] = NOTHING
    fails: bool = False
    needs: float = 1.0
    not_by: Mapping[str, str] = NOTHING


TREE = {"d/a": "a\n", "d/sub/b": "b\n", "d/.hidden": "h\n"}

CASES: dict[str, Case] = {
    # -- WORKDIR
    "workdir-makes-and-nests": Case("FROM base\nWORKDIR /one\nWORKDIR two\nWORKDIR ./three/../four\nRUN pwd > where\n"),
    "workdir-variables": Case('FROM base\nENV top=/srv sub="a b"\nWORKDIR $top/${sub}\nRUN pwd > where\n'),
    "workdir-with-a-slash-at-the-end": Case("FROM base\nWORKDIR /one/\nRUN pwd > /where\nWORKDIR two/\nRUN pwd > /there\n"),
    "workdir-is-the-users": Case(
        "FROM base\nUSER app\nWORKDIR /mine/too\nUSER root\nRUN stat -c %u:%g /mine /mine/too > /owner\n",
        not_by={"docker": "the old builder makes it root's"},
    ),
    # -- COPY: where does it go?
    "copy-file-to-a-new-name": Case("FROM scratch\nCOPY a /b\n", {"a": "a\n"}),
    "copy-file-into-a-new-folder": Case("FROM scratch\nCOPY a /b/\n", {"a": "a\n"}),
    "copy-file-into-an-existing-folder": Case("FROM base\nRUN mkdir /b\nCOPY a /b\n", {"a": "a\n"}),
    "copy-file-relative-to-workdir": Case("FROM scratch\nWORKDIR /w\nCOPY a .\nCOPY a ./c/d\n", {"a": "a\n"}),
    "copy-folders-contents": Case("FROM scratch\nCOPY d /e\n", TREE),
    "copy-folder-with-a-slash": Case("FROM scratch\nCOPY d/ /e/\n", TREE),
    "copy-folder-into-an-existing-one": Case("FROM scratch\nCOPY d /e\nCOPY f /e\n", TREE | {"f/a": "new\n", "f/c": "c\n"}),
    "copy-the-whole-context": Case("FROM scratch\nCOPY . /all\n", TREE | {"empty": Folder(), "x": Mode(0o755, "#!/bin/sh\n")}),
    "copy-several": Case("FROM scratch\nCOPY a b d /e/\n", TREE | {"a": "1\n", "b": "2\n"}),
    "copy-list-with-spaces": Case('FROM scratch\nCOPY ["a b", "/c d/"]\n', {"a b": "x\n"}),
    "copy-keeps-modes": Case(
        "FROM scratch\nCOPY . /m/\n",
        {"x": Mode(0o750, "x\n"), "s": Mode(0o4755, "s\n"), "t": Folder(0o1777), "r": Mode(0o400, "r\n")},
        not_by=dict.fromkeys(("docker", "buildah"), "it drops the setuid bit"),
    ),
    "copy-empty-folder": Case("FROM scratch\nCOPY e /f\n", {"e": Folder(0o700)}),
    "copy-several-to-a-dot": Case(
        "FROM scratch\nWORKDIR /w\nCOPY a b .\n",
        {"a": "1\n", "b": "2\n"},
        not_by={"docker": "to the old builder a dot is no folder"},
    ),
    "copy-gives-looks-to-folders-that-are-there": Case(
        "FROM base\nCOPY d /e\nCOPY --chown=7:8 f /e\n",
        {"d/s/a": "a\n", "d/s": Folder(0o755), "f/s/b": "b\n", "f/s": Folder(0o711)},
    ),
    "copy-two-names-of-one-file": Case(
        "FROM base AS one\nRUN mkdir /d && echo 1 > /d/a && ln /d/a /d/b\nFROM scratch\nCOPY --from=one /d /d\n"
    ),
    # -- COPY: wildcards and links
    "copy-wildcard-that-matches-nothing": Case("FROM scratch\nCOPY a b* /t/\n", {"a": "a\n"}),
    "copy-wildcard-behind-a-link": Case(
        "FROM scratch\nCOPY link/*.txt /t/\n",
        {"real/a.txt": "a\n", "link": Link("real")},
        not_by={"docker": "the old builder looks into no link"},
    ),
    "copy-a-link-and-its-target": Case("FROM scratch\nCOPY link /a\nCOPY real /b\nCOPY . /c\n", {"real": "r\n", "link": Link("real")}),
    "copy-wildcard": Case("FROM scratch\nCOPY *.txt /t/\n", {"a.txt": "a\n", "b.txt": "b\n", "c.md": "c\n", "d/e.txt": "e\n"}),
    "copy-wildcard-matches-folders": Case("FROM scratch\nCOPY d* /t/\n", TREE | {"d2/z": "z\n", "dfile": "f\n"}),
    "copy-wildcard-question-and-set": Case(
        "FROM scratch\nCOPY [ab]?.txt /t/\n", {"a1.txt": "1\n", "b2.txt": "2\n", "c3.txt": "3\n", "a12.txt": "4\n"}
    ),
    "copy-wildcard-in-the-middle": Case("FROM scratch\nCOPY */b /t/\n", {"x/b": "x\n", "y/c": "y\n"}),
    "copy-keeps-links": Case(
        "FROM scratch\nCOPY d /e\n", {"d/real": "r\n", "d/link": Link("real"), "d/broken": Link("nowhere"), "d/up": Link("../x")}
    ),
    "copy-follows-a-named-link": Case("FROM scratch\nCOPY link /e\n", {"real": "r\n", "link": Link("real")}),
    "copy-over-a-link-to-a-file": Case(
        "FROM base\nRUN echo old > /old && ln -s /old /new\nCOPY a /new\n", {"a": "a\n"}, not_by={"buildah": "it replaces the link"}
    ),
    "copy-into-a-link-to-a-folder": Case("FROM base\nRUN mkdir /old && ln -s old /new\nCOPY d /new/\n", TREE),
    "copy-through-a-link-stays-inside": Case("FROM base\nRUN ln -s ../../../../etc /out\nCOPY a /out/a\n", {"a": "a\n"}),
    "copy-folder-over-a-file": Case(
        "FROM base\nRUN mkdir /e && echo 1 > /e/sub\nCOPY d /e\n",
        TREE,
        fails=True,
        not_by=dict.fromkeys(("docker", "buildah"), "it replaces the file"),
    ),
    "copy-file-over-a-folder": Case(
        "FROM base\nRUN mkdir -p /e/a/b\nCOPY d /e\n",
        TREE,
        fails=True,
        not_by=dict.fromkeys(("docker", "buildah"), "it replaces the folder"),
    ),
    "copy-behind-a-file": Case("FROM base\nRUN echo 1 > /e\nCOPY d/a /e/a\n", TREE, fails=True),
    "add-archive-over-a-file": Case("FROM base\nRUN mkdir /e && echo 1 > /e/d\nADD t /e\n", {"t": Archive({"d": Folder(), "d/a": "a\n"})}),
    "add-archive-over-a-folder": Case("FROM base\nRUN mkdir -p /e/d/x && echo 1 > /e/d/y\nADD t /e\n", {"t": Archive({"d": "file\n"})}),
    # -- COPY: owners
    "copy-chown-numbers": Case("FROM base\nCOPY --chown=12:34 d /e\nCOPY --chown=5 a /f\n", TREE | {"a": "a\n"}),
    "copy-chown-names": Case("FROM base\nCOPY --chown=app:daemon a /f\nCOPY --chown=app a /g\n", {"a": "a\n"}),
    "copy-chown-variable": Case("FROM base\nARG who=app\nCOPY --chown=$who:$who a /f\n", {"a": "a\n"}),
    "copy-is-roots-whoever-user-is": Case("FROM base\nUSER app\nCOPY a /f\n", {"a": "a\n"}),
    "copy-chmod": Case("FROM base\nCOPY --chmod=0711 a /f\n", {"a": "a\n"}, needs=1.2),
    # -- ADD
    "add-unpacks-tar": Case("FROM scratch\nADD t.tar /x\n", {"t.tar": Archive({"a": "a\n", "d/b": "b\n", "l": Link("a")})}),
    "add-unpacks-tar-gz": Case(
        "FROM scratch\nADD t.tar.gz /x/\n", {"t.tar.gz": Archive({"a": Mode(0o755, "a\n"), "d": Folder(0o700)}, "gz")}
    ),
    "add-looks-at-the-content-not-at-the-name": Case(
        "FROM scratch\nADD t /x/\nADD no.tar /x/\n", {"t": Archive({"a": "a\n"}), "no.tar": "text\n"}
    ),
    "copy-does-not-unpack": Case("FROM scratch\nCOPY t.tar /x/\n", {"t.tar": Archive({"a": "a\n"})}),
    "add-gives-looks-to-folders-that-are-there": Case(
        "FROM base\nRUN mkdir -p /x/d/e && chown -R 3:4 /x\nADD t /x\n", {"t": Archive({"d": Folder(0o711), "d/a": "a\n", "d/e/b": "b\n"})}
    ),
    "add-folder-as-copy-does": Case("FROM scratch\nADD d /e\n", TREE),
    # -- ENV and ARG
    "env-expansion": Case(
        "FROM base\nENV a=1 b=\"x $a y\" c='$a' d=\\$a\nENV a=2 e=${a:-3}${z:-4}\n"
        "ENV old style $a\nRUN env | grep -v HOSTNAME= | sort > /env\n"
    ),
    "env-sees-the-line-before-only": Case("FROM base\nENV a=hello\nENV a=bye b=$a\nENV c=$a\n"),
    "arg-scope": Case(
        "ARG v=base\nARG w=outer\nFROM ${v}\nRUN echo [$w] > /a\nARG w\nRUN echo [$w] > /b\nARG w=inner\nRUN echo [$w] > /c\n"
    ),
    "arg-does-not-cross-stages": Case(
        "FROM base AS one\nARG x=1\nRUN echo [$x] > /a\nFROM base\nCOPY --from=one /a /a\nRUN echo [$x] > /b\n"
    ),
    "arg-is-inherited-by-a-stage": Case(
        "FROM base AS one\nARG x=1\nARG y=2\nFROM one AS two\nARG y\nRUN echo [$x$y] > /a\nFROM two\nARG x=3\nRUN echo [$x$y] > /b\n",
        not_by=dict.fromkeys(("docker", "buildah"), "only BuildKit knows it"),
        needs=1.2,
    ),
    "arg-default-that-is-not-used": Case(
        "ARG top=${top:?no}\nFROM $top\nARG x=${x:?no}\nRUN echo $x > /a\n",
        args={"x": "1", "top": "base"},
        needs=1.3,
    ),
    "arg-from-the-command-line": Case("FROM base\nARG x=1\nARG y\nRUN echo $x $y > /a\n", args={"x": "2", "y": "3"}),
    "env-beats-arg": Case("FROM base\nARG x=arg\nENV x=env\nRUN echo $x > /a\n", args={"x": "line"}),
    "arg-is-not-in-the-image": Case('FROM base\nARG secret=s\nCMD ["env"]\n'),
    # -- RUN, SHELL, USER
    "run-both-forms": Case('FROM base\nRUN echo "$HOME" > /a\nRUN ["touch", "/$HOME b"]\n'),
    "run-over-lines": Case("FROM base\nRUN echo one && \\\n    # a comment\n    echo two \\\n    three > /a\n"),
    "run-removes-and-changes": Case(
        "FROM base\nRUN mkdir /d && echo 1 > /d/a && echo 1 > /d/b\nRUN rm /d/a && echo 2 > /d/b && chmod 700 /d\n"
    ),
    "run-replaces-a-folder": Case("FROM base\nRUN mkdir /d && echo 1 > /d/a\nRUN rm -r /d && mkdir /d && echo 2 > /d/b\n"),
    "shell": Case('FROM base\nSHELL ["/bin/sh", "-ec"]\nRUN false; true > /never || echo $- > /flags\nCMD echo hi\n', fails=True),
    "shell-for-cmd-and-entrypoint": Case(
        'FROM base\nSHELL ["/bin/ash", "-c"]\nRUN echo $0 > /a\nENTRYPOINT run it\nCMD with this\n', not_by={"buildah": "it takes /bin/sh"}
    ),
    "user-then-run": Case("FROM base\nUSER app\nRUN id -u > /tmp/u; id -g > /tmp/g; echo $HOME > /tmp/h\nUSER 1:0\nRUN id -u > /tmp/n\n"),
    "heredoc-run": Case("FROM base\nRUN <<EOF\necho one > /a\necho two >> /a\nEOF\n", needs=1.4),
    "heredoc-copy": Case("FROM base\nENV x=1\nCOPY <<a.txt <<'b.txt' /t/\n$x\na.txt\n$x\nb.txt\n", needs=1.4),
    # -- the image's configuration
    "volume-then-writes": Case("FROM base\nRUN mkdir /v && echo 1 > /v/a\nVOLUME /v\nCOPY b /v/b\n", {"b": "b\n"}),
    "volume-forms": Case('FROM scratch\nVOLUME /a /b\nVOLUME ["/c d"]\nCOPY x /\n', {"x": "x\n"}),
    "cmd-is-reset-by-entrypoint": Case('FROM base AS one\nCMD ["a"]\nFROM one\nENTRYPOINT ["b"]\n'),
    "cmd-after-entrypoint-stays": Case('FROM base AS one\nENTRYPOINT ["b"]\nCMD ["a"]\nFROM one\nCMD c d\n'),
    "entrypoint-empty": Case('FROM base AS one\nENTRYPOINT ["b"]\nFROM one\nENTRYPOINT []\nCMD ["a"]\n'),
    "label-quoting": Case(
        'FROM base\nLABEL a=b "c d"="e f" g=\'h "i"\' j="k\\"l" m=n\\ o\nLABEL old style label\nENV v=1\nLABEL p=$v q=\'$v\'\n'
    ),
    "label-overwrites": Case("FROM base AS one\nLABEL a=1 b=1\nFROM one\nLABEL a=2 c=\n"),
    "expose-forms": Case(
        "FROM base\nENV p=9000\nEXPOSE 80 443/tcp 53/udp\nEXPOSE $p 8000-8002\nEXPOSE 80/tcp\n",
        not_by={"buildah": "it keeps a range as one word"},
    ),
    "healthcheck": Case("FROM base\nHEALTHCHECK --interval=10s --timeout=1m30s --retries=2 CMD test -f /ok\n"),
    "healthcheck-none": Case('FROM base AS one\nHEALTHCHECK CMD ["true"]\nFROM one\nHEALTHCHECK NONE\n'),
    "stopsignal-and-maintainer": Case("FROM base\nENV s=QUIT\nSTOPSIGNAL SIG$s\nMAINTAINER A B <a@b>\n"),
    # -- stages
    "copy-from-a-name": Case("FROM base AS build\nRUN mkdir /out && echo 1 > /out/a\nFROM scratch\nCOPY --from=build /out/ /bin/\n"),
    "copy-from-an-index": Case(
        "FROM base\nRUN echo 1 > /a\nFROM base\nRUN echo 2 > /a\nFROM scratch\nCOPY --from=0 /a /one\nCOPY --from=1 /a /two\n"
    ),
    "copy-from-in-capitals": Case(
        "FROM base AS Build\nRUN echo 1 > /a\nFROM scratch\nCOPY --from=BUILD /a /b\n",
        not_by={"buildah": "it compares a stage's name letter by letter"},
    ),
    "from-a-stage": Case("FROM base AS one\nENV a=1\nWORKDIR /w\nUSER app\nFROM one\nRUN pwd > /tmp/w; id -u > /tmp/u; echo $a > /tmp/a\n"),
    "copy-from-keeps-owners": Case(
        "FROM base AS one\nRUN touch /a && chown 12:34 /a\nFROM scratch\nCOPY --from=one /a /b\nCOPY --from=one --chown=5:6 /a /c\n"
    ),
    "an-unused-stage-may-be-broken": Case("FROM base AS broken\nRUN false\nFROM base\nRUN touch /fine\n", needs=1.2),
    "onbuild-in-a-stage": Case(
        "FROM base AS one\nONBUILD RUN echo triggered > /a\nONBUILD COPY b /b\nFROM one\nRUN cat /a > /c\n", {"b": "b\n"}
    ),
    # -- .dockerignore
    "dockerignore": Case(
        "FROM scratch\nCOPY . /all\n",
        TREE | {".dockerignore": "*\n!d\nd/sub\n!d/sub/keep\n", "d/sub/keep": "k\n", "x": "x\n"},
    ),
    "dockerignore-two-stars": Case(
        "FROM scratch\nCOPY . /all\n", {".dockerignore": "**/*.log\nDockerfile\n", "a.log": "", "d/b.log": "", "d/c": "c\n"}
    ),
    "dockerignore-does-not-touch-stages": Case(
        "FROM base AS one\nRUN echo 1 > /x.log\nFROM scratch\nCOPY --from=one /x.log /x.log\n", {".dockerignore": "*.log\n"}
    ),
    # -- what must fail
    "fails-missing-source": Case("FROM scratch\nCOPY nothing /x\n", {"a": "a\n"}, fails=True),
    "fails-ignored-source": Case("FROM scratch\nCOPY a /x\n", {"a": "a\n", ".dockerignore": "a\n"}, fails=True),
    "fails-several-without-a-slash": Case(
        "FROM scratch\nCOPY a b /x\n",
        {"a": "a\n", "b": "b\n"},
        fails=True,
        not_by={"buildah": "it makes the folder /x", "buildkit": "Docker 20.10's makes the folder /x, against the reference"},
    ),
    "fails-unknown-user": Case(
        "FROM base\nCOPY --chown=nobody-knows a /x\n", {"a": "a\n"}, fails=True, not_by={"buildkit": "Docker 20.10's takes root instead"}
    ),
    "fails-run": Case("FROM base\nRUN exit 3\n", fails=True),
    "fails-unknown-variable": Case("FROM base\nENV a=${nothing:?say-it}\n", fails=True, needs=1.3),
}


def write(case: Case, folder: Path) -> Path:
    """Make the context in ``folder``, with the same times whenever it is made; gives the Dockerfile's path."""
    for path, content in (case.files | {"Dockerfile": case.dockerfile}).items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        _make(place, content)
    for top, folders, files in os.walk(folder, topdown=False):
        for name in (*folders, *files, "."):
            os.utime(os.path.join(top, name), (WHEN, WHEN), follow_symlinks=False)
    return folder / "Dockerfile"


def _make(place: Path, content: object) -> None:
    if isinstance(content, Link):
        return place.symlink_to(content.to)
    if isinstance(content, Folder):
        place.mkdir(exist_ok=True)
        return place.chmod(content.bits)
    if isinstance(content, Archive):
        place.write_bytes(_packed(content))
    else:
        place.write_text(content.content if isinstance(content, Mode) else content)
    place.chmod(content.bits if isinstance(content, Mode) else 0o644)


def _packed(archive: Archive) -> bytes:
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in archive.members.items():
            member, data = _member(name, content)
            tar.addfile(member, io.BytesIO(data))
    return gzip.compress(plain.getvalue(), mtime=0) if archive.packing == "gz" else plain.getvalue()


def _member(name: str, content: object) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.mtime = WHEN
    if isinstance(content, Link):
        member.type, member.linkname, member.mode = tarfile.SYMTYPE, content.to, 0o777
        return member, b""
    if isinstance(content, Folder):
        member.type, member.mode = tarfile.DIRTYPE, content.bits
        return member, b""
    data = (content.content if isinstance(content, Mode) else content).encode()
    member.size, member.mode = len(data), content.bits if isinstance(content, Mode) else 0o644
    return member, data
