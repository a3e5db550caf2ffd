"""The document as a text. A ``$`` is written ``$$``, so that what reads it again finds no variable in it."""

from __future__ import annotations

import io
import json
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import DoubleQuotedScalarString, LiteralScalarString, SingleQuotedScalarString

from lib.compose.model import Project
from lib.compose.reading.canonical.document import document
from lib.compose.reading.loading import Request, load
from lib.compose.reading.nodes import plain
from lib.compose.reading.yaml.scalars import meaning

OLD_WORDS = {"y", "n", "yes", "no", "on", "off"}  # that YAML 1.1 takes for true and false


def as_json(project: Project) -> str:
    """The project as ``config --format json`` prints it."""
    return json_text(document(project)).replace("$", "$$")


def json_text(data: Any) -> str:
    text = json.dumps(data, indent=2, ensure_ascii=False)
    for char in "<>&\u2028\u2029":  # as Go writes them
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text


def as_yaml(project: Project) -> str:
    """The project as ``config`` prints it."""
    return yaml_text(document(project, yaml=True)).replace("$", "$$")


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
        return data
    if data.lower() in OLD_WORDS:
        return SingleQuotedScalarString(data)
    if "\n" in data and data.isprintable() is False and all(char.isprintable() or char == "\n" for char in data) and not data[0].isspace():
        return LiteralScalarString(data)
    return DoubleQuotedScalarString(data) if not isinstance(meaning(data), str) or meaning(data) != data or data == "" else data


def uninterpolated(request: Request) -> dict[str, Any]:
    """The project with its variables as they are written: ``config --no-interpolate``. Raises: ComposeError."""
    return plain(load(request).tree)
