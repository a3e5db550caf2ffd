"""The garage, in rooms: what machine this is, machines to compare with, Jupyter, what the chapters need, benches."""
