"""Pictures of nobody, for faces to be laid over: photos, noise, shapes, bits of crops, and patchworks of those.

What lies around a face must tell the network nothing, and what is no face must not look like one to it. Photos without
people are few, so there is as much variety beside them as can be made: noise with the spectra of photos (Field 1987,
J. Opt. Soc. Am. A 4:2379), hard-edged shapes, stripes and letters, and enlarged parts of crops too small to be a
face: skin, hair, eyes, cloth.
Amounts without a reason beside them were chosen by eye, from sheets of scenery.
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

SIDE = 384  # pixels of a piece of scenery
_PART = 14, 58  # pixels of a crop's 112 in a bit of it: less than a face
_PHOTOS = 0.4  # of plain pieces, where there are any
_LEAST_PHOTO = 100  # pixels of a photo in a piece
_SHAPES = 60
_LARGEST_LETTER = 60  # pixels
_LETTERS = string.ascii_letters + string.digits + string.punctuation


def scenery(
    count: int, crops: NDArray[np.uint8], photos: Sequence[NDArray[np.uint8]], chance: Generator
) -> NDArray[np.uint8]:
    """So many pieces: (count, 384, 384, 3) uint8 RGB.

    crops: (n, 112, 112, 4) uint8 RGBA. photos: (h, w, 3) uint8 RGB each, from 100 pixels, without faces.
    """
    pieces = np.empty((count, SIDE, SIDE, 3), np.uint8)
    for piece in pieces:
        piece[...] = np.asarray(_piece(crops, photos, chance))
    return pieces


def _piece(crops: NDArray[np.uint8], photos: Sequence[NDArray[np.uint8]], chance: Generator) -> Image.Image:
    """Something plain, or several of it blended, beside each other, or out of focus."""
    piece, kind = _plain(crops, photos, chance), chance.random()
    if kind < 0.2:
        return Image.blend(piece, _plain(crops, photos, chance), chance.uniform(0.2, 0.8))
    if kind < 0.55:
        for _ in range(chance.integers(1, 10)):
            width, height = chance.integers(20, 250, 2).tolist()
            left, top = chance.integers(-50, SIDE, 2).tolist()
            piece.paste(_plain(crops, photos, chance).resize((width, height)), (left, top))
    elif kind < 0.65:
        _draw_shapes(piece, chance)
    elif kind < 0.7:
        return piece.filter(ImageFilter.GaussianBlur(chance.uniform(1, 5)))
    return piece


def _plain(crops: NDArray[np.uint8], photos: Sequence[NDArray[np.uint8]], chance: Generator) -> Image.Image:
    if photos and chance.random() < _PHOTOS:
        return _part(photos[int(chance.integers(len(photos)))], chance)
    kind = chance.random()
    if kind < 0.45:
        return _bit(crops, chance)
    noise = Image.fromarray(_noise(chance))
    if kind < 0.7:
        _draw_shapes(noise, chance)
    return noise


def _bit(crops: NDArray[np.uint8], chance: Generator) -> Image.Image:
    """A part of a crop, enlarged, and turned in quarters."""
    side = int(chance.integers(*_PART))
    top, left = chance.integers(0, crops.shape[1] - side + 1, 2)
    part = crops[chance.integers(len(crops)), top : top + side, left : left + side, :3]
    large = Image.fromarray(part).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    return large.rotate(90 * int(chance.integers(4)))


def _part(photo: NDArray[np.uint8], chance: Generator) -> Image.Image:
    """A square of a photo, of any size, turned in quarters."""
    shorter = min(photo.shape[:2])
    side = round(_LEAST_PHOTO * (shorter / _LEAST_PHOTO) ** chance.random())
    top, left = (int(chance.integers(0, length - side + 1)) for length in photo.shape[:2])
    square = Image.fromarray(photo).crop((left, top, left + side, top + side))
    return square.resize((SIDE, SIDE), Image.Resampling.HAMMING).rotate(90 * int(chance.integers(4)))


def _noise(chance: Generator) -> NDArray[np.uint8]:
    """Noise whose amplitude falls with a power of its frequency, as in photos (there by 1), of related colours."""
    down, across = np.meshgrid(np.fft.fftfreq(SIDE), np.fft.rfftfreq(SIDE), indexing="ij")
    falling = (np.hypot(down, across * chance.uniform(0.4, 2.5)) + 1e-3) ** chance.uniform(0.4, 1.6)
    fields = np.fft.irfft2(np.fft.rfft2(chance.standard_normal((3, SIDE, SIDE))) / falling)
    fields /= fields.std(axis=(1, 2), keepdims=True)
    fields[1:] += (fields[0] - fields[1:]) * chance.uniform(0.5, 1, (2, 1, 1))
    values = fields.transpose(1, 2, 0) * chance.uniform(15, 70) + chance.uniform(40, 215, 3)
    return values.clip(0, 255).astype(np.uint8)


def _draw_shapes(picture: Image.Image, chance: Generator) -> None:
    """Ellipses, rectangles, lines, polygons and letters of all sizes, and sometimes stripes."""
    draw = ImageDraw.Draw(picture)
    for _ in range(chance.integers(3, _SHAPES)):
        x, y = chance.integers(-20, SIDE, 2).tolist()
        width, height = np.exp(chance.uniform(0.5, 5, 2)).tolist()
        colour, kind = _colour(chance), chance.random()
        if kind < 0.35:
            draw.ellipse((x, y, x + width, y + height), colour)
        elif kind < 0.6:
            draw.rectangle((x, y, x + width, y + height), colour)
        elif kind < 0.8:
            draw.line(
                (x, y, x + width, y + height * chance.choice((-1, 1))), colour, int(chance.integers(1, 8))
            )
        elif kind < 0.9:
            corners = chance.uniform(-1, 1, (chance.integers(3, 7), 2)) * (width, height) + (x, y)
            draw.polygon(list(map(tuple, corners.tolist())), colour)
        else:
            word = "".join(chance.choice(list(_LETTERS), chance.integers(1, 12)))
            draw.text((x, y), word, colour, font_size=chance.integers(8, _LARGEST_LETTER))
    if chance.random() < 0.3:
        step, colour, upright = int(chance.integers(4, 30)), _colour(chance), chance.random() < 0.5
        for place in range(0, SIDE, step):
            line = (place, 0, place, SIDE) if upright else (0, place, SIDE, place)
            draw.line(line, colour, step // 3 + 1)


def _colour(chance: Generator) -> tuple[int, int, int]:
    """Any colour, or one that skin could have."""
    low, high = ((0, 0, 0), 256) if chance.random() < 0.5 else ((120, 90, 70), (250, 210, 190))
    red, green, blue = chance.integers(low, high, 3).tolist()
    return red, green, blue
