"""A template is read: from its text to the pieces that it is made of. What is wrong with it is known before it is laid over anything."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lib.cli.listing.templatenodes import Assign, Call, Field, If, Literal, Pieces, Pipe, Print, Range, Text
from lib.cli.listing.templatewords import FUNCTIONS

ACTION = re.compile(r"(?:\s*\{\{-\s|\{\{)\s*(.*?)\s*(?:(?<=\s)-\}\}\s*|\}\})", re.DOTALL)  # a dash trims the space on its side
WORD = re.compile(
    r'(?P<text>"(?:[^"\\]|\\.)*"|`[^`]*`)|(?P<number>-?\d+)|(?P<variable>\$\w*)(?P<of>(?:\.\w+)*)|(?P<field>\.(?:\w[\w-]*(?:\.\w[\w-]*)*)?)'
    r"|(?P<name>[A-Za-z_]\w*)|(?P<sign>:=|[(),|])|(?P<space>\s+)|(?P<wrong>.)",
    re.DOTALL,
)
SIGNS = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", '"': '"'}
ESCAPE = r'\\(?:(?P<sign>[abfnrtv\\"])|x(?P<hex>[0-9a-fA-F]{2})|u(?P<wide>[0-9a-fA-F]{4})|(?P<octal>[0-3][0-7]{2}))'
CONSTANTS = {"true": True, "false": False, "nil": None}
DEEPEST = 100  # blocks and brackets within each other
BLOCKS = ("if", "range", "with", "else", "end")


class BadTemplate(ValueError):
    """It cannot be read, whatever it is laid over."""

    exit_code = 64  # Docker's, but in lists


def wrong(text: str, why: str) -> BadTemplate:
    return BadTemplate(f"template parsing error: {{{{{text}}}}}: {why}")


def read(template: str) -> Pieces:
    """Raises ``BadTemplate``."""
    pieces = ACTION.split(template)
    if any("{{" in one for one in pieces[::2]):
        raise BadTemplate(f"template parsing error: unclosed action in {template!r}: each {{{{ needs its }}}}")
    found, end = Reader(iter(enumerate(pieces))).block(0)
    if end:
        raise wrong(end, "there is nothing that it could end")
    return found


class Reader:
    """Texts and actions, in turn."""

    def __init__(self, pieces: Iterator[tuple[int, str]]):
        self.pieces, self.variables = pieces, {"$"}

    def block(self, depth: int) -> tuple[Pieces, str]:
        """Up to its end: the pieces, and what ended them: ``end``, ``else``, ``else if …``, or nothing at the end of the template."""
        found: list = []
        if depth > DEEPEST:
            raise BadTemplate(f"template parsing error: more than {DEEPEST} blocks within each other")
        for number, text in self.pieces:
            if number % 2 == 0:
                found += [Text(text)] if text else []
            elif text.startswith("/*") and text.endswith("*/"):
                continue
            elif (word := text.split(None, 1)[:1]) and word[0] in ("else", "end"):
                return found, text
            else:
                found.append(self.piece(text, depth))
        return found, ""

    def piece(self, text: str, depth: int):
        keyword, _, rest = text.partition(" ")
        if keyword in ("if", "with", "range"):
            return self.branches(keyword, rest, depth)
        line = Line(text, self.variables)
        if names := line.assigned():
            self.variables |= {names[0]}
            return Assign(names[0], line.whole())
        return Print(line.whole())

    def branches(self, keyword: str, condition: str, depth: int):
        """``if``, ``with`` or ``range``, up to its ``end``."""
        line = Line(condition, self.variables)
        names = line.assigned()
        self.variables |= set(names)
        pipe = line.whole()
        then, end = self.block(depth + 1)
        otherwise: Pieces = ()
        if end.startswith("else "):
            again, _, rest = end.removeprefix("else").strip().partition(" ")
            if again not in ("if", "with"):
                raise wrong(end, "else stands alone, or before if")
            otherwise = [self.branches(again, rest, depth + 1)]
            end = "end"
        elif end == "else":
            otherwise, end = self.block(depth + 1)
        if end != "end":
            raise wrong(f"{keyword} {condition}", "it needs its {{end}}")
        if keyword == "range":
            return Range(pipe, then, otherwise, names)
        return If(pipe, then, otherwise, keyword == "with", names)


class Line:
    """One action, word by word."""

    def __init__(self, text: str, variables: set[str]):
        self.text, self.variables = text, variables
        self.words = [found for found in WORD.finditer(text) if found.lastgroup != "space"]
        if bad := next((found for found in self.words if found.lastgroup == "wrong"), None):
            raise wrong(text, f"{bad[0]!r} has no place here")

    def assigned(self) -> tuple[str, ...]:
        """The variables that get what follows: ``$one :=``, ``$key, $value :=``."""
        signs = [found[0] for found in self.words[:4]]
        count = 1 if signs[1:2] == [":="] else 2 if signs[1:4:2] == [",", ":="] else 0
        names = tuple(signs[: 2 * count : 2])
        if any(not name.startswith("$") for name in names):
            raise wrong(self.text, "only what begins with $ can be given a value")
        self.words = self.words[2 * count :]
        return names

    def whole(self) -> Pipe:
        found = self.pipe(0)
        if self.words:
            raise wrong(self.text, f"{self.words[0][0]!r} has no place here")
        return found

    def pipe(self, depth: int) -> Pipe:
        if depth > DEEPEST:
            raise wrong(self.text[:40], "too many brackets")
        calls = [self.call(depth, 0)]
        while self.next_is("|"):
            self.words.pop(0)
            calls.append(self.call(depth, 1))
        return Pipe(tuple(calls))

    def call(self, depth: int, piped: int) -> Call:
        """A function or a field, and what it is given; ``piped`` more come through a pipe."""
        if not self.words:
            raise wrong(self.text, "a field as .Name is missing, or a function")
        first, operands = self.words[0], []
        named = first["name"] and first["name"] not in CONSTANTS
        if named:
            self.words.pop(0)
            if first[0] not in FUNCTIONS:
                known = f"what can stand between braces here are fields as .Name, and {', '.join(FUNCTIONS)}"
                raise wrong(self.text, f'function "{first[0]}" not defined: {known}')
        while self.words and not self.next_is("|", ")"):
            operands.append(self.operand(depth))
        if not named:
            return Call(operands[0], tuple(operands[1:]), self.text)
        self.check_number(first[0], len(operands) + piped)
        return Call(first[0], tuple(operands), self.text)

    def check_number(self, name: str, count: int) -> None:
        least, most = FUNCTIONS[name].least, FUNCTIONS[name].most
        if count < least or (most is not None and count > most):
            want = str(least) if least == most else f"at least {least}"
            raise wrong(self.text, f"wrong number of args for {name}: want {want} got {count}")

    def next_is(self, *signs: str) -> bool:
        return bool(self.words) and self.words[0][0] in signs and self.words[0].lastgroup == "sign"

    def operand(self, depth: int):
        word = self.words.pop(0)
        match word.lastgroup:
            case "text":
                return Literal(self.unquoted(word[0]))
            case "number":
                return Literal(int(word[0]))
            case "field":
                return Field(names(word[0]), self.text)
            case "variable" | "of":
                if word["variable"] not in self.variables:
                    raise wrong(self.text, f"undefined variable {word['variable']!r}")
                return Field(names(word["of"]), self.text, word["variable"])
            case "name" if word[0] in CONSTANTS:
                return Literal(CONSTANTS[word[0]])
            case "sign" if word[0] == "(":
                return self.bracket(depth)
        raise wrong(self.text, f"{word[0]!r} has no place here")

    def unquoted(self, word: str) -> str:
        """What a text says; between quotes ``\\n`` and its like are what they are in Go."""
        inner = word[1:-1]
        if word.startswith("`"):
            return inner
        if "\\" in re.sub(ESCAPE, "", inner):
            raise wrong(self.text, f"{word} has a backslash that means nothing there: one that is meant is written as two")
        return re.sub(ESCAPE, unescaped, inner)

    def bracket(self, depth: int):
        found = self.pipe(depth + 1)
        if not self.next_is(")"):
            raise wrong(self.text, "each ( needs its )")
        self.words.pop(0)
        if self.words and self.words[0].lastgroup == "field" and len(self.words[0][0]) > 1:
            before = self.words[0].start()
            if self.text[before - 1] == ")":
                return Field(names(self.words.pop(0)[0]), self.text, found)
        return found


def names(text: str) -> tuple[str, ...]:
    return tuple(name for name in text.split(".") if name)


def unescaped(found: re.Match) -> str:
    if found["sign"]:
        return SIGNS[found["sign"]]
    return chr(int(found["octal"] or found["hex"] or found["wide"], 8 if found["octal"] else 16))
