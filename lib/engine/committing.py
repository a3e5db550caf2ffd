"""``commit``: what a container has written becomes a layer on top of its image's, and its words the new image's.

A build does the same after every RUN; here it is done by hand, once, and nobody can tell afterwards how it came about.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

from lib.engine import making
from lib.images import Image, Library, image, layers, references
from lib.images.sourcedate import created
from lib.state import events, kept

WORDS = {"cmd": "Cmd", "entrypoint": "Entrypoint", "env": "Env", "user": "User", "workdir": "WorkingDir", "labels": "Labels",
         "exposed_ports": "ExposedPorts", "volumes": "Volumes", "stop_signal": "StopSignal", "healthcheck": "Healthcheck"}  # fmt: skip


def commit(library: Library, facts: dict, name: str | None, changes: dict, author: str = "", message: str = "") -> Image:
    """An image of a container as it is now; ``changes`` are words of a config that lie over its own. Whoever calls keeps it still.

    Raises ``ImageError``, ``LookupError`` if its image has gone.
    """
    wanted = str(references.parse(name)) if name else None
    base = library.find(facts["image"])
    making.layers_of(library, facts)  # they are there
    with library.store.using():
        layer = layers.from_folder(library.store, str(kept.place(facts) / "upper"), stopping=library.chains.stopping)
        found = image.save(library.store, config(facts, base, layer.diff_id, changes, author, message), [*base.layers, layer.descriptor])
        if wanted:
            library.store.tag(wanted, found.descriptor)
    events.of_container("commit", facts, imageID=found.id)
    return found


def config(facts: dict, base: Image, diff_id: str, changes: dict, author: str, message: str) -> dict:
    """The image's config: the base's, with the container's words and one more line of history."""
    made, found = created(), copy.deepcopy(base.config)
    words = {name: facts["config"].get(ours) for ours, name in WORDS.items()}
    there = {**base.runtime, **{name: value for name, value in words.items() if value}}
    step = {"created": made, "created_by": " ".join(facts["argv"]), "comment": message, "author": author}
    found |= {"created": made, "config": laid_over(there, changes), "history": [*base.history, {k: v for k, v in step.items() if v}]}
    if author:
        found["author"] = author
    found["rootfs"] = {"type": "layers", "diff_ids": [*base.diff_ids, diff_id]}
    return found


def laid_over(there: dict, changes: dict) -> dict:
    """Variables, labels and ports are added one by one; everything else takes the old one's place."""
    found = {**there, **changes}
    for name in ("Labels", "ExposedPorts", "Volumes"):
        if name in changes:
            found[name] = {**(there.get(name) or {}), **changes[name]}
    if "Env" in changes:
        found["Env"] = [f"{name}={value}" for name, value in (variables(there.get("Env")) | variables(changes["Env"])).items()]
    return found


def variables(words: Sequence[str] | None) -> dict[str, str]:
    return {name: value for name, _, value in (word.partition("=") for word in words or ())}
