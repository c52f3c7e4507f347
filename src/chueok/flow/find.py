"""The photos in which a person appears: names and references, AND, OR, NOT, ONLY, dates and sizes."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from chueok.errors import UsageError
from chueok.flow.expression import And, Expression, Name, Not, Or, combined, holds, names, parse, wanted
from chueok.flow.paths import as_path, is_as_indexed
from chueok.flow.people import FaceChoice, Wanted, composed, everybody, resolve
from chueok.library import Library
from chueok.records import Face, FindSummary, Match, Note
from chueok.store.catalog import FoundPhoto
from chueok.vision.models.card import at_rate
from chueok.vision.models.registry import threshold as registry_threshold

# float32 sums of 512 products differ by this when they are added up in another order: a picture that stands for two
# enrolled people is as much the one's as the other's, however it was computed.
SAME_SIMILARITY = 1e-5

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from chueok.store.index.base import VectorIndex


@dataclass(frozen=True, slots=True)
class Query:
    """What is looked for. At least one person must be wanted, by `expression` or `persons`."""

    expression: str | None = None  # of enrolled names
    persons: tuple[str, ...] = ()  # enrolled names or reference photos, any of them
    together_with: tuple[str, ...] = ()  # and all of these
    without: tuple[str, ...] = ()  # and none of these
    only: bool = False  # and nobody else
    count: tuple[int, int | None] | None = None  # faces in the photo, from .. to
    after: datetime | None = None  # from this moment on
    before: datetime | None = None  # earlier than this moment
    min_face: float = 0.0  # shorter side of the matching face, in pixels of the full-size photo
    album: Path | None = None  # only photos below this folder
    limit: int | None = None
    choice: FaceChoice = FaceChoice()


@dataclass(frozen=True, slots=True)
class Sighting:
    """A face that was recognised as one of the wanted people."""

    face: Face
    person: str
    similarity: float
    reference: Path


@dataclass(frozen=True, slots=True)
class FindResult:
    """Everything a search has to say."""

    matches: list[Match]  # similarity falling, then path
    summary: FindSummary
    notes: list[Note]


def find_matches(
    library: Library, *persons: str | Path, query: Query = Query(), **changes: object
) -> list[Match]:
    """The photos in which one of these people appears, most similar first: `find_matches(library, "mom")`.

    persons: enrolled names or reference photos. More is said by a `Query` or its fields as keywords, as `only=True`.
    Raises UsageError, NoUsableFace, ReferenceUnreadable, ModelMissing.
    """
    asked = replace(query, persons=query.persons + tuple(map(str, persons)), **changes)  # type: ignore[arg-type]
    return find(library, asked).matches


def find(library: Library, query: Query, clock: Callable[[], float] = time.monotonic) -> FindResult:
    """Answer a query."""
    started = clock()
    expression = _expression(library, query)
    limit, origin = match_threshold(library)
    people = resolve(library, names(expression), query.choice)
    album = None if query.album is None else _album(query.album)
    with library.catalog.snapshot():
        index, warning = library.search_index()
        sightings = recognise(library, index, people, limit)
        every = _matches(library, replace(query, album=album), expression, sightings, limit)
    as_indexed = [match for match, photo in every if is_as_indexed(photo.path, photo.size, photo.mtime_ns)]
    matches = as_indexed[: query.limit]
    notes = [warning] if warning else []
    if len(as_indexed) < len(every):
        notes.append(
            f"left out, because they are gone or have changed since they were indexed: {len(every) - len(as_indexed)} "
            "more; `chueok index` looks again"
        )
    summary = FindSummary(
        people=tuple(wanted(expression)),
        photos=len(matches),
        faces=len(index),
        threshold=limit,
        threshold_origin=origin,
        seconds=clock() - started,
        beyond_limit=len(as_indexed) - len(matches),
    )
    return FindResult(matches, summary, [Note(note) for note in notes])


def _album(folder: Path) -> Path:
    path = as_path(folder)
    if not path.is_dir():
        raise UsageError(f"--album {folder}: there is no such folder")
    return path.resolve()


def match_threshold(library: Library) -> tuple[float, str]:
    """The similarity a match needs, and where the number comes from.

    What was given comes before the library's own calibration, and that before the model's.
    Raises UsageError when the model has no measured threshold at the wanted false accept rate.
    """
    settings, card = library.settings, library.card
    if settings.threshold is not None:
        return settings.threshold, "given"
    stored = library.catalog.calibrations.of(library.model_id)
    rates = {rate.far: rate.threshold for rate in stored.rates} if stored else {}
    own = at_rate(rates, settings.far)
    if own is not None:
        return own, f"calibrated on this library at a false accept rate of {settings.far:g}"
    found = registry_threshold(card, settings.far)
    nearest = _beyond(rates, settings.far, found)
    if nearest is not None:
        return nearest
    if found is None:
        measured = ", ".join(card.thresholds) or "none"
        raise UsageError(
            f"the model {card.name} has no measured threshold at a false accept rate of {settings.far:g} "
            f"(measured: {measured}); give --threshold, a similarity between -1 and 1, or run `chueok calibrate`"
        )
    beyond = ", which this library's calibration does not reach" if stored else ""
    return found, f"{card.name} at a false accept rate of {settings.far:g}{beyond}"


def _beyond(rates: Mapping[float, float], far: float, models: float | None) -> tuple[float, str] | None:
    """The calibration's rarest threshold for a rarer rate, where it asks for more than the model does; else None.

    Whoever asks for fewer strangers must not get more of them; so, turned round, with a commoner rate.
    """
    if not rates:
        return None
    rarest, commonest = min(rates), max(rates)
    if far < rarest and (models is None or models < rates[rarest]):
        return rates[rarest], f"calibrated on this library at {rarest:g}, the rarest rate that it reaches"
    if far > commonest and models is not None and models > rates[commonest]:
        return rates[
            commonest
        ], f"calibrated on this library at {commonest:g}, the commonest rate that it reaches"
    return None


def _expression(library: Library, query: Query) -> Expression:
    """The whole question as one expression, which must ask for somebody's presence."""
    known = {person.name for person in library.catalog.people.all()}
    anybody: list[Expression] = [_named(person, known) for person in query.persons]
    if query.expression is not None:
        anybody.insert(0, parse(composed(query.expression), known))
    parts: list[Expression] = [combined(anybody, Or)] if anybody else []
    parts += [_named(person, known) for person in query.together_with]
    if not parts:
        raise UsageError("say who is wanted: an enrolled name, or --person PHOTO_OR_NAME")
    parts += [Not(_named(person, known)) for person in query.without]
    expression = combined(parts, And)
    if holds(expression, ()):
        raise UsageError("the search only says who must not be there; say also who is wanted")
    return expression


