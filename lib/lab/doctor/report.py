"""The doctor's table: every row, the lacks explained below, a verdict. The command ``python -m lib.lab`` (``make doctor``) prints it."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

from lib.lab.doctor.diagnosis import Row, judge
from lib.lab.doctor.machinefacts import probe


def table(rows: list[Row]) -> str:
    """The rows as text, the lacks explained below."""
    width = max(len(row.name) for row in rows)
    lines = [f"{'yes' if row.ok else 'NO' if row.needed else 'no':<4} {row.name:<{width}}  {row.found}" for row in rows]
    lacks = []
    for cost, group in by_cost(rows).items():
        lacks += [", ".join(row.name for row in group), f"    costs you:  {cost}", f"    what to do: {cures(group)}"]
    return "\n".join([*lines, *(["", *lacks] if lacks else [])])


def verdict(rows: list[Row]) -> str:
    """The table in one sentence."""
    if [row for row in rows if row.needed and not row.ok]:
        return "NO: not all chapters run whole here. (no, in small letters: only a comparison or a section is left out.)"
    return "Nothing that a chapter needs is missing. Next: sudo make tutorial"


def by_cost(rows: list[Row]) -> dict[str, list[Row]]:
    """The lacks, those with the same cost together."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        if not row.ok:
            groups.setdefault(row.cost, []).append(row)
    return groups


def cures(group: list[Row]) -> str:
    """What to do about all of them; several packages go into one command."""
    install = "sudo apt-get install "
    if all(row.cure.startswith(install) for row in group):
        return install + " ".join(row.cure.removeprefix(install) for row in group)
    return "; ".join(dict.fromkeys(row.cure for row in group))


def main(argv: list[str] | None = None) -> int:
    """``python -m lib.lab [--json]``: 0 if all chapters can run whole here, 1 if something that one needs is missing, 2 wrong use."""
    argv = sys.argv[1:] if argv is None else argv
    if argv not in ([], ["--json"]):
        print("usage: python -m lib.lab [--json | install | uninstall]", file=sys.stderr)
        return 2
    facts = probe(peers=True)
    rows = judge(facts)
    if argv:
        print(json.dumps({"facts": facts, "rows": [asdict(row) for row in rows]}, indent=1))
    else:
        print(f"{facts['name']}\n{table(rows)}\n\n{verdict(rows)}")
    return int(any(row.needed and not row.ok for row in rows))
