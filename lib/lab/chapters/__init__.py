"""What a chapter's experiments and exercises need."""
