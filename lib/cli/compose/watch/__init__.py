"""``develop.watch``: what its lines mean, and the verb that does it."""
