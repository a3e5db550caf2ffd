"""``--mount``, ``-v``, ``--tmpfs`` and ``--volumes-from``: what a container is to have mounted. The words are Docker's."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence

import click

from lib import sizes
from lib.cli.flags.kinds import Kind
from lib.visible import visible

ALONE = ("readonly", "ro", "volume-nocopy", "bind-nonrecursive", "bind-create-src")  # that need no value
RECURSION = ("enabled", "disabled", "writable", "readonly")


def parsed(text: str) -> dict:
    """``type=volume,source=data,target=/data,readonly``, field by field. Raises ``ValueError``."""
    text = text.strip()
    if not text:
        raise ValueError("value is empty")
    found: dict = {"type": "volume", "source": "", "target": "", "ro": False}
    for field in fields(text):
        key, equals, value = field.partition("=")
        check_blanks(key, equals, value, field)
        key = key.lower()
        if not equals and key not in ALONE:
            raise ValueError(f"invalid field '{field}' must be a key=value pair")
        if key not in KEYS:
            raise ValueError(f"unknown option '{key}' in '{field}'")
        KEYS[key](found, key, value if equals else None)
    check_together(found)
    return found


def fields(text: str) -> list[str]:
    """Between commas; one in quotes may hold some. Raises ``ValueError``."""
    import csv  # few need it

    try:
        return next(csv.reader([text], strict=True))
    except csv.Error as error:
        raise ValueError(f"parse error on line 1: {error}") from None


def check_blanks(key: str, equals: str, value: str, field: str) -> None:
    if key != key.strip():
        raise ValueError(f"invalid option '{key.strip()}' in '{field}': option should not have whitespace")
    if equals and not value.strip():
        raise ValueError(f"invalid value for '{key}': value is empty")
    if value != value.strip():
        raise ValueError(f"invalid value for '{key}' in '{field}': value should not have whitespace")


# -- each field ---------------------------------------------------------------------------------------------------------

Field = Callable[[dict, str, str | None], None]


def named(name: str) -> Field:
    return lambda found, key, value: found.update({name: value})


def lowered(name: str) -> Field:
    return lambda found, key, value: found.update({name: value.lower()})


def switched(name: str) -> Field:
    return lambda found, key, value: found.update({name: truth(key, value)})


def truth(key: str, value: str | None) -> bool:
    if value not in (None, "1", "true", "0", "false"):
        words = 'must be one of "true", "1", "false", or "0" (default "true")'
        raise ValueError(f"invalid value for '{key}': invalid boolean value (\"{value}\"): {words}")
    return value in (None, "1", "true")


def source(found: dict, key: str, value: str) -> None:
    found["source"] = os.path.abspath(value) if value.startswith(".") else value


def recursion(found: dict, key: str, value: str) -> None:
    if value not in RECURSION:
        raise ValueError(f'invalid value for {key}: {value} (must be "enabled", "disabled", "writable", or "readonly")')
    found["recursion"] = value


def deprecated(found: dict, key: str, value: str | None) -> None:
    raise ValueError("bind-nonrecursive is deprecated, use bind-recursive=disabled instead")


def pair(name: str) -> Field:
    def add(found: dict, key: str, value: str) -> None:
        word, _, rest = value.partition("=")
        found.setdefault(name, {}).update({word: rest} if word else {})

    return add


def size(found: dict, key: str, value: str) -> None:
    try:
        found["size"] = sizes.in_bytes(value)
    except ValueError:
        raise ValueError(f"invalid value for {key}: {value}") from None


def mode(found: dict, key: str, value: str) -> None:
    try:
        found["permissions"] = int(value, 8)
    except ValueError:
        raise ValueError(f"invalid value for {key}: {value}") from None


KEYS: dict[str, Field] = {
    "type": lowered("type"),
    **dict.fromkeys(("source", "src"), source),
    **dict.fromkeys(("target", "dst", "destination"), named("target")),
    **dict.fromkeys(("readonly", "ro"), switched("ro")),
    "consistency": lowered("consistency"),
    "bind-propagation": lowered("propagation"),
    "bind-nonrecursive": deprecated,
    "bind-recursive": recursion,
    "bind-create-src": switched("create"),
    "volume-subpath": named("volume_subpath"),
    "volume-nocopy": switched("nocopy"),
    "volume-label": pair("labels"),
    "volume-driver": named("driver"),
    "volume-opt": pair("options"),
    "image-subpath": named("image_subpath"),
    "tmpfs-size": size,
    "tmpfs-mode": mode,
}  # fmt: skip
BELONGS = {
    "bind": ("propagation", "recursion", "create"), "volume": ("volume_subpath", "nocopy", "labels", "driver", "options"),
    "image": ("image_subpath",), "tmpfs": ("size", "permissions"),
}  # fmt: skip


def check_together(found: dict) -> None:
    for kind, names in BELONGS.items():
        if kind != found["type"] and found.keys() & set(names):
            raise ValueError(f"cannot mix '{kind}-*' options with mount type '{found['type']}'")
    if found.get("recursion") in ("writable", "readonly") and not found["ro"]:
        raise ValueError(f"option 'bind-recursive={found['recursion']}' requires 'readonly' to be specified in conjunction")
    if found.get("recursion") == "readonly" and found.get("propagation") != "rprivate":
        raise ValueError("option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' to be specified in conjunction")


MOUNT = Kind("mount", parsed)

# -- all of them together -----------------------------------------------------------------------------------------------


def check(values: dict) -> None:
    """Can it be meant? Asked before any image is pulled. Raises ``ValueError``."""
    from lib import volumes

    for word in values["volumes"]:
        volumes.parsed(word)
    if values["mounts"]:
        from lib.engine.volumes import wished  # few have any

        for one in values["mounts"]:
            wished.check(one)
    for word in values["tmpfs"]:
        volumes.tmpfs_mount(word)


def asked(values: dict) -> dict:
    """What is written down of a container's mounts, beside the words of ``-v`` and ``--tmpfs``; nothing if nothing is said."""
    if not (values["mounts"] or values["volumes_from"]):
        return {}
    from lib.engine.volumes.wished import as_kept

    found = {"mounts": [as_kept(one) for one in values["mounts"]], "volumes_from": list(values["volumes_from"])}
    return {"asked": found}


def binds(words: Sequence[str]) -> list[str]:
    """Those of ``-v`` that have a source, a relative one made absolute: the container may be started from elsewhere."""
    return [
        os.path.abspath(word.partition(":")[0]) + ":" + word.partition(":")[2] if word.startswith(".") else word
        for word in words
        if ":" in word
    ]


def without_a_name(words: Sequence[str]) -> list[str]:
    """The places of those of ``-v`` that have no source."""
    return [word for word in words if ":" not in word]


def tell_of_uncovered(facts: dict, image) -> None:
    """A word to somebody at a terminal: what the image keeps in a volume goes into one that he will hardly find again."""
    if facts["auto_remove"] or not at_a_terminal():
        return
    wanted = {os.path.normpath(path) for path in image.runtime.get("Volumes") or ()}
    for one in facts.get("mounts") or ():
        if one["type"] == "volume" and one["anonymous"] and one["target"] in wanted:
            target = visible(one["target"])
            words = f"the image keeps {target} in a volume, and this one has no name: -v NAME:{target} lets the next container find it"
            click.echo(f"NOTE: {words}", err=True)


def at_a_terminal() -> bool:
    return sys.stderr.isatty()
