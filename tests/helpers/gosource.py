"""Tables of tests in Go sources that Debian packages: read at test time, so that nothing of them is copied here."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

GOCODE = Path("/usr/share/gocode/src/github.com")
STRING = r'"(?:[^"\\]|\\.)*"|`[^`]*`'


def source(path: str, package: str) -> str:
    """A Go source's text; skips the test where the package is not installed."""
    if not (file := GOCODE / path).exists():
        pytest.skip(f"no {file}: apt install {package}")
    return file.read_text()


def block(text: str, begin: str) -> str:
    """From the line that holds ``begin`` to the closing brace at the same depth."""
    lines = text[text.index(begin) :].splitlines()
    indent = re.match(r"\s*", text[text.rindex("\n", 0, text.index(begin)) + 1 :])[0]
    end = next(number for number, line in enumerate(lines) if number and line.startswith(indent + "}"))
    return "\n".join(lines[1:end])


def strings(text: str) -> list[str]:
    """All string literals, with constants of the test file left out."""
    code = re.sub(rf"({STRING})|//[^\n]*", lambda found: found[1] or "", text)
    return [literal(found) for found in re.findall(STRING, code)]


def literal(text: str) -> str:
    return text[1:-1] if text[0] == "`" else ast.literal_eval(text)
