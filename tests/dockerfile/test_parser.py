"""Dockerfiles: the syntax beside BuildKit's own parser, each instruction, each error with its place and the way out."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.build_cases import CASES, write
from helpers.fuzz import fuzzed, steps
from helpers.gosource import GOCODE
from hypothesis import given
from hypothesis import strategies as st

from lib.dockerfile import DockerfileError, parse, parser, syntax
from lib.dockerfile.instructions import (
    Add,
    Arg,
    Cmd,
    Copy,
    Entrypoint,
    Env,
    Expose,
    From,
    Healthcheck,
    Label,
    Maintainer,
    Run,
    Shell,
    StopSignal,
    User,
    Volume,
    Workdir,
)
from lib.dockerfile.parser import expanded


def one(text: str, head: str = "FROM base\n"):
    """The last instruction of a Dockerfile."""
    return parse(head + text).stages[-1].instructions[-1]


def nodes(text: str) -> list[tuple]:
    return [(node.keyword, *node.words) for node in syntax.parse(text).nodes]


def fields(instruction) -> dict:
    """What is set, without the place."""
    return {name: value for name, value in instruction._asdict().items() if name != "place" and value not in (None, False, (), 0)}


def refused(text: str) -> DockerfileError:
    with pytest.raises(DockerfileError) as error:
        parse(text)
    return error.value


# -- beside BuildKit's parser ------------------------------------------------------------------

FIXTURES = GOCODE / "openshift/imagebuilder"
FILES = sorted(path for path in FIXTURES.rglob("*ockerfile*") if path.is_file() and path.suffix != ".go")

# Where we read otherwise, each with the reason. The list is complete for what the tests below try, and no longer than needed.
DIFFERENT = {
    'FROM a\nCMD ["\\u0000"]': "the oracle hands strings over as C has them: they end at a zero",
    'FROM a\nCMD ["a"] x': "the oracle is older: BuildKit dropped what stands behind a list, and now takes it all for a text",
    "FROM a\nRUN << EOF\nEOF": "the oracle is older than heredocs with a space before their word",
    "#check=x\n#escape=`\nFROM a `\nUSER b": "the oracle is older than the directive 'check', and takes it for an ordinary comment",
    "FROM a\nCOPY --chown=ü a b": "BuildKit cuts flags byte by byte, and other letters than a-z fall apart",
    "FROM a\nHEALTHCHECK CMDà x": "BuildKit takes the second byte of à for a space",
}


@pytest.fixture(scope="module")
def oracle():
    """BuildKit's parser as the package ``dockerfile`` wraps it: a text becomes rows, or None where it is refused."""
    module = pytest.importorskip("dockerfile", reason="BuildKit's parser (pip: dockerfile) has no wheel for this machine")

    def read(text: str) -> list | None:
        try:
            return [_row(command) for command in module.parse_string(text)]
        except (module.GoParseError, ValueError):
            return None

    return read


def _row(command) -> tuple:
    kept = tuple((heredoc.name, heredoc.content, heredoc.file_descriptor) for heredoc in command.heredocs)
    known = (command.sub_cmd or command.cmd) in syntax.WAYS
    words = command.value if known else ()  # an unknown instruction has one empty word there, and none here
    lines = command.start_line, command.end_line
    sub = command.sub_cmd and command.sub_cmd.upper()
    return (command.cmd or "").upper(), sub, command.json, *lines, command.flags, words, kept


def ours(text: str) -> list | None:
    try:
        return [_our_row(node) for node in syntax.parse(text).nodes]
    except DockerfileError:
        return None


def _our_row(node) -> tuple:
    inner = node.nested or node
    told = () if node.nested else node.heredocs  # the oracle reads over those behind ONBUILD, and does not tell them
    kept = tuple((heredoc.name, heredoc.body, heredoc.descriptor) for heredoc in told)
    sub = node.nested and node.nested.keyword
    return node.keyword, sub, inner.is_list, node.place.line, node.place.last, node.flags, inner.words, kept


@pytest.mark.skipif(not FILES, reason=f"no Dockerfiles in {FIXTURES}: apt install golang-github-openshift-imagebuilder-dev")
def test_dockerfiles_of_imagebuilder(oracle):
    assert len(FILES) > 80
    texts = {path: path.read_text() for path in FILES}
    wrong = [str(path) for path, text in texts.items() if r"\u0000" not in text and ours(text) != oracle(text)]
    assert not wrong


@pytest.mark.parametrize("text", DIFFERENT)
def test_a_difference_is_still_one(oracle, text):
    assert ours(text) is not None
    assert ours(text) != oracle(text), f"no difference any more, take it from the list: {DIFFERENT[text]}"


