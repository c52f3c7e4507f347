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
from chueok.lab.datasets import Dataset, LabelledPicture, unlabelled
from chueok.lab.verification import Pair
from chueok.library import Library, open_library
from chueok.measures import Counted
from chueok.records import Detection, PhotoReading
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

    Of several faces the one nearest the middle of the picture counts. What shows no face, and what cannot be read, is
    named. Raises ModelMissing, ModelInvalid, OperationFailed.
    """
    with tempfile.TemporaryDirectory(prefix="chueok-") as folder:
        passing = Path(folder) / "library"
        with open_library(passing, settings=settings, model=DEFAULT_MODEL, source=source) as library:
            found = _find_faces(library, dataset.pictures, progress)
    shown = [
        (picture, seen)
        for picture in dataset.pictures
        if not isinstance(seen := found[picture.path], UnreadablePhoto) and seen
    ]
    faces = Faces(
        dataset=dataset,
        pictures=tuple(picture for picture, _ in shown),
        seen=tuple(seen for _, seen in shown),
        crops=np.empty((0, TEMPLATE_PIXELS, TEMPLATE_PIXELS, 3), np.uint8),
        faceless=tuple(picture.name for picture in dataset.pictures if found[picture.path] == ()),
        unreadable=tuple(
            (picture.name, str(error))
            for picture in dataset.pictures
            if isinstance(error := found[picture.path], UnreadablePhoto)
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
        seen = found[picture.path]
        if not isinstance(seen, UnreadablePhoto):
            crops += read_crops(picture.read(), seen, settings.detector_size, cut)
    if not crops:
        raise UsageError(f"no face was found in the {len(pictures):,} photos of {album}; give another album")
    return np.stack(crops)


# ---- finding -------------------------------------------------------------------------------------


def _find_faces(
    library: Library, pictures: Sequence[LabelledPicture], progress: Counted
) -> dict[Path, Seen | UnreadablePhoto]:
    """The faces of every picture by its path."""
    tasks = [ReadingTask(picture.path, data=picture.data) for picture in pictures]
    found: dict[Path, Seen | UnreadablePhoto] = {}
    for task, reading in library.run_pool(tasks):
        found[task.path] = reading if isinstance(reading, UnreadablePhoto) else _seen(reading)
        progress(len(found), len(tasks))
    return found


def _seen(reading: PhotoReading) -> Seen:
    """The faces of a picture, the one nearest its middle, sideways and upwards together, first."""

    def distance(face: Detection) -> float:
        box = face.box
        across = box.x + box.width / 2 - reading.width / 2
        return abs(across) + abs(box.y + box.height / 2 - reading.height / 2)

    return tuple(sorted((face.detection for face in reading.faces), key=distance))
