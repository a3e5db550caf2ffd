"""``suitcase compose``: many containers from one file, in Docker Compose's words."""
