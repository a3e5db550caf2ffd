"""A program that nobody can change any more: a copy of it in memory, sealed.

What runs in a container may open its own ``/proc/self/exe`` for writing. If that is a program of the host's, the next one who starts it
runs the container's words (CVE-2019-5736). See memfd_create(2), "File sealing" in fcntl(2).
"""

from __future__ import annotations

import errno
import fcntl
import os
import time

ATTEMPTS = 100  # to seal it
SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
MFD_EXEC = 0x10  # Linux 6.3 and newer want to be told; older ones know no such flag


def memory_file(name: str) -> int:
    """An empty file in memory that may be executed. Raises ``PermissionError`` where vm.memfd_noexec=2 forbids that."""
    flags = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
    try:
        return os.memfd_create(name, flags | MFD_EXEC)
    except OSError as error:
        if error.errno == errno.EACCES:
            words = "this machine lets nobody execute a file in memory (sysctl vm.memfd_noexec=1 would)"
            raise PermissionError(errno.EACCES, words) from None
        return os.memfd_create(name, flags)


def sealed_copy(path: str, name: str = "") -> int:
    """A descriptor of a sealed copy of the file at ``path``, to be executed; ``ps`` calls it by ``name``. Raises ``OSError``."""
    copy = memory_file(name or os.path.basename(path))
    try:
        with open(path, "rb") as file:
            left = os.fstat(file.fileno()).st_size
            while left and (done := os.sendfile(copy, file.fileno(), None, left)):
                left -= done
        seal(copy)
    except BaseException:
        os.close(copy)
        raise
    return copy


def seal(fd: int) -> None:
    """Nobody changes it any more. The kernel itself may hold one of its pages just now (to move it, say): then a moment later."""
    for left in reversed(range(ATTEMPTS)):
        try:
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, SEALS)
            return
        except OSError as error:
            if error.errno != errno.EBUSY or not left:
                raise
            time.sleep(0.01)
