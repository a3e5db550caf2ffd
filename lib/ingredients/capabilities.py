"""Capabilities: root's power in some forty pieces, of which a container gets Docker's fourteen. See capabilities(7).

Root in a container is still uid 0, and the kernel asks for the piece, not for the number: to set the clock, to load a driver, to change
the network, to trace somebody else's process. What is not in the bounding set can never come back, whatever is executed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lib.process import Step

# In the order of the kernel's numbers (linux/capability.h).
NAMES = (
    "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP", "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT",
    "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE",
    "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ",
    "PERFMON", "BPF", "CHECKPOINT_RESTORE",
)  # fmt: skip
DEFAULT = (
    "CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID", "SETUID", "SETFCAP", "SETPCAP", "NET_BIND_SERVICE",
    "SYS_CHROOT", "KILL", "AUDIT_WRITE",
)  # fmt: skip


def name_of(word: str) -> str:
    """``net_raw``, ``CAP_NET_RAW`` as ``NET_RAW``; ``ALL`` stays. Raises ``ValueError``."""
    name = word.upper().removeprefix("CAP_")
    if name not in NAMES and name != "ALL":
        raise ValueError(f'invalid capability: unknown capability: "{word}" (capabilities(7) lists them)')
    return name


def chosen(add: Iterable[str] = (), drop: Iterable[str] = (), start: Sequence[str] = DEFAULT) -> tuple[str, ...]:
    """Docker's rule for ``--cap-add`` and ``--cap-drop``: ``ALL`` first, then single ones. Raises ``ValueError``."""
    added, dropped = {name_of(word) for word in add}, {name_of(word) for word in drop}
    base = set(NAMES) if "ALL" in added else set() if "ALL" in dropped else set(start)
    kept = (base | added) - dropped if "ALL" not in dropped else (base if "ALL" in added else set()) | added
    return tuple(name for name in NAMES if name in kept)


NO_NEW = "no-new-privileges"
TRUE_ALREADY = ("seccomp=unconfined", "apparmor=unconfined", "label=disable")  # nobody filters system calls here, or knows such a module


def no_new_ones(words: Iterable[str]) -> bool:
    """``--security-opt``: may no program get more rights than who starts it, be it set-uid or not? The last word about it counts.

    Docker's other words ask for less than there is here anyway, or are not done: then it raises ``ValueError``.
    """
    found = False
    for word in words:
        name, _, value = word.replace(":", "=", 1).partition("=")
        if name == NO_NEW:
            if value not in ("", "true", "false"):
                raise ValueError(f'invalid --security-opt: "{word}"')
            found = value != "false"
        elif f"{name}={value}" not in TRUE_ALREADY:
            raise ValueError(f"--security-opt {word} is not done here: {NO_NEW} is, and {', '.join(TRUE_ALREADY)} are so already")
    return found


class Capabilities:
    """Keep these and no others. Who is not root in the container has none of them, but the bounding set holds for it, too.

    ``no_new``: no program can ever get more than these, nor become another user by its set-uid bit. See PR_SET_NO_NEW_PRIVS(2const).
    """

    def __init__(self, names: Iterable[str] = DEFAULT, no_new: bool = False):
        self.names, self.no_new = [name_of(name) for name in names], no_new

    def steps(self) -> list[Step]:
        numbers = sorted(NAMES.index(name) for name in self.names)
        no_new = [Step("rights", "no_new_privs", (), "a set-uid program is one like any other")] if self.no_new else []
        return [
            *no_new,
            Step("rights", "limit_bounding_set", (numbers,), "what is not in it can never come back, whatever is executed"),
            Step("capabilities", "set_capabilities", (numbers,), "after the user has changed: that needs two of them itself"),
        ]


def of_container(
    cgroup, add: Sequence[str] = (), drop: Sequence[str] = (), privileged: bool = False, security: Sequence[str] = ()
) -> Capabilities:  # fmt: skip
    """Docker's fourteen, more, or fewer. Where nothing filters devices, nobody may make one: ``/dev`` is a place where nodes work.

    Raises ``ValueError``.
    """
    no_new = no_new_ones(security)
    if privileged:
        return Capabilities(NAMES, no_new)
    names = chosen(add, drop)
    return Capabilities(names if cgroup and cgroup.devices else [name for name in names if name != "MKNOD"], no_new)
