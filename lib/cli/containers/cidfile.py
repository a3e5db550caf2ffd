"""``--cidfile``: a new container's id, in a file that nobody had before."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress


@contextmanager
def cidfile(path: str) -> Iterator[Callable[[str], object]]:
    """Gives a function that writes the id; if it is not called, the file goes again. Raises ``ValueError`` if the file is there."""
    if not path:
        yield lambda ident: None
        return
    try:
        file = open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644), "w")
    except FileExistsError:
        raise ValueError(f"container ID file found, make sure the other container isn't running or delete {path}") from None
    except OSError as error:
        raise ValueError(f"failed to create the container ID file: open {path}: {os.strerror(error.errno).lower()}") from None
    with file:
        try:
            yield file.write
        finally:
            file.flush()
            if not file.tell():
                with suppress(FileNotFoundError):
                    os.unlink(path)
