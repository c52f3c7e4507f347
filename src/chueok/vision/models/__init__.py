"""Which embedding models exist, how their weights get here, and how they are compiled."""
