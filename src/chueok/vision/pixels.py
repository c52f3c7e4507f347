"""A decoded image of any mode becomes upright RGB pixels: reduced, converted and turned strip by strip."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

_STRIP_PIXELS = 2**22  # converted at once, 16 MB of RGBA: bounds memory; most photos are one or two strips
_WHITE_LEVELS = (1, 255, 1023, 4095, 16_383, 65_535)  # white of floats and of 8, 10, 12, 14 and 16 bits
_INVENTED = 0.01  # of a picture: libjpeg makes up one block, 16 x 16 pixels, where its data end
_DEEP_MODES = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")  # grey, deeper than 8 bits


def upright_rgb(image: Image, factor: int, orientation: int) -> NDArray[np.uint8]:
    """The image as (h, w, 3) uint8 RGB, contiguous, perhaps read-only; every factor x factor block becomes one pixel.

    image: loaded, any mode that Pillow reads; never copied whole. factor: >= 1. orientation: EXIF, 1..8.
    Transparent parts become white, as viewers show cut-out portraits.
    """
    import numpy as np

    if orientation == 1 and image.width * image.height <= _STRIP_PIXELS:
        return np.asarray(
            _reduced_rgb(image, factor, _levels(image))
        )  # as most photos are: spares them a copy
    width, height = math.ceil(image.width / factor), math.ceil(image.height / factor)
    pixels = np.empty((width, height, 3) if orientation > 4 else (height, width, 3), np.uint8)
    stored, levels = _as_stored(pixels, orientation), _levels(image)
    row = 0
    for strip in _strips(image, factor):
        reduced = np.asarray(_reduced_rgb(strip, factor, levels))
        stored[row : row + len(reduced)] = reduced
        row += len(reduced)
    return pixels


def upright_part(image: Image, box: tuple[int, int, int, int], orientation: int) -> NDArray[np.uint8]:
    """The pixels of the upright picture inside a box, which lies in it: (h, w, 3) uint8 RGB.

    image: loaded, as `upright_rgb` takes it. box: left, top, right, bottom.
    """
    left, top, right, bottom = box
    if image.mode in _DEEP_MODES:  # their black and white are the whole picture's
        return upright_rgb(image, 1, orientation)[top:bottom, left:right]
    # as `_as_stored` turns rows and columns
    rows, columns = ((left, right), (top, bottom)) if orientation > 4 else ((top, bottom), (left, right))
    if orientation in (3, 4, 6, 7):
        rows = image.height - rows[1], image.height - rows[0]
    if orientation in (2, 3, 7, 8):
        columns = image.width - columns[1], image.width - columns[0]
    return upright_rgb(image.crop((columns[0], rows[0], columns[1], rows[1])), 1, orientation)


def decoded_share(pixels: NDArray[np.uint8], orientation: int) -> float:
    """The share of stored rows above the even colour a decoder leaves where data ran out; 0 for an even picture.

    pixels: (h, w, 3) uint8, upright, made from a file with this EXIF orientation.
    """
    stored = _as_stored(pixels, orientation)
    written = (stored != stored[-1, -1]).any(axis=2)
    if written.mean() < _INVENTED:
        return 0.0
    return float(written.any(axis=1).nonzero()[0][-1] + 1) / len(stored)


def _as_stored(upright: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """The view of an upright array in which rows and columns run as the file stores them.

    Writing through it turns a picture without a copy. EXIF 3.0, 4.6.5: the visual sides of row 0 and column 0.
    """
    axes = upright.swapaxes(0, 1) if orientation > 4 else upright
    down = -1 if orientation in (3, 4, 6, 7) else 1  # row 0 is the bottom or, turned, the right-hand side
    right = -1 if orientation in (2, 3, 7, 8) else 1  # column 0 is the right-hand side or, turned, the bottom
    return axes[::down, ::right]


def _strips(image: Image, factor: int) -> Iterator[Image]:
    """The image from top to bottom in strips, each of a multiple of `factor` rows but the last."""
    rows = max(1, _STRIP_PIXELS // (image.width * factor)) * factor
    if rows >= image.height:
        yield image
        return
    for top in range(0, image.height, rows):
        yield image.crop((0, top, image.width, min(top + rows, image.height)))


def _levels(image: Image) -> tuple[float, float]:
    """The values shown as black and white in a grey image deeper than 8 bits; unused for any other.

    White is the full scale of the smallest bit depth that holds the image, so that an ordinary 12- or
    16-bit photo keeps its brightness; beyond 16 bits it is the brightest value.
    """
    import numpy as np

    low, high = 0.0, 0.0
    if image.mode in _DEEP_MODES:
        for strip in _strips(image, 1):
            values = np.asarray(strip)
            if strip.mode == "F":
                values = np.nan_to_num(values, nan=0, posinf=0, neginf=0)
            low, high = min(low, float(values.min())), max(high, float(values.max()))
    return low, next((level for level in _WHITE_LEVELS if high <= level), high)


def _reduced_rgb(strip: Image, factor: int, levels: tuple[float, float]) -> Image:
    """Any mode to RGB, reduced; what is transparent becomes white."""
    from PIL import Image

    if strip.mode in _DEEP_MODES:
        strip = _grey(strip, levels)
    elif strip.has_transparency_data:
        strip = strip.convert("RGBA")
        if strip.getchannel("A").getextrema() != (255, 255):  # most pictures with alpha are opaque
            strip = strip.reduce(factor)
            return Image.alpha_composite(Image.new("RGBA", strip.size, "white"), strip).convert("RGB")
    strip = strip if strip.mode == "RGB" else strip.convert("RGB")
    return strip.reduce(factor) if factor > 1 else strip


def _grey(strip: Image, levels: tuple[float, float]) -> Image:
    """A deep grey strip scaled to 8 bits; what is not a number is black."""
    import numpy as np
    from PIL import Image

    black, white = levels
    values = np.asarray(strip).astype(np.float32)
    if strip.mode == "F":
        np.nan_to_num(values, copy=False, nan=black, posinf=white, neginf=black)
    values -= black
    values *= 255 / (white - black)
    return Image.fromarray(np.rint(values, out=values).clip(0, 255, out=values).astype(np.uint8))
