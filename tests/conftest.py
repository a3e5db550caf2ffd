"""What every test stands on: a place of its own on this machine, and the leak check after it."""

from __future__ import annotations

import atexit
import contextlib
import os
import platform
import shutil
import tempfile
from pathlib import Path

import pytest

PLACE = Path(tempfile.mkdtemp(prefix="st-"))
PLACE.chmod(0o711)  # tests also run as an ordinary user, who must get through to the bases
NAME = f"suitcase-{PLACE.name}"


def clean_up(pid: int) -> None:
    """Registered before ``lib`` is imported, so that it runs after lib's own goodbye, also when the collection of tests fails."""
    if os.getpid() == pid:
        for line in Path("/proc/self/mounts").read_text().splitlines():
            if line.split()[2].startswith("cgroup"):
                with contextlib.suppress(OSError):
                    os.rmdir(f"{line.split()[1]}/{NAME}")
        shutil.rmtree(PLACE, ignore_errors=True)


atexit.register(clean_up, os.getpid())
# Before `lib` is imported, and inherited by every kernel and command that a test starts: nothing is shared with who else works here.
LENDER = Path(os.environ.get("SUITCASE_STORE", "/var/lib/suitcase"))
os.environ |= {"SUITCASE_RUN": str(PLACE / "run"), "SUITCASE_STORE": str(PLACE / "store"), "SUITCASE_CGROUP": NAME}

PREPARED = ("kernel-*", "vm-*", "disk-*", "*-nodejs", "*-python3", "*-nginx-light")


def lend(store: Path) -> None:
    """What set-up has made in the machine's own store, and takes minutes to make, can be read in the tests' store, too."""
    (PLACE / "store/bases").mkdir(parents=True, mode=0o711)
    for pattern in PREPARED:
        for folder in store.glob(f"bases/{pattern}"):
            (PLACE / "store/bases" / folder.name).symlink_to(folder)


lend(LENDER)

from needs import there  # noqa: E402

from lib import linux  # noqa: E402
from lib.ingredients import cgroups  # noqa: E402
from lib.lab.doctor import leaks  # noqa: E402
from lib.lab.doctor.leaks import Look  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "v2: chosen to run in the cgroup v2 guest too")
    config.addinivalue_line("markers", "may_leave: what this test leaves behind is checked by the test itself")
    if os.geteuid() == 0:  # a mount table of our own: then its leak check is a plain difference
        linux.unshare("mnt")
        linux.mount(None, "/", None, "rprivate")
        leaks.ALONE = True


def pytest_report_header(config):
    try:
        version = f"cgroup v{cgroups.backend().version} ({' '.join(cgroups.backend().controllers())})"
    except RuntimeError as error:
        version = str(error)
    has = " ".join(word for word in ("overlay", "userns", "runc", "linux.uml") if there(word))
    return f"machine: Linux {platform.release()} {platform.machine()}, uid {os.geteuid()}, {version}; has: {has}"


@pytest.fixture(autouse=True)
def leak_check(request):
    """Every test must leave the machine as it found it. What was there before the first one is there before each."""
    global BEFORE
    BEFORE = before = BEFORE or Look()
    yield before
    if "may_leave" in request.keywords:
        BEFORE = None
    elif left := before.leaks():
        BEFORE = None  # told once, not again after every later test
        pytest.fail("left behind: " + "; ".join(f"{kind}: {', '.join(sorted(found))}" for kind, found in left.items()))


BEFORE: Look | None = None


class Steps:
    """An ingredient made of given steps, for tests."""

    def __init__(self, *steps):
        self.given = steps

    def steps(self):
        return list(self.given)


@pytest.fixture
def busybox():
    from lib import bases

    return bases.busybox()
