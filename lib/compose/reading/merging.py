"""Phase 8: one file laid over another, by the specification's rules for each key; and phase 9: what a list may have only once.

Most lists grow, most mappings are merged name by name. A command is replaced. What can be written as a list or as a mapping is made a list
first. ``!reset`` and ``!override`` take away what was there before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import PurePosixPath

from lib.compose.reading.nodes import ComposeError, Node, Path, Rules, as_text, dotted
from lib.compose.reading.shortforms import mount_from

Merge = Callable[[Node, Node, Path], Node]


def merged(base: Node, over: Node, path: Path = ()) -> Node:
    """``over`` laid over ``base``, both at ``path``. Raises: ComposeError where a list meets a mapping."""
    branch = SPECIALS.tree
    for step in path:
        branch = branch.get(step) or branch.get("*") or {}
    return _merged(base, over, path, branch)


def _merged(base: Node, over: Node, path: Path, branch: dict) -> Node:
    if None in branch:
        return branch[None](base, over, path)
    if over.value is None:
        return base
    if isinstance(base.value, dict):
        return _mappings(_same(base, over, dict, path), over, path, branch)
    if isinstance(base.value, list):
        return _same(base, over, list, path).like(base.value + over.value)
    return over


def _same(base: Node, over: Node, kind: type, path: Path) -> Node:
    if not isinstance(over.value, kind):
        called = "a list" if kind is list else "a mapping"
        raise ComposeError(f"{dotted(path)} must be {called}, as it is one at {base.place}", over.place)
    return base


def _mappings(base: Node, over: Node, path: Path, branch: dict) -> Node:
    found = dict(base.value)
    for key, value in over.value.items():
        inner = branch.get(key) or branch.get("*") or {}
        found[key] = _merged(found[key], value, (*path, key), inner) if key in found else value
    return base.like(found)


def _replaced(base: Node, over: Node, path: Path) -> Node:
    return over


def _together(base: Node, over: Node, path: Path) -> Node:
    return base.like(as_list(base) + as_list(over))


def _hosts(base: Node, over: Node, path: Path) -> Node:
    before = as_list(base)
    known = {repr(item.value) for item in before}
    return base.like(before + [item for item in as_list(over) if repr(item.value) not in known])


def as_list(node: Node) -> list[Node]:
    """``A: 1`` as ``A=1``, a text as a list of one."""
    if isinstance(node.value, dict):
        pairs = ((key, one) for key, value in node.value.items() for one in (value.items if isinstance(value.value, list) else [value]))
        found = [one.like(key if one.value is None else f"{key}={as_text(one.value)}") for key, one in pairs]
        return sorted(found, key=lambda item: item.value)
    return node.value if isinstance(node.value, list) else [node] if isinstance(node.value, str) else []


def as_mapping(node: Node, default: Iterable[tuple[str, object]] = ()) -> Node:
    """``[a]`` as ``a: {…}``."""
    if isinstance(node.value, list):
        return node.like({as_text(item.value): item.like({k: item.like(v) for k, v in default} or None) for item in node.value})
    return node if isinstance(node.value, dict) else node.like({})


STARTED = (("condition", "service_started"), ("required", True))


def _by_name(default: Iterable[tuple[str, object]] = ()) -> Merge:
    def merge(base: Node, over: Node, path: Path) -> Node:
        for node in (base, over):
            if not isinstance(node.value, dict | list | None):
                raise ComposeError(f"{dotted(path)} must be a list or a mapping", node.place)
        return _mappings(as_mapping(base, default), as_mapping(over, default), path, {})

    return merge


def _build(base: Node, over: Node, path: Path) -> Node:
    def long(node: Node) -> Node:
        return node.like({"context": node} if isinstance(node.value, str) else node.map)

    inner = {key: {None: rule} for key, rule in BUILD.items()}
    return _mappings(long(base), long(over), path, inner)


def _logging(base: Node, over: Node, path: Path) -> Node:
    drivers = [node.text("driver") for node in (base, over) if node.get("driver")]
    if (len(drivers) == 2 and drivers[0] != drivers[1]) or not isinstance(base.value, dict):
        return over
    return _mappings(_same(base, over, dict, path), over, path, {})


def _pools(base: Node, over: Node, path: Path) -> Node:
    """Pools of the same subnet are merged."""
    if not isinstance(base.value, list) or not isinstance(over.value, list):
        raise ComposeError(f"{dotted(path)} must be a list", over.place)
    found: dict[str, Node] = {}
    for right in base.value:
        for left in over.value:
            subnet = left.text("subnet")
            if subnet != right.text("subnet") and subnet not in found:
                found[subnet] = left
                continue
            both = _mappings(right.like(right.map), left.like(left.map), path, {})
            found[both.text("subnet")] = both
    return base.like(list(found.values()))


BUILD: dict[str, Merge] = {"args": _together, "additional_contexts": _together, "extra_hosts": _hosts, "labels": _together}
LISTS = ("annotations", "dns", "dns_opt", "dns_search", "env_file", "label_file", "environment", "labels", "sysctls", "tmpfs")
SPECIALS = Rules(
    {
        "networks.*.ipam.config": _pools,
        "networks.*.labels": _together,
        "volumes.*.labels": _together,
        **{f"services.*.{key}": _together for key in (*LISTS, "deploy.labels", "volumes.*.volume.labels")},
        **{f"services.*.{key}": _replaced for key in ("command", "entrypoint", "healthcheck.test", "ulimits.*")},
        "services.*.build": _build,
        "services.*.depends_on": _by_name(STARTED),
        "services.*.extra_hosts": _hosts,
        "services.*.logging": _logging,
        "services.*.models": _by_name(),
        "services.*.networks": _by_name(),
    }
)


def without(node: Node, marks: Iterable[Path]) -> Node:
    """``node`` without what stands at these paths: they said ``!reset`` or ``!override``."""
    for *above, last in marks:
        holder: Node | None = node
        for step in above:
            holder = holder.get(step) if holder and isinstance(step, str) else None
        if holder and isinstance(last, str):
            holder.map.pop(last, None)
    return node


# -- unique ------------------------------------------------------------------------------------
Index = Callable[[Node, Path], str]


def _key(node: Node, path: Path) -> str:
    return as_text(node.value).partition("=")[0]


def _target(node: Node, path: Path) -> str:
    if isinstance(node.value, dict):
        return _needed(node, "target", path)
    return mount_from(node).text("target") if isinstance(node.value, str) else ""


def _device(node: Node, path: Path) -> str:
    if isinstance(node.value, dict):
        return _needed(node, "target", path)
    parts = as_text(node.value).split(":")
    return parts[1] if len(parts) > 1 else parts[0]


def _needed(node: Node, key: str, path: Path) -> str:
    if not isinstance(found := node.get(key), Node) or not isinstance(found.value, str | int):
        raise ComposeError(f"{dotted(path)} needs `{key}`", node.place)
    return as_text(found.value)


def _port(node: Node, path: Path) -> str:
    if not isinstance(node.value, dict):
        return as_text(node.value)
    published = node.get("published")
    host, protocol = node.text("host_ip", "0.0.0.0"), node.text("protocol", "tcp")
    return f"{host}:{published.value if published else None!r}:{_needed(node, 'target', path)}/{protocol}"


def _env_file(node: Node, path: Path) -> str:
    return node.text("path") or as_text(node.value if isinstance(node.value, str) else "")


def _grant(folder: str) -> Index:
    def index(node: Node, path: Path) -> str:
        if isinstance(node.value, dict):
            return node.text("target") or f"{folder}/{node.text('source')}"
        return f"{folder}/{as_text(node.value)}"

    return index


def _unique(index: Index) -> Callable[[Node, Path], Node]:
    def change(node: Node, path: Path) -> Node:
        if not isinstance(node.value, list):
            return node
        found: dict[str, Node] = {}
        for at, item in enumerate(node.value):
            found[index(item, (*path, at))] = item
        return node.like(list(found.values()))

    return change


ONCE = (
    "annotations", "build.args", "build.additional_contexts", "build.tags", "build.labels", "cap_add", "cap_drop", "deploy.labels", "dns",
    "dns_opt", "dns_search", "environment", "labels", "links", "networks.*.aliases", "networks.*.link_local_ips", "profiles", "sysctls",
    "tmpfs",
)  # fmt: skip
UNIQUE = Rules(
    {
        "networks.*.labels": _unique(_key),
        **{f"services.*.{key}": _unique(_key) for key in ONCE},
        "services.*.configs": _unique(_grant("")),
        "services.*.devices": _unique(_device),
        "services.*.env_file": _unique(_env_file),
        "services.*.expose": _unique(lambda node, path: as_text(node.value)),
        "services.*.ports": _unique(_port),
        "services.*.secrets": _unique(_grant("/run/secrets")),
        "services.*.volumes": _unique(_target),
    }
)


def unique(node: Node) -> Node:
    """Of two items for the same target, name or port, only the later stays, in the place of the first."""
    return UNIQUE.apply(node)


def clean(target: str) -> str:
    """A path without ``//``, ``.`` and ``..``."""
    parts: list[str] = []
    for part in PurePosixPath(target).parts:
        if part == ".." and parts and parts[-1] not in ("/", ".."):
            parts.pop()
        elif part != ".." or not parts or parts[-1] == "..":
            parts.append(part)
    return str(PurePosixPath(*parts)) if parts else "."
