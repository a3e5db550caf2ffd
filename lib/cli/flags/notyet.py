"""The flags of Docker's that are not done here: who types one is told so, and need not look for a mistake of theirs.

A short form stands before the long one. tests/cli/flags_of_docker.json is Docker's whole list, and a test holds that none is missing.
"""

from __future__ import annotations

CONTAINER = """
    blkio-weight blkio-weight-device cgroup-parent cpu-count cpu-percent cpu-rt-period cpu-rt-runtime device-cgroup-rule
    device-read-bps device-read-iops device-write-bps device-write-iops disable-content-trust gpus io-maxbandwidth io-maxiops
    isolation kernel-memory link link-local-ip memory-swappiness oom-kill-disable runtime storage-opt
    use-api-socket userns volume-driver
"""
FLAGS = {
    "run": CONTAINER,
    "create": CONTAINER,
    "start": "checkpoint checkpoint-dir",
    "rm": "l/link",
}


def flag(verb: str | None, name: str) -> str | None:
    """``-p`` of ``run`` is ``--publish``, which is not done; None for one that Docker does not have either."""
    for word in FLAGS.get(verb or "", "").split():
        short, slash, long = word.rpartition("/")
        if name in (f"--{long}", f"-{short}" if slash else None):
            return f"--{long}"
    return None
