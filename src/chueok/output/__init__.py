"""Answers made visible as tables, lines, JSON, a page or a picture. Renders records, never decides."""
