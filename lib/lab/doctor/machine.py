"""What machine is this, and does a chapter run whole on it?

``machinefacts`` gathers facts, ``diagnosis`` turns facts into rows. Here ``missing_for`` picks what a chapter cannot go without, and
``opening`` says it in one line, as each chapter's first cell prints it.
"""

from __future__ import annotations

from functools import cache

from lib.lab.doctor.chapterneeds import BASIC, IN_LAB, LAB_HAS, MINUTES, NEEDS, left_out_in, runs_in, who_boots
from lib.lab.doctor.diagnosis import OTHER_MACHINE, Row, judge
from lib.lab.doctor.machinefacts import probe

# Where a machine may be (``inside``), and whose kernel its containers share then.
WHERE = {
    "": "this very machine",
    "a virtual machine": "the virtual machine: the house around them has a price, too",
    "WSL2": "the virtual machine that Windows runs for WSL2 (Docker Desktop uses it)",
    "a container": "whoever runs that container, and it cannot be told from inside who else shares it",
}


def look(facts: dict | None = None) -> list[Row]:
    """The rows for this machine, or for facts that are given."""
    return judge(facts or cached_facts())


@cache
def cached_facts() -> dict:
    return probe()


def missing_for(chapter: str, rows: list[Row]) -> list[str]:
    """One message for each thing that the chapter cannot go without and that is missing. A lack that explains the others comes alone."""
    wanted = NEEDS.get(chapter, BASIC)
    bad = [row for row in rows if not row.ok and row.needed and (row.name in wanted or row.name == "experiments")]
    decisive = [row for row in bad if row.name in ("linux", "python", "root")]
    return [row.message for row in decisive[:1] or bad]


def opening(chapter: str, facts: dict | None = None) -> str:
    """The one line of a chapter's first cell: what machine this is, and whether the chapter runs whole on it."""
    facts = facts or cached_facts()
    where = f", in {facts['inside']}" if facts["inside"] else ""
    who = "root" if facts["uid"] == 0 else f"uid {facts['uid']}, not root"
    version = facts["tried"].get("cgroup", {}).get("version")
    groups = f", cgroup v{version}" if version else ""
    machine = f"{facts['name']}, {facts['system']} {facts['release']} on {facts['arch']}{where}, {who}{groups}"
    rows = judge(facts)
    in_lab = facts["inside"].startswith("the lab VM")
    messages = (lab_lacks(chapter, facts["inside"]) if in_lab else []) + missing_for(chapter, rows)
    if messages:
        return f"{machine}. Chapter {int(chapter)} does not run whole here. {other_kernel(chapter, facts, rows) or messages[0]}"
    return f"{machine}. Chapter {int(chapter)} runs whole here{patience(chapter, facts['inside'])}."


def lab_lacks(chapter: str, lab: str) -> list[str]:
    """Why the chapter does not run whole in this lab VM, and what to do; nothing if it does."""
    if chapter in runs_in(lab):
        return []
    if chapter in (known := left_out_in(lab)):
        return [f"{known[chapter]}."]
    return [f"The lab VM lacks a part of what it needs: {OTHER_MACHINE}."]


def patience(chapter: str, inside: str) -> str:
    """The time that a chapter takes, where that is much longer than elsewhere."""
    return f", in some {MINUTES[chapter]} minutes, as the processor is emulated" if "(TCG)" in inside and chapter in MINUTES else ""


def other_kernel(chapter: str, facts: dict, rows: list[Row]) -> str:
    """The kernel to take instead, if it has what is missing here and this machine can boot it; tried, which takes some seconds."""
    bad = {row.name for row in rows if not row.ok and (row.name in NEEDS[chapter] or row.name == "experiments")}
    if facts["inside"].startswith("the lab VM") or chapter not in IN_LAB or not bad <= LAB_HAS:
        return ""
    from lib.lab.vm import backends

    name, _ = backends.pick(fetch=False)
    if not name or not who_boots(chapter, name):
        return ""
    return "Take the kernel 'Python (lab VM)' (Kernel, then Change Kernel; make lab installs it): in it you are root, and it runs whole."
