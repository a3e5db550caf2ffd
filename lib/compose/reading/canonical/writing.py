"""The document as a text. A ``$`` is written ``$$``, so that what reads it again finds no variable in it."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import DoubleQuotedScalarString, LiteralScalarString, SingleQuotedScalarString

from lib.compose.model import Project
from lib.compose.reading.canonical.shape import document, in_order
from lib.compose.reading.loading import Request, load
from lib.compose.reading.nodes import plain
from lib.compose.reading.yaml.scalars import meaning

OLD_WORDS = {"y", "n", "yes", "no", "on", "off"}  # that YAML 1.1 takes for true and false
OLD_NUMBER = re.compile(r"[-+]?[1-9][0-9]*(:[0-5]?[0-9])+(\.[0-9]*)?")  # that it takes for a number to the base of 60


def as_json(project: Project, env_files: bool = False, everything: bool = False) -> str:
    """The project as ``config --format json`` prints it."""
    return json_text(document(project, env_files=env_files, everything=everything)).replace("$", "$$")


def json_text(data: Any, indent: int | None = 2) -> str:
    """JSON as Go writes it; without an indent, without a space."""
    text = json.dumps(data, indent=indent, ensure_ascii=False, separators=None if indent else (",", ":"))
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text


def as_yaml(project: Project, env_files: bool = False, everything: bool = False) -> str:
    """The project as ``config`` prints it."""
    return yaml_text(document(project, yaml=True, env_files=env_files, everything=everything)).replace("$", "$$")


def yaml_text(data: Any) -> str:
    yaml = YAML()
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.width = 1 << 20
    yaml.representer.add_representer(type(None), lambda representer, value: representer.represent_scalar("tag:yaml.org,2002:null", "null"))
    out = io.StringIO()
    yaml.dump(_quoted(data), out)
    return out.getvalue()


def _quoted(data: Any) -> Any:
    if isinstance(data, dict):
        return {_quoted(key): _quoted(value) for key, value in data.items()}
    if isinstance(data, list):
        return [_quoted(item) for item in data]
    if not isinstance(data, str):
        return int(data) if isinstance(data, float) and data == int(data) else data
    if data.lower() in OLD_WORDS or OLD_NUMBER.fullmatch(data):
        return SingleQuotedScalarString(data)
    if "\n" in data:
        return LiteralScalarString(data) if _lines(data) else DoubleQuotedScalarString(data)
    return DoubleQuotedScalarString(data) if not isinstance(meaning(data), str) or meaning(data) != data or data == "" else data


def _lines(text: str) -> bool:
    """Can it be written as a block of lines?"""
    printable = all(char.isprintable() or char == "\n" for char in text)
    return printable and not text[0].isspace() and " \n" not in text and not text.endswith(" ")


def uninterpolated(request: Request) -> dict[str, Any]:
    """The project with its variables as they are written: ``config --no-interpolate``. Raises: ComposeError."""
    loaded = load(replace(request, interpolate=False))
    return in_order(plain(loaded.tree) | {"name": loaded.outline.name})
