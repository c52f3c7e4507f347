"""The progress of long work whose end is known, on a terminal only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def counting(what: str, unit: str, *, quiet: bool = False) -> Iterator[Callable[[int, int], None]]:
    """A function to be called with how many are done, and of how many; it draws on stderr."""
    from tqdm import tqdm

    with tqdm(desc=what, unit=f" {unit}", leave=False, disable=True if quiet else None) as bar:

        def show(done: int, total: int) -> None:
            if done < bar.n:  # the next lot
                bar.reset()
            bar.total = total
            bar.update(done - bar.n)

        yield show
