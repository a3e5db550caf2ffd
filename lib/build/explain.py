"""Why a step was not cached: the parts of its key beside those of the last build.

A key is a hash, and two hashes only tell *that* something differs. The parts have names, and tell what.
"""

from __future__ import annotations

MEANING = {
    "below": "a step before it, or the base image, gave different layers",
    "command": "the command itself has changed",
    "env": "a variable the command sees has a different value",
    "workdir": "it runs in a different folder",
    "user": "it runs as somebody else",
    "content": "what is copied is not the same",
    "dest": "it is copied to a different place",
    "looks": "--chown or --chmod say something else",
    "mounts": "a --mount shows something else",
    "epoch": "SOURCE_DATE_EPOCH has changed, and no file may be younger than that",
}


def align(before: list[dict], now: list[str]) -> dict[int, dict]:
    """Which step of the last build is which of this one: by text, in order; what is left between two equal ones by place."""
    from difflib import SequenceMatcher

    texts = [one["text"] for one in before]
    pairs: dict[int, dict] = {}
    for kind, i1, i2, j1, j2 in SequenceMatcher(None, texts, now, autojunk=False).get_opcodes():
        if kind in ("equal", "replace"):
            pairs |= {j: before[i] for i, j in zip(range(i1, i2), range(j1, j2), strict=False)}
    return pairs


def why(parts: dict, before: dict | None, changed: list[str], first: bool = False) -> list[str]:
    """The reasons for a miss, in words. ``changed`` are files of the context that are not as they were; ``first``: no build yet."""
    if before is None:
        return ["this is the first build" if first else "there was no such step in the last build"]
    old = before["parts"]
    reasons = [reason(name, old.get(name), parts.get(name), changed) for name in sorted({*old, *parts}) if old.get(name) != parts.get(name)]
    return reasons or ["nothing has changed, but what it made then is gone from the cache"]


def reason(name: str, old: object, new: object, changed: list[str]) -> str:
    words = f"{name}: {MEANING.get(name, 'is another')}"
    if name == "env" and isinstance(old, dict) and isinstance(new, dict):
        names = [key for key in sorted({*old, *new}) if old.get(key) != new.get(key)]
        return f"{words}: " + ", ".join(f"{key} was {old.get(key)!r}, is {new.get(key)!r}" for key in names)
    if name == "command":
        return f"{words}: was {old!r}"
    if name == "content" and changed:
        return f"{words}: {', '.join(changed[:5])}" + (f" and {len(changed) - 5} more" if len(changed) > 5 else "")
    return words


def advice(steps: list) -> list[str]:
    """What to reorder: a COPY that missed because of its content, with a RUN after it that had to run again only for that."""
    found = []
    for number, step in enumerate(steps):
        if step.kind != "copy" or step.cached or not any(one.startswith("content") for one in step.why):
            continue
        after = [one for one in steps[number + 1 :] if one.stage == step.stage and one.kind == "run" and not one.cached]
        if after and all(len(one.why) == 1 and one.why[0].startswith("below") for one in after):
            seconds = sum(one.seconds for one in after)
            found.append(
                f"line {step.line}, {step.text[:60]}: {len(after)} RUN step(s) after it ran again ({seconds:.1f} s), and nothing of "
                "their own had changed. Copy only what they need before them (a list of packages, say), and the rest after them"
            )
    return found
