"""What R-Net and O-Net say of boxes: they are shown windows of the image, the best of each place first."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np

from chueok.vision.candidates import Candidates, as_probability
from chueok.vision.suppress import over_union, union_survivors

if TYPE_CHECKING:
    import onnxruntime
    from numpy.typing import NDArray

    # boxes (n, 4) -> those that touch the image as a network sees them, and what else it says of each: (m, ...)
    Judge: TypeAlias = Callable[[NDArray[np.float32]], tuple[Candidates, NDArray[np.float32]]]

# What R-Net and O-Net say of a box nearer to 0 is believed of all boxes of its place, and what O-Net says nearer to 1.
# With 0.05 one face of 292 in the albums is lost, probed once.
DOUBT = 0.02


class Crops(Protocol):
    """An image from which windows are cut."""

    width: int
    height: int

    def cut(self, windows: NDArray[np.int64], size: int) -> NDArray[np.float32]:
        """Every window, resized: (n, 3, size, size) float32, -1..1.

        windows: (n, 4) int64 left, top, right, bottom; each touches the image.
        """
        ...


def in_turn(
    judge: Judge, boxes: NDArray[np.float32], same_place: float, settled: float = math.inf
) -> tuple[Candidates, NDArray[np.float32]]:
    """What a network says of boxes (n, 4), best first, none empty; see `Proposals.same_place`.

    settled: the probability from which its word on the best of a place is taken for all, as is one of DOUBT or less.
    """
    if same_place >= 1:
        return judge(boxes)
    best = union_survivors(boxes, np.arange(len(boxes)), same_place)
    found, more = judge(boxes[best])
    others = np.delete(boxes, best, axis=0)
    near = np.zeros(len(others), bool)
    for box in found.boxes[in_doubt(found, settled)]:
        near |= over_union(box, others) > same_place
    if not near.any():
        return found, more
    again, as_much = judge(others[near])
    return found.with_more(again), np.concatenate([more, as_much])


def in_doubt(found: Candidates, settled: float) -> NDArray[np.bool_]:
    """Which of them are neither surely none nor settled: (n,)."""
    return (found.scores > DOUBT) & (found.scores < settled)


def judged(
    net: onnxruntime.InferenceSession,
    crops: Crops,
    boxes: NDArray[np.float32],
    size: int,
    batch: int,
    *,
    beyond: bool = False,
) -> tuple[Candidates, NDArray[np.float32]]:
    """The boxes (n, 4) that touch the image as the network sees them, and what else it says of each: (n, ...).

    beyond: show what lies outside the image as black; else, as facenet_pytorch does, only what lies inside, stretched:
    more faces are found so, but not as well placed.
    """
    boxes = touching(crops, boxes)
    windows = _windows(boxes) if beyond else _inside(crops, boxes)
    verdicts = np.concatenate(
        [
            net.run(None, {"image": crops.cut(windows[first : first + batch], size)})[0]
            for first in range(0, max(len(windows), 1), batch)
        ]
    )
    return Candidates(boxes, as_probability(verdicts[:, -1]), verdicts[:, :4]), verdicts[:, 4:-1]


def touching(crops: Crops, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """The boxes that show something of the image."""
    inside = _inside(crops, boxes)
    return boxes[(inside[:, 2:] > inside[:, :2]).all(axis=1)]


def _inside(crops: Crops, boxes: NDArray[np.float32]) -> NDArray[np.int64]:
    """The windows of boxes, cut at the image's border."""
    inside: NDArray[np.int64] = np.clip(_windows(boxes), 0, (crops.width, crops.height) * 2)
    return inside


def _windows(boxes: NDArray[np.float32]) -> NDArray[np.int64]:
    """The whole pixels of boxes. MTCNN counts them from 1, and a box's edges belong to it."""
    windows: NDArray[np.int64] = np.trunc(boxes).astype(np.int64) - (1, 1, 0, 0)
    return windows


def landmarks_of(boxes: NDArray[np.float32], landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
    """O-Net's landmarks (n, 10: five x, five y, as shares of the box) in pixels: (n, 5, 2)."""
    sides = boxes[:, None, 2:] - boxes[:, None, :2] + 1
    return landmarks.reshape(-1, 2, 5).transpose(0, 2, 1) * sides + boxes[:, None, :2] - 1
