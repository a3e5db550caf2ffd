"""Knobs of the kernel that belong to a namespace, and so may be a container's own; and how readily the OOM killer takes it.

See sysctl(8), namespaces(7), proc_pid_oom_score_adj(5).
"""

from __future__ import annotations

from collections.abc import Mapping

from lib.process import Step

OF_IPC = ("kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall", "kernel.shmmax", "kernel.shmmni",
          "kernel.shm_rmid_forced")  # fmt: skip


class Sysctls:
    """``--sysctl``: knobs of its network (``net.``) and its IPC namespace. Raises ``ValueError`` for one that is the whole machine's."""

    def __init__(self, words: Mapping[str, str], own_network: bool = True, own_ipc: bool = True):
        self.words = words
        for name in words:
            if not self.is_its_own(name, own_network, own_ipc):
                known = f"its own are net.*, fs.mqueue.* and {', '.join(OF_IPC)}, where it has a network and an IPC namespace of its own"
                raise ValueError(f"sysctl '{name}' is not allowed: it would change the whole machine; {known}")

    @staticmethod
    def is_its_own(name: str, own_network: bool, own_ipc: bool) -> bool:
        if "/" in name or ".." in name:
            return False
        return (own_network and name.startswith("net.")) or (own_ipc and (name in OF_IPC or name.startswith("fs.mqueue.")))

    def steps(self) -> list[Step]:
        """While the host's /proc can be seen, and may be written: what is written there is that of the namespaces one is in."""
        why = "a knob of its own namespace"
        return [Step("propagation", "write", (f"/proc/sys/{name.replace('.', '/')}", value), why) for name, value in self.words.items()]


class OomScore:
    """``--oom-score-adj``: from -1000 (never) to 1000 (first). Raises ``ValueError``."""

    def __init__(self, adjustment: int):
        if not -1000 <= adjustment <= 1000:
            raise ValueError(f"invalid value {adjustment}, range for oom score adj is [-1000, 1000]")
        self.adjustment = adjustment

    def steps(self) -> list[Step]:
        why = "--oom-score-adj: its children inherit it"
        return [Step("propagation", "write", ("/proc/self/oom_score_adj", str(self.adjustment)), why)]
