"""The builder: a Dockerfile becomes a graph of stages, a stage a chain of steps, a step a layer or a word."""

from lib.lazy import hand_on

__getattr__, __all__ = hand_on(
    __name__,
    {
        "builder": "Build build plan",
        "options": "Built Options",
        "steps": "BuildError StepReport",
    },
)
