"""Deterministic stand-ins for the networks: coloured squares are faces, and a colour is an identity."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from chueok.errors import UnreadablePhoto
from chueok.records import Box, Detection
from chueok.settings import Settings
from chueok.vision.models.registry import ModelCard
from chueok.vision.reader import PhotoReader, ReaderSource

SIDE = 64  # pixels of a face
GREY = (128, 128, 128)
FAR_AWAY = (1, 2, 3)  # the colour of a picture on a disk that does not answer
PEOPLE = {
    "mom": (250, 20, 20),
    "mom-older": (240, 60, 20),  # similarity to mom about 0.98
    "aunt": (250, 20, 90),  # looks a little like mom: 0.95
    "dad": (20, 30, 250),
    "minjun": (20, 230, 40),
    "ex": (240, 240, 20),
}
LOOKALIKE_THRESHOLD = 0.9  # tells mom from dad, and takes aunt for mom


def draw(people: Sequence[str], size: tuple[int, int] | None = None) -> Image.Image:
    """A picture of these people, left to right, on grey; no two calls with different people are alike."""
    width, height = size or (SIDE * 2 * max(len(people), 1), SIDE * 2)
    picture = Image.new("RGB", (width, height), GREY)
    for place, person in enumerate(people):
        left = place * SIDE * 2 + SIDE // 2
        picture.paste(PEOPLE[person], (left, SIDE // 2, left + SIDE, SIDE // 2 + SIDE))
    return picture


def photo(people: Sequence[str], mark: str = "") -> bytes:
    """The bytes of a PNG of these people; another mark makes another file of the same people."""
    import io

    picture = draw(people)
    picture.putpixel((0, 0), (128, 128, zlib.crc32(mark.encode()) % 8 + 124))
    picture.putpixel((1, 0), (128, 128, zlib.crc32(mark.encode()) // 8 % 8 + 124))
    file = io.BytesIO()
    picture.save(file, "png")
    return file.getvalue()


class SquareDetector:
    """Finds coloured squares. A picture of one certain colour stands for a disk that does not answer."""

    def detect(self, image: NDArray[np.uint8], min_face: float = 20.0) -> list[Detection]:
        if (image == FAR_AWAY).all():
            raise UnreadablePhoto("the disk did not answer", transient=True)
        spread = image.max(axis=2).astype(int) - image.min(axis=2)
        found = []
        for left in range(SIDE // 2, image.shape[1] - SIDE, SIDE * 2):
            middle = spread[SIDE, left + SIDE // 2] if image.shape[0] > SIDE else 0
            if middle > 100:
                found.append(_face(left, SIDE // 2))
        return found


def _face(left: int, top: int) -> Detection:
    points = ((16, 20), (48, 20), (32, 34), (20, 48), (44, 48))
    landmarks = tuple((float(left + x), float(top + y)) for x, y in points)
    return Detection(Box(left, top, SIDE, SIDE), 0.99, landmarks)


class ColourEmbedder:
    """The colour of a face as a direction."""

    name = "lite"
    dimension = 128

    def crop(self, image: NDArray[np.uint8], face: Detection) -> NDArray[np.uint8]:
        box = face.box
        centre_y, centre_x = round(box.y + box.height / 2), round(box.x + box.width / 2)
        return image[centre_y - 4 : centre_y + 4, centre_x - 4 : centre_x + 4]

    def embed(self, crops: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        rows = np.zeros((len(crops), self.dimension), np.float32)
        for row, crop in zip(rows, crops, strict=True):
            row[:3] = crop.reshape(-1, 3).mean(axis=0) - 127.5
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        return (rows / np.where(lengths > 0, lengths, 1)).astype(np.float32)


def open_fake_reader(card: ModelCard, settings: Settings) -> PhotoReader:
    """What a reading process opens in tests."""
    return PhotoReader(SquareDetector(), ColourEmbedder(), detector_size=0)


FAKES = ReaderSource(open_fake_reader, lambda card, settings: ())


def make_tree(root: Path, tree: dict[str, Sequence[str] | bytes]) -> Path:
    """Files under root: a list of people becomes a photo of them, bytes are written as they are."""
    for name, content in tree.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else photo(content, mark=name))
    return root