KEYWORDS = [keyword for keyword in syntax.WAYS if keyword != "ONBUILD"]
LINES = ["\n", "\n\n", "\r\n", "\\\n", "\\ \n", "`\n", "\\\\\n", "# c\n", "#escape=`\n", "# syntax=x\n"]
HEREDOCS = ["<<EOF", "<<-EOF", "<<'EOF'", '<<"E"', "3<<E", "<<\n", "\nEOF\n", "\n\tEOF\n", "\nE\n"]
LISTS = ["[", "]\n", '"a"', ",", '["a","b"]\n', "[1]\n", "[]\n", "{}"]
SIGNS = [" ", "\t", "\v", "--a=b", "--from='x y'", "--", "'", '"', "\\", "`", "a", "b=c", "=", "$x", "CMD", "NONE", "FOO", "\nONBUILD RUN "]
TEXTS = st.lists(
    st.sampled_from([*KEYWORDS, *(f"\n{keyword} " for keyword in KEYWORDS), *LINES, *HEREDOCS, *LISTS, *SIGNS]), max_size=15
).map("".join)


@fuzzed
@given(TEXTS)
def test_any_dockerfile_is_read_as_buildkit_reads_it(oracle, text):
    assert ours(text) == oracle(text)


# -- lines -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("FROM a", [("FROM", "a")]),
        ("from a", [("FROM", "a")]),
        ("  \tFrOm\ta  \n", [("FROM", "a")]),
        ("\ufeffFROM a\r\nRUN b\r\n", [("FROM", "a"), ("RUN", "b")]),
        ("# c\n\nFROM a # no comment\n", [("FROM", "a", "#", "no", "comment")]),
        ("RUN a \\\n  b", [("RUN", "a   b")]),
        ("RUN a\\\nb", [("RUN", "ab")]),
        ("RUN a \\\n# c\n  # c\nb", [("RUN", "a b")]),
        ("RUN a \\   \nb", [("RUN", "a b")]),
        ("RUN a \\\\\nUSER b", [("RUN", "a \\\\"), ("USER", "b")]),
        ("RUN a \\", [("RUN", "a")]),
        ("\\\nRUN a", [("RUN", "a")]),
        ("#escape=`\nRUN a `\nb\\\nUSER c", [("RUN", "a b\\"), ("USER", "c")]),
        ("# ESCAPE = ` \nRUN a `\nb", [("RUN", "a b")]),
        ("# c\n#escape=`\nRUN a `\nUSER b", [("RUN", "a `"), ("USER", "b")]),
        ("\n#escape=`\nRUN a `\nUSER b", [("RUN", "a `"), ("USER", "b")]),
        ("#syntax=x\n#escape=`\nRUN a `\nb", [("RUN", "a b")]),
        ("#other=x\n#escape=`\nRUN a `\nUSER b", [("RUN", "a `"), ("USER", "b")]),
    ],
)
def test_lines(text, found):
    assert nodes(text) == found


def test_directives():
    found = parse("# syntax = docker/dockerfile:1 // x\n# check=skip=all\nFROM a")
    assert found.directives == {"syntax": "docker/dockerfile:1 // x", "check": "skip=all"}
    assert found.escape == "\\"
    assert "a second 'escape'" in refused("#escape=`\n#escape=`\nFROM a").message
    assert refused("#syntax=x\n#escape=x\nFROM a").line == 2


def test_an_empty_line_inside_an_instruction_is_warned_of():
    found = parse("FROM a\nRUN a \\\n\n  b \\\n# c\n\n c\nRUN d \\\n# e\n f")
    assert [warning.line for warning in found.warnings] == [2]
    assert "take it out" in found.warnings[0].message


def test_first_and_last_line():
    found = syntax.parse("\nFROM a\nRUN b \\\n\n  c\nCOPY <<X /\nx\nX\nUSER d\n").nodes
    assert [(node.place.line, node.place.last) for node in found] == [(2, 2), (3, 5), (6, 8), (9, 9)]
    assert found[1].place.text == "RUN b   c"


# -- heredocs ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "body", "name", "expands", "strips"),
    [
        ("RUN <<EOF", "a\nEOF\n", "EOF", True, False),
        ("RUN <<-EOF", "\ta\n\tEOF\n", "EOF", True, True),
        ("RUN <<'EOF'", "$a\nEOF\n", "EOF", False, False),
        ('RUN <<"E F"', "a\nE F\n", "E F", False, False),
        ("RUN <<E'O'F", "a\nEOF\n", "EOF", False, False),
        ("RUN <<E\\'F", "a\nE'F\n", "E'F", True, False),
        ("RUN << EOF cat", "a\nEOF\n", "EOF", True, False),
        ("RUN << -EOF", "a\n-EOF\n", "-EOF", True, False),
        ("RUN <<$E", "a\n$E\n", "$E", True, False),
        ("RUN cat <<EOF | sh > x", "# no comment\n\\\n\nEOF\n", "EOF", True, False),
        ("ADD <<f.txt /x", "a\nf.txt\n", "f.txt", True, False),
        ("COPY --chown=a <<EOF /x", " EOF\nEOF \nEOF\r\n", "EOF", True, False),
        ("ONBUILD RUN <<EOF", "FROM x\nEOF\n", "EOF", True, False),
    ],
)
def test_a_heredoc(line, body, name, expands, strips):
    found = syntax.parse(f"{line}\n{body}USER x\n").nodes
    assert [node.keyword for node in found[1:]] == ["USER"]
    (heredoc,) = found[0].heredocs
    assert (heredoc.name, heredoc.expands, heredoc.strips) == (name, expands, strips)
    assert heredoc.body == "".join(body.splitlines(keepends=True)[:-1])


