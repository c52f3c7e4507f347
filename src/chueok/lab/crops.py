"""Aligned face crops from a folder or from tar shards, decoded once and kept in memory as bytes."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from chueok.errors import UsageError
from chueok.vision.align import TEMPLATE_PIXELS as SIDE

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ENDINGS = {".webp", ".png", ".jpg", ".jpeg"}


def load_crops(source: Path) -> NDArray[np.uint8]:
    """The crops of a tar file, or of a folder and the tar files in it: (n, 112, 112, 4) uint8 RGBA.

    Alpha is 0 where a crop has no picture. Ordered by name, so that a number means the same crop on every machine;
    50 KB of memory a crop. Raises UsageError when there is none, or one is no picture of 112 x 112 pixels.
    """
    try:
        files = sorted(_files(source))
    except (OSError, tarfile.TarError) as error:
        raise UsageError(f"{source} cannot be read as crops: {error}") from error
    if not files:
        raise UsageError(
            f"{source} holds no crops; give a folder of aligned {SIDE} x {SIDE} pictures (WebP, PNG or JPEG), "
            f"or of tar files with such pictures"
        )
    crops = np.empty((len(files), SIDE, SIDE, 4), np.uint8)
    for number, (name, data) in enumerate(files):
        crops[number] = _decode(name, data)
    return crops


def _files(source: Path) -> Iterator[tuple[str, bytes]]:
    """Name and content of every crop, still compressed."""
    for path in [source, *source.rglob("*")] if source.is_dir() else [source]:
        if path.suffix.lower() in _ENDINGS:
            yield str(path.relative_to(source.parent)), path.read_bytes()
        elif path.suffix.lower() == ".tar":
            with tarfile.open(path) as archive:
                for member in archive:
                    file = archive.extractfile(member)
                    if file is not None and Path(member.name).suffix.lower() in _ENDINGS:
                        yield f"{path.name}/{member.name}", file.read()


def _decode(name: str, data: bytes) -> NDArray[np.uint8]:
    try:
        with Image.open(io.BytesIO(data), formats=("WEBP", "PNG", "JPEG")) as image:
            if image.size != (SIDE, SIDE):
                raise UsageError(
                    f"{name} has {image.width} x {image.height} pixels; crops are {SIDE} x {SIDE}, aligned "
                    f"to the ArcFace template (docs/models.md)"
                )
            return np.asarray(image.convert("RGBA"))
    except (OSError, SyntaxError, ValueError) as error:
        raise UsageError(f"{name} is not a readable picture: {error}") from error
