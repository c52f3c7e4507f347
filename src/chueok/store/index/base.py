"""What a vector index promises."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class VectorIndex(Protocol):
    """Answers similarity queries over unit vectors known by integer ids.

    Similarity is the cosine. Every one that is returned is `exact.similarities` of the two vectors, so that all indexes
    give the same number to the last bit; a threshold is rounded to float32 before it is compared.
    Queries of a wrong shape or not of unit length raise ValueError.
    """

    def __len__(self) -> int:
        """How many vectors the index holds."""
        ...

    @property
    def dimension(self) -> int:
        """d, the length of a vector."""
        ...

    def ids(self) -> NDArray[np.int64]:
        """Every id held, sorted: (n,) int64."""
        ...

    def add(self, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        """Add vectors: ids (n,) int64 from 0, vectors (n, d) float32, unit rows.

        Raises ValueError for a wrong shape, a row that is not of unit length, an id below 0 or held already;
        nothing is added then.
        """
        ...

    def above(
        self, queries: NDArray[np.float32], threshold: float
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The vectors whose best similarity to one of the queries reaches the threshold.

        All of them, whatever the engine: a threshold promises a false accept rate, not a sample.
        queries: (q, d) float32, unit rows. Returns ids (m,) int64 and their similarities to all queries
        (m, q) float32, best similarity first, then id.
        """
        ...

    def nearest(
        self, query: NDArray[np.float32], count: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The vectors most similar to one query, as many as there are up to `count`.

        The most similar of all, or nearly so where the engine says it may miss some. query: (d,) float32, unit length.
        Returns ids (k,) int64 and similarities (k,) float32, best first, then by id.
        """
        ...
