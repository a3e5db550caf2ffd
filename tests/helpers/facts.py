"""What is known of containers, without any containers."""

from __future__ import annotations

import os

from lib import linux
from lib.engine.vitality import boot
from lib.state import folder, kept

ZERO = "0001-01-01T00:00:00Z"


def ident(number: int) -> str:
    """64 digits; the first twelve tell a container from others."""
    return f"{number:012x}{number:052x}"


def facts(number: int = 1, name: str = "", created: str = "2026-11-29T03:20:01.123456789Z", **parts) -> dict:
    """Those of a container: ``config=``, ``options=``, ``log=`` and ``state=`` are laid over what is usual, the others replace it."""
    usual = {
        "version": 1,
        "id": ident(number),
        "name": name or f"box{number}",
        "created": created,
        "image": "sha256:" + "a" * 64,
        "image_name": "shop:1",
        "chains": [],
        "platform": "linux/amd64",
        "argv": ["sh", "-c", "sleep 1"],
        "config": {
            "hostname": "",
            "domainname": "",
            "user": "",
            "env": ["PATH=/bin"],
            "cmd": ["sh", "-c", "sleep 1"],
            "entrypoint": None,
            "workdir": "",
            "labels": {},
            "tty": False,
            "open_stdin": False,
            "stdin_once": False,
            "attach": ["stdout", "stderr"],
            "stop_signal": None,
            "stop_timeout": None,
            "exposed_ports": {},
            "volumes": None,
        },
        "options": {},
        "network": {"mode": "none", "networks": [], "dns": [], "search": [], "dns_options": [], "hosts": [], "ports": []},
        "auto_remove": False,
        "log": {"driver": "json-file", "max_size": None, "max_file": 1},
        "state": {
            "status": "created",
            "pid": 0,
            "start_time": None,
            "boot": "",
            "exit_code": 0,
            "error": "",
            "oom_killed": False,
            "started": ZERO,
            "finished": ZERO,
        },
    }
    laid = {part: usual[part] | more if isinstance(more, dict) else more for part, more in parts.items()}
    return usual | laid


def living(started: str) -> dict:
    """The state of a container whose first process is this one, so that it lives."""
    words = linux.read(f"/proc/{os.getpid()}/stat").rpartition(")")[2].split()
    return {"status": "running", "pid": os.getpid(), "start_time": int(words[19]), "boot": boot(), "started": started}


def keep(one: dict) -> dict:
    """Put a container's facts into the store, where commands find them."""
    (folder("containers") / one["id"][: kept.SHORT]).mkdir(0o700)
    (kept.place(one) / "lock").touch()
    kept.save(one)
    return one