def _named(text: str, known: Collection[str]) -> Name:
    """An enrolled name as it is enrolled, however it was typed; anything else as it is."""
    return Name(composed(text) if composed(text) in known else text)


def recognise(
    library: Library, index: VectorIndex, people: Sequence[Wanted], limit: float
) -> dict[int, list[Sighting]]:
    """The faces that reach the threshold, by picture, each as the one person it is most similar to.

    A face that an enrolled person's reference explains better than an enrolled wanted person's is theirs: brothers
    and sisters who are both enrolled do not turn up in each other's photos.
    """
    import numpy as np

    owners = np.repeat(np.arange(len(people)), [len(person.face_ids) for person in people])
    ids, similarities = index.above(np.concatenate([person.vectors for person in people]), limit)
    if not len(ids):
        return {}
    best = similarities.argmax(axis=1)
    top = similarities[np.arange(len(ids)), best]
    enrolled = np.array([person.enrolled for person in people])
    lost = _claimed_by_others(library, people, ids, top) & enrolled[owners[best]]
    ids, best, top = ids[~lost], best[~lost], top[~lost]
    pictures = library.catalog.faces.pictures_of(ids.tolist())
    faces = {
        face.id: face
        for found in library.catalog.faces.of_pictures(set(pictures.values())).values()
        for face in found
    }
    sightings: dict[int, list[Sighting]] = {}
    for face_id, column, similarity in zip(ids.tolist(), best.tolist(), top.tolist(), strict=True):
        person = people[owners[column]]
        source = person.sources[column - int(np.searchsorted(owners, owners[column]))]
        sightings.setdefault(pictures[face_id], []).append(
            Sighting(faces[face_id], person.name, similarity, source)
        )
    return sightings


def _claimed_by_others(
    library: Library, people: Sequence[Wanted], ids: NDArray[np.int64], top: NDArray[np.float32]
) -> NDArray[np.bool_]:
    """Which faces are more similar to an enrolled person nobody asked for than to the best of those wanted."""
    import numpy as np

    asked = {person.name for person in people if person.enrolled}
    rivals = [person.vectors for person in everybody(library) if person.name not in asked] if asked else []
    if not rivals:
        return np.zeros(len(ids), bool)
    order = np.argsort(ids)
    vectors = library.catalog.faces.vectors(library.model_id, ids.tolist())[1]
    claims = np.empty(len(ids), np.float32)
    claims[order] = (vectors @ np.concatenate(rivals).T).max(axis=1)
    return claims > top + SAME_SIMILARITY


def _matches(
    library: Library,
    query: Query,
    expression: Expression,
    sightings: Mapping[int, Sequence[Sighting]],
    limit: float,
) -> list[tuple[Match, FoundPhoto]]:
    names_wanted = set(wanted(expression))
    everyone = library.catalog.faces.of_pictures(sightings)
    best: dict[int, Sighting] = {}
    for picture_id, found in sightings.items():
        large = [sighting for sighting in found if sighting.face.detection.box.size >= query.min_face]
        faces = [face for face in everyone[picture_id] if face.detection.box.size >= query.min_face]
        positive = [sighting for sighting in large if sighting.person in names_wanted]
        if not positive or not holds(expression, {sighting.person for sighting in large}):
            continue
        if query.only and {face.id for face in faces} != {sighting.face.id for sighting in positive}:
            continue
        if query.count and not _counts(query.count, len(faces)):
            continue
        best[picture_id] = max(positive, key=lambda sighting: sighting.similarity)
    photos = [photo for photo in library.catalog.photos.showing(best) if _in_scope(photo, query)]
    pairs = [(_match(library, photo, best[photo.picture_id], limit), photo) for photo in photos]
    return sorted(pairs, key=lambda pair: (-pair[0].similarity, pair[0].photo))


def _counts(count: tuple[int, int | None], faces: int) -> bool:
    low, high = count
    return low <= faces and (high is None or faces <= high)


def _in_scope(photo: FoundPhoto, query: Query) -> bool:
    """Album and dates; a photo without a date of its own counts by its file's modification time."""
    if query.album is not None and not photo.path.is_relative_to(query.album):
        return False
    moment = photo.taken_at or datetime.fromtimestamp(photo.mtime_ns / 1e9)
    if query.after is not None and moment < query.after:
        return False
    return query.before is None or moment < query.before


def _match(library: Library, photo: FoundPhoto, sighting: Sighting, limit: float) -> Match:
    return Match(
        photo=photo.path,
        face=sighting.face,
        similarity=sighting.similarity,
        threshold=limit,
        person=sighting.person,
        reference=sighting.reference,
        taken_at=photo.taken_at,
        model=library.card.name,
    )
