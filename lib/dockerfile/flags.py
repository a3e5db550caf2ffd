"""The flags of an instruction: ``--from=build --link``. Which instruction knows which stands in ``FLAGS``, the one table."""

from __future__ import annotations

from lib.dockerfile.positions import suggestion
from lib.dockerfile.syntax import Node

TEXT, SWITCH, MANY = "text", "switch", "many"  # --chown=x; --link or --link=false; --mount=… as often as you like

FLAGS: dict[str, dict[str, str]] = {
    "ADD": {
        "chown": TEXT,
        "chmod": TEXT,
        "link": SWITCH,
        "exclude": MANY,
        "checksum": TEXT,
        "keep-git-dir": SWITCH,
        "unpack": SWITCH,
    },
    "COPY": {"from": TEXT, "chown": TEXT, "chmod": TEXT, "link": SWITCH, "parents": SWITCH, "exclude": MANY},
    "FROM": {"platform": TEXT},
    "HEALTHCHECK": {"interval": TEXT, "timeout": TEXT, "start-period": TEXT, "start-interval": TEXT, "retries": TEXT},
    "RUN": {"mount": MANY, "network": TEXT, "security": TEXT},
}
UNCHECKED = ("ARG", "STOPSIGNAL")  # BuildKit reads over flags here


class Flags:
    """What was given. Each question has an answer for a flag that was not."""

    def __init__(self, values: dict[str, object]):
        self._values = values

    def text(self, name: str) -> str | None:
        return self._values.get(name)

    def switch(self, name: str) -> bool | None:
        return self._values.get(name)

    def many(self, name: str) -> tuple[str, ...]:
        return tuple(self._values.get(name, ()))


def read(node: Node) -> Flags:
    """The flags of ``node``. Raises: DockerfileError for one that is unknown, given twice, or without its value."""
    known = FLAGS.get(node.keyword, {})
    values: dict[str, object] = {}
    for flag in () if node.keyword in UNCHECKED else node.flags:
        word, equals, value = flag.partition("=")
        name = word.removeprefix("--")
        kind = known.get(name)
        if kind is None:
            hint = f"{node.keyword} knows {' '.join('--' + name for name in known)}" if known else f"{node.keyword} takes no flags"
            near = suggestion(word, ["--" + name for name in known])
            raise node.place.error(f"unknown flag {word[:60]}{near}", hint, word)
        if name in values and kind != MANY:
            raise node.place.error(f"{word} is given twice", "keep one of the two", word)
        if kind == SWITCH:
            values[name] = _switch(node, word, equals, value)
        elif not equals:
            raise node.place.error(f"{word} has no value", f"write {word}=value, with no space around the =", word)
        elif kind == MANY:
            values.setdefault(name, []).append(value)
        else:
            values[name] = value
    return Flags(values)


def _switch(node: Node, word: str, equals: str, value: str) -> bool:
    if value.lower() not in ("true", "false") and (value or equals):
        raise node.place.error(f"{word} is true or false, not '{value[:60]}'", f"write {word}, or {word}=false", word)
    return value.lower() != "false"
