"""What a container has mounted: from what was asked for to what is written down of it, and from that to what its start mounts.

Each mount is a small object in the container's file: ``type`` (bind, volume, tmpfs, image), ``target``, ``ro``; what else belongs to it is
said by ``lib.volumes.parsed`` and by ``wished``. Of a volume ``name`` is known then, and of an image its ``chains``.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Sequence

from lib import volumes
from lib.engine.volumes import filling, store
from lib.images import Library, Merged
from lib.ingredients import Layers, Mount, Tmpfs

Mounts = dict[str, dict]  # by their places in the container
New = Callable[..., store.Volume]  # of a name (None: without one), labels and options, as ``store.create``


# -- what is written down -----------------------------------------------------------------------------------------------


def unpack(library: Library, facts: dict) -> None:
    """Unpack the images that are to be mounted, which may take a while. Raises ``StoreError`` for one that is not here."""
    for one in (facts.get("asked") or {}).get("mounts") or ():
        if one["type"] == "image":
            library.folders(library.find(one["source"]))


def resolve(library: Library, facts: dict, layers: Sequence[str], mounts_of: Callable[[str], list[dict]], new: New) -> None:
    """Write the mounts of a new container into its ``facts``; volumes are made where they are missing. Hold ``store.using`` meanwhile.

    As in Docker: those of other containers first, over them those of ``-v`` and ``--mount``, and a new volume for each ``VOLUME`` of the
    image that nobody covers. ``mounts_of`` tells those of others, ``new`` makes a volume. Raises ``ValueError``, ``LookupError``; what was
    made by then stands in ``facts``.
    """
    asked, image, found = facts.get("asked") or {}, Merged(layers), {}
    try:
        for word in asked.get("volumes_from") or ():
            found |= of_another(word, mounts_of)
        for one in named(facts, asked):
            found[one["target"]] = made(library, one, new)
        for target in facts["config"]["volumes"] or ():
            if not covered(target, found, facts):
                found[os.path.normpath(target)] = anonymous(image, target, new)
        for one in found.values():
            if one["type"] == "volume":
                one["mode"] = one.get("mode") or ("" if one["anonymous"] else "z")
                filling.plan(image, one)
    finally:
        facts["mounts"] = list(found.values())


def of_another(word: str, mounts_of: Callable[[str], list[dict]]) -> Mounts:
    """``--volumes-from NAME[:ro]``. Raises ``ValueError``, ``NoSuchContainer``."""
    name, _, mode = word.partition(":")
    if not name:
        raise ValueError("volumes-from specification cannot be an empty string")
    if mode not in ("", "ro", "rw", "z", "Z", "ro,z", "ro,Z", "rw,z", "rw,Z"):
        raise ValueError(f"invalid mode: {mode}")
    return {one["target"]: {**one, "ro": one["ro"] or "ro" in mode.split(","), "nocopy": True} for one in mounts_of(name)}


def named(facts: dict, asked: dict) -> list[dict]:
    """What ``-v`` and ``--mount`` ask for. Raises ``ValueError`` for two at one place."""
    tmpfs = {os.path.normpath(word.partition(":")[0]) for word in facts["options"].get("tmpfs") or ()}
    found: Mounts = {}
    words = [volumes.parsed(word) for word in dict.fromkeys(facts["options"].get("volumes") or ())]
    for one in [*words, *(asked.get("mounts") or ())]:
        if one["target"] in found or (one["target"] in tmpfs and "by" not in one):
            raise ValueError(f"Duplicate mount point: {one['target']}")
        found[one["target"]] = one
    return list(found.values())


def made(library: Library, one: dict, new: New) -> dict:
    """A mount that was asked for, with the volume that it needs. Raises ``ValueError``, ``StoreError`` for an image that is not here."""
    if one["type"] == "volume":
        there = new(one["name"] or None, one.get("labels"), one.get("options"))
        return {"anonymous": not one["name"], **one, "name": there.name}  # it may be known to have no name of its own
    if one["type"] == "image":
        image = library.find(one["source"])
        return {**one, "image": image.id, "chains": image.chain_ids}
    return dict(one)


def anonymous(image: Merged, target: str, new: New) -> dict:
    """A volume without a name, for a ``VOLUME`` of the image or ``-v /path``. Raises ``ValueError``."""
    if why := volumes.wrong_target(target):
        raise ValueError(f"invalid volume specification: '{target}': invalid mount config for type \"volume\": {why}")
    if over_a_file(image, target):
        raise ValueError(f"cannot mount volume over existing file, file exists {target}")
    one = {"type": "volume", "target": os.path.normpath(target), "ro": False, "nocopy": False, "name": ""}
    return {**one, "name": new(None).name, "anonymous": True}


def over_a_file(image: Merged, target: str) -> bool:
    """Is there something in the image that no folder can be mounted on?"""
    found = image.find(image.resolve(target))
    return found is not None and not stat.S_ISDIR(found[1].st_mode)


def covered(target: str, found: Mounts, facts: dict) -> bool:
    place = os.path.normpath(target)
    return place in found or any(os.path.normpath(word.partition(":")[0]) == place for word in facts["options"].get("tmpfs") or ())


# -- what is mounted ----------------------------------------------------------------------------------------------------


def fill(layers: Sequence[str], facts: dict) -> None:
    """Fill those of its volumes that are not whole. Raises ``OSError``."""
    for one in facts["mounts"]:
        if one["type"] == "volume":
            filling.fill(layers, one, store.create(one["name"]))  # somebody may have removed its folder by hand


def prepare(layers: Sequence[str], facts: dict) -> None:
    """Before its start: as ``fill``, and folders of this machine that ``-v`` names are made. Raises ``OSError``."""
    for one in facts["mounts"]:
        if one["type"] == "bind" and one.get("by") != "mount" and not os.path.lexists(one["source"]):
            os.makedirs(one["source"], 0o755, exist_ok=True)
    fill(layers, facts)


def of_volume(facts: dict, one: dict, volume: store.Volume) -> Mount:
    bound = volumes.bound(one, volume.source, one.get("subpath", ""))
    if not volume.is_mounted:
        return bound
    from lib.engine.volumes.mounted import Mounted  # few are

    return Mounted(**vars(bound), volume=volume, facts=facts)


def ingredients(library: Library, facts: dict, scratch: str) -> list[Mount]:
    """For ``Container``; ``scratch`` is a folder that goes with its end. Raises ``LookupError`` if something of it has gone."""
    return [ingredient(library, facts, one, f"{scratch}/image-{number}") for number, one in enumerate(facts.get("mounts") or ())]


def ingredient(library: Library, facts: dict, one: dict, place: str) -> Mount:
    match one["type"]:
        case "volume":
            return of_volume(facts, one, store.find(one["name"]))
        case "tmpfs":
            return Tmpfs(one["target"], ",".join(["nosuid,nodev,noexec", *one["words"]]))
        case "image":
            folders = [library.chains.find(chain) for chain in one["chains"]]
            if None in folders:
                raise LookupError(f"layers of the image {one['source']} are gone from {library.store.place}: pull or build it again")
            return Layers(one["target"], source=place, layers=folders, below=one.get("subpath", ""))
    return volumes.bound(one, one["source"])
