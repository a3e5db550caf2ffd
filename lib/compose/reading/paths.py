"""Phase 14: paths that are relative begin at the folder of the project, or of the file that an include or an extends brought in."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from lib.compose.reading.nodes import Node, Path, Rules

REMOTE = ("https://", "http://", "git://", "ssh://", "github.com/", "git@")
WINDOWS = re.compile(r"[a-zA-Z]:[\\/]|\\\\")


def absolute(node: Node, folder: str, home: str) -> Node:
    """The tree with all paths of this machine made absolute.

    Args:
        node: The tree, in its long forms.
        folder: Where relative paths begin.
        home: What ``~`` stands for.
    """
    return _Resolving(folder, home).rules().apply(node)


def joined(folder: str, path: str, home: str) -> str:
    """``path`` as it is seen from ``folder``."""
    if path.startswith("~") and home:
        path = os.path.normpath(home + "/" + path[1:])
    return path if os.path.isabs(path) else os.path.normpath(os.path.join(folder, path))


@dataclass(frozen=True, slots=True)
class _Resolving:
    """What a path in the file is a path from: the project's folder, and the user's."""

    folder: str
    home: str

    def rules(self) -> Rules:
        containers = {"volumes.*": self.mount, "env_file.*.path": self.simple, "label_file.*": self.simple}
        return Rules(
            {
                **{f"services.*.{key}": rule for key, rule in containers.items()},
                **{f"services.*.pre_start.*.{key}": rule for key, rule in containers.items()},
                "services.*.build.context": self.context,
                "services.*.build.additional_contexts.*": self.context,
                "services.*.build.ssh.*": self.maybe_windows,
                "services.*.extends.file": self.simple,
                "services.*.develop.watch.*.path": self.real,
                "configs.*.file": self.maybe_windows,
                "secrets.*.file": self.maybe_windows,
                "volumes.*": self.device,
            }
        )

    def any(self, node: Node) -> Node:
        return node.like(joined(self.folder, node.value, self.home)) if isinstance(node.value, str) else node

    def simple(self, node: Node, path: Path) -> Node:
        return self.any(node) if node.value else node

    def context(self, node: Node, path: Path) -> Node:
        remote = isinstance(node.value, str) and ("://" in node.value or node.value.startswith(("service:", *REMOTE)))
        return node if remote else self.simple(node, path)

    def maybe_windows(self, node: Node, path: Path) -> Node:
        return node if isinstance(node.value, str) and WINDOWS.match(node.value) else self.any(node)

    def mount(self, node: Node, path: Path) -> Node:
        if node.text("type") == "bind" and (source := node.get("source")):
            node.value["source"] = self.maybe_windows(source, path)
        return node

    def device(self, node: Node, path: Path) -> Node:
        """A volume that is a bind mount in truth."""
        options = node.get("driver_opts")
        if node.text("driver") == "local" and options and options.text("o") == "bind" and "device" in options.map:
            options.value["device"] = self.maybe_windows(options["device"], path)
        return node

    def real(self, node: Node, path: Path) -> Node:
        return node.like(os.path.realpath(self.any(node).value))
