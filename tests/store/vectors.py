"""Made-up embeddings, and indexes of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from chueok.store.index.exact import ExactIndex
from chueok.store.index.hnsw import HnswIndex

Floats = NDArray[np.float32]


def unit(rows: NDArray[np.floating]) -> Floats:
    """Rows brought to length 1."""
    result: Floats = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return result


def faces(n: int, dimension: int = 16, seed: int = 0) -> Floats:
    """(n, d) unit rows without any order in them."""
    return unit(np.random.default_rng(seed).standard_normal((n, dimension)))


def an_index(n: int = 50, seed: int = 0) -> HnswIndex:
    """An index of n faces with the ids 0, 3, 6 and so on."""
    return HnswIndex.build(16, np.arange(n) * 3, faces(n, seed=seed))


def answers(index: HnswIndex | ExactIndex, tried: Floats) -> list[list[object]]:
    """What an index says about these queries, down to the last bit."""
    return [reply.tolist() for reply in index.above(tried, 0.2)]
