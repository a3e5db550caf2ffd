"""Control groups: what a process may use up. The text is cgroup v2, the footnote is v1: one interface, two small back ends."""

from lib.lazy import hand_on

__getattr__, __all__ = hand_on(
    __name__,
    {
        "cgroup": "Cgroup Member PERIOD",
        "backends": "backend swap_is_accounted",
        "devices": "ALLOWED EVERYTHING rules_of",
        "oom": "OomWatch",
        "v1": "V1 unique",
        "v2": "V2 PARENT",
    },
)
