"""Small real picture files, good and bad, made from nothing: every test writes the bytes it needs."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

MAKE = 0x010F
ORIENTATION, DATE_TIME, EXIF_FOLDER, ORIGINAL, DIGITIZED = 0x0112, 0x0132, 0x8769, 0x9003, 0x9004

# How to get from the upright picture to the stored one, by EXIF orientation (EXIF 3.0, 4.6.5).
STORED_FROM_UPRIGHT = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def scene(width: int = 96, height: int = 64) -> Image.Image:
    """A picture that looks different from every side: red to the right, green downwards, a blue top left corner."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[..., 0] = np.linspace(0, 255, width)
    pixels[..., 1] = np.linspace(0, 255, height)[:, None]
    pixels[: height // 4, : width // 4, 2] = 255
    return Image.fromarray(pixels)


def noise(width: int = 96, height: int = 64) -> Image.Image:
    """A picture that hardly compresses, so that a cut through the file is a cut through the picture."""
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8))


def rgb(image: Image.Image) -> NDArray[np.uint8]:
    """The pixels: (h, w, 3) uint8."""
    return np.asarray(image.convert("RGB"))


def encode(image: Image.Image, form: str, **options: object) -> bytes:
    """A picture as a file of a Pillow format ("JPEG", "PNG", "TIFF", "WEBP", "AVIF", "JPEG2000", ...)."""
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def heic(image: Image.Image, **options: object) -> bytes:
    """A HEIC file, as phones write it."""
    import pillow_heif

    file = io.BytesIO()
    pillow_heif.from_pillow(image).save(file, quality=90, **options)
    return file.getvalue()


def exif(
    orientation: object = None,
    taken_at: object = None,
    digitized: object = None,
    changed: object = None,
) -> Image.Exif:
    """EXIF with the given tags; values are written as they are, sensible or not."""
    tags = Image.Exif()
    tags[MAKE] = "chueok"  # Pillow writes no EXIF without a tag in the first folder
    for tag, value in ((ORIENTATION, orientation), (DATE_TIME, changed)):
        if value is not None:
            tags[tag] = value
    folder = {ORIGINAL: taken_at, DIGITIZED: digitized}
    tags.get_ifd(EXIF_FOLDER).update({tag: value for tag, value in folder.items() if value is not None})
    written = Image.Exif()  # as read from a file: Pillow's TIFF writer overlooks a folder made in memory
    written.load(tags.tobytes())
    return written


def turned(upright: Image.Image, orientation: int, form: str = "JPEG", **options: object) -> bytes:
    """A file that stores the picture turned and says so in EXIF."""
    how = STORED_FROM_UPRIGHT[orientation]
    stored = upright if how is None else upright.transpose(how)
    return encode(stored, form, exif=exif(orientation), **options)


def animation(frames: Sequence[Image.Image], form: str) -> bytes:
    """An animated GIF, WEBP or PNG, or an MPO."""
    return encode(frames[0], form, save_all=True, append_images=list(frames[1:]))


def png(width: int, height: int, depth: int, kind: int, row: bytes, rows: int | None = None) -> bytes:
    """A PNG whose every row is the same; with fewer `rows` than its height it ends too early.

    kind: 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGBA. Costs memory only for what is compressed, so that
    a file of hundreds of megapixels is made in a second.
    """
    squeezer = zlib.compressobj(1)
    body = b"".join(squeezer.compress(b"\0" + row) for _ in range(height if rows is None else rows))
    head = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    chunks = (b"IHDR", head), (b"IDAT", body + squeezer.flush()), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(_png_chunk(*chunk) for chunk in chunks)


def mutated(data: bytes, seed: int) -> bytes:
    """A copy with one to eight bytes changed, or cut off, or with a piece missing."""
    random = np.random.default_rng(seed)
    copy = bytearray(data)
    for place in random.integers(0, len(copy), random.integers(1, 9)):
        copy[place] = random.integers(0, 256)
    start, end = sorted(random.integers(0, len(copy), 2))
    how = random.integers(0, 4)
    if how == 0:
        del copy[end:]
    elif how == 1:
        del copy[start : start + 64]
    return bytes(copy)


def _png_chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
