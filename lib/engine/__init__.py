"""From a name to an image that can be run."""
