"""Windows of an image resized with Pillow: cheap for the few that chueok's own proposals leave to look at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from chueok.vision.means import HALF, SPREAD

if TYPE_CHECKING:
    from typing import TypeAlias

    from numpy.typing import NDArray

    Scale: TypeAlias = tuple[float, float]


# Pixels of a copy for one of a window's at least: from fewer it comes out shifted by up to half of one.
_FINER = 2


class Windows:
    """An image with smaller copies, from which windows are cut; takes 4 bytes a pixel."""

    def __init__(self, image: NDArray[np.uint8]) -> None:
        """image: (h, w, 3) uint8 RGB."""
        self.height, self.width = image.shape[:2]
        self._copies: list[tuple[Image.Image, float, float]] = [(Image.fromarray(image), 1.0, 1.0)]

    def shrink(self, width: int, height: int) -> tuple[NDArray[np.uint8], Scale]:
        """A copy of this size, and how many pixels of the image one of its is wide and high."""
        whole, _, _ = self._copies[0]
        copy = whole.resize((width, height), Image.Resampling.BOX, reducing_gap=1.01)
        return self._added(copy, self.width / width, self.height / height)

    def halve(self) -> tuple[NDArray[np.uint8], Scale]:
        """A copy half as long as the last, its sides rounded up; as `shrink`."""
        last, across, down = self._copies[-1]
        return self._added(last.reduce(2), across * 2, down * 2)

    def _added(self, copy: Image.Image, across: float, down: float) -> tuple[NDArray[np.uint8], Scale]:
        self._copies.append((copy, across, down))
        return np.asarray(copy), (across, down)

    def cut(self, windows: NDArray[np.int64], size: int) -> NDArray[np.float32]:
        """Every window, resized to size x size, black where it reaches beyond the image.

        Shrunk windows have the means of their pixels, enlarged ones what lies between (linear): `Means`, whose like
        MTCNN learnt from, repeats pixels there.
        windows: (n, 4) int64 left, top, right, bottom; each touches the image.
        Returns (n, 3, size, size) float32, -1..1.
        """
        crops = np.zeros((len(windows), size, size, 3), np.uint8)
        inside = np.clip(windows, 0, (self.width, self.height) * 2)
        corners = (windows[:, :2], windows[:, 2:] - windows[:, :2])
        places = (inside.reshape(-1, 2, 2) - corners[0][:, None]) * size / corners[1][:, None]
        places = np.rint(places).astype(np.int64)
        for crop, window, ((left, top), (right, bottom)) in zip(
            crops, inside.tolist(), places.tolist(), strict=True
        ):
            if right > left and bottom > top:
                crop[top:bottom, left:right] = np.asarray(self._cut(window, right - left, bottom - top))
        values: NDArray[np.float32] = (crops.transpose(0, 3, 1, 2) - np.float32(HALF)) / np.float32(SPREAD)
        return values

    def _cut(self, window: list[int], width: int, height: int) -> Image.Image:
        """A window inside the image, from the smallest copy in which it is twice as large as wanted."""
        left, top, right, bottom = window
        copy, across, down = next(
            (
                copy
                for copy in reversed(self._copies)
                if right - left >= _FINER * width * copy[1] and bottom - top >= _FINER * height * copy[2]
            ),
            self._copies[0],
        )
        # the last row and column of a copy may be of fewer pixels than the others
        box = (
            left / across,
            top / down,
            min(right / across, copy.width),
            min(bottom / down, copy.height),
        )
        enlarged = box[2] - box[0] < width
        filtering = Image.Resampling.BILINEAR if enlarged else Image.Resampling.BOX
        return copy.resize((width, height), filtering, box)