def test_several_heredocs_follow_each_other():
    (copy,) = syntax.parse("COPY <<A <<-B x /d/\nB\nA\n\ta\n\tB").nodes
    assert [(heredoc.name, heredoc.body, heredoc.content) for heredoc in copy.heredocs] == [("A", "B\n", "B\n"), ("B", "\ta\n", "a\n")]


def test_heredoc_with_a_descriptor():
    assert syntax.parse("RUN sh 3<<E\nE").nodes[0].heredocs[0].descriptor == 3


@pytest.mark.parametrize(
    "line",
    [
        "RUN cat <<- EOF > a",
        "RUN <<- ",
        'RUN ["<<EOF"]',
        "RUN '<<EOF'",
        'RUN "<<EOF"',
        "RUN x <<<EOF",
        "RUN <<",
        "RUN <<''",
        "USER <<EOF",
        "ENV a=<<EOF",
        "RUN it's <<EOF",
    ],
)
def test_no_heredoc(line):
    assert syntax.parse(line).nodes[0].heredocs == ()


def test_a_heredoc_without_end():
    error = refused("FROM a\nRUN x <<EOF\n EOF\n")
    assert (error.line, error.column) == (2, 7)
    assert "a line that is only EOF, with no space before it" in error.hint


def test_a_heredocs_content_is_expanded_unless_quoted():
    text = "COPY <<A <<'B' <<-C /d/\n$x's\nA\n$x\nB\n\t$x\n\tC\n"
    copy, used = expanded(one(text), {"x": "1"})
    assert [heredoc.content for heredoc in copy.heredocs] == ["1's\n", "$x\n", "1\n"]
    assert used == {"x"}


def test_tabs_that_come_out_of_a_variable_stay():
    copy, _ = expanded(one("COPY <<-A /d\n\t$x\n\tA\n"), {"x": "\ty"})
    assert copy.heredocs[0].content == "\ty\n"


# -- instructions ------------------------------------------------------------------------------

