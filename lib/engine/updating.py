"""``update``: other limits for a container, those of one that runs at once. See cgroups(7)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress

from lib import linux
from lib.engine import making
from lib.engine.usage import group_of
from lib.engine.vitality import alive
from lib.ingredients import Cgroup
from lib.shield import Shield
from lib.state import events, kept

LIMITS = ("memory", "memory_swap", "memory_reservation", "cpus", "cpu_period", "cpu_quota", "cpu_shares", "cpuset", "cpuset_mems",
          "pids_limit", "blkio_weight")  # fmt: skip


def update(facts: dict, changes: dict, policy: dict | None = None, tell: Callable[[str], object] = lambda text: None) -> None:
    """Lay ``changes`` over the limits of a container; ``policy`` says when it is started again, None leaves that as it is.

    ``tell`` hears of what this kernel cannot do, and is left out.

    All of it or nothing: raises ``ValueError``, ``OSError``, and then the container has the limits that it had. An interrupt waits.
    """
    with kept.locked(kept.place(facts)) as now, Shield():
        wished = now["options"] | making.without_what_lacks(changes, tell)
        words = Cgroup(name=now["id"][: kept.SHORT], **limits(wished)).limits
        group = group_of(now) if alive(now) else None
        with written(group, words) if group else nullcontext():
            kept.save(now | {"options": wished} | ({} if policy is None else {"restart": {}, **policy}))
        events.of_container("update", now)


def limits(options: dict) -> dict:
    """What of a container's options a cgroup takes."""
    return {name.replace("pids_limit", "pids"): options[name] for name in LIMITS if options.get(name) is not None}


def raises(group: Cgroup, words: dict[str, str]) -> bool:
    """Is it to have more memory than before? Then both together, on v1, must become more first."""
    before = group.read("memory.max")
    return "memory.max" in words and before.isdigit() and int(words["memory.max"]) > int(before)


@contextmanager
def written(group: Cgroup, words: dict[str, str]) -> Iterator[None]:
    """Other limits for what runs. After an error, here or in the block, each file gets back what was in it, the last first.

    The kernel takes them one by one, and may refuse any: less memory than is in use, a processor that there is not.
    """
    before: list[tuple[str, str]] = []
    try:
        for path, text in files(group, words):
            before.append((path, linux.read(path)))
            linux.write(path, text)
        yield
    except BaseException:
        for path, text in reversed(before):
            with suppress(OSError):  # the error itself is told; and the container may have ended meanwhile
                linux.write(path, text)
        raise


def files(group: Cgroup, words: dict[str, str]) -> list[tuple[str, str]]:
    """What to write where, in this order."""
    found = [one for word, value in words.items() for one in group.backend.translate(word, value)]
    if raises(group, words):
        found.sort(key=lambda one: "memsw" not in one[1])
    return [(f"{group.folders[controller]}/{name}", text) for controller, name, text in found]
