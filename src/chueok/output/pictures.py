"""Photos cut to size for a page or a card: thumbnails and close-ups of faces."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from chueok.errors import UnreadablePhoto
from chueok.records import Box
from chueok.vision import decode

if TYPE_CHECKING:
    from PIL.Image import Image

    from chueok.vision.decode import Picture

FACE_MARGIN = (
    0.35  # of the longer side of the box, on each side: hair and chin, which MTCNN's box cuts, come in
)


def load(path: Path, size: int) -> Picture | None:
    """The photo with a long side of about `size` pixels, upright; None when it is gone or unreadable."""
    try:
        return decode.decode(decode.read_file(path), size)
    except UnreadablePhoto:
        return None


def thumbnail(picture: Picture, side: int) -> Image:
    """The whole photo, long side at most `side` pixels, RGB."""
    from PIL import Image

    image = Image.fromarray(picture.pixels)
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    return image


def closeup(picture: Picture, box: Box, side: int) -> Image:
    """The face and a margin as a square of `side` pixels, RGB, moved and made smaller to stay inside the photo.

    box: in pixels of the upright full-size photo, whatever size `picture` was decoded at.
    """
    from PIL import Image

    height, width = picture.pixels.shape[:2]
    scale = width / picture.width
    wanted = max(box.width, box.height) * (1 + 2 * FACE_MARGIN) * scale
    extent = max(1, min(round(wanted), width, height))
    left = _inside((box.x + box.width / 2) * scale - extent / 2, width - extent)
    top = _inside((box.y + box.height / 2) * scale - extent / 2, height - extent)
    square = Image.fromarray(picture.pixels[top : top + extent, left : left + extent])
    return square.resize((side, side), Image.Resampling.LANCZOS)


def _inside(start: float, last: int) -> int:
    return min(max(0, round(start)), last)
