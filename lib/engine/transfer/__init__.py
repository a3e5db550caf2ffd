"""``cp``: files in and out of a container, whether it runs or not."""