ROWS = [
    ("ADD a b /c/", Add, {"sources": ("a", "b"), "dest": "/c/"}),
    (
        "ADD --checksum=sha256:a --keep-git-dir --unpack=false --link u d",
        Add,
        {"sources": ("u",), "dest": "d", "checksum": "sha256:a", "keep_git_dir": True, "link": True},
    ),
    ('ADD ["a b", "c"]', Add, {"sources": ("a b",), "dest": "c"}),
    ("ARG a", Arg, {"pairs": (("a", None),)}),
    ("ARG a=1 b c='x y' d=", Arg, {"pairs": (("a", "1"), ("b", None), ("c", "'x y'"), ("d", ""))}),
    ("CMD echo  hi", Cmd, {"command": ("echo  hi",), "shell_form": True}),
    ('CMD ["echo", "hi"]', Cmd, {"command": ("echo", "hi")}),
    ("CMD ['echo', 'hi']", Cmd, {"command": ("['echo', 'hi']",), "shell_form": True}),
    ('CMD ["echo", "hi"', Cmd, {"command": ('["echo", "hi"',), "shell_form": True}),
    ("CMD [NaN]", Cmd, {"command": ("[NaN]",), "shell_form": True}),
    ('CMD ["a"] x', Cmd, {"command": ('["a"] x',), "shell_form": True}),
    ("CMD []", Cmd, {}),
    ("CMD", Cmd, {"shell_form": True}),
    ('CMD ["\\ud800"]', Cmd, {"command": ("\ufffd",)}),
    ("COPY a b", Copy, {"sources": ("a",), "dest": "b"}),
    (
        "COPY --from=x --chown=1:2 --chmod=u+x --link --parents --exclude=a --exclude=b s d",
        Copy,
        {
            "sources": ("s",),
            "dest": "d",
            "from_": "x",
            "chown": "1:2",
            "chmod": "u+x",
            "link": True,
            "parents": True,
            "exclude": ("a", "b"),
        },
    ),
    ("COPY --link=false --from='a b' -- --s d", Copy, {"sources": ("--s",), "dest": "d", "from_": "a b"}),
    ("COPY a <<b'", Copy, {"sources": ("a",), "dest": "<<b'"}),
    ("COPY a\\ b c", Copy, {"sources": ("a\\", "b"), "dest": "c"}),
    ("ENTRYPOINT a b", Entrypoint, {"command": ("a b",), "shell_form": True}),
    ("ENTRYPOINT []", Entrypoint, {}),
    ('ENV a=1 b=\'x y\' c="d\\"e" f=g\\ h i=', Env, {"pairs": (("a", "1"), ("b", "'x y'"), ("c", '"d\\"e"'), ("f", "g\\ h"), ("i", ""))}),
    ("ENV a  b c=d", Env, {"pairs": (("a", "b c=d"),)}),
    ("ENV a=b\\\\\\", Env, {"pairs": (("a", "b\\\\"),)}),
    ("ENV a=b=c", Env, {"pairs": (("a", "b=c"),)}),
    ("EXPOSE 80 443/tcp  8000-8010/udp", Expose, {"ports": ("80", "443/tcp", "8000-8010/udp")}),
    ("HEALTHCHECK NONE", Healthcheck, {"test": ("NONE",)}),
    ("HEALTHCHECK cmd curl  x", Healthcheck, {"test": ("CMD-SHELL", "curl  x")}),
    (
        'HEALTHCHECK --interval=1m30s --timeout=.5s --start-period=1h --start-interval=1ms --retries=3 CMD ["a"]',
        Healthcheck,
        {
            "test": ("CMD", "a"),
            "interval": 90 * 10**9,
            "timeout": 5 * 10**8,
            "start_period": 3600 * 10**9,
            "start_interval": 10**6,
            "retries": 3,
        },
    ),
    ("HEALTHCHECK --interval=0 CMD x", Healthcheck, {"test": ("CMD-SHELL", "x")}),
    ('LABEL a.b="c d" "e f"=g', Label, {"pairs": (("a.b", '"c d"'), ('"e f"', "g"))}),
    ("LABEL a b", Label, {"pairs": (("a", "b"),)}),
    ("MAINTAINER A B <a@b>", Maintainer, {"name": "A B <a@b>"}),
    ("RUN a && b", Run, {"command": ("a && b",), "shell_form": True, "network": "default", "security": "sandbox"}),
    ('RUN ["a", "b"]', Run, {"command": ("a", "b"), "network": "default", "security": "sandbox"}),
    ("RUN --network=none --security=insecure a", Run, {"command": ("a",), "shell_form": True, "network": "none", "security": "insecure"}),
    ("RUN a --network=none", Run, {"command": ("a --network=none",), "shell_form": True, "network": "default", "security": "sandbox"}),
    ('SHELL ["/bin/bash", "-c"]', Shell, {"command": ("/bin/bash", "-c")}),
    ("STOPSIGNAL SIGQUIT", StopSignal, {"signal": "SIGQUIT"}),
    ("USER a:b", User, {"user": "a:b"}),
    ("VOLUME /a /b", Volume, {"paths": ("/a", "/b")}),
    ('VOLUME ["/a b"]', Volume, {"paths": ("/a b",)}),
    ("WORKDIR /a b", Workdir, {"path": "/a b"}),
]


@pytest.mark.parametrize(("text", "kind", "values"), ROWS)
def test_an_instruction(text, kind, values):
    instruction = one(text)
    assert type(instruction) is kind
    assert fields(instruction) == values
    assert repr(instruction.place) == "Dockerfile:2"
    assert instruction.place.text == text.strip()


def test_every_instruction_has_its_row():
    assert {text.split()[0] for text, _, _ in ROWS} | {"FROM", "ONBUILD"} == set(syntax.WAYS)


def test_onbuild():
    onbuild = one("ONBUILD  copy --from=x a \\\n  b")
    assert onbuild.trigger == "copy --from=x a   b"
    assert fields(onbuild.instruction) == {"sources": ("a",), "dest": "b", "from_": "x"}


def test_a_trigger_can_be_read_again_in_the_next_build():
    onbuild = one("onbuild RUN <<-A <<B\n\ta\n\tA\nb\nB")
    assert onbuild.trigger == "RUN <<-A <<B\n\ta\nA\nb\nB"
    (run,) = parser.instructions(onbuild.trigger, "ONBUILD of base")
    assert run.heredocs == onbuild.instruction.heredocs
    assert repr(run.place) == "ONBUILD of base:1"


# -- stages ------------------------------------------------------------------------------------


def test_stages():
    found = parse("ARG V=3\nARG W\nFROM --platform=$P a:$V AS Build\nRUN x\nFROM build\nFROM scratch as last-1\nUSER y\n")
    assert [arg.pairs for arg in found.arguments] == [(("V", "3"),), (("W", None),)]
    assert [(stage.name, stage.index, stage.base.image, len(stage.instructions)) for stage in found.stages] == [
        ("build", 0, "a:$V", 1),
        (None, 1, "build", 0),
        ("last-1", 2, "scratch", 1),
    ]
    assert expanded(found.stages[0].base, {"V": "4"})[0].image == "a:4"
    assert type(found.stages[0].base) is From


