"""From what somebody calls a thing to the thing: images by short names and from registries, containers that nobody has named."""
