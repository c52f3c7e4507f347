"""What a detector and an embedder promise. No torch and no ONNX Runtime here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from chueok.errors import UsageError
from chueok.records import Box

MIN_FACE = 20.0  # pixels of a face's shorter side: MTCNN's last two networks enlarge it to 24 and 48
LEAST_MIN_FACE = 12  # P-Net's window

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from chueok.records import Detection


def check_min_face(min_face: float) -> None:
    """Raise UsageError for a face smaller than any that can be looked for; in pixels."""
    if min_face < LEAST_MIN_FACE:
        raise UsageError(
            f"faces of {min_face:g} pixels are too small to be found; ask for {LEAST_MIN_FACE} or more"
        )


def shown(box: Box, width: int, height: int) -> Box:
    """What a picture of so many pixels shows of a box, at least a pixel wide and high."""
    left, top = max(box.x, 0.0), max(box.y, 0.0)
    right, bottom = min(box.x + box.width, width), min(box.y + box.height, height)
    return Box(left, top, max(right - left, 1.0), max(bottom - top, 1.0))


class Detector(Protocol):
    """Finds faces in a picture."""

    def detect(self, image: NDArray[np.uint8], min_face: float = MIN_FACE) -> list[Detection]:
        """Find every face.

        image: (h, w, 3) uint8 RGB, upright. min_face: shorter side, in its pixels, of the smallest face looked for;
        smaller ones may be found too. Boxes and landmarks are in pixels of `image`.
        Returns an empty list where nobody is. Largest face first.
        """
        ...


class Embedder(Protocol):
    """Turns face crops into points on the unit sphere."""

    @property
    def name(self) -> str:
        """The model's registry name."""
        ...

    @property
    def dimension(self) -> int:
        """d, the length of an embedding."""
        ...

    def crop(self, image: NDArray[np.uint8], face: Detection) -> NDArray[np.uint8]:
        """Cut the face the way this model wants it.

        image: (h, w, 3) uint8 RGB; `face` in pixels of `image`. Returns (s, s, 3) uint8 RGB.
        """
        ...

    def embed(self, crops: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Embed crops made by `crop`. Returns (n, d) float32, unit rows; (0, d) for no crops."""
        ...
