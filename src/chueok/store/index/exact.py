"""The exact index: every vector compared with every query. The oracle, and hard to beat at any size measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

UNIT_TOLERANCE = 1e-4
"""How far a row's length may be from 1. Normalising in float32 leaves about 1e-7; more was never normalised."""

ROUNDING = 1e-4
"""What float32 matrix products may be off by: at most d * 2**-24 for unit rows (Higham, Accuracy and Stability of
Numerical Algorithms, 2nd ed., section 3.1), 1.2e-4 for d = 2048 and 3e-5 for FaceNet's 512. Products only
propose candidates, within this slack; `similarities` decides."""

BLOCK_ROWS = 8192
"""Rows handled at a time: 32 MB of float64 at d = 512, whatever the size of the library."""


class ExactIndex:
    """A VectorIndex without approximation: rows sorted by id, answers from matrix products.

    add: O(n), since the rows are copied; above: O(n q d).
    """

    def __init__(self, dimension: int) -> None:
        """An empty index for vectors of the given length. Raises ValueError when it is below 1."""
        if dimension < 1:
            raise ValueError(f"a vector has at least 1 number, not {dimension}")
        self._dimension = dimension
        self._ids = np.empty(0, np.int64)
        self._vectors = np.empty((0, dimension), np.float32)

    @classmethod
    def over(cls, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> ExactIndex:
        """An index of vectors that are known to be fit, where they lie: ids (n,) rising, vectors (n, d) unit rows."""
        index = cls(vectors.shape[1])
        index._ids, index._vectors = ids, vectors
        return index

    def __len__(self) -> int:
        return len(self._ids)

    @property
    def dimension(self) -> int:
        """d, the length of a vector."""
        return self._dimension

    def ids(self) -> NDArray[np.int64]:
        """Every id held, sorted: (n,) int64."""
        return self._ids.copy()

    def vectors(self) -> NDArray[np.float32]:
        """The vectors of `ids`, in their order: (n, d) float32, not to be changed."""
        return self._vectors

    def add(self, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        """Add vectors: ids (n,) int64 from 0, vectors (n, d) float32, unit rows; on ValueError, none of them."""
        ids, vectors = self.checked(ids, vectors)
        self._ids, self._vectors = np.concatenate([self._ids, ids]), np.concatenate([self._vectors, vectors])
        # the catalog gives rising ids, and moving the rows doubles the time
        if (np.diff(self._ids) < 0).any():
            order = np.argsort(self._ids, kind="stable")
            self._ids, self._vectors = self._ids[order], self._vectors[order]

    def checked(
        self, ids: NDArray[np.int64], vectors: NDArray[np.float32]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The same ids and vectors, found fit to be added: unit rows, and one new id from 0 for each."""
        vectors = unit_rows(vectors, self._dimension)
        ids = np.asarray(ids)
        if ids.shape != (len(vectors),) or (ids.size and ids.dtype.kind not in "iu"):
            raise ValueError(
                f"{len(vectors)} vectors need as many whole-number ids, not {ids.dtype} {ids.shape}"
            )
        ids = ids.astype(np.int64)
        if ids.size and ids.min() < 0:
            raise ValueError(f"an id is 0 or more, not {ids.min()}")
        if (np.diff(np.sort(ids)) == 0).any() or np.isin(ids, self._ids).any():
            raise ValueError("an id that is held already, or given twice, cannot be added")
        return ids, vectors

    def above(
        self, queries: NDArray[np.float32], threshold: float, among: NDArray[np.int64] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Every vector whose best similarity to one of the queries reaches the threshold, best first, then by id.

        queries: (q, d) float32, unit rows. among: the held ids to consider; None = all.
        Returns ids (m,) int64 and similarities (m, q) float32.
        """
        queries = unit_rows(queries, self._dimension)
        rows = self._rows_near(queries, threshold) if among is None else self._rows(among)
        scores = similarities(self._vectors[rows], queries)
        best = scores.max(axis=1, initial=-np.inf)
        kept = np.flatnonzero(best >= np.float32(threshold))
        kept = kept[np.lexsort((rows[kept], -best[kept]))]
        return self._ids[rows[kept]], scores[kept]

    def nearest(
        self, query: NDArray[np.float32], count: int, among: NDArray[np.int64] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The vectors most similar to the query, best first, then by id. O(n d).

        query: (d,) float32, unit length. among: the held ids to consider; None = all.
        Returns ids (k,) int64 and similarities (k,) float32, k = count where there are so many.
        """
        queries = unit_rows(query[None], self._dimension)
        rows = self._rows_of_best(queries[0], count, None if among is None else self._rows(among))
        scores = similarities(self._vectors[rows], queries)[:, 0]
        best = np.lexsort((rows, -scores))[: max(count, 0)]
        return self._ids[rows[best]], scores[best]

    def most_copies(self) -> int:
        """How often the commonest vector is held, judged by its first two numbers: never too few, in O(n log n)."""
        starts = np.ascontiguousarray(self._vectors[:, :2])
        bits = starts.view(np.uint64 if self._dimension > 1 else np.uint32)
        return int(np.unique(bits, return_counts=True)[1].max(initial=0))

    def _rows_near(self, queries: NDArray[np.float32], threshold: float) -> NDArray[np.int64]:
        """Rows that may reach the threshold: all that do, and those a rounding error below it."""
        found = [np.empty(0, np.int64)]
        for start in range(0, len(self), BLOCK_ROWS):
            scores = self._vectors[start : start + BLOCK_ROWS] @ queries.T
            near = (scores >= threshold - ROUNDING).any(axis=1)
            found.append(np.flatnonzero(near) + start)
        return np.concatenate(found)

    def _rows_of_best(
        self, query: NDArray[np.float32], count: int, among: NDArray[np.int64] | None
    ) -> NDArray[np.int64]:
        """Rows that may be among the most similar: all that are, and those a rounding error below the last of them.

        among: (m,) the rows to consider; None = all.
        """
        held = len(self) if among is None else len(among)
        if not 0 < count < held:
            return (np.arange(held) if among is None else among)[: held if count > 0 else 0]
        scores = (self._vectors if among is None else self._vectors[among]) @ query
        last = np.partition(scores, held - count)[held - count]
        best = np.flatnonzero(scores >= last - 2 * ROUNDING)
        return best if among is None else among[best]

    def _rows(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where the vectors of these held ids stand: (m,), sorted, each once."""
        wanted = np.sort(ids)  # a tenth of what np.unique takes
        return np.searchsorted(self._ids, wanted[np.diff(wanted, prepend=-1) > 0]).astype(np.int64)


def similarities(vectors: NDArray[np.float32], queries: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cosines of unit vectors (m, d) with unit queries (q, d), as (m, q) float32 in -1..1.

    Summed in float64 and pair by pair, then rounded: the last bit depends neither on how many are asked at once nor on
    the processor, so that every index gives the very same number.
    """
    scores = np.empty((len(vectors), len(queries)), np.float32)
    wide = queries.astype(np.float64)
    for start in range(0, len(vectors), BLOCK_ROWS):
        block = vectors[start : start + BLOCK_ROWS].astype(np.float64)
        scores[start : start + BLOCK_ROWS] = np.vecdot(block[:, None, :], wide[None, :, :])
    return np.clip(scores, -1, 1, out=scores)


def unit_rows(vectors: NDArray[np.float32], dimension: int) -> NDArray[np.float32]:
    """The same vectors as (n, d) float32, rows next to each other. Raises ValueError unless every row has length 1."""
    vectors = np.ascontiguousarray(vectors, np.float32)
    if vectors.ndim != 2 or vectors.shape[1] != dimension:
        raise ValueError(f"vectors of shape (n, {dimension}) are needed, not {vectors.shape}")
    lengths = np.sqrt(np.einsum("nd,nd->n", vectors, vectors))
    # written so that NaN, which compares as false, is refused
    wrong = np.flatnonzero(~(np.abs(lengths - 1) <= UNIT_TOLERANCE))
    if wrong.size:
        raise ValueError(
            f"row {wrong[0]} has length {lengths[wrong[0]]:.6g}, not 1: normalise embeddings first"
        )
    return vectors
