"""After a boot: what ran is settled, and what should run is started again. Nobody of ours is there by then, so somebody has to call this.

That is systemd, by a unit that starts nothing but this and stays "active" (see systemd.service(5)).
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

from lib import state
from lib.engine import lifecycle
from lib.engine.daemons.calling import Manager
from lib.engine.plays import restarting
from lib.images import Library
from lib.state import kept

NAME = "suitcase-boot.service"
PASSED_ON = ("SUITCASE_STORE", "SUITCASE_RUN", "SUITCASE_IMAGES")
COMMAND = Path(__file__).parents[1] / "cli/__main__.py"
PROGRAMS = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def boot(library: Library) -> tuple[list[str], list[OSError]]:
    """Start what should run. Returns the names of those that were started here, and what kept others from it.

    Who ran when the machine went down has its end seen to by the manager first, which then goes by its policy, as after any other end.
    With ``always`` one is started even if somebody had stopped it: so it is in Docker after a restart of the daemon.
    """
    started, errors = [], []
    for facts in kept.every():
        status, policy = facts["state"]["status"], restarting.policy_of(facts)
        try:
            if status in (*kept.UP, "restarting"):
                Manager.look(kept.place(facts))
            elif status == "exited" and policy.name == "always":
                lifecycle.start(library, kept.place(facts))
                started.append(facts["name"])
        except (OSError, LookupError, ValueError) as error:
            errors.append(error)
    return started, errors


def unit() -> str:
    """The text of the unit, for root or for a user."""
    given = [f'Environment="{name}={as_it_is(os.environ[name])}"' for name in PASSED_ON if name in os.environ]
    wanted = "multi-user.target" if os.geteuid() == 0 else "default.target"
    lines = [
        "[Unit]",
        "Description=Suitcase: start the containers that should be running",
        "Documentation=man:systemd.service(5)",
        *(["Wants=network-online.target", "After=network-online.target"] if os.geteuid() == 0 else []),
        f"RequiresMountsFor={escaped(str(state.store()))} {escaped(str(COMMAND))}",
        "",
        "[Service]",
        "Type=oneshot",
        "RemainAfterExit=yes",
        f'Environment="PATH={PROGRAMS}"',
        *given,
        "ExecStart=" + " ".join(map(escaped, (sys.executable, "-I", "-S", str(COMMAND), "system", "boot"))),
        "KillMode=process",  # keeper, manager and containers outlive it, as they do any command
        "",
        "[Install]",
        f"WantedBy={wanted}",
        "",
    ]
    return "\n".join(lines)


def escaped(word: str) -> str:
    """A word as systemd reads it: in quotes where it has spaces, and without its own signs for variables and specifiers."""
    word = as_it_is(word).replace("$", "$$")
    return f'"{word}"' if any(one.isspace() for one in word) else word


def as_it_is(value: str) -> str:
    """A value between quotes, so that systemd finds no specifier in it."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")


def place() -> Path:
    """Where the unit lies."""
    if os.geteuid() == 0:
        return Path("/etc/systemd/system", NAME)
    return Path(os.environ.get("XDG_CONFIG_HOME") or state.home() / ".config", "systemd/user", NAME)


def install() -> Path:
    """Write the unit. Raises ``OSError``."""
    from lib.atomicfile import atomic_file

    at = place()
    at.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(str(at)) as file:
        file.write(unit().encode())
    at.chmod(0o644)
    return at


def remove() -> bool:
    """Take the unit away; whether there was one. Raises ``OSError``."""
    with suppress(FileNotFoundError):
        place().unlink()
        return True
    return False
