"""The two processes of ours that stay: the keeper, parent of containers, and the manager, who notes what they print and how they end."""
