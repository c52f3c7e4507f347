"""A library's own threshold: measured on pairs of different people that its photos give, and used by `find`."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import combinations, groupby
from typing import TYPE_CHECKING

from chueok.errors import UsageError
from chueok.flow.find import match_threshold, recognise
from chueok.flow.people import Wanted, everybody
from chueok.library import Library
from chueok.measures import (
    CalibratedRate,
    CalibrateSummary,
    Calibration,
    Densities,
    LeftOut,
    MatchChange,
    StoredCalibration,
)
from chueok.records import Box, Note
from chueok.store.catalog.faces import FaceBox

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from chueok.flow.strangers import Faces
    from chueok.flow.thresholds import Tail

MOST_FACES = 20_000  # looked at, of photos chosen by chance: 5 s of one core; more say little more
OTHER_RATES = (1e-2, 1e-3, 1e-4)  # also kept, where they can be said: what `find --far` is mostly asked for
ENOUGH_GENUINE = (
    30  # pairs of one person, for a share of them to be told (see flow/thresholds.py: the rule of 30)
)
OVERLAP = 0.5  # of the smaller box inside the larger: one face that was found twice
GRID = 141  # points of a density from -0.4 to 1, a hundredth apart
EXAMPLES = 3  # photos named of those gained, and of those lost


@dataclass(frozen=True, slots=True)
class CalibrateResult:
    """Everything a calibration has to say."""

    calibration: Calibration
    summary: CalibrateSummary
    notes: list[Note]


@dataclass(frozen=True, slots=True, eq=False)
class _Material:
    """What a calibration looks at: faces of albums and of references, and who is enrolled."""

    faces: Faces
    enrolled: list[list[int]]  # rows of `faces`, by person
    people: list[Wanted]
    overlapping: int
    all_faces: int  # in the library, with an embedding of the model


def calibrate(
    library: Library,
    *,
    dry_run: bool = False,
    seed: int = 0,
    now: Callable[[], datetime] = datetime.now,
    clock: Callable[[], float] = time.monotonic,
) -> CalibrateResult:
    """Measure the library's threshold at the false accept rate of its settings, and keep it unless it is a dry run.

    Where the photos show too few pairs of people nothing is kept, and the threshold is None. seed: decides which faces
    are looked at in a large library, and how people are weighed. Raises LibraryLocked, UsageError.
    """
    from chueok.flow.thresholds import COMMONEST

    started = clock()
    if library.settings.far > COMMONEST:
        raise UsageError(
            f"--far {library.settings.far:g}: a calibration takes a false accept rate up to {COMMONEST:g}"
        )
    with nullcontext() if dry_run else library.writing():
        with library.catalog.snapshot():
            material = _material(library, seed)
            calibration, rates = _measured(library, material, seed)
        if rates and not dry_run:
            stored = StoredCalibration(rates, calibration.people_pairs, material.all_faces, now())
            with library.catalog.transaction():
                library.catalog.calibrations.put(library.model_id, stored)
    summary = CalibrateSummary(
        model=library.card.name,
        threshold=calibration.threshold,
        far=calibration.far,
        faces=len(material.faces.photos),
        people_pairs=calibration.people_pairs,
        stored=bool(rates) and not dry_run,
        seconds=clock() - started,
    )
    return CalibrateResult(calibration, summary, _notes(library, summary))


def forget_calibration(library: Library) -> str:
    """Go back to the model's own threshold; what was done, in words.

    Raises LibraryLocked, UsageError where there is nothing to forget.
    """
    with library.writing(), library.catalog.transaction():
        known = library.catalog.calibrations.delete(library.model_id)
    if not known:
        raise UsageError(
            f"this library is not calibrated for the model {library.card.name}; there is nothing to forget"
        )
    return f"forgot the calibration: `chueok find` takes the threshold of the model {library.card.name} again"


def _notes(library: Library, summary: CalibrateSummary) -> list[Note]:
    if not summary.stored:
        return []
    if library.settings.threshold is not None:
        return [
            Note(f"`chueok find` goes on using {library.settings.threshold:g}, which is set as `threshold`")
        ]
    return []


# ---- what is looked at ----


def _material(library: Library, seed: int) -> _Material:
    import numpy as np

    from chueok.flow.strangers import Faces

    boxes, overlapping = _apart(_some(library.catalog.faces.in_albums(library.model_id), seed))
    people = list(everybody(library))
    photo_of = {face.id: face.picture_id for face in boxes}
    size_of = {face.id: face.box.size for face in boxes}
    references = [face_id for person in people for face_id in person.face_ids if face_id not in photo_of]
    # a reference that is in no album is alone in a photo of its own, which has a number that no picture has
    photo_of |= {face_id: -1 - face_id for face_id in references}
    ids, vectors = library.catalog.faces.vectors(library.model_id, photo_of)
    order = np.argsort([-size_of.get(face_id, 0.0) for face_id in ids.tolist()], kind="stable")
    ids, vectors = ids[order], vectors[order]
    row_of = {face_id: row for row, face_id in enumerate(ids.tolist())}
    return _Material(
        Faces(vectors, np.array([photo_of[face_id] for face_id in ids.tolist()], np.int64)),
        [[row_of[face_id] for face_id in person.face_ids] for person in people],
        people,
        overlapping,
        library.catalog.faces.count_and_sum(library.model_id)[0],
    )


def _some(faces: Sequence[FaceBox], seed: int) -> list[list[FaceBox]]:
    """The faces of each photo; of too many those of some photos, first of those that show several people."""
    import numpy as np

    photos = [list(found) for _, found in groupby(faces, key=lambda face: face.picture_id)]
    if len(faces) <= MOST_FACES:
        return photos
    shuffled = [photos[place] for place in np.random.default_rng(seed).permutation(len(photos)).tolist()]
    shuffled.sort(key=lambda found: len(found) == 1)
    ends = np.cumsum([len(found) for found in shuffled])
    return shuffled[: max(1, int(np.searchsorted(ends, MOST_FACES, "right")))]


def _apart(photos: Sequence[Sequence[FaceBox]]) -> tuple[list[FaceBox], int]:
    """All faces but those whose box lies in a larger one's of the same photo, and how many these are."""
    kept: list[FaceBox] = []
    for photo in photos:
        larger: list[FaceBox] = []
        for face in sorted(photo, key=lambda face: -face.box.size):
            if not any(_overlap(face.box, other.box) > OVERLAP for other in larger):
                larger.append(face)
        kept += larger
    return kept, sum(map(len, photos)) - len(kept)


