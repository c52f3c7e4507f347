"""Rectangles that may be faces, as the networks of the detection cascade see and move them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Rectangles that may be faces, in pixels of the image."""

    boxes: NDArray[np.float32]  # (n, 4) left, top, right, bottom
    scores: NDArray[np.float32]  # (n,) probability
    offsets: NDArray[np.float32]  # (n, 4) how far each edge should move, as a share of the box's side

    def __getitem__(self, which: NDArray[np.intp] | NDArray[np.bool_]) -> Candidates:
        return Candidates(self.boxes[which], self.scores[which], self.offsets[which])

    def with_more(self, others: Candidates) -> Candidates:
        """These, and the others after them."""
        pairs = ((self.boxes, others.boxes), (self.scores, others.scores), (self.offsets, others.offsets))
        return Candidates(*map(np.concatenate, pairs))

    def moved(self, pixel: int) -> NDArray[np.float32]:
        """The boxes with their offsets applied; sides are right - left + pixel."""
        sides = self.boxes[:, 2:] - self.boxes[:, :2] + np.float32(pixel)
        return self.boxes + self.offsets * np.tile(sides, 2)


def squares(boxes: NDArray[np.float32], scale: float = 1.0) -> NDArray[np.float32]:
    """The square with the same centre and the longer side of each box, times `scale`."""
    sides = boxes[:, 2:] - boxes[:, :2]
    side = sides.max(axis=1, keepdims=True)
    corner = boxes[:, :2] + sides * np.float32(0.5) - side * np.float32(0.5 * scale)
    return np.hstack([corner, corner + side * np.float32(scale)])


def as_probability(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """The sigmoid, which of two classes is their softmax."""
    with np.errstate(over="ignore"):  # exp of a large number is infinite, and its share nothing
        shares: NDArray[np.float32] = np.reciprocal(1 + np.exp(-logits))
    return shares


def logit(share: float) -> float:
    """What `as_probability` takes for this probability."""
    return math.log(share / (1 - share))
