"""What nbval compares in a chapter, and what must hold of the rest."""
