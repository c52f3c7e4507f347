"""How long one face takes, measured the same way wherever the lab says `ms_per_face`."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from chueok.vision.base import Embedder


def milliseconds(
    embedders: Sequence[Embedder],
    crop: NDArray[np.uint8],
    rounds: int,
    *,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[float, ...]:
    """Each embedder's median wall time for one crop, its mirror image included; one core, see vision/runtime.py.

    By turns, so that what else the machine does slows all of them. crop: (s, s, 3) uint8 RGB, as `embed` takes it.
    clock: seconds.
    """
    taken: list[list[float]] = [[] for _ in embedders]
    for _ in range(rounds):
        for embedder, times in zip(embedders, taken, strict=True):
            embedder.embed([crop])  # its weights are back in the cache
            began = clock()
            embedder.embed([crop])
            times.append(clock() - began)
    return tuple(1000 * statistics.median(times) for times in taken)
