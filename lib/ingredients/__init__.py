"""What makes a process a container, one small module each; none knows another."""
