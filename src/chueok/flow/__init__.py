"""The verbs: what a user asks for, as plain functions and generators that yield events and never print."""
