"""The faces of a data set: found and aligned as `chueok index` does it, one a picture."""

from __future__ import annotations

import io
import math
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from chueok.errors import OperationFailed, UnreadablePhoto
from chueok.lab.datasets import Dataset, LabelledPicture
from chueok.lab.verification import Pair
from chueok.library import Library, open_library
from chueok.measures import Counted
from chueok.records import Box, Detection, PhotoReading
from chueok.settings import DEFAULT_MODEL, Settings
from chueok.vision.align import TEMPLATE_PIXELS, arcface_crop
from chueok.vision.reader import NETWORKS, ReaderSource, ReadingTask, read_crops, scaled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chueok.vision.reader import Cut

# The detector's last window is 0.709 to 1 of a picture's shorter side; a larger face is judged by a part of it. In 822
# tight crops of celebrities (RMFD) a border moves the landmarks by 6 pixels of 130, and mobilefacenet's rank-1 from
# 0.72 to 0.85; of 322 portraits that are whole photos it concerns 32, and rank-1 goes from 0.988 to 0.994.
CRAMPED = 0.7  # of the picture's shorter side: the longer side of a face's box
BORDER = 0.4  # of a picture's sides, on each: a face that fills the picture then takes 1 / 1.8 of it

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

    Of several faces the one nearest the middle of the picture counts. A picture without one, or with one that takes
    more than 70 % of its shorter side, is looked at once more with a black border of 40 % of its sides around it, and
    what is found then counts: data sets of tight crops leave the detector no room (see `CRAMPED`). What still shows no
    face, and what cannot be read, is named. Raises ModelMissing, ModelInvalid, OperationFailed.
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


# ---- finding -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Border:
    """What was put around a picture, in pixels of what was decoded, and how many full-size pixels each of those is."""

    across: int
    down: int
    scale: tuple[float, float]

    def without(self, face: Detection) -> Detection:
        """A face of the bordered picture in pixels of the full-size picture."""
        box = Box(face.box.x - self.across, face.box.y - self.down, face.box.width, face.box.height)
        landmarks = tuple((x - self.across, y - self.down) for x, y in face.landmarks)
        return scaled(Detection(box, face.probability, landmarks), *self.scale)


def _find_faces(
    library: Library, pictures: Sequence[LabelledPicture], progress: Counted
) -> dict[Path, Seen | UnreadablePhoto]:
    """The faces of every picture by its path."""
    tasks = {picture.path: ReadingTask(picture.path, data=picture.data) for picture in pictures}
    found: dict[Path, Seen | UnreadablePhoto] = {}
    cramped = []
    for task, reading in library.run_pool(tasks.values()):
        found[task.path] = reading if isinstance(reading, UnreadablePhoto) else _seen(reading)
        if isinstance(reading, PhotoReading) and _is_cramped(reading):
            cramped.append(task)
        progress(len(found), len(tasks))
    for read, (path, seen) in enumerate(_look_again(library, cramped), len(tasks) + 1):
        found[path] = seen or found[path]
        progress(read, len(tasks) + len(cramped))
    return found


def _is_cramped(reading: PhotoReading) -> bool:
    """Whether the detector may not have had room for the face."""
    seen = _seen(reading)
    room = CRAMPED * min(reading.width, reading.height)
    return not seen or max(seen[0].box.width, seen[0].box.height) > room


def _look_again(library: Library, tasks: Sequence[ReadingTask]) -> Iterator[tuple[Path, Seen]]:
    """The faces that a border around the pictures brings out, in pixels of the pictures without it."""
    borders: dict[Path, _Border] = {}

    def bordered() -> Iterator[ReadingTask]:  # one at a time: they are large
        for task in tasks:
            with suppress(UnreadablePhoto):  # it could be read a moment ago: what was found then stands
                again, borders[task.path] = _with_border(task, library.settings.detector_size)
                yield again

    for task, reading in library.run_pool(bordered()):
        seen = () if isinstance(reading, UnreadablePhoto) else _seen(reading)
        yield task.path, tuple(map(borders[task.path].without, seen))


def _with_border(task: ReadingTask, size: int) -> tuple[ReadingTask, _Border]:
    """The picture at the detector's size with black around it. Raises UnreadablePhoto."""
    from PIL import Image

    from chueok.vision.decode import decode, read_file

    picture = decode(read_file(task.path) if task.data is None else task.data, size)
    height, width = picture.pixels.shape[:2]
    down, across = round(BORDER * height), round(BORDER * width)
    bordered = np.pad(picture.pixels, ((down, down), (across, across), (0, 0)))
    file = io.BytesIO()
    Image.fromarray(bordered).save(file, "bmp")  # costs no compression
    border = _Border(across, down, (picture.width / width, picture.height / height))
    return ReadingTask(task.path, data=file.getvalue()), border


def _seen(reading: PhotoReading) -> Seen:
    """The faces of a picture, the one nearest its middle, sideways and upwards together, first."""

    def distance(face: Detection) -> float:
        box = face.box
        across = box.x + box.width / 2 - reading.width / 2
        return abs(across) + abs(box.y + box.height / 2 - reading.height / 2)

    return tuple(sorted((face.detection for face in reading.faces), key=distance))
