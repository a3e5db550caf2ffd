"""``network`` and its verbs, and the flags of ``run`` that say which networks a container is on and which ports it publishes."""
