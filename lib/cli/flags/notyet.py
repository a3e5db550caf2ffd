"""The flags of Docker's that are not done here: who types one is told so, and need not look for a mistake of theirs.

A short form stands before the long one. tests/cli/flags_of_docker.json is Docker's whole list, and a test holds that none is missing.
"""

from __future__ import annotations

import click

CONTAINER = """
    cgroup-parent cpu-count cpu-percent cpu-rt-period cpu-rt-runtime disable-content-trust gpus io-maxbandwidth io-maxiops
    isolation kernel-memory link link-local-ip runtime storage-opt use-api-socket userns volume-driver
"""
FLAGS = {
    "compose": "compatibility",
    "compose publish": "app",
    "compose up": "menu",
    "run": CONTAINER,
    "create": CONTAINER,
    "start": "checkpoint checkpoint-dir",
    "rm": "l/link",
}

WAYS = {  # what comes near to it here
    "compose publish --app": "push sends the images, and publish the files",
    "compose up --menu": "Ctrl-C stops all, --watch looks at the files, and -d leaves the terminal to you",
}


def full_name(context: click.Context) -> str:
    """Of a verb; of Compose's it is two words, as Docker has some of the same name: ``compose run``."""
    above = "compose " if context.parent and context.parent.command.name == "compose" else ""
    return f"{above}{context.command.name}"


def flag(verb: str, name: str) -> str | None:
    """``-p`` of ``run`` is ``--publish``, which is not done; None for one that Docker does not have either."""
    for word in FLAGS.get(verb, "").split():
        short, slash, long = word.rpartition("/")
        if name in (f"--{long}", f"-{short}" if slash else None):
            return f"--{long}"
    return None


def told(verb: str, flag: str) -> str:
    """What whoever types it reads: what else there is, where that is known."""
    way = WAYS.get(f"{verb} {flag}")
    return f"{flag} is an option of Docker's that is not done here yet" + (f": {way}" if way else "")
