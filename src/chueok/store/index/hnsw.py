"""Nearest neighbours among very many vectors by HNSW. hnswlib and its traps end in this folder.

For Python programs, with the extra `chueok[hnsw]`: no command asks for the nearest among so many.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from chueok.errors import IndexDamaged
from chueok.store.index import hnsw_file
from chueok.store.index.exact import ExactIndex, unit_rows
from chueok.store.index.private_file import IndexStamp

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["HnswIndex", "IndexStamp", "Tuning"]

BATCH = 1024
"""Vectors per call of hnswlib, which hears no Ctrl-C meanwhile: about 0.5 s at 0.2 to 0.6 ms a vector."""


@dataclass(frozen=True, slots=True)
class Tuning:
    """How hard the graph works."""

    links: int = 24
    """hnswlib's M. 16, 24 and 32 lost 12, 8 and 6 of 10,000 matches of threshold queries in 100,000 faces of 128
    numbers, built in 16, 24 and 44 s (docs/decisions/0005)."""
    build_effort: int = 200
    """hnswlib's ef_construction. 100 halves the build, and whole small people get lost; 400 gains what links 24 does,
    for more build time."""
    effort: int = 1024
    """hnswlib's ef: how many candidates a search keeps. docs/performance.md has recall and time for others."""
    exact_below: int = 100_000
    """Vectors up to which comparing all is as quick (docs/performance.md)."""
    copies: int = 64
    """All are compared when one vector is held more often. Copies link to each other only and cut the graph in pieces:
    in 20,000 faces 100 copies hid nothing, 600 hid matches of two queries in three."""
    seed: int = 1  # of the levels: with one thread the same vectors make the same graph
    threads: int = 1  # that build; more than one make a graph that is different every time


class HnswIndex:
    """A VectorIndex over hnswlib's graph (inner product, which keeps every float as given).

    `above` compares all vectors, since a graph loses whole small people (docs/decisions/0005). `nearest` asks the
    graph: it may miss some, but every similarity is exact. For that the vectors stand beside the graph as well, since
    hnswlib hands them out at 10 to 70 microseconds each: 4 n d bytes more. There is no removal: hnswlib only marks,
    and the face would stay on disk. To forget is to build anew.

    Raises ValueError as ExactIndex does, UsageError where hnswlib is not installed. Adding is not safe beside queries.
    """

    def __init__(self, dimension: int, tuning: Tuning | None = None) -> None:
        """An empty index for vectors of the given length."""
        self._tuning = tuning or Tuning()
        self._exact = ExactIndex(dimension)
        self._graph = self._empty_graph()
        self._torn: bool | None = None  # whether the graph cannot be relied on; None = to be found out

    @classmethod
    def build(
        cls,
        dimension: int,
        ids: NDArray[np.int64],
        vectors: NDArray[np.float32],
        tuning: Tuning | None = None,
    ) -> HnswIndex:
        """An index of these vectors: ids (n,) int64, vectors (n, d) float32, unit rows."""
        index = cls(dimension, tuning)
        index.add(ids, vectors)
        return index

    @classmethod
    def load(cls, path: Path, stamp: IndexStamp, tuning: Tuning | None = None) -> HnswIndex:
        """The index that was saved at path and got this stamp.

        Raises IndexDamaged unless the file is, byte for byte, the one that was stamped: build it anew then.
        """
        content = hnsw_file.read(path, stamp)
        index = cls(stamp.dimension, tuning)
        if content is not None:
            try:
                index._exact.add(content.ids, content.vectors)
            except ValueError as error:
                raise IndexDamaged(
                    f"the index {path} holds no embeddings ({error}); rebuild it from the catalog"
                ) from error
            index._graph = content.graph
        return index

    def save(self, path: Path) -> IndexStamp:
        """Replace the file at path in one step, and say what it must look like when it is loaded.

        The file is private (0600) from its first byte. Raises OperationFailed when the disk is full or the folder
        refuses: the file that was there is as it was, and nothing else is left behind.
        """
        return hnsw_file.write(self._graph, path, count=len(self), dimension=self.dimension)

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
        """Add vectors: ids (n,) int64 from 0, vectors (n, d) float32, unit rows; on ValueError, none of them."""
        ids, vectors = self._exact.checked(ids, vectors)
        if not ids.size:
            return
        self._make_room(len(self) + len(ids))
        self._torn = True  # until both hold the same: an interrupted addition leaves answers to exact search
        for start in range(0, len(ids), BATCH):
            batch = slice(start, start + BATCH)
            self._graph.add_items(vectors[batch], ids[batch], num_threads=self._tuning.threads)
        self._exact.add(ids, vectors)
        self._torn = None

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
        """The vectors most similar to the query, best first, then by id; the graph may miss some.

        query: (d,) float32, unit length. Returns ids (k,) int64 and similarities (k,) float32.
        """
        return self._exact.nearest(query, count, among=self._proposed(query, count))

    def _proposed(self, query: NDArray[np.float32], count: int) -> NDArray[np.int64] | None:
        """What the graph takes for the most similar, or None where all must be compared."""
        wanted = max(count, self._tuning.effort)  # hnswlib searches with max(ef, k)
        if len(self) < max(self._tuning.exact_below, wanted) or self._is_torn():
            return None
        queries = unit_rows(query[None], self.dimension)
        try:
            ids, _ = self._graph.knn_query(queries, k=wanted, num_threads=1)
        except RuntimeError:
            return None  # part of the graph cannot be reached: hnswlib found fewer than it was asked for
        proposed: NDArray[np.int64] = ids[0].astype(np.int64)
        return proposed

    def _is_torn(self) -> bool:
        """Whether one vector is held so often that the graph cannot be relied on."""
        if self._torn is None:
            self._torn = self._exact.most_copies() > self._tuning.copies
        return self._torn

    def _empty_graph(self) -> Any:
        graph = hnsw_file.new_graph(self.dimension)
        graph.init_index(
            max_elements=1,
            M=self._tuning.links,
            ef_construction=self._tuning.build_effort,
            random_seed=self._tuning.seed,
        )
        return graph

    def _make_room(self, needed: int) -> None:
        """hnswlib's capacity is fixed: double it at least, so that n small additions copy O(n) rows in all."""
        capacity = self._graph.get_max_elements()
        if needed > capacity:
            self._graph.resize_index(max(needed, 2 * capacity))
