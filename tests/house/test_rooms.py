"""The sizes of the house: short functions, modules of one idea, wings that can be overlooked (ARCHITECTURE.md)."""

from __future__ import annotations

import ast
import statistics
from pathlib import Path

import pytest

import lib

LIB = Path(lib.__file__).parent
MODULES = sorted(str(path.relative_to(LIB)) for path in LIB.rglob("*.py"))
LONGEST_FUNCTION, LONGEST_MODULE, LARGEST_WING = 36, 300, 17  # lines, lines, modules


def functions(name: str) -> dict[str, int]:
    """Each function of a module with its lines."""
    tree = ast.parse((LIB / name).read_text())
    found = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return {f"{name}:{node.lineno} {node.name}": node.end_lineno - node.lineno + 1 for node in found}


def test_functions_are_short():
    sizes = {place: size for name in MODULES for place, size in functions(name).items()}
    assert statistics.median(sizes.values()) <= 7
    assert {place: size for place, size in sizes.items() if size > LONGEST_FUNCTION} == {}


@pytest.mark.parametrize("name", MODULES)
def test_a_module_is_one_idea(name):
    """A longer one says in its docstring why it is one idea all the same."""
    text = (LIB / name).read_text()
    assert text.count("\n") <= LONGEST_MODULE or "One module, though long:" in (ast.get_docstring(ast.parse(text)) or "")


def test_a_wing_can_be_overlooked():
    wings = {name.rpartition("/")[0] for name in MODULES}
    sizes = {wing: sum(name.rpartition("/")[0] == wing and not name.endswith("__init__.py") for name in MODULES) for wing in wings}
    assert {wing: size for wing, size in sizes.items() if size > LARGEST_WING} == {}
