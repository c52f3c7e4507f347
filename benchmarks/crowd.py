"""Made-up faces of a large album: people with a heavy tail of sizes, some of whom look alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Crowd:
    """Where the faces of made-up people lie."""

    centres: Floats  # (p, d) unit
    within: Floats  # (p,) similarity of two faces of that person
    sizes: NDArray[np.int64]  # (p,) photos, the largest first

    def faces_of(self, who: NDArray[np.int64], random: np.random.Generator) -> Floats:
        """One new face each of these people: (n, d) unit rows."""
        noise = directions(len(who), self.centres.shape[1], random)
        within = self.within[who, None]
        return unit(np.sqrt(within) * self.centres[who] + np.sqrt(1 - within) * noise)


def a_crowd(faces: int, dimension: int, random: np.random.Generator) -> Crowd:
    """People with `faces` photos in all: one with 5,000 or a quarter, the others Pareto with many singles."""
    sizes = [min(5_000, faces // 4)]
    while (left := faces - sum(sizes)) > 0:
        sizes.append(int(min(left, faces // 50 + 1, 1 + random.pareto(0.8) * 2)))
    people = len(sizes)
    # six populations; two people of one share 0.25, so that impostors reach 0.3 as they do among relatives
    populations = directions(6, dimension, random)[random.integers(6, size=people)]
    centres = unit(0.5 * populations + np.sqrt(0.75) * directions(people, dimension, random))
    return Crowd(centres, random.uniform(0.5, 0.8, people).astype(np.float32), np.array(sizes))


def people_to_find(crowd: Crowd, count: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Whom to look for: the largest person, half drawn by person and half by photo."""
    by_person = random.integers(len(crowd.sizes), size=count // 2)
    by_photo = random.choice(len(crowd.sizes), count - count // 2 - 1, p=crowd.sizes / crowd.sizes.sum())
    return np.concatenate([[0], by_person, by_photo])


def directions(count: int, dimension: int, random: np.random.Generator) -> Floats:
    """Directions as unevenly spread as those of faces: (n, d) unit rows.

    The variance along the principal axes falls as exp(-i / (3 d / 8)), which fits `lite`'s embeddings of LFW, between
    people and within them: they fill as much room as 77 and 84 even dimensions of 128 would, these 83.
    """
    spread = np.exp(-np.arange(dimension) / (0.75 * dimension), dtype=np.float32)
    return unit(spread * random.standard_normal((count, dimension), np.float32))


def unit(rows: NDArray[np.floating]) -> Floats:
    """Rows brought to length 1, float32."""
    result: Floats = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return result
