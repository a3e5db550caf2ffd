"""``volume`` and its verbs, and the flags of ``run`` that say what a container has mounted."""
