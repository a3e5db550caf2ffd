"""What the commands tell about images: tables for people, documents for programs."""

from __future__ import annotations

import os
import stat

from lib import sizes
from lib.cli import text
from lib.images import Image, Library, digests, references
from lib.images.library import REPO_DIGEST
from lib.images.overlays import walk
from lib.visible import visible


def layer_sizes(library: Library, image: Image) -> list[int]:
    """Bytes of the files of each layer, unpacked: what Docker calls its size. Of one not unpacked yet, its packed bytes."""
    sizes_ = [unpacked_size(library, chain) for chain in image.chain_ids]
    return [layer["size"] if size is None else size for layer, size in zip(image.layers, sizes_, strict=True)]


def unpacked_size(library: Library, chain: str) -> int | None:
    """Bytes of the files of a chain's top layer, counted once; None if it is not unpacked."""
    from lib.images import Cache

    if (folder := library.chains.find(chain)) is None:
        return None
    with library.store.using():  # a prune beside us would sweep the note's draft
        return Cache(library.store).once(f"size-{chain.partition(':')[2]}", lambda: files(folder))


def files(folder: str) -> int:
    """The lengths of all files in a folder, one with two names once."""
    seen = {(about.st_dev, about.st_ino): about.st_size for _, _, about in walk(folder) if stat.S_ISREG(about.st_mode)}
    return sum(seen.values())


def repository_digests(library: Library, image: Image) -> dict[str, str]:
    """What registries call it: name → name@digest."""
    entries = [one.get("annotations", {}) for one in library.store.index() if one["digest"] == image.descriptor["digest"]]
    return {words[REPO_DIGEST].partition("@")[0]: words[REPO_DIGEST] for words in entries if REPO_DIGEST in words}


def image_rows(library: Library, found: list[Image], full: bool = False) -> list[dict[str, str]]:
    """One for each name, and one for an image without any: Docker's fields for ``images --format``."""
    rows = []
    for one in found:
        pulled, made = repository_digests(library, one), str(one.config.get("created", ""))
        size = sizes.human(sum(layer_sizes(library, one)))
        for name in one.names or ("",):
            wanted = references.parse(name) if name else None
            known = pulled.get(str(wanted._replace(tag=None, digest=None)) if wanted else "", "")
            rows.append({
                "Repository": wanted._replace(tag=None, digest=None).familiar if wanted else "<none>",
                "Tag": (wanted and wanted.tag) or "<none>",
                "Digest": known.partition("@")[2] or "<none>",
                "ID": one.id if full else digests.short(one.id),
                "CreatedSince": text.age(made),
                "CreatedAt": visible(made),
                "Size": size,
            })  # fmt: skip
    return rows


def history_rows(library: Library, image: Image, full: bool = False) -> list[dict[str, str]]:
    """The newest step first; a step that made a layer has that layer's size. Docker's fields for ``history --format``."""
    layers, rows = iter(layer_sizes(library, image)), []
    for one in image.history:
        said = visible(" ".join(str(one.get("created_by", "")).split()))
        made = str(one.get("created", ""))
        rows.append({
            "ID": "<missing>",
            "CreatedSince": text.age(made),
            "CreatedAt": visible(made),
            "CreatedBy": said if full else text.shorten(said, 45),
            "Size": sizes.human(0 if one.get("empty_layer") else next(layers, 0)),
            "Comment": visible(str(one.get("comment", ""))),
        })  # fmt: skip
    rows.reverse()
    if rows:
        rows[0]["ID"] = image.id if full else digests.short(image.id)
    return rows


def document(library: Library, image: Image) -> dict:
    """``docker image inspect``."""
    return {
        "Id": image.id,
        "RepoTags": [references.parse(name).familiar for name in image.names],
        "RepoDigests": sorted(repository_digests(library, image).values()),
        "Created": image.config.get("created"),
        "Author": image.config.get("author", ""),
        "Config": image.runtime,
        "Architecture": image.config.get("architecture"),
        "Os": image.config.get("os"),
        "Size": sum(layer_sizes(library, image)),
        "RootFS": {"Type": "layers", "Layers": image.diff_ids},
        "Descriptor": {key: image.descriptor[key] for key in ("mediaType", "digest", "size")},
    }


def changes(below, top: str) -> list[tuple[str, str]]:
    """``docker diff``: A, C or D and the path, for each thing in a container's writable folder."""
    from lib.images.overlays import is_whiteout

    found = []
    for name, _, about in walk(top):
        there = below.find(name)
        found.append(("D" if is_whiteout(about) else "C" if there else "A", "/" + name))
    return sorted(found, key=lambda one: os.fsencode(one[1]))
