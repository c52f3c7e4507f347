"""Scenes to learn from: faces of all sizes laid over scenery, and what the network should say of each cell.

Beside faces a scene has pieces of scenery cut out and softened just as they are, so that an edge says nothing, and
faces too large for their level of the pyramid, of which a part may not pass for a face. Amounts without a reason
beside them were chosen by eye, from sheets of scenes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageChops, ImageFilter

from chueok.vision.proposals import CELL, UNIT_PIXELS

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

SIDE = 96  # pixels of a scene
CELLS = SIDE // CELL
# Longer side of a face, pixels. Levels halve in length: one that is 12 to 24 in some level must be found there, and a
# little beyond, so that none falls between two. Larger ones must not be, smaller ones and those in between may.
FOUND = 10.5, 25.0
TOO_LARGE = 30.0
FACE, NO_FACE, EITHER = 1, 0, -1

# Of a face's longer side: cells so near its middle are face; farther than this, not.
_CENTRE, _EDGE = 0.28, 0.55
_LEAST_SEEN = 0.6  # of a face's area: of less within the scene, nothing is asked
_MOST_HIDDEN = 0.45  # of a face, likewise: by a hand, a railing, the head before it
_EMPTY = 0.15  # of scenes
_MOST = 7  # things laid over a scene
_SCENERY = 0.4  # of those
_BAR = 2.5  # a piece of scenery is up to 2 to this power times as long as it is wide
_SIZES = 8.0, 34.0, 160.0  # pixels: most faces are between the first two, the others between the last two
_LARGE = 0.18
_NARROW, _WIDE = -0.35, 0.12  # powers of 2, of a face's width: narrower ones pass for faces half turned away
_TILT = 14.0  # degrees, standard deviation: aligned crops are upright, heads are not
_BLURRED, _BLUR = 0.25, 9.0  # of faces; pixels of a crop: out of focus, behind the person photographed
# Left, top, width and height: where in a crop faces are on average.
_ANY_FACE = np.array([19, 18, 73, 97], np.float32)
_FILTERS = (Image.Resampling.BOX, Image.Resampling.BILINEAR, Image.Resampling.HAMMING)


@dataclass(frozen=True, slots=True)
class Lesson:
    """Scenes, and what is true of their cells."""

    scenes: NDArray[np.uint8]  # (n, 96, 96, 3) RGB
    faces: NDArray[np.int8]  # (n, 24, 24) FACE, NO_FACE or EITHER
    boxes: NDArray[np.float32]  # (n, 4, 24, 24) where FACE: edges, as the network gives them
    sizes: NDArray[np.float32]  # (n, 24, 24) where FACE: its longer side, pixels; else 1


@dataclass(frozen=True, slots=True)
class Faces:
    """Crops, and where in them MTCNN sees the face."""

    crops: NDArray[np.uint8]  # (n, 112, 112, 4) RGBA
    boxes: NDArray[np.float32]  # (n, 4) left, top, width, height


@dataclass(slots=True)
class Face:
    """A face in a scene, pixels."""

    left: float
    top: float
    width: float
    height: float
    hidden: float = 0.0  # share of its area that something was laid over

    @property
    def size(self) -> float:
        return max(self.width, self.height)

    def share_within(self, left: float, top: float, width: float, height: float) -> float:
        """Of the face's area, what lies in a rectangle."""
        across = min(left + width, self.left + self.width) - max(left, self.left)
        down = min(top + height, self.top + self.height) - max(top, self.top)
        return max(across, 0) * max(down, 0) / (self.width * self.height)


def lesson(faces: Faces, scenery: NDArray[np.uint8], count: int, chance: Generator) -> Lesson:
    """So many scenes. scenery: (n, s, s, 3) uint8 RGB."""
    scenes = np.empty((count, SIDE, SIDE, 3), np.uint8)
    truth, boxes, sizes = [], [], []
    for pixels in scenes:
        scene = _background(scenery, chance)
        there = _people(scene, faces, scenery, chance)
        pixels[...] = np.asarray(scene)
        one, places, longer = answers(there)
        truth.append(one)
        boxes.append(places)
        sizes.append(longer)
    return Lesson(scenes, np.stack(truth), np.stack(boxes), np.stack(sizes))


