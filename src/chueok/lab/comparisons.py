"""Faces of a data set compared two by two: how similar they are, and which two they are. Pure numbers, no I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_AT_ONCE = 4_000_000  # comparisons held at a time: 100 MB with the numbers of both rows


@dataclass(frozen=True, slots=True)
class Pair:
    """Two pictures by their numbers, and whether they show one person."""

    first: int
    second: int
    same: bool


@dataclass(frozen=True, slots=True, eq=False)
class Similarities:
    """Cosines of pairs of one person, and of pairs of two: (g,) and (i,) float32."""

    genuine: NDArray[np.float32]
    impostors: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Located:
    """Pairs by their rows, and how similar they are: (n,) each."""

    first: NDArray[np.intp]
    second: NDArray[np.intp]
    scores: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, rows: NDArray[np.intp] | NDArray[np.bool_] | slice) -> Located:
        return Located(self.first[rows], self.second[rows], self.scores[rows])


@dataclass(frozen=True, slots=True, eq=False)
class Comparisons:
    """Which faces are compared: every two of them, or, where nobody knows who is who, those of a list."""

    vectors: NDArray[np.float32]  # (n, d), unit rows
    people: NDArray[np.intp]  # (n,) who each row shows, numbers from 0
    listed: tuple[Pair, ...] | None = None

    def parts(self) -> Iterator[tuple[Located, NDArray[np.bool_]]]:
        """All comparisons, each once, some millions at a time; and which are of one person: (n,) bool."""
        if self.listed is not None:
            yield located(self.vectors, self.listed), np.array([pair.same for pair in self.listed], np.bool_)
            return
        for rows, scores in blocks(self.vectors):
            later = np.arange(len(self.people)) > rows[:, None]
            first, second = np.nonzero(later)
            part = Located(rows[first], second, scores[later])
            yield part, self.people[part.first] == self.people[part.second]

    def similarities(self) -> Similarities:
        """Of all comparisons."""
        nothing = np.empty(0, np.float32)
        genuine, impostors = [nothing], [nothing]
        for part, same in self.parts():
            genuine.append(part.scores[same])
            impostors.append(part.scores[~same])
        return Similarities(np.concatenate(genuine), np.concatenate(impostors))

    def genuine(self) -> Located:
        """The pairs of one person, the most similar first."""
        return self._chosen(lambda part, same: same)

    def impostors(self, least: float) -> Located:
        """The pairs of two people that are at least so similar, the most similar first."""
        return self._chosen(lambda part, same: ~same & (part.scores >= np.float32(least)))

    def _chosen(self, wanted: Callable[[Located, NDArray[np.bool_]], NDArray[np.bool_]]) -> Located:
        found = [located(self.vectors, ()), *(part[wanted(part, same)] for part, same in self.parts())]
        pairs = Located(
            np.concatenate([part.first for part in found]),
            np.concatenate([part.second for part in found]),
            np.concatenate([part.scores for part in found]),
        )
        return pairs[np.argsort(-pairs.scores, kind="stable")]


def located(vectors: NDArray[np.float32], pairs: Sequence[Pair]) -> Located:
    """Chosen pairs, in their order."""
    first = np.array([pair.first for pair in pairs], np.intp)
    second = np.array([pair.second for pair in pairs], np.intp)
    return Located(first, second, np.einsum("nd,nd->n", vectors[first], vectors[second]))


def of_pairs(vectors: NDArray[np.float32], pairs: Sequence[Pair]) -> Similarities:
    """The similarities of chosen pairs."""
    same = np.array([pair.same for pair in pairs], np.bool_)
    scores = located(vectors, pairs).scores
    return Similarities(scores[same], scores[~same])


def blocks(vectors: NDArray[np.float32]) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float32]]]:
    """Row numbers, and their similarities to all rows: (b,) and (b, n) float32."""
    step = max(1, _AT_ONCE // max(1, len(vectors)))
    for start in range(0, len(vectors), step):
        rows = np.arange(start, min(start + step, len(vectors)))
        yield rows, vectors[rows] @ vectors.T


def numbered(people: Sequence[str]) -> NDArray[np.intp]:
    """Names as numbers from 0, equal where the names are: (n,)."""
    return np.unique(np.asarray(people, np.str_), return_inverse=True)[1]
