"""A registry of one's own: a real ``docker-registry`` on the loopback address, for as long as a ``with`` lasts.

It is on record like a container: whatever a killed kernel leaves of it, ``state.gc`` ends and removes.
"""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from lib import state
from lib.lab.peers import Missing
from lib.shield import Shield

PROGRAM = "docker-registry"
PATIENCE = 20  # seconds


class LocalRegistry:
    """``with LocalRegistry() as registry: push(library, f"{registry.name}/app")``. Raises ``Missing`` where none can be had.

    ``sections`` are added to its configuration (``auth``, ``http``), see the CNCF distribution project, "Configuring a registry".
    """

    def __init__(self, **sections: dict):
        if shutil.which(PROGRAM) is None:
            raise Missing(f"{PROGRAM} is not installed: apt-get install {PROGRAM}")
        self.sections, self.port, self.process = sections, 0, None

    @property
    def name(self) -> str:
        """As it stands before an image's name."""
        return f"127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return Path(self.place, "log").read_text(errors="replace")

    def config(self) -> dict:
        """The secret signs the addresses of uploads: they are good after a restart, too."""
        http = {"addr": self.name, "secret": self.record.facts["id"], **self.sections.get("http", {})}
        storage = {"filesystem": {"rootdirectory": f"{self.place}/data"}, "delete": {"enabled": True}}
        return {"version": "0.1", "log": {"level": "info"}, "storage": storage, **self.sections, "http": http}

    def start(self) -> None:
        """Start it, or start it again: then it has the same port and what was pushed."""
        Path(self.place, "config.yml").write_text(json.dumps(self.config()))  # JSON is YAML
        with open(f"{self.place}/log", "w") as log:
            command = [PROGRAM, "serve", f"{self.place}/config.yml"]
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        self.record.born(self.process.pid)
        deadline = time.monotonic() + PATIENCE
        while not (found := re.search(r"listening on 127\.0\.0\.1:(\d+)", self.log)):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise Missing(f"{PROGRAM} does not come up: {self.log.strip()[-300:]}")
            time.sleep(0.01)
        self.port = int(found[1])

    def stop(self, how: int = signal.SIGTERM) -> None:
        """End it. ``signal.SIGKILL`` is a power cut."""
        self.process.send_signal(how)
        self.process.wait(timeout=PATIENCE)

    def __enter__(self) -> LocalRegistry:
        with Shield() as shield:  # an interrupt must not come between a start and its record
            self.place = tempfile.mkdtemp(prefix=state.temporary("registry"))
            self.record = state.new_record(f"registry-{state.new_id()}", [["rmtree", self.place]])
            try:
                self.start()
                with shield.opened():
                    return self
            except BaseException:
                self.__exit__()
                raise

    def __exit__(self, *error) -> None:
        with Shield():
            if self.process and self.process.poll() is None:
                self.stop(signal.SIGKILL)
            state.rmtree(self.place)
            self.record.remove()
