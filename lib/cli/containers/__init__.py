"""Verbs for containers."""
