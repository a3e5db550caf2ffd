"""An OCI runtime as a translation of words: ``config.json`` in, the same plan as ever, state JSON out."""

from lib.lazy import hand_on

__getattr__, __all__ = hand_on(
    __name__,
    {
        "translation": "OciError Root cgroup devices ingredients load not_understood",
        "lifecycle": "create delete facts kill place start state_json status",
        "__main__": "main",
    },
)
