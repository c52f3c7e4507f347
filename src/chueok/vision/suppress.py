"""Non-maximum suppression: of boxes that overlap too much, the one with the best score stays.

Boxes are (n, 4) float32: left, top, right, bottom.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Overlap: TypeAlias = Callable[[NDArray[np.float32], NDArray[np.float32]], NDArray[np.float32]]

_PAIRS = 2**18  # boxes compared at once
_REACH = 3  # cells; boxes of 6 strides whose places differ by 4 share at most half a side, rounding included


def over_union(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Intersection over union, sides measured right - left (as torchvision.ops.nms does)."""
    shared = _shared(a, b, 0)
    return shared / (_area(a, 0) + _area(b, 0) - shared)


def over_smaller(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Intersection over the smaller box, sides measured in whole pixels, right - left + 1 (as MTCNN does)."""
    smaller: NDArray[np.float32] = np.minimum(_area(a, 1), _area(b, 1))
    return _shared(a, b, 1) / smaller


def survivors(
    boxes: NDArray[np.float32],
    order: NDArray[np.intp],
    limit: float,
    overlap: Overlap,
) -> NDArray[np.intp]:
    """Which of the boxes in `order` (indices, best first) stay: each drops later ones that overlap it > limit."""
    kept: list[np.intp] = []
    while order.size:
        best, order = order[0], order[1:]
        kept.append(best)
        order = order[overlap(boxes[best], boxes[order]) <= limit]
    return np.array(kept, np.intp)


def union_survivors(boxes: NDArray[np.float32], order: NDArray[np.intp], limit: float) -> NDArray[np.intp]:
    """What `survivors` with `over_union` answers, without a step for each that stays.

    boxes: none empty. They are met from left to right, so that only those whose columns overlap are compared. Memory:
    16 bytes and more for every pair that overlaps > limit.
    """
    by_left = np.argsort(boxes[order, 0], kind="stable")
    from_left = boxes[order[by_left]]
    begun = np.searchsorted(from_left[:, 0], from_left[:, 2])  # how many begin before each ends
    met = np.maximum(begun - np.arange(1, len(begun) + 1), 0)
    pieces = [_clashes(from_left, met, first, last, limit) for first, last in _pieces(met)]
    pairs = by_left[np.concatenate([np.empty((2, 0), np.intp), *pieces], axis=1)]
    return order[_unbeaten(pairs.min(axis=0), pairs.max(axis=0), len(order))]


def grid_survivors(
    boxes: NDArray[np.float32], scores: NDArray[np.float32], cells: NDArray[np.intp], limit: float
) -> NDArray[np.intp]:
    """What `survivors` with `over_union` answers, for the boxes of one pyramid level: indices, rising.

    cells: (n, 2) row and column of each box on the level's grid. Boxes of one level are alike in size, a
    sixth of which is the grid's step, so only close neighbours can overlap by half (limit >= 0.5). That makes the
    work proportional to n: a noisy photo has a hundred thousand boxes here.
    """
    one, other = _neighbours(cells)
    clash = over_union(boxes[one], boxes[other]) > limit
    one, other = one[clash], other[clash]
    rank = np.empty(len(scores), np.intp)
    rank[np.argsort(-scores, kind="stable")] = np.arange(len(scores))
    first = rank[one] < rank[other]
    return _unbeaten(np.where(first, one, other), np.where(first, other, one), len(scores))


def _pieces(counts: NDArray[np.intp]) -> Iterator[tuple[int, int]]:
    """Where to begin and end (exclusive) so that each piece sums up to _PAIRS at most, unless one alone is more."""
    reached = np.cumsum(counts)
    first = 0
    while first < len(counts):
        before = reached[first] - counts[first]
        last = max(first + 1, int(np.searchsorted(reached, before + _PAIRS, "right")))
        yield first, last
        first = last


def _clashes(
    boxes: NDArray[np.float32], met: NDArray[np.intp], first: int, last: int, limit: float
) -> NDArray[np.intp]:
    """Pairs (2, m) of boxes that overlap > limit: one of first..last (exclusive), one of the met[i] that follow it.

    boxes: sorted by their left edges.
    """
    counts = met[first:last]
    one = np.repeat(np.arange(first, last), counts)
    # 1, 2, ... met after each
    other = one + 1 + np.arange(len(one)) - np.repeat(np.cumsum(counts) - counts, counts)
    near = (boxes[other, 1] < boxes[one, 3]) & (boxes[one, 1] < boxes[other, 3])
    pairs = np.stack([one[near], other[near]])
    clashes: NDArray[np.intp] = pairs[:, over_union(boxes[pairs[0]], boxes[pairs[1]]) > limit]
    return clashes


def _neighbours(cells: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Every pair of boxes whose cells are at most _REACH apart, once: two (m,) index arrays."""
    height, width = cells.max(axis=0, initial=0) + 1 + 2 * _REACH
    grid = np.full(height * width, -1, np.int32)
    places = (cells[:, 0] + _REACH) * width + cells[:, 1] + _REACH
    grid[places] = np.arange(len(cells))
    # half of the square around a cell; the other half meets this cell from the other side
    steps = [
        dy * width + dx for dy in range(_REACH + 1) for dx in range(-_REACH, _REACH + 1) if (dy, dx) > (0, 0)
    ]
    near = grid[places + np.array(steps)[:, None]]
    step, one = np.nonzero(near >= 0)
    return one, near[step, one].astype(np.intp)


def _unbeaten(better: NDArray[np.intp], worse: NDArray[np.intp], count: int) -> NDArray[np.intp]:
    """Which of `count` boxes stay, given every pair of which only one may: greedy suppression in few rounds.

    In each round a box stays that no undecided box beats; the ones it beats are out. The best undecided box always
    stays, so this ends, and with the same boxes as taking them one by one.
    """
    undecided = np.ones(count, bool)
    stays = np.zeros(count, bool)
    while undecided.any():
        wins = undecided.copy()
        wins[worse] = False
        stays |= wins
        undecided &= ~wins
        undecided[worse[wins[better]]] = False
        open_pairs = undecided[better] & undecided[worse]
        better, worse = better[open_pairs], worse[open_pairs]
    return np.flatnonzero(stays)


def _shared(a: NDArray[np.float32], b: NDArray[np.float32], pixel: int) -> NDArray[np.float32]:
    """The area two boxes share, row by row."""
    overlap = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]) + np.float32(pixel)
    return _product(np.maximum(overlap, 0))


def _area(boxes: NDArray[np.float32], pixel: int) -> NDArray[np.float32]:
    """The area of each box."""
    return _product(boxes[..., 2:] - boxes[..., :2] + np.float32(pixel))


def _product(sides: NDArray[np.float32]) -> NDArray[np.float32]:
    """Width times height of (..., 2)."""
    area: NDArray[np.float32] = sides[..., 0] * sides[..., 1]
    return area
