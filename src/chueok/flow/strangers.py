"""Pairs of different people that an album gives for nothing: two faces in one photo. Pure numbers, no I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import TYPE_CHECKING

import numpy as np

from chueok.flow.thresholds import Scores, robust_tail
from chueok.measures import LeftOut

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Two faces this similar are one shot: copied, shrunk, edited, mirrored; measured in docs/calibration.md
SAME_SHOT = 0.9
# Faces are taken for one person's from the similarity that this share of different people would reach. A hundredth of
# the rate that matters: what the guards cut off above it can lower the threshold by next to nothing
_ONE_PERSON = 1e-5
_PASSES = 3  # each with what the guards of the one before left over
# Whoever is seen twice in this share of their photos, and at least in two, is two people who look alike
_TWINS = 0.25
_SHOTS = 8  # of a person, against as many of another: 64 comparisons say what two people have to say
_PAIRS = 40_000  # of people; more cost time and say nothing new
_AT_ONCE = 65_536  # comparisons: 65,536 x 128 numbers twice are 67 MB
_BLOCK = 512  # rows compared at a time: 512 x 20,000 similarities are 40 MB

Pair = tuple[int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Faces:
    """Faces, the larger first: embeddings (n, d) float32, unit rows, and the number of the photo of each, (n,)."""

    vectors: NDArray[np.float32]
    photos: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Strangers:
    """The similarities of different people, and what the guards saw."""

    scores: Scores
    left_out: LeftOut


@dataclass(frozen=True, slots=True)
class _Shown:
    """Who is in one photo: people and shots, one each a face."""

    people: tuple[int, ...]
    shots: tuple[int, ...]


def strangers(faces: Faces, enrolled: Sequence[Sequence[int]] = (), seed: int = 0) -> Strangers | None:
    """The pairs of different people among faces, guarded against one person who is seen twice.

    enrolled: for each person the rows of `faces` that are references. Two faces in one photo are two people, and so are
    enrolled people; what is compared are their shots in different photos. A pair of people counts once, however many
    photos show them: bursts and copies add nothing. None where nobody who is seen with somebody is seen again.
    """
    groups = grouped(faces.vectors, SAME_SHOT)
    leaders = np.unique(groups, return_index=True)[1]
    vectors, shots = faces.vectors[leaders], groups
    beside = [np.array(list(combinations(np.unique(shots[rows]), 2))) for rows in _rows_by(faces.photos)]
    beside = [pairs for pairs in beside if len(pairs)]
    if not beside:
        return None
    together = np.concatenate(beside)
    numbers = np.arange(len(beside))
    # a crowd in one photo weighs no more than a couple: its faces share a blur that makes them look alike
    of_photo = np.repeat(numbers, [len(pairs) for pairs in beside])
    scores = Scores(_likeness(vectors, *together.T), of_photo, 2 * numbers, 2 * numbers + 1)
    found = None
    # first by photos, of which the commonest people have most; then by pairs of people
    for _ in range(_PASSES):
        likeness = min(robust_tail(scores, _ONE_PERSON), SAME_SHOT)
        people = grouped(vectors, likeness)
        shown = _shown(people, shots, faces.photos)
        found = _between(vectors, people, shown, _named(people, shots, enrolled), together, seed)
        if found is None:
            return None
        scores = found.scores
    return found


def _shown(people: NDArray[np.int64], shots: NDArray[np.int64], photos: NDArray[np.int64]) -> list[_Shown]:
    return [
        _Shown(tuple(people[shots[rows]].tolist()), tuple(shots[rows].tolist())) for rows in _rows_by(photos)
    ]


def _named(
    people: NDArray[np.int64], shots: NDArray[np.int64], enrolled: Sequence[Sequence[int]]
) -> list[list[int]]:
    """For each enrolled person the people that their references were taken for."""
    return [sorted({int(people[shots[row]]) for row in rows}) for rows in enrolled]


def _between(
    vectors: NDArray[np.float32],
    people: NDArray[np.int64],
    shown: Sequence[_Shown],
    named: Sequence[Sequence[int]],
    together: NDArray[np.int64],
    seed: int,
) -> Strangers | None:
    """The scores of everybody who is known to be somebody else."""
    twins = _twins(shown)
    plain = [photo for photo in shown if not _is_double(photo, twins)]
    apart = {pair for photo in plain for pair in combinations(sorted(set(photo.people)), 2)}
    for one, other in combinations(named, 2):
        apart |= {(min(pair), max(pair)) for pair in product(one, other) if pair[0] != pair[1]}
    same = apart & {pair for person in named for pair in combinations(person, 2)}
    rng = np.random.default_rng(seed)
    pairs = _some(sorted(apart - same), rng)
    kin = {person: pair for photo in plain for person, pair in _doubles(photo).items() if person in twins}
    if not pairs:
        return None
    first, second, number = _compared(_rows_by(people), pairs, together, rng)
    number, pair = np.unique(number, return_inverse=True)
    if not len(number):
        return None
    seen = np.array(list(kin.values()), np.int64).reshape(-1, 2)
    known = np.concatenate(
        [np.array(pairs)[number], np.repeat(np.array(list(kin), np.int64), 2).reshape(-1, 2)]
    )
    scores = Scores(
        _likeness(vectors, np.concatenate([first, seen[:, 0]]), np.concatenate([second, seen[:, 1]])),
        np.concatenate([pair, len(number) + np.arange(len(seen))]),
        *known.T,
    )
    left_out = LeftOut(
        copies=sum(len(photo.shots) for photo in shown) - len(vectors),
        overlapping=0,
        doubles=len(shown) - len(plain),
        same=len(same),
        once=len(pairs) - len(number),
        lookalikes=len(kin),
    )
    return Strangers(scores, left_out)


def _doubles(photo: _Shown) -> dict[int, Pair]:
    """Who is in a photo exactly twice, in different shots, and which these are."""
    by_person: dict[int, list[int]] = {}
    for person, shot in zip(photo.people, photo.shots, strict=True):
        by_person.setdefault(person, []).append(shot)
    return {
        person: (shots[0], shots[1])
        for person, shots in by_person.items()
        if len(shots) == 2 and shots[0] != shots[1]
    }


def _twins(shown: Iterable[_Shown]) -> set[int]:
    """People who are two: a mirror or a collage is the exception in somebody's photos, a brother or sister is not.

    Three at once are a collage, and the same shot twice is a copy.
    """
    seen: Counter[int] = Counter()
    twice: Counter[int] = Counter()
    for photo in {photo.shots: photo for photo in shown}.values():  # a photo and its copies count once
        seen.update(set(photo.people))
        twice.update(list(_doubles(photo)))
    return {person for person, times in twice.items() if times >= max(2, _TWINS * seen[person])}


def _is_double(photo: _Shown, twins: set[int]) -> bool:
    """Whether a photo shows somebody twice: then nothing in it is believed, for a collage may repeat others too."""
    known = {person for person in _doubles(photo) if person in twins}
    return any(times > 1 and person not in known for person, times in Counter(photo.people).items())


def _some(pairs: list[Pair], rng: np.random.Generator) -> list[Pair]:
    if len(pairs) <= _PAIRS:
        return pairs
    return [pairs[row] for row in np.sort(rng.choice(len(pairs), _PAIRS, replace=False)).tolist()]


def _compared(
    members: Sequence[NDArray[np.intp]],
    pairs: Sequence[Pair],
    together: NDArray[np.int64],
    rng: np.random.Generator,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The shots to compare, of up to 8 of each person with as many of another: first, second and number of the pair.

    together: (t, 2) shots that are in one photo. These are not compared: one light, one blur and one lens make faces
    look alike, and a search compares faces of different photos (docs/calibration.md).
    """
    some = [rows if len(rows) <= _SHOTS else rng.choice(rows, _SHOTS, replace=False) for rows in members]
    sizes = np.array([len(some[one]) * len(some[other]) for one, other in pairs])
    first = np.concatenate([np.repeat(some[one], len(some[other])) for one, other in pairs])
    second = np.concatenate([np.tile(some[other], len(some[one])) for one, other in pairs])
    apart = ~np.isin(_codes(first, second), _codes(*together.T))
    return first[apart], second[apart], np.repeat(np.arange(len(pairs)), sizes)[apart]


