"""The Dockerfile, a language and nothing else: text in, instructions out."""