# -- variables ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "values", "used"),
    [
        (
            "ADD --chown=$u --chmod=$u --checksum=$u $u /$u",
            {"sources": ("1",), "dest": "/1", "chown": "1", "chmod": "1", "checksum": "1"},
            "u",
        ),
        ("ARG a=$u $u", {"pairs": (("a", "1"), ("1", None))}, "u"),
        ("COPY --chown=$u --chmod=$u $u '$u'", {"sources": ("1",), "dest": "$u", "chown": "1", "chmod": "1"}, "u"),
        ("COPY --from=$u --exclude=$u a b", {"sources": ("a",), "dest": "b", "from_": "$u", "exclude": ("$u",)}, ""),
        ("CMD $u", {"command": ("$u",), "shell_form": True}, ""),
        ("ENV a=$u b=\"$a $u\" $u='$u'", {"pairs": (("a", "1"), ("b", " 1"), ("1", "$u"))}, "a u"),
        ("ENV a x $u", {"pairs": (("a", "x 1"),)}, "u"),
        ("EXPOSE $ports $u/udp", {"ports": ("80", "81/tcp", "1/udp")}, "ports u"),
        ("HEALTHCHECK CMD $u", {"test": ("CMD-SHELL", "$u")}, ""),
        ("LABEL a=${u:-2}${v:-3}", {"pairs": (("a", "13"),)}, "u v"),
        ("MAINTAINER $u", {"name": "$u"}, ""),
        ('SHELL ["$u"]', {"command": ("$u",)}, ""),
        ("STOPSIGNAL $u", {"signal": "1"}, "u"),
        ("USER $u:$u", {"user": "1:1"}, "u"),
        ("VOLUME /$u", {"paths": ("/1",)}, "u"),
        ("WORKDIR /$u", {"path": "/1"}, "u"),
    ],
)
def test_which_parts_are_expanded(text, values, used):
    found, names = expanded(one(text), {"u": "1", "ports": "80 81/tcp"})
    assert fields(found) == values
    assert names == set(used.split())


def test_a_run_is_the_shells_affair():
    run = one("RUN echo $u <<EOF\n$u\nEOF")
    assert expanded(run, {"u": "1"}) == (run, frozenset())


def test_the_other_escape_character_counts_in_words_too():
    found = parse("#escape=`\nFROM a\nENV a=`$u b=c`\td\nCOPY x c:\\\n")
    env, copy = found.stages[0].instructions
    assert expanded(env, {"u": "1"}, found.escape)[0].pairs == (("a", "$u"), ("b", "c\td"))
    assert expanded(copy, {}, found.escape)[0].dest == "c:\\"


@pytest.mark.parametrize(
    "text",
    [
        "LABEL " + " ".join(f'b{number}="x$big"' for number in range(20)),
        "ENV " + " ".join(f"b{number}=$big" for number in range(20)),
        "EXPOSE" + " $big" * 20,
        "COPY" + " $big" * 20 + " /x/",
        "COPY <<A <<B <<C /x/\n" + "".join("$big" * 5 + f"\n{name}\n" for name in "ABC"),
        "RUN " + "--mount=type=bind,target=/x,source=$big " * 20 + "true",
        "VOLUME" + " ${big%%y*}" * 20,
        "LABEL" + " a=${big##*x}" * 20,  # nothing comes of it, but it takes its time
        "LABEL" + " a=${big//*/}" * 20,
    ],
)
def test_an_instruction_whose_variables_would_fill_the_memory_is_refused(text):
    with pytest.raises(DockerfileError, match="come to more than 1048576 characters"):
        expanded(one(text), {"big": "x" * 100_000})


def test_a_variable_that_cannot_be_expanded_has_a_place():
    with pytest.raises(DockerfileError, match="u: is not set") as error:
        expanded(one("ENV a=b \\\n  c=${u?}"), {})
    assert (error.value.line, error.value.column) == (3, 5)


def declares(text: str, given=(), args=(), env=()) -> dict:
    return parser.declared(one(f"ARG {text}"), dict(given), dict(args), dict(env), "\\")


def test_a_default_is_worked_out_only_where_it_is_used():
    assert declares("a=${b:?say-it} b=${c?}", {"a": "1", "b": ""}) == {"a": "1", "b": ""}
    with pytest.raises(DockerfileError, match="b: say-it"):
        declares("a=${b:?say-it}", {"c": "1"})


def test_an_arg_sees_those_before_it_and_the_env_over_them():
    assert declares("a=1 b=$a$c c", args={"a": "0", "c": "2"}) == {"a": "1", "b": "12", "c": None}
    assert declares("a=1 b=$a", env={"a": "env"}) == {"a": "1", "b": "env"}
    assert declares("$x=1", args={"x": "name"}) == {"name": "1"}


