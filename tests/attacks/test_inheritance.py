"""What a process inherits: a caller that is dirty in every way, and an allowed list of what may arrive (SECURITY.md has the table)."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.needs import requires

from lib import bases

ROOT = Path(__file__).parents[2]
pytestmark = requires("root", "overlay", "busybox")

# Everything that a shell can tell of itself, one word a line.
PROBE = r"""
tr '\000' '\n' < /proc/$$/environ | sed 's/=.*//; s/^/env /'
for fd in /proc/$$/fd/*; do [ -e "$fd" ] && echo "fd ${fd##*/}"; done
sed -n 's/^\(SigBlk\|SigIgn\|NoNewPrivs\):\s*/\1 /p' /proc/$$/status
echo umask $(umask)
echo personality $(cat /proc/$$/personality 2>/dev/null || echo unknown)
echo slack $(cat /proc/$$/timerslack_ns 2>/dev/null || echo unknown)
echo oom $(cat /proc/$$/oom_score_adj)
echo terminal $(cut -d')' -f2 /proc/$$/stat | cut -d' ' -f6)
"""

# A caller with a secret, an open descriptor, ignored and blocked signals, a tight umask, no random addresses, a lazy timer.
CALLER = """
import ctypes, json, os, signal, sys
os.environ |= {"TOKEN": "secret"}
os.set_inheritable(os.open("/etc", os.O_RDONLY), True)
signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.signal(signal.SIGHUP, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGUSR2})
os.umask(0o077)
libc = ctypes.CDLL(None)
sigaction = {"x86_64": 13, "aarch64": 134}[os.uname().machine]
for number in (32, 33):  # the C library's own: it lets nobody change them, the kernel does
    assert libc.syscall(ctypes.c_long(sigaction), number, (1).to_bytes(8, "little") + bytes(24), None, ctypes.c_size_t(8)) == 0
libc.personality(ctypes.c_ulong(0x0040000)); libc.prctl(29, ctypes.c_ulong(1_000_000), 0, 0, 0)
with open("/proc/self/oom_score_adj", "w") as file: file.write("300")
probe, how = sys.argv[1:]
HOW
"""
HOW = {
    "run": 'import lib; print(lib.run("busybox", ["sh", "-c", probe], show=False).text)',
    "init": 'import lib; print(lib.run("busybox", ["sh", "-c", probe], init=True, show=False).text)',
    "exec": 'import lib\nwith lib.start("busybox", ["sleep", "60"]) as box: print(box.exec(["sh", "-c", probe], show=False).text)',
    "RUN": """
import tempfile, pathlib
from lib import bases, state
from lib.build import build
from lib.images import Library, Store, archive
with tempfile.TemporaryDirectory(prefix=state.temporary("inherit")) as place:
    library = Library(Store(f"{place}/images"))
    archive.from_folder(library, bases.busybox(), "base", {"Cmd": ["sh"]})
    context = pathlib.Path(place, "context"); context.mkdir()
    (context / "probe").write_text(probe)
    said = []
    build(str(context), library, tell=lambda what, step, text: said.append(text) if what == "output" else None,
          text="FROM base\\nCOPY probe /probe\\nRUN sh /probe\\n")
    print("".join(said))
""",
}
HOW["OCI"] = """
import json, pathlib, shutil, tempfile
from lib import bases, oci, state
from lib.process import Plan
with tempfile.TemporaryDirectory(prefix=state.temporary("inherit")) as place:
    shutil.copytree(bases.busybox(), f"{place}/rootfs", symlinks=True)  # a bundle's own: it gets devices
    namespaces = [{"type": kind} for kind in ("mount", "pid", "ipc", "uts", "cgroup")]
    process = {"args": ["sh", "-c", probe], "env": ["PATH=/bin"], "cwd": "/", "user": {"uid": 0, "gid": 0, "umask": 18}}
    config = {"ociVersion": "1.2.0", "process": process, "root": {"path": "rootfs", "readonly": True},
              "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}], "linux": {"namespaces": namespaces}}
    pathlib.Path(place, "config.json").write_text(json.dumps(config))
    config = oci.load(place)
    print(Plan(process["args"], oci.ingredients(config, place, "inherit"), {"PATH": "/bin"}).run(show=False).text)
"""
HOW["rootless"] = """
import tempfile
with tempfile.TemporaryDirectory(prefix="st-") as place:
    os.chown(place, 65534, 65534)
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
    os.environ |= {"SUITCASE_RUN": place + "/run", "SUITCASE_STORE": place + "/store", "HOME": place}
    import lib; print(lib.run("busybox", ["sh", "-c", probe], show=False).text)
"""
ENVIRONMENT = {"PATH", "HOSTNAME", "HOME", "PWD", "SHLVL"}  # the last two are a shell's own


def arrives(how: str) -> dict[str, set[str]]:
    """What the probe tells, by its first words."""
    done = subprocess.run([sys.executable, "-c", CALLER.replace("HOW", HOW[how]), PROBE, how], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found: dict[str, set[str]] = {}
    for line in done.stdout.splitlines():
        if match := re.match(r"(\w+) (\S+)$", line):
            found.setdefault(match[1], set()).add(match[2])
    return found


@pytest.mark.parametrize("how", HOW)
def test_nothing_arrives_that_nobody_chose(how):
    found = arrives(how)
    assert found["env"] <= ENVIRONMENT, found["env"]
    assert {int(fd) for fd in found["fd"] if fd.isdigit()} <= {0, 1, 2, 10}, found["fd"]  # a shell keeps its script at 10
    assert found["SigBlk"] == {"0" * 16} and found["NoNewPrivs"] == {"0"}
    assert {int(word, 16) & ~0b100 for word in found["SigIgn"]} == {0}, "(busybox' shell ignores SIGQUIT by itself)"
    assert found["umask"] == {"0022"} and found["terminal"] == {"0"}
    assert found["personality"] <= {"00000000", "unknown"} and found["slack"] <= {"50000", "unknown"}
    assert found["oom"] == {"300"}, "the caller's own, as said"


def test_the_probe_sees_what_it_looks_for():
    """Without a container in between, all of it arrives: so the test above can fail."""
    shell = f"{bases.busybox()}/bin/busybox"
    code = CALLER.replace("HOW", "os.execv(how, ['sh', '-c', probe])")
    done = subprocess.run([sys.executable, "-c", code, PROBE, shell], capture_output=True, text=True)
    for word in ("env TOKEN", "fd 3", "umask 0077", "oom 300", "slack 1000000"):
        assert word in done.stdout, done.stdout + done.stderr
