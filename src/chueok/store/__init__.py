"""What is remembered: the catalog is the truth, the index a cache."""
