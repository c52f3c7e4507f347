"""One photo file in, its faces and their embeddings out: decode, detect, align, embed."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from chueok.errors import UnreadablePhoto
from chueok.records import Box, Detection, FaceCrop, FaceReading, PhotoReading
from chueok.vision.base import MIN_FACE, check_min_face, shown
from chueok.vision.second_look import find_faces

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from chueok.settings import Settings
    from chueok.vision.base import Detector, Embedder
    from chueok.vision.decode import Part, Picture
    from chueok.vision.models.registry import ModelCard

    # a picture and a face in its pixels -> a crop
    Cut = Callable[[NDArray[np.uint8], Detection], NDArray[np.uint8]]

CROP_FACE_PIXELS = (
    64  # decoded; a face this small has 0.986 of similarity with itself at 200 pixels, one of 112 0.994
)
CUT_OUT_MARGIN = 0.5  # of the face box, on every side: leaves room for any model's own crop
CUT_OUT_PIXELS = 384  # more than any model's input, less than 400 KB as PNG
FINEST_SIDE = (
    6000  # pixels asked of decode, which may answer with up to twice as many; beyond, memory costs too much
)


@dataclass(frozen=True, slots=True)
class ReadingTask:
    """A file to read; with `known` faces these are embedded and nothing is detected."""

    path: Path
    known: tuple[Detection, ...] | None = None
    data: bytes | None = None  # the file's content, where it is no file
    cut_out: bool = False  # also cut out every face, for `PhotoReading.crops`


class PhotoReader:
    """Reads photos with one detector and one embedder."""

    def __init__(
        self, detector: Detector, embedder: Embedder, detector_size: int, min_face: float = MIN_FACE
    ) -> None:
        """detector_size: long side in pixels that a photo is decoded at, or up to twice as long; 0 for full size.

        min_face: the smallest face looked for, shorter side in pixels of a photo of exactly that size. Raises
        UsageError for one below 12.
        """
        check_min_face(min_face)
        self._detector = detector
        self._embedder = embedder
        self._size = detector_size
        self._min_face = min_face

    def __call__(self, task: ReadingTask) -> PhotoReading:
        """Read one file. Raises UnreadablePhoto with the reason."""
        from chueok.vision.decode import decode
        from chueok.vision.files import read_file

        data = read_file(task.path) if task.data is None else task.data
        picture = decode(data, self._size)
        detections = self.detect(picture) if task.known is None else task.known
        parts = _parts(data, picture, detections)
        return PhotoReading(
            sha256=hashlib.sha256(data).digest(),
            bytes=len(data),
            width=picture.width,
            height=picture.height,
            taken_at=picture.taken_at,
            damage=picture.damage,
            faces=self._embed(parts, detections),
            crops=tuple(map(cut_out, parts, detections)) if task.cut_out else (),
        )

    def detect(self, picture: Picture) -> tuple[Detection, ...]:
        """The faces of a picture, in pixels of the full-size photo, boxes cut at its borders."""
        height, width = picture.pixels.shape[:2]
        # The same share of every photo; of a panorama that of a part twice as long as it is high, and in a small photo
        # nothing that the networks could only guess at
        long_side = min(max(height, width), 2 * min(height, width))
        share = long_side / (self._size or long_side)
        min_face = max(self._min_face * share, min(self._min_face, MIN_FACE))
        found = find_faces(self._detector, picture.pixels, min_face)
        scale = picture.width / width, picture.height / height
        faces = (face.scaled(*scale) for face in found)
        return tuple(replace(face, box=shown(face.box, picture.width, picture.height)) for face in faces)

    def _embed(self, parts: Sequence[Part], detections: Sequence[Detection]) -> tuple[FaceReading, ...]:
        vectors = self._embedder.embed(_crops(parts, detections, self._embedder.crop))
        return tuple(
            FaceReading(detection, vector) for detection, vector in zip(detections, vectors, strict=True)
        )


def read_crops(data: bytes, detections: Sequence[Detection], size: int, cut: Cut) -> list[NDArray[np.uint8]]:
    """Known faces of a file, cut as `cut` does it: the very crops that a PhotoReader embeds.

    size: the detector's, see PhotoReader. Raises UnreadablePhoto.
    """
    from chueok.vision.decode import decode

    return _crops(_parts(data, decode(data, size), detections), detections, cut)


def _parts(data: bytes, picture: Picture, detections: Sequence[Detection]) -> list[Part]:
    """What to cut each face from: the picture, or its surroundings decoded finely enough for the smallest face."""
    from chueok.vision.decode import Part, decode_parts

    height, width = picture.pixels.shape[:2]
    whole = Part(picture.pixels, 0, 0, (width / picture.width, height / picture.height))
    full, coarse = max(picture.width, picture.height), max(width, height)
    smallest = min((detection.box.size for detection in detections), default=full)
    wanted = min(full, FINEST_SIDE, round(full * CROP_FACE_PIXELS / max(smallest, 1)))
    if wanted <= coarse:
        return [whole] * len(detections)
    small = [detection.box.size * coarse < full * CROP_FACE_PIXELS for detection in detections]
    around = [_surroundings(found.box) for found, is_small in zip(detections, small, strict=True) if is_small]
    try:
        finer = iter(decode_parts(data, wanted, around, tolerant=picture.damage is not None))
    except UnreadablePhoto:  # for want of memory: a coarse face is better than a lost photo
        return [whole] * len(detections)
    return [next(finer) if is_small else whole for is_small in small]


def _surroundings(box: Box) -> Box:
    """Three times the box: more than any crop or cut-out takes."""
    side = max(box.width, box.height)
    return Box(box.x - side, box.y - side, box.width + 2 * side, box.height + 2 * side)


def _crops(parts: Sequence[Part], detections: Sequence[Detection], cut: Cut) -> list[NDArray[np.uint8]]:
    """Faces of the full-size photo, each cut out of its part."""
    return [
        cut(part.pixels, found.scaled(*part.scale).moved(-part.left, -part.top))
        for part, found in zip(parts, detections, strict=True)
    ]


def cut_out(part: Part, detection: Detection) -> FaceCrop:
    """The neighbourhood of a face as PNG: enough for any model to embed it when the photo is gone."""
    from PIL import Image

    box, scale = detection.box, part.scale[0]
    side = max(box.width, box.height) * (1 + 2 * CUT_OUT_MARGIN)
    left, top = box.x + (box.width - side) / 2, box.y + (box.height - side) / 2
    pixels = max(1, min(CUT_OUT_PIXELS, round(side * scale)))
    x, y = left * scale - part.left, top * scale - part.top
    crop = Image.fromarray(part.pixels).transform(
        (pixels, pixels),
        Image.Transform.EXTENT,
        (x, y, x + side * scale, y + side * scale),
        Image.Resampling.BICUBIC,
    )
    file = io.BytesIO()
    crop.save(file, "png")
    return FaceCrop(file.getvalue(), pixels, left, top, side)


def open_reader(card: ModelCard, settings: Settings) -> PhotoReader:
    """A reader with the real networks; this is what a reading process runs once.

    Raises ModelMissing, ModelInvalid.
    """
    from chueok.vision.detect import open_detector
    from chueok.vision.embed import open_embedder

    detector = open_detector(
        settings.cache,
        settings.detector_probability,
        as_published=settings.detector_size == 0,
        device=settings.device,
    )
    embedder = open_embedder(card, settings.models, settings.cache, device=settings.device)
    return PhotoReader(detector, embedder, settings.detector_size, settings.detector_min_face)


def prepare(card: ModelCard, settings: Settings) -> Iterator[str]:
    """Compile the networks that this machine has not compiled yet; each step is named before it is taken.

    Says at the end what an accelerator that was asked for came to.
    Raises ModelMissing, ModelInvalid, OperationFailed, and UsageError for an accelerator that cannot be used.
    """
    from chueok.vision.detect import detector_is_compiled, detector_networks
    from chueok.vision.embed import needs_compile, open_embedder

    is_new = needs_compile(card, settings.models, settings.cache)  # first: it also finds weights missing
    if not detector_is_compiled(settings.cache):
        yield "compiling the face detector, once on this machine (about 20 seconds)"
        detector_networks(settings.cache)
    if is_new:
        yield f"compiling the model {card.name}, once on this machine (about 20 seconds)"
        open_embedder(card, settings.models, settings.cache)
    if settings.device != "cpu":
        found = accelerator_of(settings)
        yield f"photos are read on {found or 'the CPU: ONNX Runtime has no accelerator it can use here'}"


def accelerator_of(settings: Settings) -> str | None:
    """What beside the CPU reads photos, once `prepare` is through. Raises UsageError where that cannot be used."""
    if settings.device == "cpu":
        return None
    from chueok.vision.detect import detector_networks
    from chueok.vision.runtime import accelerator

    return accelerator(settings.device, detector_networks(settings.cache)[0])


@dataclass(frozen=True, slots=True)
class ReaderSource:
    """Where readers come from; tests have another one."""

    open: Callable[[ModelCard, Settings], Callable[[ReadingTask], PhotoReading]]  # picklable
    prepare: Callable[[ModelCard, Settings], Iterable[str]]
    accelerator: Callable[[Settings], str | None] = lambda settings: None


NETWORKS = ReaderSource(open_reader, prepare, accelerator_of)
