"""Landlock: this process, and all that it starts, may open only what lies beneath the folders named. No root needed.

``python -I -S landlock.py '{"read": [...], "write": [...]}' COMMAND ...`` restricts itself, raises its limit of open files and becomes
the command. Where the kernel has no Landlock (before 5.13, or switched off) it restricts nothing: ask ``version()`` first. See landlock(7).
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import struct
import sys

if __name__ == "__main__":  # started by its path, without a search path: the folder three above this one holds `lib`
    sys.path.insert(0, os.path.abspath(f"{__file__}/../../../.."))

from lib import linux
from lib.lab.openfiles import more_files

# linux/landlock.h
ASK_VERSION, PATH_BENEATH = 1, 1
READ = 0b1101  # execute a file, read a file, list a folder
ON_FILES = 0b1100_0000_0000_0111  # of all rights those that a file can have: execute, write, read, truncate, ioctl
FILES = {1: 0x1FFF, 2: 0x3FFF, 3: 0x7FFF, 4: 0x7FFF}  # all rights on files that this version knows; from 5 on, ioctl on devices
TCP = 0b11  # bind and connect; from version 4 on
SCOPES = 0b11  # abstract sockets of others, signals to others; from version 6 on


def version() -> int:
    """What this kernel's Landlock can do; 0 without Landlock."""
    try:
        return linux.syscall("landlock_create_ruleset", None, ctypes.c_size_t(0), ctypes.c_uint(ASK_VERSION))
    except OSError:
        return 0


def restrict(read: list[str], write: list[str]) -> None:
    """From here on: open, list and run beneath ``read``; everything beneath ``write``; no TCP; no signals to others. Never undone.

    A name that is not there is passed over. Raises ``OSError``.
    """
    kind = version()
    known = FILES.get(kind, 0xFFFF)
    words = [known, TCP, SCOPES][: 1 + (kind >= 4) + (kind >= 6)]
    attr = struct.pack(f"={len(words)}Q", *words)
    rules = linux.syscall("landlock_create_ruleset", attr, ctypes.c_size_t(len(attr)), ctypes.c_uint(0))
    for path in read:
        allow(rules, path, READ)
    for path in write:
        allow(rules, path, known)
    linux.no_new_privs()
    linux.syscall("landlock_restrict_self", rules, ctypes.c_uint(0))
    os.close(rules)


def allow(rules: int, path: str, rights: int) -> None:
    """One rule: these rights beneath this path."""
    with contextlib.suppress(FileNotFoundError):
        fd = os.open(path, linux.O_PATH | os.O_CLOEXEC)
        beneath = struct.pack("=Qi", rights if os.path.isdir(path) else rights & ON_FILES, fd)
        linux.syscall("landlock_add_rule", rules, PATH_BENEATH, beneath, ctypes.c_uint(0), path=path)
        os.close(fd)


if __name__ == "__main__":
    if version():
        restrict(**json.loads(sys.argv[1]))
    more_files()  # a guest's kernel holds one of ours for each file that it knows
    os.execvp(sys.argv[2], sys.argv[2:])
