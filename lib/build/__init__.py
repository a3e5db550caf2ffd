"""The builder: a Dockerfile becomes a graph of stages, a stage a chain of steps, a step a layer or a word."""
