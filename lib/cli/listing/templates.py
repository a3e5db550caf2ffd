"""``--format``: Go's templates, as Docker has them: ``{{.State.Pid}}``, ``{{json .Config}}``, ``{{range .Mounts}}…{{end}}``, and tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from lib.cli import text
from lib.cli.listing.templatenodes import Pieces, Scope, written
from lib.cli.listing.templatereading import BadTemplate, read
from lib.cli.listing.templatewords import HALF, as_json

__all__ = ["BadTemplate", "as_json", "laid_over", "listed", "read", "rendered"]


def rendered(template: str, document: Mapping, in_json: Callable[[object], str] = as_json) -> str:
    """The template with the document's fields. Raises ``BadTemplate``, and ``ValueError`` for a field that is not there."""
    return laid_over(read(template), document, in_json)


def laid_over(pieces: Pieces, document: Mapping, in_json: Callable[[object], str] = as_json) -> str:
    """What was read of a template, with the document's fields. Raises ``ValueError`` for one that is not there."""
    return HALF.sub("\ufffd", written(pieces, Scope(document, in_json, {"$": document})))


def listed(template: str, heads: Mapping, rows: Sequence[Mapping]) -> str:
    """The lines of a list. ``table …`` has a line of heads above them, and its columns stand below each other; ``json`` is all fields."""
    is_table = template.startswith("table")
    line = "{{json .}}" if template == "json" else template.removeprefix("table").strip(" ").replace("\\t", "\t").replace("\\n", "\n")
    try:
        pieces = read(line)
    except BadTemplate as error:
        raise ValueError(*error.args) from None
    head, *lines = [laid_over(pieces, heads, str), *(laid_over(pieces, row) for row in rows)]
    if is_table:
        return text.table(head.split("\t"), [one.split("\t") for one in lines]) + "\n"
    return "".join(f"{one}\n" for one in lines)
