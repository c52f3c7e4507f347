"""P-Net, MTCNN's first network: proposes as facenet_pytorch.MTCNN does, which chueok does for photos at full size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from chueok.vision.base import LEAST_MIN_FACE
from chueok.vision.candidates import Candidates, as_probability, logit, squares
from chueok.vision.means import Means
from chueok.vision.suppress import grid_survivors

if TYPE_CHECKING:
    import onnxruntime
    from numpy.typing import NDArray

# From facenet_pytorch.MTCNN, which has them from the authors' code:
_CANDIDATE = 0.6  # probability
_FACTOR = 0.709  # each pyramid level has about half the pixels of the one before
_OVERLAP = 0.5  # more overlap than this is the same face
_CELL = LEAST_MIN_FACE  # P-Net's window, pixels of a level
_STRIDE = 2  # between P-Net's windows

# Pieces of work whose intermediate results stay in a core's cache, and memory small. Measured at 1280 px on
# Sapphire Rapids: strips of 16,000 to 100,000 pixels are alike, larger ones up to a tenth slower.
_STRIP_PIXELS = 65_536
_STRIP_ROWS = 16  # at least, of P-Net's output: each strip computes 10 rows of the level again


class PNetProposals:
    """Looks for faces at every size in a pyramid of levels."""

    same_place = 1.0  # facenet_pytorch looks at every square
    sizes: tuple[float, ...] = (1.0,)
    least = 0.0
    again = False

    def __init__(self, pnet: onnxruntime.InferenceSession) -> None:
        """pnet: that of models/mtcnn.py."""
        self._pnet = pnet

    def __call__(self, image: NDArray[np.uint8], min_face: float) -> tuple[NDArray[np.float32], Means]:
        """Squares around what P-Net takes for faces, (n, 4) float32, best first; and what to cut them from.

        image: (h, w, 3) uint8 RGB. Memory: 12 bytes a pixel, and about 60 MB.
        """
        means = Means(image)
        levels = [self._search(means, scale) for scale in _scales(min(means.height, means.width), min_face)]
        if not levels:
            return np.empty((0, 4), np.float32), means
        found = Candidates(
            np.concatenate([level.boxes for level in levels]),
            np.concatenate([level.scores for level in levels]),
            np.concatenate([level.offsets for level in levels]),
        )
        # No suppression between levels: facenet_pytorch's, at 0.7, finds nothing to do, since the boxes of one level
        # have twice the area of those before (from 12 pixels up even with their sides rounded).
        return squares(found[np.argsort(-found.scores, kind="stable")].moved(0)), means

    def _search(self, means: Means, scale: float) -> Candidates:
        """What P-Net finds in one level, without doubles. The level is worked off in strips that overlap by 10 rows."""
        height, width = int(means.height * scale + 1), int(means.width * scale + 1)
        rows = (height - 9) // _STRIDE
        step = max(_STRIP_ROWS, _STRIP_PIXELS // width // _STRIDE)
        parts = []
        for first in range(0, rows, step):
            last = min(first + step, rows)
            strip = means.shrunk(height, width, _STRIDE * first, min(_STRIDE * last + 10, height))
            (answers,) = self._pnet.run(None, {"image": strip})[0]
            row, column = np.nonzero(answers[4] >= logit(_CANDIDATE))
            parts.append((row + first, column, answers[:, row, column].T))
        row, column, values = (np.concatenate(part) for part in zip(*parts, strict=True))
        cells = np.stack([row, column], axis=1)
        found = Candidates(_windows(cells, scale), as_probability(values[:, 4]), values[:, :4])
        return found[grid_survivors(found.boxes, found.scores, cells, _OVERLAP)]


def _scales(shorter: int, min_face: float) -> Iterator[float]:
    """By what an image is shrunk, from where the smallest face fills a cell to where its shorter side does."""
    scale = _CELL / min_face
    side = shorter * scale
    while side >= _CELL:
        yield scale
        scale *= _FACTOR
        side *= _FACTOR


def _windows(cells: NDArray[np.intp], scale: float) -> NDArray[np.float32]:
    """The part of the image each P-Net cell (n, 2: row, column) sees: (n, 4), whole pixels."""
    corner = _STRIDE * cells[:, ::-1].astype(np.float32)
    edges: NDArray[np.float32] = np.floor(np.hstack([corner + 1, corner + _CELL]) / np.float32(scale))
    return edges
