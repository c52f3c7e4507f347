"""Nearest neighbours: a cache that can be rebuilt from the catalog at any time."""
