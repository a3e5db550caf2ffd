"""A Dockerfile, read: its stages, and the variables that are set before the first.

    text → nodes (``syntax``) → instructions (``keywords``) → stages (here) → expanded, one at a time, as the build goes

``EXPANDS`` says which parts of which instruction have their variables replaced; all others stand as they are written, and a
``$`` in a RUN is the shell's affair.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import BinaryIO, NamedTuple

from lib.dockerfile import mounts, syntax
from lib.dockerfile.expansion import LARGEST, Expansion, ExpansionError, expand_body, expansion
from lib.dockerfile.instructions import (
    Add,
    Arg,
    Copy,
    Env,
    Expose,
    From,
    Instruction,
    Label,
    Run,
    StopSignal,
    User,
    Volume,
    Workdir,
)
from lib.dockerfile.keywords import instruction_of
from lib.dockerfile.positions import DockerfileError, Place
from lib.dockerfile.syntax import Warned
from lib.regularfile import open_regular

__all__ = ["Dockerfile", "DockerfileError", "Stage", "declared", "expanded", "instructions", "parse", "read", "stages"]


class Stage(NamedTuple):
    """From one FROM to the next. ``name`` is in lower case, or None; ``index`` counts from 0."""

    name: str | None
    index: int
    base: From
    instructions: tuple[Instruction, ...]


class Dockerfile(NamedTuple):
    """``arguments``: the ARGs before the first FROM, which only FROMs see. ``escape``: the escape character, for ``expanded``."""

    arguments: tuple[Arg, ...]
    stages: tuple[Stage, ...]
    escape: str
    directives: dict[str, str]
    warnings: tuple[Warned, ...]


def read(path: str | os.PathLike) -> Dockerfile:
    """The Dockerfile at ``path``. Raises: DockerfileError, OSError."""
    with open_regular(path) as file:
        return read_from(file, str(path))


def read_from(file: BinaryIO, name: str) -> Dockerfile:
    """The Dockerfile in an open file; ``name`` is for errors. Raises: DockerfileError, OSError."""
    data = file.read(4 * syntax.LARGEST + 1)  # a character is four bytes at most: what is cut off here is refused anyway
    try:
        return parse(data.decode(), name)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        message = f"the byte 0x{data[error.start]:02x} is not UTF-8"
        raise DockerfileError(message, "save the file as UTF-8", name, line, 1, "") from None


def parse(text: str, file: str = "Dockerfile") -> Dockerfile:
    """The same from a text; ``file`` is its name for messages. Raises: DockerfileError."""
    found = syntax.parse(text, file)
    arguments, parts = stages(instruction_of(node) for node in found.nodes)
    return Dockerfile(arguments, tuple(parts), found.escape, found.directives, found.warnings)


def instructions(text: str, file: str) -> list[Instruction]:
    """A text without FROM: the triggers that an image brings along (ONBUILD), or changes to an image. Raises: DockerfileError."""
    return [instruction_of(node) for node in syntax.parse(text, file).nodes]


def stages(instructions: Iterable[Instruction]) -> tuple[tuple[Arg, ...], list[Stage]]:
    """The ARGs before the first FROM, and the stages. Raises: DockerfileError for another instruction before it, or where none follows."""
    arguments: list[Arg] = []
    found: list[tuple[From, list[Instruction]]] = []
    for instruction in instructions:
        if isinstance(instruction, From):
            found.append((instruction, []))
        elif found:
            found[-1][1].append(instruction)
        elif isinstance(instruction, Arg):
            arguments.append(instruction)
        else:
            hint = "begin with FROM and an image, for example FROM alpine:3.20; only ARG may stand before it"
            raise instruction.place.error("this stands before the first FROM, so there is nothing to build on", hint)
    if not found:
        raise arguments[-1].place.error("the Dockerfile has no FROM, so there is no stage to build", "go on with FROM and an image")
    return tuple(arguments), [Stage(base.stage_name, index, base, tuple(rest)) for index, (base, rest) in enumerate(found)]


# -- variables ---------------------------------------------------------------------------------


class _Expander:
    """Replaces variables, remembers which were asked for, and turns an error into one with a place."""

    def __init__(self, place: Place, env: Mapping[str, str], escape: str):
        self.place, self.env, self.escape = place, env, escape
        self.used: set[str] = set()
        self.size = 0

    def word(self, text: str | None) -> str | None:
        return text if text is None else self._checked(text, lambda: expansion(text, self.env, self.escape)).word

    def words(self, texts: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(self.word(text) for text in texts)

    def split(self, texts: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(word for text in texts for word in self._checked(text, lambda text=text: expansion(text, self.env, self.escape)).words)

    def pairs(self, pairs):
        return tuple((self.word(name), self.word(value)) for name, value in pairs)

    def bodies(self, heredocs):
        return tuple(
            heredoc._replace(body=self._checked(heredoc.body, lambda body=heredoc.content: expand_body(body, self.env)).word, strips=False)
            if heredoc.expands
            else heredoc
            for heredoc in heredocs
        )

    def mounts(self, found):
        return tuple(mounts.parse(mount.text, self.place, self.word) for mount in found)

    def _checked(self, text: str, work: Callable[[], Expansion]) -> Expansion:
        try:
            result = work()
        except ExpansionError as error:
            hint = (
                "the forms are in the Dockerfile reference under 'Environment replacement'; write \\$ for a dollar that is only a character"
            )
            raise self.place.error(str(error), hint, text.split("\n", 1)[0]) from None
        self.used |= result.used
        self.size += result.size
        if self.size > LARGEST:
            words = f"the variables of this instruction come to more than {LARGEST} characters"
            raise self.place.error(
                words, "does one of them hold itself, many times? What is large is a file: COPY it", text.split("\n", 1)[0]
            )
        return result


# Which fields of which instruction are expanded, and how: one word each, or split at spaces afterwards, …
EXPANDS: dict[type, dict[str, Callable]] = {
    Add: {
        "sources": _Expander.words,
        "dest": _Expander.word,
        "chown": _Expander.word,
        "chmod": _Expander.word,
        "checksum": _Expander.word,
        "heredocs": _Expander.bodies,
    },
    Arg: {"pairs": _Expander.pairs},
    Copy: {
        "sources": _Expander.words,
        "dest": _Expander.word,
        "chown": _Expander.word,
        "chmod": _Expander.word,
        "heredocs": _Expander.bodies,
    },
    Env: {"pairs": _Expander.pairs},
    Expose: {"ports": _Expander.split},
    From: {"image": _Expander.word, "platform": _Expander.word},
    Label: {"pairs": _Expander.pairs},
    Run: {"mounts": _Expander.mounts},
    StopSignal: {"signal": _Expander.word},
    User: {"user": _Expander.word},
    Volume: {"paths": _Expander.words},
    Workdir: {"path": _Expander.word},
}


def declared(one: Arg, given: Mapping[str, str], args: Mapping[str, str], env: Mapping[str, str], escape: str) -> dict[str, str | None]:
    """What an ARG declares: names and their values, None for none. Each sees those before it (``args``, and over them ``env``).

    ``given`` is the command line's and goes first: a default that is not used is not worked out, and may be ``${x:?say it}``.
    Raises: DockerfileError.
    """
    found: dict[str, str | None] = {}
    for name, default in one.pairs:
        known = {**args, **{name: value for name, value in found.items() if value is not None}, **env}
        alone = one._replace(pairs=((name, None if name in given else default),))
        ((name, value),) = expanded(alone, known, escape)[0].pairs
        found[name] = given.get(name, value)
    return found


def expanded(instruction: Instruction, env: Mapping[str, str], escape: str = "\\") -> tuple[Instruction, frozenset[str]]:
    """The instruction with its variables replaced from ``env``, and the names that it asked for, set or not.

    All of an instruction sees ``env`` as it was before it: ``ENV a=1 b=$a`` gives b the old a. Raises: DockerfileError.
    """
    expander = _Expander(instruction.place, env, escape)
    fields = EXPANDS.get(type(instruction), {})
    changed = {name: expand(expander, getattr(instruction, name)) for name, expand in fields.items()}
    return instruction._replace(**changed), frozenset(expander.used)
