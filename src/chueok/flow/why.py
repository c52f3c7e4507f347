"""Why a photo matches a person, or does not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from chueok.errors import NoUsableFace, ReferenceUnreadable, UnreadablePhoto
from chueok.flow.find import SAME_SIMILARITY, match_threshold
from chueok.flow.paths import as_path, real
from chueok.flow.people import FaceChoice, Wanted, everybody, resolve
from chueok.library import Library
from chueok.records import Face, FaceVerdict


@dataclass(frozen=True, slots=True)
class Explanation:
    """What there is to say about every face of one photo."""

    photo: Path
    person: str
    threshold_origin: str
    verdicts: list[FaceVerdict]  # most similar face first


def why(library: Library, photo: Path | str, person: str, choice: FaceChoice = FaceChoice()) -> Explanation:
    """Compare every face of a photo with a person: an enrolled name or a reference photo.

    The photo need not be in an album. Raises NoUsableFace when it shows nobody, ReferenceUnreadable, UsageError.
    """
    path = as_path(photo)
    limit, origin = match_threshold(library)
    (wanted,) = resolve(library, [person], choice)
    if not path.exists():
        raise ReferenceUnreadable(f"the photo {path} does not exist")
    try:
        picture = library.read(real(path))
    except UnreadablePhoto as error:
        raise ReferenceUnreadable(f"{path} cannot be looked at: {error}") from error
    faces = library.catalog.faces.of_pictures([picture.id])[picture.id]
    if not faces:
        raise NoUsableFace(f"no face was found in {path}, so it matches nobody")
    rivals = [other for other in everybody(library) if other.name != wanted.name]
    verdicts = [
        _verdict(library, number, face, wanted, rivals, limit) for number, face in enumerate(faces, 1)
    ]
    verdicts.sort(key=lambda verdict: -verdict.similarity)
    return Explanation(path, wanted.name, origin, verdicts)


def _verdict(
    library: Library, number: int, face: Face, wanted: Wanted, rivals: list[Wanted], limit: float
) -> FaceVerdict:
    vector = library.catalog.faces.vectors(library.model_id, [face.id])[1][0]
    scores = wanted.vectors @ vector
    best = int(scores.argmax())
    others = [(float((other.vectors @ vector).max()), other.name) for other in rivals]
    runner_up = max(others, default=(None, None))
    rival = runner_up[0] if wanted.enrolled else None
    claimed = rival is not None and rival > float(scores[best]) + SAME_SIMILARITY
    return FaceVerdict(
        number=number,
        face=face,
        similarity=float(scores[best]),
        threshold=limit,
        reference=wanted.sources[best],
        matched=float(scores[best]) >= limit and not claimed,
        runner_up=runner_up[1],
        runner_up_similarity=runner_up[0],
    )
