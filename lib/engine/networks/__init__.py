"""A container and its networks: what it asks for, how it is put on one while it runs, which ports of the host are its own."""
