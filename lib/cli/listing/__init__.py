"""What is told of containers: which ones, in which columns, by which template."""
