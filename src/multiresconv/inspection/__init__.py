"""Measures and pictures of what the layers of a model have learned."""
