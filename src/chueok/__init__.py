"""Find the photos a person is in."""
