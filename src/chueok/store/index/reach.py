"""How far below the best by their codes the true neighbours of vectors lie: measured, not assumed.

Codes err as much as the numbers of the vectors vary independently, so a library's own vectors say it. They err about
equally in a crowd of thousands and among strangers: a margin in similarity finds the same share of neighbours for every
query, where a fixed number of proposals compares too many for one and too few for the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chueok.store.index.codes import Codes
    from chueok.store.index.exact import ExactIndex

NEAREST = 50  # neighbours of each question: recall@50 is what papers on nearest neighbours give
QUESTIONS = 100  # vectors by lot whose neighbours are looked for, and as many lonely ones: 10,000 neighbours
CHOICE = 10  # times as many are looked at for the lonely ones
FEWEST = 64 * NEAREST  # vectors below which there is nothing to measure
_TOGETHER = 16  # questions compared at a time: 64 MB of similarities in a million


@dataclass(frozen=True, slots=True)
class Reach:
    """How far codes must be followed so that few of the 50 most similar are lost."""

    margin: float  # how much less similar than the last one wanted, by their codes, what is compared may be
    depth: int  # how many of `learned` are compared at most
    cells: int  # cells to look into
    learned: int  # vectors there were when this was measured


def deepest(count: int) -> int:
    """The most of so many vectors worth comparing where they lie: more are compared as quickly all together."""
    return count // 16


def measure(codes: Codes, exact: ExactIndex, *, lost: float, seed: int) -> Reach | None:
    """The reach at which the share `lost` of neighbours lies beyond the margin, and a quarter as many in cells too far.

    codes: of all vectors of `exact`, which has FEWEST at least. Answers None where too many would be compared.
    """
    ids, vectors = exact.ids(), exact.vectors()
    random, limit = np.random.default_rng(seed), deepest(len(ids))
    asked = random.choice(len(ids), QUESTIONS, replace=False)
    asked = np.concatenate([asked, lonely(vectors, random)])
    queries, rows = vectors[asked], neighbours(vectors, asked)
    scores, found = codes.likely(queries, depth=limit, cells=codes.cells)
    places = np.stack([_places(*pair, limit - 1) for pair in zip(found, ids[rows], strict=True)])
    # each vector finds itself as well, so the 50th other is the 51st
    fiftieth = scores[:, NEAREST, None]
    margin = float(np.quantile(fiftieth - np.take_along_axis(scores, places, axis=1), 1 - lost))
    depth = int(np.quantile((scores >= fiftieth - margin).sum(axis=1), 0.99))
    # looking into more cells costs less than comparing more, so that they may lose less
    cells = int(np.quantile(codes.cell_ranks(queries, vectors[rows]), 1 - lost / 4)) + 1
    return Reach(margin, depth, cells, len(ids)) if depth < limit else None


def lonely(vectors: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.int64]:
    """Rows drawn by lot, of which those are taken that have the furthest neighbours: (q,).

    A person with many photos is found by any codes. One with few is as far from all others as a stranger, whom a user
    asks for just as well; and no such photo is drawn often.
    """
    drawn = random.choice(len(vectors), min(CHOICE * QUESTIONS, len(vectors)), replace=False)
    some = np.arange(0, len(vectors), NEAREST)  # holds one of the 50 most similar, as a rule
    scores = vectors[drawn] @ vectors[some].T
    scores[drawn[:, None] == some] = -np.inf
    rows: NDArray[np.int64] = drawn[np.argsort(scores.max(axis=1), kind="stable")[:QUESTIONS]]
    return rows


def neighbours(vectors: NDArray[np.float32], asked: NDArray[np.int64]) -> NDArray[np.int64]:
    """The rows of the 50 most similar to each of these rows but itself: (q, 50)."""
    rows = np.empty((len(asked), NEAREST), np.int64)
    for start in range(0, len(asked), _TOGETHER):
        for number, scores in enumerate(vectors[asked[start : start + _TOGETHER]] @ vectors.T, start):
            scores[asked[number]] = -np.inf
            rows[number] = np.argpartition(scores, -NEAREST)[-NEAREST:]
    return rows


def _places(found: NDArray[np.int64], wanted: NDArray[np.int64], limit: int) -> NDArray[np.int64]:
    """Where each wanted id stands among those found, or `limit` where it does not: (k,)."""
    order = np.argsort(found)
    at = order[np.minimum(np.searchsorted(found, wanted, sorter=order), len(found) - 1)]
    return np.where(found[at] == wanted, at, limit)
