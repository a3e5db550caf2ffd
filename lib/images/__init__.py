"""The suitcase: references, layers, store, registry, Dockerfile, build."""
