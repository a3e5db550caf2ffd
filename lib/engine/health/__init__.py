"""Health checks: what is asked of a container, how it is asked, and what is known of the answers. When is a play (``plays.health``)."""
