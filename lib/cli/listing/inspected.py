"""``inspect``: of several things each is told that can be; what was wrong with the others comes at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from lib.cli.errors import Failed, errors
from lib.cli.listing import templates
from lib.cli.streams import tell


def inspect_each(names: Iterable[str], template: str | None, document_of: Callable[[str], dict]) -> None:
    """As ``json``, by a template, or, without either, as JSON that people can read. Raises ``Failed``."""
    with errors():
        templates.read(template or "")
    told, failed = [], []
    for name in names:
        try:
            with errors():
                one = document_of(name)
                told.append(one if template in (None, "", "json") else templates.rendered(template, one))
        except Failed as error:
            failed.append(error.message)
    with errors():
        tell("\n".join(told) if template not in (None, "", "json") else templates.as_json(told, None if template else 4))
    if failed:
        raise Failed("\n".join(failed))
