"""From a node to an instruction: does the keyword exist, do its flags and words make sense?"""

from __future__ import annotations

import re
from collections.abc import Callable

from lib.dockerfile import flags, heredocs, mounts
from lib.dockerfile.expansion import SPACE, ExpansionError
from lib.dockerfile.flags import Flags
from lib.dockerfile.heredocs import Heredoc
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
    Instruction,
    Label,
    Maintainer,
    OnBuild,
    Pairs,
    Run,
    Shell,
    StopSignal,
    User,
    Volume,
    Workdir,
)
from lib.dockerfile.positions import suggestion
from lib.dockerfile.syntax import Node
from lib.durations import BadDuration, nanoseconds

NETWORKS = ("default", "none", "host")
SECURITIES = ("sandbox", "insecure")
_STAGE_NAME = r"[a-z][a-z0-9-_.]*"


def instruction_of(node: Node) -> Instruction:
    """What a node means. Raises: DockerfileError."""
    make = _MAKERS.get(node.keyword)
    if make is None:
        near = suggestion(node.keyword, _MAKERS)
        written = node.place.text.split()[:1]
        what = f"unknown instruction {node.keyword[:60]}{near}" if node.keyword else "an instruction is missing"
        hint = f"a line begins with one of {' '.join(_MAKERS)}; to go on with the line before, end that one with a backslash"
        raise node.place.error(what, hint, written[0] if written else 0)
    return make(node, flags.read(node))


# -- one maker for each keyword ----------------------------------------------------------------


def _wrong(node: Node, message: str, hint: str, at: str = ""):
    return node.place.error(f"{node.keyword} {message}", hint, at)


def _one(node: Node, example: str) -> str:
    if len(node.words) != 1:
        raise _wrong(node, "takes exactly one argument", f"write {node.keyword} {example}")
    return node.words[0]


def _some(node: Node, example: str) -> tuple[str, ...]:
    if not node.words:
        raise _wrong(node, "takes at least one argument", f"write {node.keyword} {example}")
    return node.words


def _from(node: Node, given: Flags) -> From:
    words = node.words
    name = None
    if len(words) == 3 and words[1].lower() == "as":
        name = words[2].lower()
        if not re.fullmatch(_STAGE_NAME, name):
            hint = "a name begins with a letter, and goes on with letters, digits, '-', '_' or '.'"
            raise _wrong(node, f"cannot name a stage '{words[2][:60]}'", hint, words[2])
    elif len(words) != 1:
        raise _wrong(node, "takes one argument or three", "write FROM image, or FROM image AS name", words[1] if len(words) > 1 else "")
    return From(words[0], name, given.text("platform"), node.place)


def _arg(node: Node, given: Flags) -> Arg:
    pairs = []
    for word in _some(node, "name=default"):
        name, equals, value = word.partition("=")
        if not name:
            raise _wrong(node, "has a value without a name", "write ARG name=value", word)
        pairs.append((name, value if equals else None))
    return Arg(tuple(pairs), node.place)


def _pairs(node: Node) -> Pairs:
    words = _some(node, "name=value")
    if "" in words[::2]:
        raise _wrong(node, "has a value without a name", f"write {node.keyword} name=value", "=")
    return tuple(zip(words[::2], words[1::2], strict=True))


def _run(node: Node, given: Flags) -> Run:
    network, security = given.text("network") or "default", given.text("security") or "sandbox"
    for name, value, known in (("network", network, NETWORKS), ("security", security, SECURITIES)):
        if value not in known:
            near = suggestion(value, known)
            raise _wrong(node, f"--{name}={value[:60]} is unknown{near}", f"--{name} is one of {' '.join(known)}", f"--{name}")
    found = tuple(mounts.parse(text, node.place) for text in given.many("mount"))
    return Run(node.words, not node.is_list, found, network, security, node.heredocs, node.place)


def _files(node: Node) -> tuple[tuple[str, ...], str]:
    """The sources that are no heredocs, and the destination."""
    if len(node.words) < 2:
        raise _wrong(node, "takes a source and a destination, and one of them is missing", f"write {node.keyword} source /destination")
    *sources, dest = node.words
    if _heredoc(dest):
        raise _wrong(node, "cannot write into a heredoc", f"put the path last: {node.keyword} {dest} /destination", dest)
    return tuple(source for source in sources if not _heredoc(source)), dest


def _heredoc(word: str) -> Heredoc | None:
    try:
        return heredocs.one(word)
    except ExpansionError:
        return None


def _copy(node: Node, given: Flags) -> Copy:
    sources, dest = _files(node)
    return Copy(
        sources,
        dest,
        given.text("from"),
        given.text("chown"),
        given.text("chmod"),
        bool(given.switch("link")),
        bool(given.switch("parents")),
        given.many("exclude"),
        node.heredocs,
        node.place,
    )


