"""Aligned face crops from a folder or from tar shards, decoded once and kept in memory as bytes."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np
from PIL import Image

from chueok.errors import UsageError
from chueok.vision.align import TEMPLATE_PIXELS as SIDE

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ENDINGS = {".webp", ".png", ".jpg", ".jpeg"}
_WANTED = f"give a folder of aligned {SIDE} x {SIDE} pictures (WebP, PNG or JPEG), or of tar files with such pictures"


def load_crops(source: Path) -> NDArray[np.uint8]:
    """The crops of a tar file, or of a folder and the tar files in it: (n, 112, 112, 4) uint8 RGBA.

    Alpha is 0 where a crop has no picture. Ordered by the path below `source` (a tar counting as a folder), so that a
    number means the same crop wherever `source` lies; 50 KB of memory a crop. Raises UsageError when there is none, or
    one is no picture of 112 x 112 pixels.
    """
    if not source.exists():
        raise UsageError(f"{source} is not there; {_WANTED}")
    try:
        files = sorted(_files(source))
    except (OSError, tarfile.TarError) as error:
        raise UsageError(f"{source} cannot be read as crops: {error}") from error
    if not files:
        raise UsageError(f"{source} holds no crops; {_WANTED}")
    crops = np.empty((len(files), SIDE, SIDE, 4), np.uint8)
    for number, (name, data) in enumerate(files):
        crops[number] = _decode(name, data)
    return crops


def _files(source: Path) -> Iterator[tuple[str, bytes]]:
    """Path below the source and content of every crop, still compressed."""
    folder, paths = (source, source.rglob("*")) if source.is_dir() else (source.parent, [source])
    for path in paths:
        name = path.relative_to(folder).as_posix()
        if _is_crop(name) and path.is_file():
            yield name, path.read_bytes()
        elif path.suffix.lower() == ".tar" and path.is_file():
            for member, data in archived(path, _is_crop):
                yield f"{name}/{member}", data


def archived(path: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    """Path and content of those files in a tar whose path is wanted, links in it followed.

    Raises OSError and TarError for what is no tar, UsageError for a link that leads nowhere.
    """
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                if wanted(member.name) and (file := _extracted(archive, member, path)) is not None:
                    yield member.name, file.read()
    except EOFError as error:  # of a compressed one
        raise tarfile.ReadError(f"{path} is cut off") from error


def _extracted(archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> IO[bytes] | None:
    try:
        return archive.extractfile(member)
    except (KeyError, RecursionError) as error:  # the latter of links that lead in a circle
        raise UsageError(f"{path}: {member.name} is a link that leads nowhere; pack it anew") from error


def _is_crop(name: str) -> bool:
    """Whether a path is a crop's; hidden ones are not, such as the `._1.webp` of a tar made on macOS."""
    path = Path(name)
    return path.suffix.lower() in _ENDINGS and not any(part.startswith(".") for part in path.parts)


def _decode(name: str, data: bytes) -> NDArray[np.uint8]:
    try:
        with Image.open(io.BytesIO(data), formats=("WEBP", "PNG", "JPEG")) as image:
            if image.size != (SIDE, SIDE):
                raise UsageError(
                    f"{name} has {image.width} x {image.height} pixels; crops are {SIDE} x {SIDE}, aligned "
                    f"to the ArcFace template (docs/models.md)"
                )
            return np.asarray(image.convert("RGBA"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UsageError(f"{name} is not a readable picture: {error}") from error
