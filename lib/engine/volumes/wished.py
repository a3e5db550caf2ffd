"""A mount as somebody wishes it, before there is a container: is it possible, and how is it written down? The words are Docker's.

A wish is ``type``, ``source``, ``target``, ``ro``, and what else belongs to its type: ``propagation``, ``recursion`` and ``create`` of a
bind; ``nocopy``, ``volume_subpath``, ``labels``, ``driver`` and ``options`` of a volume; ``size`` (bytes) and ``permissions`` of a tmpfs;
``image_subpath`` of an image.
"""

from __future__ import annotations

import os

from lib.volumes import wrong_target

TYPES = ("bind", "image", "tmpfs", "volume")
PROPAGATION = ("private", "rprivate", "slave", "rslave")


def check(one: dict) -> None:
    """Raises ``ValueError``, in Docker's words, for what cannot be mounted."""
    if why := wrong(one):
        raise ValueError(f'invalid mount config for type "{one["type"]}": {why}')


def wrong(one: dict) -> str:
    """What Docker's daemon says against a mount, or nothing."""
    if one["type"] not in TYPES:
        return "mount type unknown"
    if not one["target"]:
        return "field Target must not be empty"
    return wrong_target(one["target"]) or WRONG[one["type"]](one)


def wrong_bind(one: dict) -> str:
    if not one["source"]:
        return "field Source must not be empty"
    if one.get("propagation", "rprivate") not in PROPAGATION:
        shared = " (what is mounted in a container never reaches the host)" if "shared" in one["propagation"] else ""
        return f"invalid propagation mode: {one['propagation']}{shared}"
    if not one["source"].startswith("/"):
        return f"invalid mount path: '{one['source']}' mount path must be absolute"
    return "" if one.get("create") or os.path.exists(one["source"]) else f"bind source path does not exist: {one['source']}"


def wrong_volume(one: dict) -> str:
    if one.get("driver", "local") != "local":
        return f'plugin "{one["driver"]}" not found: the driver here is local'
    if one.get("volume_subpath") and not one["source"]:
        return "must not set Subpath when using anonymous volumes"
    return "" if local(one.get("volume_subpath")) else "subpath must be a relative path within the volume"


def wrong_tmpfs(one: dict) -> str:
    return "field Source must not be specified" if one["source"] else ""


def wrong_image(one: dict) -> str:
    if not one["source"]:
        return "field Source must not be empty"
    return "" if local(one.get("image_subpath")) else "subpath must be a relative path within the volume"


WRONG = {"bind": wrong_bind, "volume": wrong_volume, "tmpfs": wrong_tmpfs, "image": wrong_image}


def local(path: str | None) -> bool:
    """Does it stay where it begins, as far as its words say?"""
    return path is None or not (path.startswith("/") or os.path.normpath(path).split("/")[0] == "..")


def as_kept(one: dict) -> dict:
    """As ``engine.volumes.asked`` has it; ``by`` says that it came with ``--mount``, and ``spec`` is what ``inspect`` tells of that."""
    target = os.path.normpath(one["target"])
    found = {"type": one["type"], "target": target, "ro": one["ro"], "mode": "", "by": "mount", "spec": spec(one)}
    match one["type"]:
        case "bind":
            more = {"source": os.path.normpath(one["source"]), "propagation": one.get("propagation", "rprivate")}
            return found | more | {"recursion": one.get("recursion", "enabled"), **({"by": "-v"} if one.get("create") else {})}
        case "volume":
            own = {name: one[name] for name in ("labels", "options") if name in one}
            return found | {"name": one["source"], "nocopy": one.get("nocopy", False), "subpath": one.get("volume_subpath", ""), **own}
        case "image":
            return found | {"source": one["source"], "ro": True, "subpath": one.get("image_subpath", "")}
    words = [f"mode={one['permissions']:o}"] if one.get("permissions") else []
    return found | {"words": [*(["ro"] if one["ro"] else []), *words, *([f"size={one['size']}"] if one.get("size") else [])]}


def spec(one: dict) -> dict:
    """As Docker's API has it, in ``HostConfig.Mounts``; only what was said."""
    said = {"Type": one["type"], "Source": one["source"], "Target": one["target"], "ReadOnly": one["ro"]}
    found = {name: value for name, value in said.items() if value}
    recursion = {"disabled": "NonRecursive", "writable": "ReadOnlyNonRecursive", "readonly": "ReadOnlyForceRecursive"}
    driver = {name: value for name, value in {"Name": one.get("driver"), "Options": one.get("options")}.items() if value}
    options = {
        "BindOptions": {
            "Propagation": one.get("propagation"),
            recursion.get(one.get("recursion"), ""): True,
            "CreateMountpoint": one.get("create"),
        },
        "VolumeOptions": {
            "NoCopy": one.get("nocopy"),
            "Labels": one.get("labels"),
            "Subpath": one.get("volume_subpath"),
            "DriverConfig": driver,
        },
        "TmpfsOptions": {"SizeBytes": one.get("size"), "Mode": one.get("permissions")},
        "ImageOptions": {"Subpath": one.get("image_subpath")},
    }
    for name, values in options.items():
        if kept := {key: value for key, value in values.items() if key and value}:
            found[name] = kept
    return found
