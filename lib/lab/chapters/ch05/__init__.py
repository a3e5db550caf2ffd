"""Chapter 5: its engine, its eyes, its exercises."""
