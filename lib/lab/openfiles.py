"""How many files a program may have open. A session begins with 1024 (more would break old programs that count descriptors by select(2)),
and each program may raise that for itself and for what it starts, up to the hard limit: getrlimit(2).
"""

from __future__ import annotations

import resource

AS_JUPYTERLAB = 4096  # what it raises its own limit to, and so that of its kernels (ServerApp.min_open_files_limit)


def more_files(wanted: int | None = None) -> None:
    """This process, and what it starts, may have ``wanted`` files open, or as many as the hard limit lets it; never fewer than now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if wanted is None or soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted or hard, hard), hard))