def _add(node: Node, given: Flags) -> Add:
    sources, dest = _files(node)
    return Add(
        sources,
        dest,
        given.text("chown"),
        given.text("chmod"),
        bool(given.switch("link")),
        given.many("exclude"),
        given.text("checksum"),
        given.switch("keep-git-dir"),
        given.switch("unpack"),
        node.heredocs,
        node.place,
    )


def _shell(node: Node, given: Flags) -> Shell:
    words = _some(node, '["/bin/sh", "-c"]')
    if not node.is_list:
        raise _wrong(node, "takes a JSON list", 'write SHELL ["/bin/bash", "-c"], with double quotes', words[0])
    return Shell(words, node.place)


def _healthcheck(node: Node, given: Flags) -> Healthcheck:
    kind, *command = _some(node, "CMD curl -f http://localhost/")
    times = [_time(node, given, name) for name in ("interval", "timeout", "start-period", "start-interval")]
    if kind.upper() == "NONE":
        if command or node.flags:
            raise _wrong(node, "NONE takes nothing else", "write HEALTHCHECK NONE: it switches the base image's check off", kind)
        test = ("NONE",)
    elif kind.upper() != "CMD":
        raise _wrong(node, f"begins with CMD or NONE, not with {kind[:60]}", f"write HEALTHCHECK CMD {' '.join(node.words)[:60]}", kind)
    elif not command:
        raise _wrong(node, "CMD has no command", "write HEALTHCHECK CMD and a command", kind)
    else:
        test = ("CMD" if node.is_list else "CMD-SHELL", *command)
    return Healthcheck(test, *times, _retries(node, given), node.place)


def _time(node: Node, given: Flags, name: str) -> int:
    try:
        time = nanoseconds(given.text(name) or "0")
    except BadDuration as error:
        raise _wrong(node, f"--{name}: {error}", f"write a number and a unit, --{name}=30s", f"--{name}") from None
    if time and time < 1_000_000:
        raise _wrong(node, f"--{name} is shorter than a millisecond", f"write 1ms or more, or --{name}=0 for the default", f"--{name}")
    return time


def _retries(node: Node, given: Flags) -> int:
    text = given.text("retries") or "0"
    if not re.fullmatch(r"[+]?[0-9]{1,10}", text) or int(text) >= 1 << 31:
        raise _wrong(node, f"--retries={text[:40]} is not a number of tries", "write --retries=3", "--retries")
    return int(text)


def _onbuild(node: Node, given: Flags) -> OnBuild:
    _some(node, "RUN make")
    nested = node.nested
    if nested.keyword in ("ONBUILD", "FROM", "MAINTAINER"):
        hint = "a trigger is one instruction of the build to come, and cannot begin a stage or hold a trigger"
        raise _wrong(node, f"cannot hold {nested.keyword}", hint, node.words[0])
    trigger = re.sub(rf"^[{SPACE}]*ONBUILD[{SPACE}]*", "", node.place.text, flags=re.IGNORECASE)
    trigger += "".join(f"\n{heredoc.body}{heredoc.name}" for heredoc in node.heredocs)
    return OnBuild(trigger, instruction_of(nested), node.place)


def _volume(node: Node, given: Flags) -> Volume:
    paths = tuple(path.strip(SPACE) for path in _some(node, "/data"))
    if "" in paths:
        raise _wrong(node, "has an empty path", 'write VOLUME ["/data"]')
    return Volume(paths, node.place)


_MAKERS: dict[str, Callable[[Node, Flags], Instruction]] = {
    "ADD": _add,
    "ARG": _arg,
    "CMD": lambda node, given: Cmd(node.words, not node.is_list, node.place),
    "COPY": _copy,
    "ENTRYPOINT": lambda node, given: Entrypoint(node.words, not node.is_list, node.place),
    "ENV": lambda node, given: Env(_pairs(node), node.place),
    "EXPOSE": lambda node, given: Expose(_some(node, "8080"), node.place),
    "FROM": _from,
    "HEALTHCHECK": _healthcheck,
    "LABEL": lambda node, given: Label(_pairs(node), node.place),
    "MAINTAINER": lambda node, given: Maintainer(_one(node, "name"), node.place),
    "ONBUILD": _onbuild,
    "RUN": _run,
    "SHELL": _shell,
    "STOPSIGNAL": lambda node, given: StopSignal(_one(node, "SIGTERM"), node.place),
    "USER": lambda node, given: User(_one(node, "name"), node.place),
    "VOLUME": _volume,
    "WORKDIR": lambda node, given: Workdir(_one(node, "/folder"), node.place),
}
