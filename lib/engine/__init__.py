"""The steering wheel: images and containers as commands, in Docker's words."""
