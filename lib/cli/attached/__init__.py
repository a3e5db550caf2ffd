"""A command that is attached to a container: its own terminal, its streams and its signals on one side, the container on the other."""
