"""What every test stands on: a place of its own on this machine, and the leak check after it."""

from __future__ import annotations

import os
import platform
import tempfile
from pathlib import Path

import pytest
from helpers import leakcheck
from helpers.needs import there

from lib import linux, state
from lib.ingredients import cgroups
from lib.lab.doctor import leaks


def pytest_configure(config):
    config.addinivalue_line("markers", "v2: chosen to run in the cgroup v2 guest too")
    config.addinivalue_line("markers", "may_leave: what this test leaves behind is checked by the test itself")
    own = tempfile.TemporaryDirectory(prefix=state.temporary("reader"), ignore_cleanup_errors=True)
    config.add_cleanup(own.cleanup)
    os.environ["SUITCASE_READER"] = own.name  # the reader's own files are no test's business
    if os.geteuid() == 0:  # a mount table of our own: then its leak check is a plain difference
        linux.unshare("mnt")
        linux.mount(None, "/", None, "rprivate")
        leaks.ALONE = True


NOW = os.environ.pop("SUITCASE_TEST_NOW", "")  # a file for what nobody would know if this process did not come to its end


def pytest_runtest_logstart(nodeid):
    if NOW:
        Path(NOW).write_text(nodeid)


def pytest_keyboard_interrupt(excinfo):
    if NOW:
        with open(NOW, "a") as file:
            file.write(f"\n{excinfo.getrepr(style='short')}")


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
    before = leakcheck.before()
    yield before
    if "may_leave" in request.keywords:
        leakcheck.forget()
    elif left := before.leaks():
        leakcheck.forget()  # told once, not again after every later test
        pytest.fail("left behind: " + "; ".join(f"{kind}: {', '.join(sorted(found))}" for kind, found in left.items()))


@pytest.fixture
def busybox():
    from lib import bases

    return bases.busybox()
