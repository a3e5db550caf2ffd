"""Measured beside Docker, Podman, runc and others."""
