"""Many containers from one file: it is read, compared with what is there, and what differs is done."""
