"""The verbs for containers, one module for each group of them."""