# -- mounts ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("target=/x", {"type": "bind", "target": "/x", "read_only": True}),
        ("type=bind,dst=/x,src=y,from=z,rw", {"type": "bind", "target": "/x", "source": "y", "from_": "z"}),
        (
            "type=CACHE,destination=/x,id=a,sharing=Locked,mode=0700,uid=1,gid=2",
            {"type": "cache", "target": "/x", "id": "a", "sharing": "locked"},
        ),
        ("type=cache,target=/x,readonly", {"type": "cache", "target": "/x", "read_only": True}),
        ("type=cache,target=/x,ro=true,rw=1", {"type": "cache", "target": "/x"}),
        ("type=tmpfs,target=/x,size=1.5m", {"type": "tmpfs", "target": "/x", "size": 3 << 19}),
        ("type=tmpfs,target=/x,size=64MiB", {"type": "tmpfs", "target": "/x", "size": 64 << 20}),
        ("type=secret,id=a,required", {"type": "secret", "id": "a", "read_only": True, "required": True}),
        ("required=false,type=secret,id=a,env=TOKEN,mode=0440", {"type": "secret", "id": "a", "env": "TOKEN", "read_only": True}),
        ("type=ssh", {"type": "ssh", "read_only": True}),
        ('type=bind,"target=/a,b"', {"type": "bind", "target": "/a,b", "read_only": True}),
    ],
)
def test_a_mount(text, values):
    quoted = text.replace('"', '\\"')
    (mount,) = one(f"RUN --mount={quoted} x").mounts
    found = {name: value for name, value in fields(mount).items() if name not in ("text", "is_final", "mode", "uid", "gid")}
    assert found == values
    assert mount.is_final


def test_numbers_of_a_mount():
    (mount,) = one("RUN --mount=type=cache,target=/x,mode=0755,uid=1000,gid=0 x").mounts
    assert (mount.mode, mount.uid, mount.gid) == (0o755, 1000, 0)


def test_a_mount_with_variables_is_checked_when_they_are_known():
    run = one("RUN --mount=type=cache,target=$t,uid=$u x")
    assert not run.mounts[0].is_final
    done, used = expanded(run, {"t": "/x", "u": "5"})
    assert (done.mounts[0].target, done.mounts[0].uid, done.mounts[0].is_final) == ("/x", 5, True)
    assert used == {"t", "u"}
    with pytest.raises(DockerfileError, match="uid=five is not a number"):
        expanded(run, {"t": "/x", "u": "five"})


# -- errors ------------------------------------------------------------------------------------

