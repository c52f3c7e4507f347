"""Means over rectangles of an image: how MTCNN shrinks a picture and cuts candidates out of it.

torch's `interpolate(mode="area")`, which facenet_pytorch calls once per candidate, is adaptive average pooling:
output pixel i of `size` is the mean of the input from floor(i * n / size) to ceil((i + 1) * n / size). A table
of running sums (Crow 1984, "Summed-area tables for texture mapping") gives each mean by four look-ups, for all
candidates at once and exactly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

HALF = 127.5  # MTCNN's input is (pixel - 127.5) / 128
SPREAD = 128
_ROWS = 64  # summed at a time: numpy makes a copy of its answer, which for the whole image doubles the memory


class Means:
    """An image that can be averaged over any rectangle. Takes 12 bytes a pixel."""

    def __init__(self, image: NDArray[np.uint8]) -> None:
        """image: (h, w, 3) uint8 RGB."""
        self.height, self.width = image.shape[:2]
        # uint32 overflows beyond 16.8 megapixels of white, harmlessly: differences of sums wrap back
        sums = np.zeros((self.height + 1, self.width + 1, 3), np.uint32)
        for first in range(0, self.height, _ROWS):
            np.cumsum(image[first : first + _ROWS], axis=1, out=sums[first + 1 : first + 1 + _ROWS, 1:])
        for row in range(1, self.height):  # np.cumsum(axis=0) walks down columns: three times slower
            sums[row + 1] += sums[row]
        self._sums = sums

    def shrunk(self, height: int, width: int, first: int, last: int) -> NDArray[np.float32]:
        """Rows first..last of the image resized to height x width.

        Returns (1, 3, last - first, width) float32, -1..1.
        """
        top, bottom = (edges[:, first:last] for edges in _edges(np.array([[0, self.height]]), height))
        left, right = _edges(np.array([[0, self.width]]), width)
        bands = self._sums[bottom[0]] - self._sums[top[0]]
        sums = bands.take(right, axis=1) - bands.take(left, axis=1)
        return _normal(sums.swapaxes(0, 1), bottom - top, right - left)

    def cut(self, windows: NDArray[np.int64], size: int) -> NDArray[np.float32]:
        """Every window, resized to size x size.

        windows: (n, 4) int64 left, top, right, bottom within the image, none empty.
        Returns (n, 3, size, size) float32, -1..1.
        """
        left, right = _edges(windows[:, 0::2], size)
        top, bottom = _edges(windows[:, 1::2], size)
        sums = self._at(bottom, right) - self._at(top, right) - self._at(bottom, left) + self._at(top, left)
        return _normal(sums, bottom - top, right - left)

    def _at(self, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.uint32]:
        """The table where rows (n, s) and columns (n, s) cross: (n, s, s, 3)."""
        places = rows[:, :, None] * (self.width + 1) + columns[:, None, :]
        corners: NDArray[np.uint32] = self._sums.reshape(-1, 3).take(places, axis=0)
        return corners


def _edges(spans: NDArray[np.int64], size: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where the `size` output pixels of each span (n, 2: from, to) begin and end: two (n, size) arrays."""
    start, length = spans[:, :1], spans[:, 1:] - spans[:, :1]
    steps = np.arange(size + 1) * length
    return start + steps[:, :-1] // size, start - (-steps[:, 1:] // size)


def _normal(
    sums: NDArray[np.uint32], heights: NDArray[np.int64], widths: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Sums (n, h, w, 3) over rectangles heights (n, h) by widths (n, w), as input (n, 3, h, w) float32."""
    values = np.empty((len(sums), 3, *sums.shape[1:3]), np.float32)
    values[...] = sums.transpose(0, 3, 1, 2)
    values *= (1 / heights).astype(np.float32)[:, None, :, None]
    values *= (1 / (SPREAD * widths)).astype(np.float32)[:, None, None, :]
    values -= np.float32(HALF / SPREAD)
    return values
