"""``up`` goes on in a thread of its own while what has been started already is heard: a source for a session, which has nothing to say."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from lib.cli.errors import Failed, errors
from lib.compose.acting.stopping import Stop


class Rising:
    """``do`` is what goes on; it is given what tells it to stop, which is said after ``patience`` seconds, unless they are 0.

    When it is over, ``then`` is called by whoever reads this, with the error, if there was one.
    """

    def __init__(self, do: Callable[[Stop], object], then: Callable[[Failed | None], object], patience: int = 0):
        self.do, self.then, self.patience = do, then, patience
        self.stop, self.over = Stop(), os.eventfd(0, os.EFD_CLOEXEC)
        self.failed: Failed | None = None
        self.timer = threading.Timer(patience, self.too_late)
        self.thread = threading.Thread(target=self.work)

    def start(self) -> None:
        self.thread.start()
        if self.patience:
            self.timer.start()

    def work(self) -> None:
        try:
            with errors():
                self.do(self.stop)
        except Failed as error:
            self.failed = self.failed or error
        finally:
            os.eventfd_write(self.over, 1)

    def too_late(self) -> None:
        self.failed = Failed(f"application not healthy after {self.patience}s")
        self.stop.say()

    def fileno(self) -> int:
        return self.over

    def read(self) -> None:
        """It is over."""
        self.thread.join()
        self.then(self.failed)

    def end(self) -> None:
        """What is under way is finished or undone; nothing more is begun."""
        self.stop.say()
        self.thread.join()

    def close(self) -> None:
        self.timer.cancel()
        if self.thread.is_alive():
            self.end()
        if self.patience:
            self.timer.join()
        self.stop.close()
        os.close(self.over)
