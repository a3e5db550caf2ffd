"""Virtual machines: one to compare containers with, and the lab VM, a kernel of one's own for notebooks."""