# A Dockerfile's second line, words of the message, words of the way out, the column.
WRONG = [
    ("COPPY a b", "unknown instruction COPPY; did you mean COPY?", "a line begins with one of ADD", 1),
    ("apt-get install x", "unknown instruction APT-GET", "end that one with a backslash", 1),
    ("\\", "an instruction is missing", "a line begins with", 1),
    ("COPY a", "one of them is missing", "COPY source /destination", 1),
    ("ADD", "one of them is missing", "ADD source /destination", 1),
    ("COPY --form=x a b", "unknown flag --form; did you mean --from?", "COPY knows --from --chown", 6),
    ("USER --x y", "unknown flag --x", "USER takes no flags", 6),
    ("COPY --from a b", "--from has no value", "write --from=value", 6),
    ("COPY --from=a --from=b c d", "given twice", "keep one", 6),
    ("COPY --link=maybe a b", "true or false, not 'maybe'", "write --link", 6),
    ("COPY --link= a b", "true or false", "write --link", 6),
    ("COPY a <<EOF\nEOF", "cannot write into a heredoc", "put the path last", 8),
    ("CMD [1]", "not a string", "double quotes", 5),
    ('RUN ["a", ["b"]]', "not a string", "double quotes", 5),
    ("ENV", "at least one argument", "ENV name=value", 1),
    ("ENV a", "'a' has no value", "write a=value", 5),
    ("ENV a=b c", "'c' has no '='", "quotes around", 9),
    ("ENV =b", "a value without a name", "ENV name=value", 5),
    ("LABEL a=b c", "'c' has no '='", "quotes around", 11),
    ("ARG", "at least one argument", "ARG name=default", 1),
    ("ARG =b", "a value without a name", "ARG name=value", 5),
    ("EXPOSE", "at least one argument", "EXPOSE 8080", 1),
    ("FROM a b", "one argument or three", "FROM image AS name", 8),
    ("FROM", "one argument or three", "FROM image", 1),
    ("FROM a AS 1x", "cannot name a stage '1x'", "begins with a letter", 11),
    ("HEALTHCHECK", "at least one argument", "HEALTHCHECK CMD", 1),
    ("HEALTHCHECK CMD", "no command", "HEALTHCHECK CMD and a command", 13),
    ("HEALTHCHECK NONE x", "takes nothing else", "switches", 13),
    ("HEALTHCHECK curl x", "not with curl", "HEALTHCHECK CMD curl x", 13),
    ("HEALTHCHECK --interval=5 CMD x", "not a duration", "--interval=30s", 13),
    ("HEALTHCHECK --interval=5us CMD x", "shorter than a millisecond", "1ms", 13),
    ("HEALTHCHECK --interval=9999999h CMD x", "292 years", "--interval=30s", 13),
    ("HEALTHCHECK --retries=-1 CMD x", "not a number of tries", "--retries=3", 13),
    ("MAINTAINER", "exactly one argument", "MAINTAINER name", 1),
    ("ONBUILD", "at least one argument", "ONBUILD RUN make", 1),
    ("ONBUILD FROM x", "cannot hold FROM", "cannot begin a stage", 9),
    ("ONBUILD onbuild RUN x", "cannot hold ONBUILD", "cannot begin a stage", 9),
    ("ONBUILD MAINTAINER x", "cannot hold MAINTAINER", "trigger", 9),
    ("ONBUILD COPY x", "one of them is missing", "COPY source /destination", 1),
    ("RUN --network=lan x", "--network=lan is unknown", "default none host", 5),
    ("RUN --security=x x", "--security=x is unknown", "sandbox insecure", 5),
    ("SHELL bash -c", "takes a JSON list", "with double quotes", 7),
    ("SHELL []", "at least one argument", "SHELL [", 1),
    ("STOPSIGNAL", "exactly one argument", "STOPSIGNAL SIGTERM", 1),
    ("USER", "exactly one argument", "USER name", 1),
    ("VOLUME", "at least one argument", "VOLUME /data", 1),
    ('VOLUME [""]', "empty path", "VOLUME [", 1),
    ("WORKDIR", "exactly one argument", "WORKDIR /folder", 1),
    ("RUN --mount=type=cahce,target=/x y", "type=cahce is unknown; did you mean cache?", "bind cache tmpfs", 18),
    ("RUN --mount=taget=/x y", "unknown option 'taget'; did you mean target?", "there are type", 13),
    ("RUN --mount=type=cache y", "type=cache has no target", "write target=/folder", 13),
    ("RUN --mount=target y", "'target' has no value", "write target=value", 13),
    ("RUN --mount=target=/x,from=$y z", "from= takes no variables", "AS tools", 23),
    ("RUN --mount=target=/x,ro=maybe z", "readonly=maybe is not true or false", "readonly=true", 1),
    ("RUN --mount=target=/x,mode=0755 z", "type=bind has no mode", "type=cache", 23),
    ("RUN --mount=type=cache,target=/x,mode=0799 z", "not an octal mode", "mode=0755", 34),
    ("RUN --mount=type=cache,target=/x,uid=-1 z", "not a number", "uid=1000", 34),
    ("RUN --mount=type=cache,target=/x,size=5m z", "type=cache has no size", "type=tmpfs", 34),
    ("RUN --mount=type=tmpfs,target=/x,size=lots z", "is not a size", "size=64m", 34),
    ("RUN --mount=type=cache,target=/x,sharing=all z", "sharing=all is unknown", "shared private locked", 42),
    ("RUN --mount=type=secret z", "needs an id", "id=name", 13),
    ("RUN --mount=type=secret,id=a,from=b z", "has no from", "command line", 30),
    ("RUN --mount=type=secret,id=a,source=b z", "both name the secret", "keep id", 30),
    ("RUN --mount=target=/x,required z", "type=bind has no required", "type=secret", 23),
    ('RUN --mount=target=/x\\"y\\" z', "a quote in the middle", "around the whole option", 1),
    ("RUN <<${x:-\\'}", "a heredoc's word", "write <<EOF", 5),
    ("RUN --mount=target=/x, z", "unknown option ''", "there are", 1),
]


@pytest.mark.parametrize(("text", "message", "hint", "column"), WRONG)
def test_an_error_teaches(text, message, hint, column):
    error = refused("FROM base\n" + text)
    assert message in error.message
    assert hint in error.hint
    assert (error.file, error.line, error.column, error.shown) == ("Dockerfile", 2, column, text.split("\n")[0])
    shown, caret = str(error).splitlines()[1:3]
    assert shown == "    " + error.shown and caret.index("^") == 3 + column


def test_an_error_points_into_the_line_where_it_is():
    error = refused("FROM base\nCOPY --chown=a \\\n  # why\n\t--form=b x y\n")
    assert (error.line, error.column, error.shown) == (4, 2, "\t--form=b x y")


@pytest.mark.parametrize("text", ["", "\n# c\n", "# escape=`"])
def test_a_file_without_instructions(text):
    assert "no instructions" in refused(text).message


def test_nothing_but_arg_stands_before_the_first_from():
    error = refused("ARG a\nRUN x\nFROM b")
    assert error.line == 2 and "only ARG" in error.hint


