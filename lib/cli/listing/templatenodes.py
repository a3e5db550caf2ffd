"""What a template is made of, once it is read: pieces that write a text for a document, and expressions that have a value in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from lib.cli.listing.templatewords import FUNCTIONS, plain, true


class Scope(NamedTuple):
    """Where an expression stands: what the dot is, which variables there are, and how ``json`` writes here."""

    dot: object
    in_json: Callable[[object], str]
    variables: dict[str, object]

    def within(self, dot: object, **variables: object) -> Scope:
        return Scope(dot, self.in_json, {**self.variables, **variables})


def inside(value: object, names: Sequence[str], text: str) -> object:
    """A field of a field. Raises ``ValueError`` with those that there are."""
    for name in names:
        if not isinstance(value, Mapping) or name not in value:
            there = ", ".join(value) if isinstance(value, Mapping) else type(value).__name__
            raise ValueError(f"template parsing error: no field {name!r} in {{{{{text}}}}}; there is {there}")
        value = value[name]
    return value


# -- expressions ------------------------------------------------------------------------------------------------------


class Literal(NamedTuple):
    found: object

    def value(self, scope: Scope) -> object:
        return self.found


class Field(NamedTuple):
    """``.State.Pid``, or ``$one.Pid`` of a variable, or a field of what stands in brackets."""

    names: tuple[str, ...]
    text: str
    of: object = None  # a variable's name, or an expression in brackets

    def value(self, scope: Scope) -> object:
        start = scope.dot
        if isinstance(self.of, str):
            start = scope.variables[self.of]
        elif self.of is not None:
            start = self.of.value(scope)
        return inside(start, self.names, self.text)


class Call(NamedTuple):
    """A function, or a field that takes a word (``.Label "shop"``), with its arguments; what comes through a pipe is the last of them."""

    what: object
    arguments: tuple
    text: str

    def value(self, scope: Scope, *piped: object) -> object:
        values = [*(one.value(scope) for one in self.arguments), *piped]
        if isinstance(self.what, str):
            return scope.in_json(*values) if self.what == "json" else self.called(FUNCTIONS[self.what].call, values)
        found = self.what.value(scope)
        if callable(found) != (len(values) == 1):
            why = "of the fields only .Label takes a word, and it needs one, in quotes"
            raise ValueError(f"template parsing error: {{{{{self.text}}}}}: {why}")
        return found(*values) if values else found

    def called(self, call: Callable, values: Sequence) -> object:
        try:
            return call(*values)
        except (TypeError, AttributeError):
            given = ", ".join(plain(one) for one in values)
            raise ValueError(f"template parsing error: {{{{{self.text}}}}}: {self.what} cannot be made of {given}") from None
        except ValueError as error:
            raise ValueError(f"template parsing error: {{{{{self.text}}}}}: {error}") from None


class Pipe(NamedTuple):
    """``.Names | upper | json``."""

    calls: tuple[Call, ...]

    def value(self, scope: Scope) -> object:
        found = self.calls[0].value(scope)
        for one in self.calls[1:]:
            found = one.value(scope, found)
        return found


# -- pieces -----------------------------------------------------------------------------------------------------------


class Text(NamedTuple):
    words: str

    def write(self, scope: Scope) -> str:
        return self.words


class Print(NamedTuple):
    pipe: Pipe

    def write(self, scope: Scope) -> str:
        return plain(self.pipe.value(scope))


class Assign(NamedTuple):
    """``{{$one := .State}}``: known from here to the end of the block."""

    name: str
    pipe: Pipe

    def write(self, scope: Scope) -> str:
        scope.variables[self.name] = self.pipe.value(scope)
        return ""


Pieces = Sequence[Text | Print | Assign]


def written(pieces: Pieces, scope: Scope) -> str:
    return "".join(one.write(scope) for one in pieces)


class If(NamedTuple):
    """With ``moves`` it is ``with``: the dot is what was found. ``names`` is the variable that it is put into, if there is one."""

    pipe: Pipe
    then: Pieces
    otherwise: Pieces
    moves: bool = False
    names: tuple[str, ...] = ()

    def write(self, scope: Scope) -> str:
        found = self.pipe.value(scope)
        known = dict.fromkeys(self.names, found)
        if not true(found):
            return written(self.otherwise, scope.within(scope.dot, **known))
        return written(self.then, scope.within(found if self.moves else scope.dot, **known))


class Range(NamedTuple):
    """Each of a list, or of an object by its keys in their order; ``names`` are variables for key and value, or for the value alone."""

    pipe: Pipe
    then: Pieces
    otherwise: Pieces
    names: tuple[str, ...] = ()

    def write(self, scope: Scope) -> str:
        found = self.pipe.value(scope)
        pairs = sorted(found.items()) if isinstance(found, Mapping) else list(enumerate(self.checked(found)))
        if not pairs:
            return written(self.otherwise, scope.within(scope.dot))
        return "".join(written(self.then, scope.within(value, **self.named(key, value))) for key, value in pairs)

    def checked(self, found: object) -> Sequence:
        if found is not None and not isinstance(found, list | tuple):
            raise ValueError(f"template parsing error: range can't iterate over {plain(found)}")
        return found or ()

    def named(self, key: object, value: object) -> dict[str, object]:
        return dict(zip(self.names, (key, value) if len(self.names) == 2 else (value,), strict=False))
