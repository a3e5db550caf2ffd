"""Programs of the system's that change the packet filter: found, run, and heard."""

from __future__ import annotations

import os
from collections.abc import Sequence

from lib.shield import Shield

FOLDERS = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")  # a user's PATH often lacks the first and third
ENVIRONMENT = {"PATH": ":".join(FOLDERS), "LC_ALL": "C"}  # their messages in English: we read them


def find(program: str) -> str | None:
    """Where it is."""
    paths = (f"{folder}/{program}" for folder in FOLDERS)
    return next((path for path in paths if os.access(path, os.X_OK)), None)


def run(argv: Sequence[str], text: str = "") -> tuple[int, str]:
    """Let it read ``text``, and wait for it: its exit code, and all that it printed. ``argv`` begins with where it is.

    Through memory, not pipes: so nobody has to read and write at the same time. Not by ``subprocess``, whose import takes as long as nft.
    """
    asked, answer = memory(text), memory()
    streams = [(os.POSIX_SPAWN_DUP2, old, new) for old, new in ((asked, 0), (answer, 1), (answer, 2))]
    try:
        with Shield():  # it takes milliseconds; an interrupt may wait, so that no zombie stays, and in a group of its own it gets none
            pid = os.posix_spawn(argv[0], argv, ENVIRONMENT, file_actions=streams, setpgroup=0)
            status = os.waitpid(pid, 0)[1]
        return os.waitstatus_to_exitcode(status), os.pread(answer, os.fstat(answer).st_size, 0).decode(errors="replace")
    finally:
        os.close(asked)
        os.close(answer)


def memory(text: str = "") -> int:
    """A file without a name."""
    fd = os.memfd_create("suitcase")
    with open(fd, "wb", closefd=False) as file:
        file.write(text.encode())
    os.lseek(fd, 0, os.SEEK_SET)
    return fd
