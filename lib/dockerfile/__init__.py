"""The Dockerfile, a language and nothing else: text in, instructions out."""

from lib.lazy import hand_on

__getattr__, __all__ = hand_on(
    __name__,
    {
        "parser": "Dockerfile DockerfileError Stage parse read",
    },
)
