"""A place of its own on this machine for one run of the tests: a store, records, a cgroup. Imported before ``lib`` is.

All of it is in the environment, and inherited by every kernel and command that a test starts: nothing is shared with who else works here.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import tempfile
from pathlib import Path

PLACE = Path(tempfile.mkdtemp(prefix="st-"))
PLACE.chmod(0o711)  # tests also run as an ordinary user, who must get through to the bases
NAME = f"suitcase-{PLACE.name}"
PREPARED = ("kernel-*", "vm-*", "disk-*", "*-nodejs", "*-python3", "*-nginx-light", "*-redis-server", "*-shop", "*-apt-ca-certificates")


def clean_up(pid: int) -> None:
    """Registered before ``lib`` is imported, so that it runs after lib's own goodbye, also when the collection of tests fails."""
    if os.getpid() == pid:
        for line in Path("/proc/self/mounts").read_text().splitlines():
            if line.split()[2].startswith("cgroup"):
                with contextlib.suppress(OSError):
                    os.rmdir(f"{line.split()[1]}/{NAME}")
        shutil.rmtree(PLACE, ignore_errors=True)


def lend(store: Path) -> None:
    """What set-up has made in the machine's own store, and takes minutes to make, can be read in the tests' store, too."""
    (PLACE / "store/bases").mkdir(parents=True, mode=0o711)
    for pattern in PREPARED:
        for folder in store.glob(f"bases/{pattern}"):
            (PLACE / "store/bases" / folder.name).symlink_to(folder)


atexit.register(clean_up, os.getpid())
lend(Path(os.environ.get("SUITCASE_STORE", "/var/lib/suitcase")))
os.environ |= {"SUITCASE_RUN": str(PLACE / "run"), "SUITCASE_STORE": str(PLACE / "store"), "SUITCASE_CGROUP": NAME}
