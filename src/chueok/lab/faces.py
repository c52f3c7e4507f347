"""The faces of a data set: found and aligned as `chueok index` does it, one a picture."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from chueok.errors import OperationFailed, UnreadablePhoto, UsageError
from chueok.lab.comparisons import Pair
from chueok.lab.datasets import Dataset, LabelledPicture, unlabelled
from chueok.library import Library, open_library
from chueok.measures import Counted
from chueok.records import Box, Detection, PhotoReading
from chueok.settings import DEFAULT_MODEL, Settings
from chueok.vision.align import TEMPLATE_PIXELS, arcface_crop
from chueok.vision.reader import NETWORKS, ReaderSource, ReadingTask, read_crops

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chueok.vision.reader import Cut

# The faces found in a picture, in pixels of the upright full-size picture, the one that counts first
Seen = tuple[Detection, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Faces:
    """The faces of a data set, one a picture, where one was found.

    `crops[i]`, uint8 RGB, shows `people[i]`; its face lies in `pictures[i]` at `seen[i][0]`.
    """

    dataset: Dataset
    pictures: tuple[LabelledPicture, ...]
    seen: tuple[Seen, ...]  # how finely `chueok index` decodes a picture depends on all its faces
    crops: NDArray[np.uint8]  # (n, 112, 112, 3), aligned to the ArcFace template, unless recut
    faceless: tuple[str, ...]  # names of pictures in which no face was found
    unreadable: tuple[tuple[str, str], ...]  # names of pictures that cannot be read, with the reason

    @property
    def people(self) -> list[str]:
        """Who is in `crops`, in its order."""
        return [picture.person for picture in self.pictures]

    @property
    def folds(self) -> list[list[Pair]]:
        """The data set's pairs of which both pictures have a face, counting `crops`."""
        rows = {picture.name: row for row, picture in enumerate(self.pictures)}
        row = [rows.get(picture.name) for picture in self.dataset.pictures]
        return [
            [
                Pair(first, second, pair.same)
                for pair in fold
                if (first := row[pair.first]) is not None and (second := row[pair.second]) is not None
            ]
            for fold in self.dataset.folds
        ]

    @property
    def lost(self) -> int:
        """Pairs with a picture that has no face or cannot be read: of the folds, or, where there are none, of all."""
        if self.dataset.folds:
            return sum(map(len, self.dataset.folds)) - sum(map(len, self.folds))
        return math.comb(len(self.dataset.pictures), 2) - math.comb(len(self.pictures), 2)


def read_faces(
    dataset: Dataset,
    settings: Settings,
    *,
    source: ReaderSource = NETWORKS,
    progress: Counted = lambda read, pictures: None,
) -> Faces:
    """Find the faces of a data set, in reading processes as `chueok index` has them, and align them in this one.

    Of several faces the one nearest the middle of the picture counts, or nearest where the data set has it. What
    shows no face, and what cannot be read, is named. Raises ModelMissing, ModelInvalid, OperationFailed.
    """
    with tempfile.TemporaryDirectory(prefix="chueok-") as folder:
        passing = Path(folder) / "library"
        with open_library(passing, settings=settings, model=DEFAULT_MODEL, source=source) as library:
            found = _find_faces(library, dataset.pictures, progress)
    seen = {picture: _seen(picture, found[picture.path]) for picture in dataset.pictures}
    shown = [(picture, faces) for picture, faces in seen.items() if faces]
    faces = Faces(
        dataset=dataset,
        pictures=tuple(picture for picture, _ in shown),
        seen=tuple(faces for _, faces in shown),
        crops=np.empty((0, TEMPLATE_PIXELS, TEMPLATE_PIXELS, 3), np.uint8),
        faceless=tuple(picture.name for picture, faces in seen.items() if faces == ()),
        unreadable=tuple(
            (picture.name, _reason(found[picture.path])) for picture, faces in seen.items() if faces is None
        ),
    )
    return recut(faces, lambda image, face: arcface_crop(image, face.landmarks), settings)


def recut(faces: Faces, cut: Cut, settings: Settings) -> Faces:
    """The same faces cut another way, for a model that does not take aligned crops of 112 pixels.

    settings: those the faces were read with. Raises OperationFailed when a picture has changed since.
    """
    crops = []
    for picture, seen in zip(faces.pictures, faces.seen, strict=True):
        try:
            crops.append(read_crops(picture.read(), seen, settings.detector_size, cut)[0])
        except UnreadablePhoto as error:
            raise OperationFailed(
                f"{picture.path} could be read a moment ago: {error}. Run it again"
            ) from error
    return replace(faces, crops=np.stack(crops)) if crops else faces


def of_people(faces: Faces, people: Collection[str]) -> Faces:
    """Only these people's faces."""
    kept = [number for number, person in enumerate(faces.people) if person in people]
    return replace(
        faces,
        pictures=tuple(faces.pictures[number] for number in kept),
        seen=tuple(faces.seen[number] for number in kept),
        crops=faces.crops[kept],
    )


def album_crops(
    album: Path,
    settings: Settings,
    cut: Cut,
    *,
    source: ReaderSource = NETWORKS,
    progress: Counted = lambda read, pictures: None,
) -> NDArray[np.uint8]:
    """Every face of every readable photo below a folder, nameless: (n, s, s, 3) uint8 RGB, one at least.

    Raises UsageError where there is none, and what `read_faces` does.
    """
    pictures = unlabelled(album)
    with tempfile.TemporaryDirectory(prefix="chueok-") as folder:
        passing = Path(folder) / "library"
        with open_library(passing, settings=settings, model=DEFAULT_MODEL, source=source) as library:
            found = _find_faces(library, pictures, progress)
    crops = []
    for picture in pictures:
        seen = _seen(picture, found[picture.path])
        if seen:
            crops += read_crops(picture.read(), seen, settings.detector_size, cut)
    if not crops:
        raise UsageError(f"no face was found in the {len(pictures):,} photos of {album}; give another album")
    return np.stack(crops)


# ---- finding -------------------------------------------------------------------------------------


def _find_faces(
    library: Library, pictures: Sequence[LabelledPicture], progress: Counted
) -> dict[Path, PhotoReading | UnreadablePhoto]:
    """What every file shows."""
    tasks = {picture.path: ReadingTask(picture.path, data=picture.data) for picture in pictures}
    found: dict[Path, PhotoReading | UnreadablePhoto] = {}
    for task, reading in library.run_pool(tasks.values()):
        found[task.path] = reading
        progress(len(found), len(tasks))
    return found


def _reason(reading: PhotoReading | UnreadablePhoto) -> str:
    """Why there is nothing to be seen."""
    return str(reading) if isinstance(reading, UnreadablePhoto) else "it is another picture than was enrolled"


def _seen(picture: LabelledPicture, reading: PhotoReading | UnreadablePhoto) -> Seen | None:
    """The faces in a picture, the one nearest to where it must be, sideways and upwards together, first.

    That is the middle of the picture, or of the box the data set knows. None where the file cannot be read, or is
    another than it was.
    """
    if isinstance(reading, UnreadablePhoto) or picture.sha256 not in (None, reading.sha256):
        return None
    known = picture.face or Box(0, 0, reading.width, reading.height)
    middle = known.x + known.width / 2, known.y + known.height / 2

    def distance(face: Detection) -> float:
        box = face.box
        return abs(box.x + box.width / 2 - middle[0]) + abs(box.y + box.height / 2 - middle[1])

    return tuple(sorted((face.detection for face in reading.faces), key=distance))