@pytest.mark.parametrize("text", ["ARG a", "# syntax=x\nARG a=1\n\nARG b c\n"])
def test_a_file_without_from(text):
    error = refused(text)
    assert "no FROM" in error.message and error.line == text.rstrip().count("\n") + 1


def test_a_wide_line_is_shown_where_the_error_is():
    error = refused(f"FROM a\nENV a={'x' * 1000} bad c=d")
    shown, caret = str(error).splitlines()[1:3]
    assert len(shown) < 200
    assert shown[caret.index("^") :].startswith("bad ")


def test_a_file_that_is_no_text(tmp_path):
    (tmp_path / "Dockerfile").write_bytes(b"FROM a\nRUN \xff\n")
    with pytest.raises(DockerfileError, match="0xff is not UTF-8") as error:
        parser.read(tmp_path / "Dockerfile")
    assert error.value.line == 2


def test_a_file_is_read_with_its_line_ends(tmp_path):
    (tmp_path / "Dockerfile").write_bytes(b"FROM a\r\nCOPY <<E /x\r\ny\r\nE\r\n")
    found = parser.read(tmp_path / "Dockerfile")
    assert found.stages[0].instructions[0].heredocs[0].body == "y\r\n"
    assert found.stages[0].base.place.file == str(tmp_path / "Dockerfile")


# -- a stranger's file -------------------------------------------------------------------------


def test_sizes_have_an_end():
    assert "larger than" in refused("FROM a\n" + "#\n" * syntax.LARGEST).message
    assert "longer than 65535 bytes" in refused("FROM a\nRUN " + "x" * 65535).message
    assert refused("FROM a\nRUN " + "é" * 33000).line == 2


@pytest.mark.parametrize(
    "part",
    [
        "RUN a\n",
        "RUN \\\n",
        "\\\n",
        "#\n",
        "\n",
        "ENV a=b c='d'\n",
        "ENV a=' \\\n",
        "RUN --mount=target=/x a\n",
        "COPY <<A <<B /\nA\nB\n",
        "RUN <<A\n",
        "ONBUILD ",
    ],
)
def test_twice_the_file_takes_twice_the_steps(part):
    few, many = (steps(parse, "FROM a\n" + part * count) for count in (100, 200))
    assert many <= 2.2 * few + 200


@pytest.mark.parametrize(
    "line", ["ENV " + "a=b " * 15000, "RUN " + "<<A " * 15000, "CMD " + "[" * 60000, "RUN " + "--mount=a " * 5000, "ENV " + "'" * 60001]
)
def test_a_long_line_does_not_keep_us_busy(line):
    few, many = (steps(parse, "FROM a\n" + line[: len(line) // part]) for part in (2, 1))
    assert many <= 2.2 * few + 200


@fuzzed
@given(TEXTS | st.text(max_size=200))
def test_any_text_is_a_dockerfile_or_a_dockerfile_error(text):
    try:
        found = parse("FROM a\n" + text)
    except DockerfileError as error:
        assert error.hint and 1 <= error.line <= text.count("\n") + 2
        return
    for stage in found.stages:
        for instruction in stage.instructions:
            with contextlib.suppress(DockerfileError):
                expanded(instruction, {"x": "1"}, found.escape)


def test_a_build_whose_steps_are_cached_does_not_wait_for_imports():
    """Without site packages, and without the standard library's slow ones."""
    root = Path(syntax.__file__).parents[2]
    code = """import sys
sys.path.insert(0, sys.argv[1])
from lib.build import ignore
from lib.dockerfile import parser as dockerfile
from lib.images import references
print(*sys.modules)"""
    loaded = subprocess.run([sys.executable, "-I", "-S", "-c", code, str(root)], capture_output=True, text=True, check=True).stdout.split()
    assert not {"dataclasses", "inspect", "difflib", "pathlib", "asyncio", "lib.linux"} & set(loaded)


# -- the cases that builds are compared by -----------------------------------------------------


@pytest.mark.parametrize("name", CASES)
def test_a_build_case_is_sound(name, tmp_path):
    """Its context can be made twice alike, and its Dockerfile read."""
    case = CASES[name]
    for folder in (tmp_path / "one", tmp_path / "two"):
        folder.mkdir()
        assert parser.read(write(case, folder)).stages
    one, two = ([_seen(path, top) for path in sorted(top.rglob("*"))] for top in tmp_path.iterdir())
    assert one == two and len(one) > len(case.files)


def _seen(path: Path, top: Path) -> tuple:
    status = path.lstat()
    return path.relative_to(top), status.st_mode, status.st_mtime, path.is_symlink() or path.is_dir() or path.read_bytes()


def test_the_build_cases_have_every_instruction():
    seen = {node.keyword for case in CASES.values() for node in syntax.parse(case.dockerfile).nodes}
    assert seen == set(syntax.WAYS)
