"""A service in the engine's words: what it is called, what it needs, and the facts of one of its containers."""
