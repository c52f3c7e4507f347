"""The nouns of the house: frozen, without I/O. Coordinates are pixels of the upright full-size photo."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from chueok.measures import CalibrationStatus

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels: left, top, width, height."""

    x: float
    y: float
    width: float
    height: float

    @property
    def size(self) -> float:
        """The shorter side in pixels: what `--min-face` is compared with."""
        return min(self.width, self.height)


@dataclass(frozen=True, slots=True)
class Detection:
    """A face as the detector saw it."""

    box: Box
    probability: float  # the detector's confidence, 0..1
    landmarks: tuple[Point, ...]  # five: left eye, right eye, nose, mouth left, mouth right

    def moved(self, x: float, y: float) -> Detection:
        """The same face x pixels further right and y further down."""
        box = Box(self.box.x + x, self.box.y + y, self.box.width, self.box.height)
        return Detection(box, self.probability, tuple((px + x, py + y) for px, py in self.landmarks))

    def scaled(self, x: float, y: float) -> Detection:
        """The same face in pixels of a picture x times as wide and y times as high."""
        box = Box(self.box.x * x, self.box.y * y, self.box.width * x, self.box.height * y)
        return Detection(box, self.probability, tuple((px * x, py * y) for px, py in self.landmarks))


@dataclass(frozen=True, slots=True, eq=False)
class FaceReading:
    """A detected face and its embedding."""

    detection: Detection
    vector: NDArray[np.float32]  # (d,) float32, unit length


@dataclass(frozen=True, slots=True)
class FaceCrop:
    """The neighbourhood of a face, kept for references so that another model can embed it without the photo."""

    png: bytes  # square
    pixels: int  # side of the PNG
    x: float  # left edge in photo pixels
    y: float
    width: float  # side in photo pixels


@dataclass(frozen=True, slots=True, eq=False)
class PhotoReading:
    """What one picture file says: its content and the faces in it."""

    sha256: bytes  # of the file's bytes
    bytes: int  # file size
    width: int  # upright full size, pixels
    height: int
    taken_at: datetime | None  # EXIF DateTimeOriginal, local time without zone
    damage: str | None  # why the file is only partly readable, None when it is whole
    faces: tuple[FaceReading, ...]
    crops: tuple[FaceCrop, ...] = ()  # one a face, where they were asked for


@dataclass(frozen=True, slots=True)
class Face:
    """A face in the catalog."""

    id: int
    detection: Detection


@dataclass(frozen=True, slots=True)
class Reference:
    """One of the pictures a person was enrolled from."""

    source: Path
    face_id: int


@dataclass(frozen=True, slots=True)
class Person:
    """An enrolled person and the references they are matched by."""

    name: str  # NFC
    references: tuple[Reference, ...]
    enrolled_at: datetime


@dataclass(frozen=True, slots=True)
class Note:
    """Something the user should know; never the answer itself."""

    message: str


# ---- index -------------------------------------------------------------------------------------


class Status(enum.StrEnum):
    """What became of one photo in a scan."""

    NEW = "new"
    CHANGED = "changed"
    MOVED = "moved"
    UNCHANGED = "unchanged"
    FAILED = "failed"
    DAMAGED = "damaged"


@dataclass(frozen=True, slots=True)
class ScanStarted:
    """The walk is over; this much work lies ahead."""

    photos: int  # files seen
    pending: int  # of these, to be read
    pending_bytes: int


@dataclass(frozen=True, slots=True)
class PhotoIndexed:
    """One photo was looked at."""

    path: Path
    status: Status
    faces: int
    error: str | None = None


@dataclass(frozen=True, slots=True)
class ScanSummary:
    """The last event of a scan: counts of photos by status, and faces learned in this run."""

    counts: dict[Status, int]
    faces: int
    missing: int  # known photos that are no longer where they were
    pruned: int
    left: int  # photos not reached within the budget
    seconds: float
    unreachable: int = 0  # albums and folders that are not there or cannot be looked into
    dry_run: bool = False


ScanEvent = ScanStarted | PhotoIndexed | Note | ScanSummary

# ---- find --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Match:
    """One photo in which a wanted person appears."""

    photo: Path
    face: Face
    similarity: float  # cosine, -1 opposite .. 1 same direction
    threshold: float  # the similarity a match needs
    person: str  # the enrolled name, or the reference photo as it was given
    reference: Path  # the reference photo this face is most similar to
    taken_at: datetime | None
    model: str


@dataclass(frozen=True, slots=True)
class FindSummary:
    """The last event of a search."""

    people: tuple[str, ...]  # the wanted people, as they were asked for
    photos: int  # photos found
    faces: int  # faces searched
    threshold: float
    threshold_origin: str  # "given", or what the number rests on, as "lite at FAR 1e-3"
    seconds: float
    beyond_limit: int = 0  # more photos were found than were asked for


