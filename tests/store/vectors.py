"""Made-up embeddings."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def unit(rows: NDArray[np.floating]) -> Floats:
    """Rows brought to length 1."""
    result: Floats = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return result


def faces(n: int, dimension: int = 16, seed: int = 0) -> Floats:
    """(n, d) unit rows without any order in them."""
    return unit(np.random.default_rng(seed).standard_normal((n, dimension)))
