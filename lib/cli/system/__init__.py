"""What is there in all, and how to be rid of it: the groups ``container image builder system``, and what only they have."""
