"""A container's log: written within the kernel, whole after any crash, rotated without losing a reader."""
