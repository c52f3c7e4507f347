"""Every two faces of a data set compared: how similar they are, and which two they are. Pure numbers, no I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    _Choice = Callable[[NDArray[np.float32], NDArray[np.bool_]], NDArray[np.bool_]]

_BLOCK = 1024  # rows compared at a time: 1024 x 5,000 similarities are 20 MB


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
    """Pairs by their rows, first < second, and how similar they are: (n,) each."""

    first: NDArray[np.intp]
    second: NDArray[np.intp]
    scores: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, rows: NDArray[np.intp] | slice) -> Located:
        return Located(self.first[rows], self.second[rows], self.scores[rows])


def all_pairs(vectors: NDArray[np.float32], people: Sequence[str]) -> Similarities:
    """The similarity of every two rows, once: vectors (n, d) float32, unit rows; people[i] is who vectors[i] shows."""
    names = numbered(people)
    genuine, impostors = [], []
    for rows, scores in blocks(vectors):
        later = np.arange(len(names)) > rows[:, None]
        same = names == names[rows, None]
        genuine.append(scores[later & same])
        impostors.append(scores[later & ~same])
    nothing = np.empty(0, np.float32)
    return Similarities(np.concatenate([nothing, *genuine]), np.concatenate([nothing, *impostors]))


def genuine_pairs(vectors: NDArray[np.float32], people: Sequence[str]) -> Located:
    """Every two rows of one person."""
    return _located(vectors, people, lambda scores, same: same)


def impostor_pairs(vectors: NDArray[np.float32], people: Sequence[str], least: float) -> Located:
    """Every two rows of two people that are at least so similar."""
    return _located(vectors, people, lambda scores, same: ~same & (scores >= np.float32(least)))


def of_pairs(vectors: NDArray[np.float32], pairs: Sequence[Pair]) -> Similarities:
    """The similarities of chosen pairs, in their order."""
    first = vectors[[pair.first for pair in pairs]]
    second = vectors[[pair.second for pair in pairs]]
    same = np.array([pair.same for pair in pairs], np.bool_)
    scores = np.einsum("nd,nd->n", first, second)
    return Similarities(scores[same], scores[~same])


def blocks(vectors: NDArray[np.float32]) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float32]]]:
    """Row numbers, and their similarities to all rows: (b,) and (b, n) float32."""
    for start in range(0, len(vectors), _BLOCK):
        rows = np.arange(start, min(start + _BLOCK, len(vectors)))
        yield rows, vectors[rows] @ vectors.T


def numbered(people: Sequence[str]) -> NDArray[np.intp]:
    """Names as numbers from 0, equal where the names are: (n,)."""
    return np.unique(np.asarray(people, np.str_), return_inverse=True)[1]


def _located(vectors: NDArray[np.float32], people: Sequence[str], wanted: _Choice) -> Located:
    names = numbered(people)
    found = [Located(np.empty(0, np.intp), np.empty(0, np.intp), np.empty(0, np.float32))]
    for rows, scores in blocks(vectors):
        later = np.arange(len(names)) > rows[:, None]
        first, second = np.nonzero(later & wanted(scores, names == names[rows, None]))
        found.append(Located(rows[first], second, scores[first, second]))
    return Located(
        np.concatenate([part.first for part in found]),
        np.concatenate([part.second for part in found]),
        np.concatenate([part.scores for part in found]),
    )