def _overlap(one: Box, other: Box) -> float:
    """The share of the smaller box that lies in the larger."""
    width = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
    height = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
    smaller = min(one.width * one.height, other.width * other.height)
    return max(width, 0) * max(height, 0) / smaller if smaller > 0 else 0.0


# ---- what is measured ----


def _measured(
    library: Library, material: _Material, seed: int
) -> tuple[Calibration, tuple[CalibratedRate, ...]]:
    from chueok.flow.strangers import strangers
    from chueok.flow.thresholds import Tail

    far = library.settings.far
    before, origin = _before(library)
    nothing = Calibration(
        library.card.name, far, None, None, None, before, origin, 0, 0, 0, None,
        LeftOut(0, material.overlapping, 0, 0, 0, 0), 0, None, None, (),
    )  # fmt: skip
    found = strangers(material.faces, material.enrolled, seed)
    if found is None:
        return nothing, ()
    tail = Tail(found.scores, seed)
    genuine = _genuine(material.people)
    scores = found.scores
    seen = replace(
        nothing,
        people=len({*scores.first.tolist(), *scores.second.tolist()}),
        people_pairs=len(scores.first),
        comparisons=len(scores.similarities),
        measured=tail.measured,
        left_out=replace(found.left_out, overlapping=material.overlapping),
        genuine=len(genuine),
        densities=_densities(tail, len(scores.first), genuine),
    )
    at = tail.at(far)
    if at is None:
        return seen, ()
    others = (tail.at(rate) for rate in OTHER_RATES if rate != far)
    calibration = replace(
        seen,
        threshold=at.threshold,
        low=at.low,
        high=at.high,
        tar=float((genuine >= at.threshold).mean()) if len(genuine) >= ENOUGH_GENUINE else None,
        changes=tuple(_changes(library, material.people, before, at.threshold)),
    )
    return calibration, (at, *(rate for rate in others if rate is not None))


def _before(library: Library) -> tuple[float | None, str]:
    try:
        return match_threshold(library)
    except UsageError:
        return None, f"the model {library.card.name} has no measured threshold"


def _genuine(people: Sequence[Wanted]) -> NDArray[np.float32]:
    """The similarities of every two references of one person that are not one shot: (g,) float32."""
    import numpy as np

    from chueok.flow.strangers import SAME_SHOT

    found = [
        one @ other
        for person in people
        for one, other in combinations(person.vectors, 2)
        if one @ other < SAME_SHOT
    ]
    return np.array(found, np.float32)


def _densities(tail: Tail, people_pairs: int, genuine: NDArray[np.float32]) -> Densities:
    import numpy as np

    from chueok.flow.thresholds import density

    grid = np.linspace(-0.4, 1, GRID)
    alike = density(genuine.astype(np.float64), grid) if len(genuine) >= ENOUGH_GENUINE else None
    return Densities(
        tuple(grid.tolist()),
        tuple(tail.density(grid, people_pairs).tolist()),
        None if alike is None else tuple(alike.tolist()),
    )


def _changes(
    library: Library, people: Sequence[Wanted], before: float | None, after: float
) -> list[MatchChange]:
    """For every enrolled person the photos at both thresholds."""
    index, _ = library.search_index()
    least = after if before is None else min(before, after)
    changes = []
    for person in people:
        best = {
            picture: max(sighting.similarity for sighting in sightings)
            for picture, sightings in recognise(library, index, [person], least).items()
        }
        photos = [(photo.path, best[photo.picture_id]) for photo in library.catalog.photos.showing(best)]
        now_found = {path for path, similarity in photos if similarity >= after}
        found = set() if before is None else {path for path, similarity in photos if similarity >= before}
        gained, lost = (
            tuple(sorted(paths)[:EXAMPLES]) if before is not None else ()
            for paths in (now_found - found, found - now_found)
        )
        changes.append(
            MatchChange(person.name, None if before is None else len(found), len(now_found), gained, lost)
        )
    return changes
