"""Tools for a container that has none: a folder of the machine's, hung into it where nobody but this one process can see it.

Who joins a container's mount namespace sees what is mounted there, and nothing of the machine's any more. But a mount can be taken along as
a descriptor: a detached copy is made before the namespace is joined, and hung up after it, in a copy of the container's mount table that
goes with this process. The container itself does not change. See open_tree(2), move_mount(2), mount_namespaces(7).
"""

from __future__ import annotations

from lib.process import Ref, Step

PLACE = "/dev/mqueue"  # a folder that every container has, and a shell can do without: it is covered as long as the shell runs


class Toolbox:
    """The folder ``tools``, read-only, at ``PLACE``, for a process that joins a container."""

    def __init__(self, tools: str):
        self.tools = tools

    def steps(self) -> list[Step]:
        alone = "a copy of the container's mount table: what we hang up, the container does not see"
        return [
            Step("prepare", "tree", (self.tools,), "taken along as a descriptor: its path is out of sight in there", gives="toolbox"),
            Step("clone", "clone3", (["mnt"], None), alone),
            Step("propagation", "mount", (None, "/", None, "rprivate"), "and nothing comes back"),
            Step("mounts", "hang_up", (Ref("toolbox"), PLACE), "the tools"),
        ]
