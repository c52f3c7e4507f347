"""The progress of long work that counts for itself, as the lab does."""

from __future__ import annotations

from collections.abc import Callable

from chueok.output.base import Output, Progress


def counting(output: Output, what: str, unit: str) -> Callable[[int, int], None]:
    """A function to be called with how many are done, and of how many. what: "reading"; unit: "photos"."""
    return lambda done, total: output.show(Progress(what, unit, done, total))
