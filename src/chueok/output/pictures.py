"""Photos cut to size for a page or a card, in a process of its own: a photo may crash, hang or swell its reader."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from chueok.errors import UnreadablePhoto
from chueok.records import Box
from chueok.settings import Settings, default_settings

if TYPE_CHECKING:
    from PIL.Image import Image

    from chueok.vision.decode import Picture

FACE_MARGIN = (
    0.35  # of the longer side of the box, on each side: hair and chin, which MTCNN's box cuts, come in
)


@dataclass(frozen=True, slots=True)
class Cut:
    """What is wanted of one photo."""

    photo: Path
    decoded: int  # long side in pixels to decode it at, about
    whole: int = 0  # long side in pixels of its thumbnail; 0: none
    face: Box | None = None  # in pixels of the upright full-size photo
    near: int = 0  # side in pixels of the close-up of the face; 0: none


@dataclass(frozen=True, slots=True, eq=False)
class Cuttings:
    """What was cut out of a photo: images of RGB."""

    width: int  # of the photo, upright full size, in pixels
    height: int
    images: tuple[Image, ...]  # the thumbnail, then the close-up, as far as they were wanted


class Cutter:
    """Cuts photos to size, one after the other, in a process that is started with the first. A context manager."""

    def __init__(self, settings: Settings | None = None) -> None:
        """settings: for the time budget and the memory ceiling of a photo."""
        from chueok.vision.answers import Pixels
        from chueok.vision.pool import ReadingPool

        settings = settings or default_settings()
        self._pool = ReadingPool(
            open_cutter, 1, settings.photo_seconds, settings.worker_megabytes, answers=Pixels
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.close()

    def cut(self, wanted: Cut) -> Cuttings | None:
        """None when the photo is gone or unreadable. Raises OperationFailed when no process can be started."""
        ((_, answer),) = self._pool.read_all([wanted])
        return None if isinstance(answer, UnreadablePhoto) else _received(answer)


def _received(answer: Any) -> Cuttings | None:
    """Images from the pixels a process sent; None where they are not as many as it says."""
    from PIL import Image

    width, height, images = answer
    if any(len(pixels) != 3 * across * down for across, down, pixels in images):
        return None
    made = tuple(Image.frombytes("RGB", (across, down), pixels) for across, down, pixels in images)
    return Cuttings(width, height, made)


def open_cutter() -> Callable[[Cut], Any]:
    """What the process runs: it answers in numbers and pixels, so that nothing is decoded twice."""
    return _cut


def _cut(wanted: Cut) -> tuple[int, int, tuple[tuple[int, int, bytes], ...]]:
    """Width and height of the photo, and of each image with its RGB bytes. Raises UnreadablePhoto."""
    from chueok.vision.decode import decode
    from chueok.vision.files import read_file

    picture = decode(read_file(wanted.photo), wanted.decoded)
    images = []
    if wanted.whole:
        images.append(thumbnail(picture, wanted.whole))
    if wanted.face is not None and wanted.near:
        images.append(closeup(picture, wanted.face, wanted.near))
    return picture.width, picture.height, tuple((*image.size, image.tobytes()) for image in images)


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
