"""Can a claim fail? Each ``assert`` of a cell tagged ``holds`` is tried with other values; one that holds for all of them says nothing.

A number is multiplied and divided by a thousand, a truth value turned round, and anything else replaced by what answers every question
with no, or with yes. One of these must break the claim.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator

FACTOR = 1000
NAME = "__altered__"  # of the function that stands around an operand of a claim while it is tried


class Other:
    """A value that answers every comparison alike."""

    def __init__(self, answer: bool):
        self.answer = answer

    def says(self, *_) -> bool:
        return self.answer

    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __contains__ = __bool__ = says
    __hash__ = object.__hash__


def alterations(value) -> list:
    """What stands in for a value, one after the other."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int | float):
        return [value * FACTOR, value / FACTOR] if value else [1, -1]
    return [Other(False), Other(True), None]


def operands(claim: ast.Assert) -> list[ast.expr]:
    """What is compared in a claim and is not written down in it as a constant; where nothing is compared, its names."""
    compared = [one for node in ast.walk(claim.test) if isinstance(node, ast.Compare) for one in (node.left, *node.comparators)]
    found = [one for one in compared if not isinstance(one, ast.Constant)]
    return found or [node for node in ast.walk(claim.test) if isinstance(node, ast.Name)]


class Wrap(ast.NodeTransformer):
    """Put a call of the altering function around one node."""

    def __init__(self, target: ast.expr):
        self.target = target

    def visit(self, node: ast.AST) -> ast.AST:
        if node is self.target:
            return ast.copy_location(ast.Call(ast.Name(NAME, ast.Load()), [node], []), node)
        return super().visit(node)


def variants(tree: ast.Module, claim: int) -> Iterator[ast.Module]:
    """The cell with one operand of its ``claim``-th assert wrapped, one after the other."""
    for number in range(len(operands(asserts(tree)[claim]))):
        other = copy.deepcopy(tree)
        target = operands(asserts(other)[claim])[number]
        yield ast.fix_missing_locations(Wrap(target).visit(other))


def asserts(tree: ast.Module) -> list[ast.Assert]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.Assert)]


def fails(tree: ast.Module, names: dict) -> bool:
    """Does some alteration of the wrapped operand break the cell?"""
    for number in range(3):
        spare = names | {NAME: lambda value, number=number: alterations(value)[number % len(alterations(value))]}
        try:
            exec(compile(tree, "<claim>", "exec"), spare)
        except Exception:
            return True
    return False


def check(source: str, names: dict) -> None:
    """Raises ``AssertionError`` for a cell without a claim, and for each claim that no other value could break."""
    tree = ast.parse(source)
    if not asserts(tree):
        raise AssertionError("a cell that is tagged holds must assert something")
    for number, claim in enumerate(asserts(tree)):
        if not any(fails(variant, names) for variant in variants(tree, number)):
            raise AssertionError(f"this claim cannot fail, whatever is measured: {ast.unparse(claim)}")