@dataclass(frozen=True, slots=True)
class Lookalike:
    """One person of a gallery and how much the probe looks like them."""

    rank: int  # from 1
    name: str
    similarity: float
    percentile: float | None  # share (%) of this gallery's different-people scores below; None below 2 people
    reference: Path | None  # the most similar picture; None for a gallery of plain numbers
    face: Face | None

    @property
    def percent(self) -> float:
        """(1 + cosine) / 2 * 100: the lookalike contract; similarity 0 is 50 %."""
        return (1 + self.similarity) / 2 * 100


@dataclass(frozen=True, slots=True)
class LookalikeSummary:
    """The last event of a lookalike search."""

    probe: Path
    people: int  # people in the gallery
    pictures: int  # pictures or embeddings compared with
    unusable: int  # gallery pictures that show no face or cannot be read
    model: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Enrolled:
    """A person was enrolled from one more reference."""

    name: str
    source: Path
    face: Face
    already_known: bool  # the same face was a reference of this person before


@dataclass(frozen=True, slots=True)
class EnrollSummary:
    """The last event of an enrolment."""

    name: str
    references: int  # references given
    already_known: int  # of these, references of this person before
    seconds: float


# ---- collect -----------------------------------------------------------------------------------


class Transfer(enum.StrEnum):
    """How photos get to the destination."""

    COPY = "copy"
    SYMLINK = "symlink"
    HARDLINK = "hardlink"
    MOVE = "move"


class Conflict(enum.StrEnum):
    """What to do when a different file already has the wanted name. The same content is always skipped."""

    RENAME = "rename"  # the arriving photo takes the next free suffix
    SKIP = "skip"
    OVERWRITE = "overwrite"
    RENAME_EXISTING = "rename-existing"


class Step(enum.StrEnum):
    """What the plan says about one photo."""

    TRANSFER = "transfer"
    ALREADY_THERE = "already-there"  # same content under that name; a move removes the verified double
    SKIPPED = "skipped"  # --conflict skip
    REPLACE = "replace"  # --conflict overwrite
    MISSING = "missing"  # the photo is gone since it was indexed, or is no regular file


@dataclass(frozen=True, slots=True)
class Action:
    """One line of a plan: the photo at `source` shall stand at `target`."""

    source: Path
    target: Path
    step: Step
    displaced: Path | None = None  # where a file already at `target` goes (rename-existing)
    note: str | None = None  # why it is missing, or why the conflict was not resolved as asked


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything a collection will do, before it does any of it."""

    transfer: Transfer
    destination: Path
    actions: tuple[Action, ...]


@dataclass(frozen=True, slots=True)
class Collected:
    """One action was carried out, or could not be."""

    action: Action
    error: str | None = None


@dataclass(frozen=True, slots=True)
class CollectSummary:
    """The last event of a collection."""

    transfer: Transfer
    destination: Path
    done: int
    already_there: int
    skipped: int
    failed: int
    manifest: Path | None = None  # of a move: what `chueok undo` takes
    put_back: bool = False  # an undo: the photos left `destination`
    dry_run: bool = False


# ---- why, status, models -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FaceVerdict:
    """Why one face of a photo does or does not match a person."""

    number: int  # from 1, left to right: what --face takes
    face: Face
    similarity: float  # to the best reference
    threshold: float
    reference: Path
    matched: bool
    runner_up: str | None  # the enrolled person, other than the wanted one, this face is most similar to
    runner_up_similarity: float | None

    @property
    def margin(self) -> float | None:
        """How far the wanted person is ahead of the runner-up; negative when behind."""
        if self.runner_up_similarity is None:
            return None
        return self.similarity - self.runner_up_similarity


@dataclass(frozen=True, slots=True)
class AlbumStatus:
    """One album: what is known and whether its folder is there."""

    path: Path
    photos: int
    missing: int
    failed: int
    faces: int
    present: bool


@dataclass(frozen=True, slots=True)
class Failure:
    """A photo that could not be read, or only in part."""

    path: Path
    status: Status  # FAILED or DAMAGED
    reason: str


@dataclass(frozen=True, slots=True)
class LibraryStatus:
    """Everything `chueok status` says."""

    library: Path
    model: str
    albums: tuple[AlbumStatus, ...]
    photos: int
    pictures: int  # distinct contents
    faces: int
    people: int
    failures: tuple[Failure, ...]
    catalog_bytes: int
    index_bytes: int
    index_state: str  # "ready"; or "missing", "stale", "damaged": the next index run makes it anew
    last_scan: datetime | None
    scan_running: bool
    calibration: CalibrationStatus | None = None  # of the model in use


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """A model as `chueok model list` shows it."""

    name: str
    description: str
    dimension: int
    licence: str
    size: int  # bytes of the weights file
    sha256: str
    url: str | None
    installed: bool
    current: bool = False
    thresholds: dict[str, float] = field(default_factory=dict)  # false accept rate ("1e-3") -> similarity
