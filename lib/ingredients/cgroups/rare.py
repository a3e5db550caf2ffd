"""What few ask for, and not every kernel has: swappiness, no OOM killer, how much is read and written, and what that weighs beside others.

Where the kernel has no such file, the container does without, and whoever makes it is told so. See the kernel's memory.rst (v1), and for
the weights bfq-iosched.rst and cgroup-v2.rst, "IO".
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Sequence
from functools import cache, partial

from lib import linux
from lib.ingredients.cgroups.backends import backend, mounted
from lib.ingredients.cgroups.devices import rules_of

Weights = Sequence[Sequence]  # a disk's path, and from 10 to 1000

# What Docker says of them.
DISCARDED = {
    "memory_swappiness": (
        "Your kernel does not support memory swappiness capabilities or the cgroup is not mounted. Memory swappiness discarded."
    ),
    "oom_kill_disable": "Your kernel does not support OomKillDisable. OomKillDisable discarded.",
    "blkio_weight": "Your kernel does not support Block I/O weight or the cgroup is not mounted. Weight discarded.",
    "blkio_weight_devices": ("Your kernel does not support Block I/O weight_device or the cgroup is not mounted. Weight-device discarded."),
    "device_cgroup_rules": (
        "Nothing here filters devices by a rule (that takes root, and cgroup v1), so nobody in a container may make a node; one that is "
        "handed in needs no rule. Device cgroup rules discarded."
    ),
}
NO_LIMIT = "OOM killer is disabled for the container, but no memory limit is set, this can result in the system running out of resources."


# -- what this kernel has --------------------------------------------------------------------------------------------------


@cache
def has_file_of_v1(word: str) -> bool:
    """Of memory's tree, and without an error where no tree is mounted at all."""
    tops, _ = mounted()
    return "memory" in tops and os.path.exists(f"{tops['memory']}/{word}")


def weight_word() -> str:
    """v2's name of the file for weights, or nothing. The root of a tree has none, so it is known by what comes with it."""
    one = backend()
    if one.version == 1:
        return "io.bfq.weight" if "blkio" in one.tops and os.path.exists(f"{one.tops['blkio']}/blkio.bfq.io_service_bytes") else ""
    if "io" not in one.controllers():
        return ""
    below = [entry.path for entry in os.scandir(one.top) if entry.is_dir()]
    return next((word for word in ("io.bfq.weight", "io.weight") if any(os.path.exists(f"{path}/{word}") for path in below)), "")


def weighs(disk: str) -> bool:
    """Is the disk's scheduler the one that knows weights? ``[bfq]`` in a list is who serves it."""
    try:
        return weight_word() == "io.bfq.weight" and "[bfq]" in linux.read(f"/sys/dev/block/{number_of(disk)}/queue/scheduler")
    except FileNotFoundError:  # a part of a disk has no scheduler of its own
        return False


def had_here(name: str, value, options: dict) -> bool:
    match name:
        case "memory_swappiness":
            return has_file_of_v1("memory.swappiness")
        case "oom_kill_disable":
            return has_file_of_v1("memory.oom_control")
        case "blkio_weight":
            return bool(weight_word())
        case "blkio_weight_devices":
            return all(weighs(disk) for disk, _ in value)
        case "device_cgroup_rules":  # who is privileged may do all that a rule could say
            return bool(options.get("privileged")) or (os.geteuid() == 0 and backend().filters_devices)
    return True


def io_words(rates: Sequence[Sequence]) -> str:
    """A line of io.max for each. Raises ``ValueError``."""
    return "\n".join(f"{number_of(path)} {word}={rate}" for path, word, rate in rates)


def number_of(path: str) -> str:
    """``/dev/sda`` as the kernel calls it: ``8:0``. Raises ``ValueError`` for a device that there is not, and for what is no disk."""
    try:
        about = os.stat(path)
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror.lower()}") from None
    if not stat.S_ISBLK(about.st_mode):
        raise ValueError(f"{path} is no block device: only of those a rate can be limited (lsblk lists them)")
    return f"{os.major(about.st_rdev)}:{os.minor(about.st_rdev)}"


# -- what is asked for -----------------------------------------------------------------------------------------------------


def check_weight(weight: int) -> None:
    """Raises ``ValueError``, in Docker's words; 0 is none."""
    if weight and not 10 <= weight <= 1000:
        raise ValueError("Range of blkio weight is from 10 to 1000")


def check_weight_of(disk: str, weight: int) -> None:
    """Raises ``ValueError``, in Docker's words."""
    if weight and not 10 <= weight <= 1000:
        raise ValueError(f"invalid weight for device: {disk}:{weight}")
    number_of(disk)


def check_rate_of(disk: str, rate: int) -> None:
    """Raises ``ValueError``, in Docker's words; 0 is no limit."""
    if rate < 0:
        raise ValueError(f"invalid rate for device: {disk}:{rate}. Number must be a positive integer")
    number_of(disk)


def check_swappiness(swappiness: int) -> None:
    """Raises ``ValueError``, in Docker's words."""
    if not 0 <= swappiness <= 100:
        raise ValueError(f"Invalid value: {swappiness}, valid memory swappiness range is 0-100")


def words(
    rates: Sequence[Sequence], swappiness: int | None, oom_kill_disable: bool, weight: int | None, weights: Weights
) -> dict[str, str]:
    """The limits in v2's words where it has some, less what this kernel does not have. Raises ``ValueError``."""
    asked = {"oom_kill_disable": oom_kill_disable, "blkio_weight": weight, "blkio_weight_devices": weights}
    asked = {name: value for name, value in asked.items() if value} | ({} if swappiness is None else {"memory_swappiness": swappiness})
    kept = without_what_lacks(asked, lambda text: None)
    found = {"io.max": io_words(rates)} if rates else {}
    if "memory_swappiness" in kept:
        found["memory.swappiness"] = str(swappiness)
    if kept.get("oom_kill_disable"):
        found["memory.oom_control"] = "1"
    lines = [f"default {in_the_files_words(weight)}"] if kept.get("blkio_weight") else []
    lines += [f"{number_of(disk)} {one}" for disk, one in kept.get("blkio_weight_devices") or ()]
    return found | ({weight_word(): "\n".join(lines)} if lines else {})


def in_the_files_words(weight: int) -> int:
    """BFQ counts as Docker does; ``io.weight`` goes from 1 to 10000, and is calculated as runc does it."""
    return weight if weight_word() == "io.bfq.weight" else 1 + (weight - 10) * 9999 // 990


def without_what_lacks(options: dict, tell: Callable[[str], object]) -> dict:
    """The options of a container, less what nothing here could do; ``tell`` hears of each, in Docker's words. Raises ``ValueError``."""
    for check in checks(options):
        check()
    found = {name: value for name, value in options.items() if had_here(name, value, options)}
    for name in options:
        if name not in found:
            tell(DISCARDED[name])
    if found.get("oom_kill_disable") and not options.get("memory"):
        tell(NO_LIMIT)
    return found


def checks(options: dict) -> list[Callable[[], object]]:
    found: list[Callable[[], object]] = [partial(check_weight, options.get("blkio_weight") or 0)]
    if (swappiness := options.get("memory_swappiness")) is not None:
        found.append(partial(check_swappiness, swappiness))
    found += [partial(check_weight_of, *one) for one in options.get("blkio_weight_devices") or ()]
    return found + [partial(rules_of, one) for one in options.get("device_cgroup_rules") or ()]
