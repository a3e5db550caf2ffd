"""``update``: other limits for a container, those of one that runs at once. See cgroups(7)."""

from __future__ import annotations

from lib import linux
from lib.engine.usage import group_of
from lib.engine.vitality import alive
from lib.ingredients import Cgroup
from lib.state import events, kept

LIMITS = ("memory", "memory_swap", "memory_reservation", "cpus", "cpu_period", "cpu_quota", "cpu_shares", "cpuset", "cpuset_mems",
          "pids_limit")  # fmt: skip


def update(facts: dict, changes: dict, policy: dict | None = None) -> None:
    """Lay ``changes`` over the limits of a container; ``policy`` says when it is started again, None leaves that as it is.

    Raises ``ValueError``, ``OSError``; then nothing has changed on disk.
    """
    with kept.locked(kept.place(facts)) as now:
        wished = now["options"] | changes
        words = Cgroup(name=now["id"][: kept.SHORT], **limits(wished)).limits
        if alive(now) and (group := group_of(now)):
            write(group, words, raising=raises(group, words))
        kept.save(now | {"options": wished} | ({} if policy is None else {"restart": {}, **policy}))
        events.of_container("update", now)


def limits(options: dict) -> dict:
    """What of a container's options a cgroup takes."""
    return {name.replace("pids_limit", "pids"): options[name] for name in LIMITS if options.get(name) is not None}


def raises(group: Cgroup, words: dict[str, str]) -> bool:
    """Is it to have more memory than before? Then both together, on v1, must become more first."""
    before = group.read("memory.max")
    return "memory.max" in words and before.isdigit() and int(words["memory.max"]) > int(before)


def write(group: Cgroup, words: dict[str, str], raising: bool) -> None:
    files = [(controller, name, text) for word, value in words.items() for controller, name, text in group.backend.translate(word, value)]
    if raising:
        files.sort(key=lambda one: "memsw" not in one[1])
    for controller, name, text in files:
        linux.write(f"{group.folders[controller]}/{name}", text)
