"""Libraries of made-up people: embeddings whose true false accept rates are known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chueok.flow.strangers import Faces

DIMENSION = 128
USED = 64  # numbers of an embedding that are not 0: different people are then alike by 0 +- 1/8
SAME = 0.65  # mean similarity of two pictures of one person


@dataclass(slots=True)
class Crowd:
    """Photos of made-up people, one list of embeddings a photo."""

    rng: np.random.Generator
    centres: NDArray[np.float64]  # (people, USED)

    @classmethod
    def of(cls, people: int, seed: int = 0) -> Crowd:
        rng = np.random.default_rng(seed)
        return cls(rng, rng.normal(size=(people, USED)) / USED**0.5)

    def make_siblings(self, one: int, other: int, likeness: float) -> None:
        """Let two people look alike."""
        mixed = likeness * self.centres[one] + (1 - likeness**2) ** 0.5 * self.centres[other]
        self.centres[other] = mixed

    def face(self, person: int) -> NDArray[np.float32]:
        """Somebody's face in a new picture: (128,) float32, unit length."""
        row = np.zeros(DIMENSION)
        noise = self.rng.normal(size=USED) / USED**0.5
        row[:USED] = SAME**0.5 * self.centres[person] + (1 - SAME) ** 0.5 * noise
        return (row / np.linalg.norm(row)).astype(np.float32)

    def photos(self, count: int, group: int = 6) -> list[list[NDArray[np.float32]]]:
        """Photos of two to four people of one group, each group being as likely as any other."""
        people = len(self.centres)
        shown = []
        for _ in range(count):
            first = group * int(self.rng.integers(people // group))
            who = first + self.rng.choice(group, int(self.rng.integers(2, 5)), replace=False)
            shown.append([self.face(int(person)) for person in who])
        return shown


def as_faces(photos: list[list[NDArray[np.float32]]]) -> Faces:
    """The faces of photos, numbered by photo."""
    numbers = [number for number, photo in enumerate(photos) for _ in photo]
    return Faces(np.stack([face for photo in photos for face in photo]), np.array(numbers, np.int64))
