"""The progress of a download, on a terminal only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def download_progress(name: str, *, quiet: bool = False) -> Iterator[Callable[[int, int], None]]:
    """A function to be called with the bytes there and the bytes in all; it draws on stderr."""
    from tqdm import tqdm

    with tqdm(desc=name, unit="B", unit_scale=True, leave=False, disable=True if quiet else None) as bar:

        def show(there: int, total: int) -> None:
            bar.total = total
            bar.update(there - bar.n)

        yield show
