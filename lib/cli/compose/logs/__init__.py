"""The logs of all containers of a project at once: read, with names before the lines, and stayed with."""
