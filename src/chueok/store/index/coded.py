"""Nearest neighbours among very many vectors: all proposed by short codes, the best of them compared exactly.

For Python programs, with the extra `chueok[faiss]`: no command asks for the nearest among so many.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from chueok.store.index import coded_file, reach
from chueok.store.index.codes import Codes, imported_faiss
from chueok.store.index.exact import ExactIndex, unit_rows
from chueok.store.index.reach import NEAREST, Reach

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from chueok.store.index.private_file import IndexStamp


@dataclass(frozen=True, slots=True)
class Tuning:
    """When vectors get codes, and how far these are trusted."""

    exact_below: int = 20_000
    """Vectors up to which comparing all is as quick (docs/performance.md)."""
    lost: float = 0.003
    """The share of neighbours that may lie beyond the margin; a quarter of it more in cells that are not looked into.
    A third of what a recall of 0.99 allows, since new faces lie further from others than those held."""
    growth: float = (
        2.0  # codes are learned anew when there are so many times as many vectors as they were learned from
    )
    seed: int = 1  # the same vectors make the same codes


class CodedIndex:
    """A VectorIndex over short codes of the vectors (product quantisation, by faiss).

    `above` compares all vectors: it loses nothing. `nearest` lets the codes propose and compares what they propose
    exactly: it may miss some, but every similarity is exact. How many must be compared is measured on the vectors
    themselves whenever codes are learned (reach.py); where that is too many, all are. There is no removal: to forget
    is to build anew.

    Raises ValueError as ExactIndex does, UsageError where faiss is not installed. Adding is not safe beside queries.
    """

    def __init__(self, dimension: int, tuning: Tuning | None = None) -> None:
        """An empty index for vectors of the given length."""
        self._tuning = tuning or Tuning()
        self._exact = ExactIndex(dimension)
        self._codes: Codes | None = None
        self._reach: Reach | None = None  # None: codes are no help, or were not learned
        self._tried = 0  # vectors there were when codes were last learned, whether of help or not
        self._copies: int | None = None  # of the commonest vector; None = to be counted

    @classmethod
    def over(cls, exact: ExactIndex, tuning: Tuning | None = None) -> CodedIndex:
        """An index of the vectors that an exact one holds, where they lie; they get their codes now."""
        index = cls(exact.dimension, tuning)
        index._exact = exact
        index._learn()
        return index

    @classmethod
    def load(
        cls, path: Path, stamp: IndexStamp, exact: ExactIndex, tuning: Tuning | None = None
    ) -> CodedIndex:
        """The index whose codes were saved at path and got this stamp, over its vectors.

        Raises IndexDamaged unless the file is, byte for byte, the one that was stamped, and its codes are of exactly
        these vectors: make it anew then, by `over`.
        """
        index = cls(exact.dimension, tuning)
        index._exact = exact
        index._codes, index._reach = coded_file.read(path, stamp, exact)
        index._tried = index._reach.learned if index._reach else len(index)
        return index

    def save(self, path: Path) -> IndexStamp:
        """Replace the file at path in one step, and say what it must look like when it is loaded.

        It holds the codes; the vectors are kept elsewhere (table.py). It is private (0600) from its first byte. Raises
        OperationFailed when the disk is full or the folder refuses: the file that was there is as it was.
        """
        return coded_file.write(path, self._exact, self._codes, self._reach)

    def __len__(self) -> int:
        return len(self._exact)

    @property
    def dimension(self) -> int:
        """d, the length of a vector."""
        return self._exact.dimension

    def ids(self) -> NDArray[np.int64]:
        """Every id held, sorted: (n,) int64."""
        return self._exact.ids()

    def add(self, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        """Add vectors: ids (n,) int64 from 0, vectors (n, d) float32, unit rows; on ValueError, none of them.

        Codes are learned anew when the index has grown to twice what they were learned from: seconds for a million.
        """
        ids, vectors = self._exact.checked(ids, vectors)
        grown = len(self) + len(ids)
        is_due = grown >= max(self._least, self._tuning.growth * self._tried)
        if is_due or self._codes:
            imported_faiss()  # before anything is added
        codes, tried = self._codes, self._tried
        self._codes, self._tried = (
            None,
            0,
        )  # an interrupted addition leaves answers to exact search until the next
        self._exact.add(ids, vectors)
        self._copies = None
        if is_due:
            self._learn()
        else:
            if codes:
                codes.add(ids, vectors)
            self._codes, self._tried = codes, tried

    def above(
        self, queries: NDArray[np.float32], threshold: float
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The vectors whose best similarity to one of the queries reaches the threshold, best first, then by id.

        queries: (q, d) float32, unit rows. Returns ids (m,) int64 and similarities (m, q) float32.
        """
        return self._exact.above(queries, threshold)

    def nearest(
        self, query: NDArray[np.float32], count: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The vectors most similar to the query, best first, then by id; the codes may miss some.

        query: (d,) float32, unit length. Returns ids (k,) int64 and similarities (k,) float32.
        """
        return self._exact.nearest(query, count, among=self._proposed(query, count))

    def _proposed(self, query: NDArray[np.float32], count: int) -> NDArray[np.int64] | None:
        """The ids that are most similar by their codes, or None where all must be compared."""
        if self._codes is None or self._reach is None or count < 1:
            return None
        queries, more = unit_rows(query[None], self.dimension), max(1.0, count / NEAREST)
        if self._copies is None:
            self._copies = self._exact.most_copies()
        # further neighbours lie deeper and in more cells, and one vector stands in the way as often as it is held
        depth = int(self._reach.depth * more * len(self) / self._reach.learned) + self._copies
        if depth > reach.deepest(len(self)):
            return None
        cells, last = min(self._codes.cells, int(self._reach.cells * more)), max(count, NEAREST) - 1
        scores, proposed = self._codes.likely(queries, depth=max(depth, last + 1), cells=cells)
        if proposed[0, last] < 0:
            return None  # those cells hold fewer than are wanted
        near: NDArray[np.int64] = proposed[0][scores[0] >= scores[0, last] - self._reach.margin]
        return near

    @property
    def _least(self) -> int:
        """Vectors below which there are no codes."""
        return max(self._tuning.exact_below, reach.FEWEST)

    def _learn(self) -> None:
        """Give all vectors codes learned from them, unless there are too few to be worth it."""
        self._codes = self._reach = None
        if len(self) < self._least or self.dimension < 2:
            return
        vectors = self._exact.vectors()
        codes = Codes.learn(vectors, self._tuning.seed)
        codes.add(self._exact.ids(), vectors)
        self._reach = reach.measure(codes, self._exact, lost=self._tuning.lost, seed=self._tuning.seed)
        self._codes, self._tried = codes, len(self)
