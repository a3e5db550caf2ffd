"""A virtual machine that was measured elsewhere, for where none can be booted: the words of a ``Guest``, the answers of the record."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from lib.lab.vm.footprint import Memory
from lib.lab.vm.kernelfacts import ASK, Facts, facts
from lib.lab.vm.qemuguest import Guest

RECORDED = Path(__file__).with_name("vm-recorded.json")


class Recorded:
    """A virtual machine that was measured elsewhere, with the words of ``Guest``."""

    process, pid = None, 0

    def __init__(self, record: dict):
        self.record = record
        self.timeline, self.given, self.accelerator = record["timeline"], record["given"], record["accelerator"]
        self.label = f"recorded on {record['machine']}, {record['date']}"

    started, stages = Guest.started, Guest.stages

    def sh(self, script: str) -> str:
        """What the recorded guest answered to this script. Raises ``KeyError`` if it was never asked."""
        return self.record["answers"][script]

    def page(self) -> str:
        return self.record["page"]

    def facts(self) -> Facts:
        return facts(self.sh(ASK))

    def memory(self) -> Memory:
        return Memory(**self.record["memory"])

    def charged(self) -> int:
        return self.record["charged"]

    def used_inside(self) -> int:
        return self.record["used_inside"]

    def size(self) -> int:
        return self.record["size"]

    def remove(self) -> None:
        """There is nothing to remove."""

    def __enter__(self) -> Recorded:
        return self

    def __exit__(self, *error) -> None:
        pass

    def __repr__(self) -> str:
        return f"<virtual machine, {self.label}: first byte after {self.started:.2f} s>"


@cache
def recorded() -> dict:
    return json.loads(RECORDED.read_text())
