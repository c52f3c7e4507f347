"""The faces of a data set as a network takes them, dealt out to learning, stopping and deciding."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from chueok.lab.faces import Faces, of_people, recut
from chueok.lab.finetune.split import Split
from chueok.vision.align import TEMPLATE_PIXELS, arcface_crop, box_crop

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chueok.settings import Settings
    from chueok.vision.models.card import Recipe
    from chueok.vision.reader import Cut


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """What a run learns from and stops by. Crops: (n, s, s, 3) uint8 RGB."""

    crops: NDArray[np.uint8]
    labels: NDArray[np.int64]  # (n,): whose, 0..people - 1
    validation: NDArray[np.uint8]
    validation_people: tuple[str, ...]  # who is in `validation`, in its order
    album: NDArray[np.uint8] | None = None  # faces without names, to adapt to

    @property
    def digest(self) -> str:
        """Hex digits that identify all of it."""
        found = hashlib.sha256(repr(self.validation_people).encode())
        for part in (self.crops, self.labels, self.validation, self.album):
            found.update(b"" if part is None else np.ascontiguousarray(part).data)
        return found.hexdigest()


def cutter(recipe: Recipe) -> Cut:
    """How a recipe cuts a face, as vision/embed.py does it."""
    if recipe.crop == "arcface":
        return lambda image, face: arcface_crop(image, face.landmarks, recipe.pixels)
    return lambda image, face: box_crop(image, face.box, recipe.pixels, recipe.margin)


def material(
    faces: Faces, split: Split, recipe: Recipe, settings: Settings, album: NDArray[np.uint8] | None = None
) -> Material:
    """The faces of people who are learnt from and of those who say when to stop, cut by a recipe.

    faces: as read. album: cut by the same recipe. Raises OperationFailed.
    """
    taught = _cut(faces, split.taught, recipe, settings)
    validation = _cut(faces, split.validation, recipe, settings)
    numbers = {person: number for number, person in enumerate(split.taught)}
    labels = np.array([numbers[person] for person in taught.people], np.int64)
    return Material(taught.crops, labels, validation.crops, tuple(validation.people), album)


def _cut(faces: Faces, people: Collection[str], recipe: Recipe, settings: Settings) -> Faces:
    chosen = of_people(faces, people)
    if (recipe.crop, recipe.pixels) == ("arcface", TEMPLATE_PIXELS):
        return chosen
    return recut(chosen, cutter(recipe), settings)
