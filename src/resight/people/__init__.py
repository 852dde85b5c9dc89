"""Rendered people: pedestrians made to order, with exact parts, identities, cameras and known causes of failure."""
