"""chueok's own first look: one small network proposes faces for R-Net and O-Net to judge, in P-Net's place.

It was made with `python -m chueok.lab.proposals`; docs/models.md has its card, docs/performance.md what it finds.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from chueok.errors import ModelInvalid
from chueok.vision.candidates import squares
from chueok.vision.suppress import union_survivors
from chueok.vision.windows import Windows

if TYPE_CHECKING:
    import onnxruntime
    from numpy.typing import NDArray

FILE = "proposals.onnx"
WEIGHTS = Path(__file__).parent / "models" / "weights" / FILE
_SHA256 = "248743326f8f8eef610f2ff93886acd719bec0db8880b1f8c45c4bac30dae7df"

CELL = 4  # pixels of a level: a cell's side
UNIT_PIXELS = 16  # of a level: the network's edges are in these
HALO = 16  # pixels of a level beyond a strip that its cells see: 15, in whole cells

# Pixels of the finest level: the smallest face looked for. Those of 12 are seen too, but less surely.
_SMALLEST = 14.0
# Logit from which a cell is taken for a face. Of the faces that MTCNN is sure of at full size, from 3 % of the photo's
# long side, 99 in 100 are found so (`python -m benchmarks.faces_found`); from -1 on 97, probed once, with half as many
# proposals.
_SURE = -1.5
_OVERLAP = 0.7  # more than this is the same proposal: several of a face may stay, R-Net likes one better than another
_MOST_CELLS, _MOST = 20_000, 2_000  # of a photo: a crowd of 500 has ten cells a face, noise has any number
_LEAST_LEVEL = 20  # pixels of a level's shorter side: a face that fills the one below it is found in it
_STRIP_PIXELS = 2**18  # of a level, worked off at once: 10 MB


class LearnedProposals:
    """Looks for faces of 12 to 24 pixels in levels that halve in length."""

    # as many faces of the albums and mosaics are found as with 1, with a third fewer windows for O-Net
    same_place = 0.5
    # P-Net proposes a face at many sizes, of which O-Net likes one better than another; this network at one or two
    sizes: tuple[float, ...] = (1.0, 0.8, 1.2)
    least = 0.72  # smaller ones it was not taught to find; what it proposes there may be an ear
    again = True

    def __init__(self, network: onnxruntime.InferenceSession) -> None:
        """network: lab/proposals/network.py."""
        self._network = network

    def __call__(self, image: NDArray[np.uint8], min_face: float) -> tuple[NDArray[np.float32], Windows]:
        """Squares around what the network takes for faces, (n, 4) float32, best first; and what to cut them from.

        image: (h, w, 3) uint8 RGB. Memory: 4 bytes a pixel, 3 a pixel of the finest level, and some 30 MB.
        """
        windows = Windows(image)
        scale = min(1.0, _SMALLEST / min_face)
        level, factor = windows.shrink(
            *(max(CELL, round(side * scale)) for side in (windows.width, windows.height))
        )
        boxes, logits = [], []
        while True:
            edges, sure = self._search(level)
            boxes.append(edges * np.array(factor * 2, np.float32))
            logits.append(sure)
            if min(level.shape[:2]) < _LEAST_LEVEL:
                break
            level, factor = windows.halve()
        found, sure = np.concatenate(boxes), np.concatenate(logits)
        is_box = (found[:, 2:] > found[:, :2]).all(axis=1)  # the network may say anything
        found, sure = found[is_box], sure[is_box]
        best = np.argsort(-sure, kind="stable")[:_MOST_CELLS]
        return squares(found[union_survivors(found, best, _OVERLAP)[:_MOST]]), windows

    def _search(self, level: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """What the network finds in one level: boxes (n, 4) in its pixels, and their logits (n,)."""
        height, width = level.shape[:2]
        step = max(CELL, _STRIP_PIXELS // width // CELL * CELL)
        parts = []
        for top in range(0, height, step):
            above = max(0, top - HALO)
            strip = level[above : top + step + HALO]
            (cells,) = self._network.run(None, {"image": strip[np.newaxis]})[0]
            cells = cells[:, (top - above) // CELL :][:, : step // CELL]
            row, column = np.nonzero(cells[4] >= _SURE)
            places = np.stack([column, row + top // CELL] * 2, axis=1).astype(np.float32) * CELL
            answers = cells[:, row, column].T
            parts.append((places + np.float32(0.5) + answers[:, :4] * UNIT_PIXELS, answers[:, 4]))
        boxes, logits = (np.concatenate(part) for part in zip(*parts, strict=True))
        return boxes, logits


def packaged_network() -> bytes:
    """The network that chueok is shipped with, as ONNX. Raises ModelInvalid when the file was changed or is gone."""
    try:
        data = WEIGHTS.read_bytes()
    except OSError as error:
        raise ModelInvalid(f"{WEIGHTS} cannot be read ({error.strerror}): reinstall chueok.") from error
    if hashlib.sha256(data).hexdigest() != _SHA256:
        raise ModelInvalid(f"{WEIGHTS} is damaged: reinstall chueok.")
    return data