def _background(scenery: NDArray[np.uint8], chance: Generator) -> Image.Image:
    """A part of some scenery, between its own size and a quarter of it, perhaps with the picture's border in it."""
    whole = scenery[chance.integers(len(scenery))]
    side = min(len(whole), round(SIDE * 4 ** chance.random()))
    left, top = chance.integers(-side // 8, len(whole) - side + side // 8 + 1, 2)
    if chance.random() < 0.8:
        left, top = np.clip((left, top), 0, len(whole) - side)
    part = Image.fromarray(whole).crop((left, top, left + side, top + side))  # black beyond the border
    return part.resize((SIDE, SIDE), _FILTERS[chance.integers(len(_FILTERS))])


def _people(scene: Image.Image, faces: Faces, scenery: NDArray[np.uint8], chance: Generator) -> list[Face]:
    """Lay faces and other things over a scene; the faces that are to be seen in it."""
    there: list[Face] = []
    if chance.random() < _EMPTY:
        return there
    for _ in range(chance.integers(1, _MOST + 1)):
        if chance.random() < _SCENERY:
            _lay(scene, there, _piece(scenery, chance), _ANY_FACE, 2 ** chance.uniform(-_BAR, _BAR), chance)
        else:
            which = chance.integers(len(faces.crops))
            crop = Image.fromarray(faces.crops[which])
            if chance.random() < _BLURRED:
                crop = crop.filter(ImageFilter.GaussianBlur(chance.uniform(0, _BLUR)))
            narrower = 2 ** chance.uniform(_NARROW, _WIDE)
            there.append(_lay(scene, there, crop, faces.boxes[which], narrower, chance))
    return there


def _piece(scenery: NDArray[np.uint8], chance: Generator) -> Image.Image:
    """Some part of some scenery, as large as a crop."""
    whole = scenery[chance.integers(len(scenery))]
    side = min(len(whole), round(112 * 2 ** chance.uniform(-1.5, 1)))
    left, top = chance.integers(0, len(whole) - side + 1, 2)
    piece = Image.fromarray(whole).crop((left, top, left + side, top + side)).resize((112, 112))
    piece.putalpha(255)
    return piece


def _lay(
    scene: Image.Image,
    there: list[Face],
    crop: Image.Image,
    box: NDArray[np.float32],
    narrower: float,
    chance: Generator,
) -> Face:
    """Lay a crop over a scene and the faces in it; the face it holds.

    box: of the face in the crop, which decides how large it is laid. narrower: a factor of its width.
    """
    low, middle, high = _SIZES
    low, high = (middle, high) if chance.random() < _LARGE else (low, middle)
    size = math.exp(chance.uniform(math.log(low), math.log(high)))
    height = max(3, round(112 * size / float(box[2:].max())))
    width = min(max(3, round(height * narrower)), 4 * SIDE)
    angle = chance.normal(0, _TILT)
    crop.putalpha(_softened(crop.getchannel("A"), chance))
    laid = crop.rotate(angle, Image.Resampling.BILINEAR)
    mirrored = chance.random() < 0.5
    if mirrored:
        laid = laid.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    laid = laid.resize((width, height), _FILTERS[chance.integers(len(_FILTERS))])
    left, top = (_place(length, chance) for length in (width, height))
    scene.paste(laid, (left, top), laid)
    for face in there:
        face.hidden += face.share_within(left, top, width, height)
    return _laid_face(box, (left, top), (width / 112, height / 112), angle, mirrored)


def _softened(alpha: Image.Image, chance: Generator) -> Image.Image:
    """How a crop ends: in an oval, softly at its edges, or at once."""
    kind = chance.random()
    if kind > 0.6:
        return alpha
    down, across = np.mgrid[-1:1:28j, -1:1:28j]  # fine enough for what is soft
    if kind < 0.35:
        radius = np.hypot(down / chance.uniform(1, 1.25), across / chance.uniform(0.93, 1.15))
        seen = (2.2 * (1 - radius)).clip(0, 1) ** 0.7
    else:
        seen = ((1 - np.maximum(abs(down), abs(across))) * 56 / chance.uniform(4, 16)).clip(0, 1)
    mask = Image.fromarray((255 * seen).astype(np.uint8)).resize(alpha.size, Image.Resampling.BILINEAR)
    return ImageChops.multiply(alpha, mask)


def _place(length: int, chance: Generator) -> int:
    """Where something so long begins: a third of it may lie outside, of what is longer than the scene more."""
    first = min(-length // 3, SIDE - length - length // 4)
    last = max(SIDE - length + length // 3, length // 4)
    return int(chance.integers(first, last + 1))


def _laid_face(
    box: NDArray[np.float32],
    place: tuple[int, int],
    scale: tuple[float, float],
    angle: float,
    mirrored: bool,
) -> Face:
    """The face of a crop that was turned about its middle, mirrored, scaled and laid at a place."""
    across, down = float(box[0] + box[2] / 2) - 56, float(box[1] + box[3] / 2) - 56
    cosine, sine = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    across, down = across * cosine + down * sine, down * cosine - across * sine
    if mirrored:
        across = -across
    width, height = float(box[2]) * scale[0], float(box[3]) * scale[1]
    left = place[0] + (56 + across) * scale[0] - width / 2
    return Face(left, place[1] + (56 + down) * scale[1] - height / 2, width, height)


def answers(there: list[Face]) -> tuple[NDArray[np.int8], NDArray[np.float32], NDArray[np.float32]]:
    """What is true of a scene's cells: one of each of `Lesson`'s arrays. Where faces overlap, the nearer's middle."""
    truth = np.full((CELLS, CELLS), NO_FACE, np.int8)
    boxes, sizes = np.zeros((4, CELLS, CELLS), np.float32), np.ones((CELLS, CELLS), np.float32)
    nearest = np.full((CELLS, CELLS), np.inf)
    places = np.arange(CELLS) * CELL + 0.5
    for face in there:
        down = abs(places - face.top - face.height / 2)[:, None] / face.size
        across = abs(places - face.left - face.width / 2)[None, :] / face.size
        distance = np.maximum(down, across)
        if face.size >= TOO_LARGE:
            continue
        truth[(distance < _EDGE) & (truth == NO_FACE)] = EITHER
        is_seen = face.hidden < _MOST_HIDDEN and face.share_within(0, 0, SIDE, SIDE) > _LEAST_SEEN
        if not (is_seen and FOUND[0] <= face.size <= FOUND[1]):
            continue
        inside = (distance < max(_CENTRE, distance.min() + 1e-6)) & (distance < nearest)
        nearest[inside] = distance[inside]
        truth[inside], sizes[inside] = FACE, face.size
        edges = face.left, face.top, face.left + face.width, face.top + face.height
        for channel, edge in enumerate(edges):
            offsets = np.broadcast_to(edge - (places[:, None] if channel % 2 else places), inside.shape)
            boxes[channel][inside] = offsets[inside] / UNIT_PIXELS
    return truth, boxes, sizes