def _codes(first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.int64]:
    """One number for two shots, in whichever order."""
    return np.minimum(first, second) * (1 << 32) + np.maximum(first, second)


def _likeness(
    vectors: NDArray[np.float32], first: NDArray[np.int64], second: NDArray[np.int64]
) -> NDArray[np.float32]:
    """The cosines of rows with rows: (m,), some at a time."""
    found = [np.empty(0, np.float32)]
    for start in range(0, len(first), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        found.append(np.einsum("nd,nd->n", vectors[first[part]], vectors[second[part]]))
    return np.concatenate(found)


def _rows_by(labels: NDArray[np.int64]) -> list[NDArray[np.intp]]:
    """The rows of every label, by rising label."""
    order = np.argsort(labels, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)


def grouped(vectors: NDArray[np.float32], limit: float) -> NDArray[np.int64]:
    """The group of every row: (n,) from 0. All of a group are at least `limit` like its first row, which leads it.

    vectors: (n, d) float32, unit rows. Unlike links from neighbour to neighbour, which become chains of people, a group
    stays as narrow as it began. The leader algorithm: Hartigan 1975, "Clustering Algorithms", chapter 3. O(n groups d).
    """
    groups = np.empty(len(vectors), np.int64)
    leaders: NDArray[np.int64] = np.empty(0, np.int64)
    for start in range(0, len(vectors), _BLOCK):
        rows = np.arange(start, min(start + _BLOCK, len(vectors)))
        free = np.ones(len(rows), np.bool_)
        if len(leaders):
            likeness = vectors[rows] @ vectors[leaders].T
            groups[rows] = likeness.argmax(axis=1)
            free = likeness.max(axis=1) < limit
        found = _grouped_by_each(vectors[rows[free]], limit)
        groups[rows[free]] = found + len(leaders)
        leaders = np.concatenate([leaders, rows[free][np.unique(found, return_index=True)[1]]])
    return groups


def _grouped_by_each(vectors: NDArray[np.float32], limit: float) -> NDArray[np.int64]:
    """`grouped` for the few rows of one block."""
    near = vectors @ vectors.T >= limit
    groups = np.full(len(vectors), -1, np.int64)
    for row in range(len(vectors)):
        if groups[row] < 0:
            mine = near[row] & (groups < 0)
            mine[row] = True
            groups[mine] = groups.max(initial=-1) + 1
    return groups
