"""The flags of Docker's that are not done here: who types one is told so, and need not look for a mistake of theirs.

A short form stands before the long one. tests/cli/flags_of_docker.json is Docker's whole list, and a test holds that none is missing.
"""

from __future__ import annotations

CONTAINER = """
    annotation blkio-weight blkio-weight-device cgroup-parent cgroupns cpu-count cpu-percent cpu-period cpu-quota
    cpu-rt-period cpu-rt-runtime c/cpu-shares cpuset-mems device device-cgroup-rule device-read-bps device-read-iops
    device-write-bps device-write-iops disable-content-trust domainname gpus group-add io-maxbandwidth io-maxiops ipc
    isolation kernel-memory link link-local-ip memory-reservation memory-swappiness
    oom-kill-disable oom-score-adj pid runtime security-opt shm-size storage-opt
    sysctl ulimit use-api-socket userns uts volume-driver
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
