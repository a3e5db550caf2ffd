"""PID 1: the process that the kernel treats differently.

It gets only the signals that it has a handler for, and it inherits every orphan of its PID namespace. A program that was
not written for that is better off as the child of a small init, as with ``docker run --init``. See pid_namespaces(7).
"""

from __future__ import annotations

import errno
import os

from lib.process import Ref, Step

TINI = "/usr/bin/tini-static"  # the program that Docker calls docker-init; static, so that it needs nothing of the image's

NAME = "docker-init"  # what it is called in there, as with Docker


class Init:
    """tini becomes PID 1: it starts the program as its child, passes signals on to it, and reaps whatever it leaves behind. See tini(1)."""

    def __init__(self, program: str = TINI):
        self.program = program

    def steps(self) -> list[Step]:
        if not os.path.exists(self.program):
            words = "--init needs the program tini: apt-get install tini (make setup does it)"
            raise FileNotFoundError(errno.ENOENT, words, self.program)
        return [
            Step("prepare", "sealed_copy", (self.program, NAME), "the container's PID 1 could overwrite the file itself", gives="init"),
            Step("init", "under_init", (Ref("init"), NAME, "--"), "PID 1 passes signals on and waits for orphans"),
        ]
