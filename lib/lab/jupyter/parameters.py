"""A chapter's parameters: what its own cell says they are, and what ``PARAMS`` asks for, of the same kind. (As papermill takes them.)"""

from __future__ import annotations

import ast
import json
import re
import shlex
from pathlib import Path

from lib.lab.jupyter.chapterlist import Chapter


class WrongUse(ValueError):
    """The command cannot be meant as it was written; nothing was run."""


def parameters_of(path: Path) -> dict[str, object]:
    """Names and default values of a chapter's ``parameters`` cell; a default that is no literal is ``...``."""
    for cell in json.loads(path.read_text())["cells"]:
        if "parameters" in cell["metadata"].get("tags", []):
            return dict(assignments("".join(cell["source"])))
    return {}


def assignments(source: str):
    """(name, value) of each plain assignment in ``source``."""
    for node in ast.parse(source).body:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) and node.value else []
        for target in targets:
            if isinstance(target, ast.Name):
                try:
                    yield target.id, ast.literal_eval(node.value)
                except ValueError:
                    yield target.id, ...


def split_parameters(text: str) -> list[tuple[str, str, str]]:
    """``02.memory=64m 02.repeats=3`` as (chapter, name, value); values with spaces stand in quotes. Raises ``WrongUse``."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise WrongUse(f"PARAMS: {error} in {text!r}") from None
    rows = []
    for word in words:
        found = re.fullmatch(r"(\d{1,2})\.([A-Za-z_]\w*)=(.*)", word, re.DOTALL)
        if not found:
            raise WrongUse(f"PARAMS: {word!r} is not of the form CHAPTER.NAME=VALUE, e.g. 02.memory=64m")
        rows.append((found[1].zfill(2), found[2], found[3]))
    return rows


def value_for(default: object, text: str) -> object:
    """The value that ``text`` (YAML) stands for, of the same kind as the default. Raises ``WrongUse``."""
    import yaml

    if isinstance(default, str):
        return text
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise WrongUse(f"{text!r} is neither a literal nor YAML") from None
    if default in (..., None) or kind(value) is kind(default):
        return value
    if isinstance(default, tuple) and isinstance(value, list):
        return tuple(value)
    raise WrongUse(f"{text!r} is {type(value).__name__}, the default {default!r} is {type(default).__name__}")


def kind(value: object) -> type:
    """The type, with all numbers as one kind (and True is no number)."""
    return float if type(value) is int else type(value)


def check_parameters(text: str, chapters: list[Chapter], folder: Path) -> dict[str, dict[str, object]]:
    """The values by chapter and name, compared with each chapter's own cell. Raises ``WrongUse`` with what is known."""
    values: dict[str, dict[str, object]] = {}
    known = {one.number: parameters_of(one.path(folder)) for one in chapters}
    for number, name, word in split_parameters(text):
        if number not in known:
            raise WrongUse(f"PARAMS: chapter {number} is not among those that run ({', '.join(known) or 'none'})")
        if name not in known[number]:
            raise WrongUse(f"PARAMS: chapter {number} has no parameter {name!r}: there are {', '.join(sorted(known[number])) or 'none'}")
        try:
            values.setdefault(number, {})[name] = value_for(known[number][name], word)
        except WrongUse as error:
            raise WrongUse(f"PARAMS: {number}.{name}: {error}") from None
    return values
