"""Short codes of vectors, which say in a fraction of the time which of them may be similar. faiss ends in this file."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from chueok.errors import UsageError
from chueok.store.index.exact import BLOCK_ROWS

if TYPE_CHECKING:
    from numpy.typing import NDArray

WIDEST = 320
"""Numbers of a vector that are coded, those of most variance. Of a million vectors of 512 numbers 256, 320 and 384
(three to a code) put 99 of 100 of the 50 most similar among the first 3,600, 2,100 and 7,000."""

NUMBERS_A_CODE = 2  # coded together in 4 bits: 16 points in a plane
SAMPLE = (
    65_536  # vectors that the codes are learned from: what faiss takes at most to learn 16 points, 256 each
)


@dataclass(frozen=True, slots=True, eq=False)
class Codes:
    """One code of 4 bits for every two numbers of a vector, in cells of vectors that lie together.

    Product quantisation (Jégou, Douze and Schmid, Product Quantization for Nearest Neighbor Search, 2011) with tables
    that stay in the processor's registers (André, Kermarrec and Le Scouarnec, Cache locality is not enough, 2015), by
    faiss's IndexIVFPQFastScan. The vectors are turned first, so that every two numbers carry as much as any other two.
    Not safe to add beside queries.
    """

    turn: NDArray[np.float32]  # (c, d): vectors of d numbers to c that are coded
    engine: Any  # faiss.IndexIVFPQFastScan

    @classmethod
    def learn(cls, vectors: NDArray[np.float32], seed: int) -> Codes:
        """Codes fit for vectors like these, of none of them yet: vectors (n, d) float32 unit rows, d and n from 2.

        Raises UsageError where faiss is not installed.
        """
        random, faiss = np.random.default_rng(seed), imported_faiss()
        chosen = np.sort(random.choice(len(vectors), min(len(vectors), SAMPLE), replace=False))
        sample = vectors[chosen]
        turn = _turn(sample, random)
        cells = round(np.sqrt(len(vectors)))
        quantizer = faiss.IndexFlatIP(len(turn))
        engine = faiss.IndexIVFPQFastScan(
            quantizer, len(turn), cells, len(turn) // NUMBERS_A_CODE, 4, faiss.METRIC_INNER_PRODUCT
        )
        engine.by_residual = False  # tables once a query, not once a cell: quicker, and rounded less
        for learning in (engine.cp, engine.pq.cp):
            # fewer vectors than this for each point are worth a warning to faiss, which prints it
            learning.seed, learning.min_points_per_centroid = seed, 1
        with one_thread():
            engine.train(sample @ turn.T)
        return cls(turn, engine)

    def __len__(self) -> int:
        count: int = self.engine.ntotal
        return count

    @property
    def cells(self) -> int:
        """How many cells there are."""
        count: int = self.engine.nlist
        return count

    def add(self, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        """Code more vectors: ids (n,) int64, vectors (n, d) float32 unit rows."""
        with one_thread():
            for start in range(0, len(vectors), BLOCK_ROWS):
                block = slice(start, start + BLOCK_ROWS)
                self.engine.add_with_ids(vectors[block] @ self.turn.T, ids[block])

    def likely(
        self, queries: NDArray[np.float32], *, depth: int, cells: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """What is most similar by its codes, in the cells nearest to each query, best first.

        queries: (q, d) float32 unit rows. Returns similarities as the codes have them, (q, depth) float32, and ids,
        (q, depth) int64: -1, beside the lowest number there is, where those cells hold fewer.
        """
        within = imported_faiss().SearchParametersIVF(nprobe=cells)
        found: tuple[NDArray[np.float32], NDArray[np.int64]]
        with one_thread():
            found = self.engine.search(queries @ self.turn.T, depth, params=within)
        return found

    def cell_ranks(self, queries: NDArray[np.float32], vectors: NDArray[np.float32]) -> NDArray[np.int64]:
        """How many cells are nearer to a query than that of each of its vectors: (q, d) and (q, k, d) give (q, k)."""
        count, near, _ = vectors.shape
        with one_thread():
            order = self.engine.quantizer.search(queries @ self.turn.T, self.cells)[1]
            own = self.engine.quantizer.search((vectors @ self.turn.T).reshape(count * near, -1), 1)[1]
        ranks: NDArray[np.int64] = np.argsort(order, axis=1)  # of cells, by their number
        return np.take_along_axis(ranks, own.reshape(count, near), axis=1)

    def to_bytes(self) -> bytes:
        """What `from_bytes` makes the same codes of."""
        content: NDArray[np.uint8] = imported_faiss().serialize_index(self.engine)
        return content.tobytes()

    @classmethod
    def from_bytes(cls, turn: NDArray[np.float32], content: NDArray[np.uint8]) -> Codes:
        """The codes that were written, byte for byte: faiss trusts them. Raises UsageError, RuntimeError."""
        return cls(turn, imported_faiss().deserialize_index(content))


def imported_faiss() -> Any:
    """The module. Raises UsageError where it is not installed."""
    try:
        import faiss
    except ModuleNotFoundError as error:
        raise UsageError("this index needs faiss; run: pip install 'chueok[faiss]'") from error
    return faiss


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Let faiss use one thread: the same vectors make the same codes, and OpenMP twice in one process is no danger.

    On macOS torch and faiss each bring an OpenMP, and crash when both start threads
    (github.com/facebookresearch/faiss/issues/2555).
    """
    faiss = imported_faiss()
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


def _turn(sample: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
    """The axes of most variance, turned by lot: (c, d) float32, orthonormal rows, c even.

    Not centred: inner products stay as they are.
    """
    dimension = sample.shape[1]
    kept = min(WIDEST, dimension) // NUMBERS_A_CODE * NUMBERS_A_CODE
    _, axes = np.linalg.eigh(sample.T.astype(np.float64) @ sample)
    mixed, _ = np.linalg.qr(random.standard_normal((kept, kept)))
    turned: NDArray[np.float32] = np.ascontiguousarray((axes[:, ::-1][:, :kept] @ mixed).T, np.float32)
    return turned
