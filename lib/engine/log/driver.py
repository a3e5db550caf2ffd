"""``--log-driver`` and ``--log-opt``: how a container's output is kept, and how much of it."""

from __future__ import annotations

from lib.sizes import in_bytes

LIMITS = {
    "json-file": {"max_size": None, "max_file": 1},
    "local": {"max_size": 20 << 20, "max_file": 5},  # Docker's other format is the same file here: only what it keeps is different
    "none": {"max_size": None, "max_file": 1},
}
NOT_YET = ("compress", "env", "env-regex", "labels", "labels-regex", "tag")


def log(driver: str, words: tuple[str, ...]) -> dict:
    """Driver and limits as a container's facts have them. Raises ``ValueError``."""
    driver = driver or "json-file"
    if driver not in LIMITS:
        raise ValueError(f"error looking up logging plugin {driver}: of Docker's, {', '.join(LIMITS)} are done here")
    if driver == "none" and words:
        raise ValueError("invalid logging opts for driver none")
    limits = dict(LIMITS[driver])
    for name, _, value in (word.partition("=") for word in words):
        if name not in READERS:
            raise ValueError(unknown(name, driver))
        limits |= READERS[name](value)
    return {"driver": "none" if driver == "none" else "json-file", **limits}


def unknown(name: str, driver: str) -> str:
    if name in NOT_YET:
        return f"--log-opt {name} is an option of Docker's that is not done here yet"
    whose = "json-file log driver" if driver == "json-file" else f"log driver {driver}"
    return f"unknown log opt '{name}' for {whose} (there are max-size and max-file)"


def max_size(text: str) -> dict:
    """``10m``: ten million bytes. Of a log, Docker counts in thousands."""
    size = in_bytes(text, 1000)
    if not size:
        raise ValueError("max-size must be a positive number")
    return {"max_size": size}


def max_file(text: str) -> dict:
    if not (text.isascii() and text.removeprefix("-").isdigit() and len(text) < 10):
        raise ValueError(f"invalid value for max-file: {text} (a whole number, e.g. 3)")
    if int(text) < 1:
        raise ValueError("max-file cannot be less than 1")
    return {"max_file": int(text)}


READERS = {"max-size": max_size, "max-file": max_file}
