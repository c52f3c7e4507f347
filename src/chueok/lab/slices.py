"""Figures by kind of picture: how large a face is, how far it is turned, and whatever a table says of the pictures."""

from __future__ import annotations

import csv
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from chueok.errors import UsageError
from chueok.flow.thresholds import ENOUGH
from chueok.lab.comparisons import numbered
from chueok.lab.pair_files import nfc
from chueok.measures import SliceMeasured

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chueok.lab.comparisons import Comparisons
    from chueok.lab.faces import Faces
    from chueok.records import Detection

MIXED, NONE = (
    "(mixed)",
    "(none)",
)  # a pair whose pictures differ in a column of the table; a picture it leaves out
_ENOUGH_IMPOSTORS = 100 * ENOUGH  # a share of 1 % of them is thirty
Columns = Mapping[str, Mapping[str, str]]  # by title: what the table says of each picture
_SIZES = (64, 128)  # shorter side of a face's box in pixels; crops of 112 pixels are enlarged below about 85
# How far the nose lies from the middle between the eyes, as a share of their distance: 0 from the front, 0.5 where it
# hides one of them. Half profiles of the test sets begin near the first
_TURNS = (0.12, 0.3)
_SIZE_NAMES = ("128 pixels and more", "64 to 127 pixels", "below 64 pixels")
_TURN_NAMES = ("from the front", "half turned", "turned away")


@dataclass(frozen=True, slots=True, eq=False)
class Slicing:
    """One way to sort pictures. A pair belongs to the worse of its pictures' kinds, or, unordered, to a common one."""

    name: str
    kinds: tuple[str, ...]  # the best first where they are ordered; else MIXED is the last
    of_face: NDArray[np.intp]  # (n,) which kind each face is
    ordered: bool


def slicings(faces: Faces, columns: Columns | None = None) -> list[Slicing]:
    """The ways to sort the faces of a data set: by size, by pose, and by the columns of a table, picture to value."""
    first = [seen[0] for seen in faces.seen]
    sizes = np.array([min(face.box.width, face.box.height) for face in first])
    turns = np.array([turned(face) for face in first])
    built = [
        Slicing("face size", _SIZE_NAMES, len(_SIZES) - np.digitize(sizes, _SIZES), ordered=True),
        Slicing("pose", _TURN_NAMES, np.digitize(turns, _TURNS), ordered=True),
    ]
    for column, values in (columns or {}).items():
        told = [values.get(nfc(picture.name), "") or NONE for picture in faces.pictures]
        kinds = sorted(set(told))
        built.append(Slicing(column, (*kinds, MIXED), numbered(told), ordered=False))
    return built


def turned(face: Detection) -> float:
    """How far a face is turned to a side, from its eyes and nose: 0 from the front, about 0.5 in profile."""
    left, right, nose = (np.array(point) for point in face.landmarks[:3])
    eyes = right - left
    length = float(eyes @ eyes)
    return abs(float((nose - (left + right) / 2) @ eyes) / length) if length else 1.0


def measure_slices(
    comparisons: Comparisons, threshold: float, ways: Sequence[Slicing]
) -> tuple[SliceMeasured, ...]:
    """What one threshold does to each kind of pairs: those of one person it accepts, and those of two.

    The slicings have the faces in the order of the comparisons' rows. Kinds without a pair are left out.
    """
    counts = [np.zeros((4, len(way.kinds)), np.int64) for way in ways]
    for pairs, same in comparisons.parts() if ways else ():
        # 0 and 1: pairs of two people, rejected and accepted; 2 and 3: of one
        fate = 2 * same + (pairs.scores >= np.float32(threshold))
        for way, counted in zip(ways, counts, strict=True):
            one, other = way.of_face[pairs.first], way.of_face[pairs.second]
            kind = np.maximum(one, other) if way.ordered else np.where(one == other, one, len(way.kinds) - 1)
            found = np.bincount(fate * len(way.kinds) + kind, minlength=counted.size)
            np.add(counted, found.reshape(counted.shape), out=counted)
    return tuple(
        _measured(way.name, kind, *map(int, fates))
        for way, counted in zip(ways, counts, strict=True)
        for kind, fates in zip(way.kinds, counted.T, strict=True)
        if fates.any()
    )


def _measured(by: str, kind: str, rejected: int, accepted: int, missed: int, found: int) -> SliceMeasured:
    """One kind of pairs; a share of too few is not told."""
    genuine, impostors = missed + found, rejected + accepted
    return SliceMeasured(
        by=by,
        kind=kind,
        genuine=genuine,
        impostors=impostors,
        tar=found / genuine if genuine >= ENOUGH else None,
        far=accepted / impostors if impostors >= _ENOUGH_IMPOSTORS else None,
    )


def read_columns(path: Path, pictures: Collection[str]) -> Columns:
    """A CSV file whose first column names pictures as the data sets do, and whose other columns sort them.

    pictures: their names, of which the file must know one at least. Raises UsageError.
    """
    try:
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            titles, *rows = [row for row in csv.reader(file) if row] or [[]]
    except (OSError, csv.Error) as error:
        raise UsageError(f"{path} cannot be read as a table: {error}") from error
    if len(titles) < 2 or len(set(titles)) < len(titles):
        raise UsageError(
            f"{path} has no columns to sort by, or two of one title; it takes a line of titles, as `picture,age`, and "
            "a line for each picture"
        )
    values = {nfc(row[0]): [*row[1:], *[""] * len(titles)] for row in rows}
    if values.keys().isdisjoint(map(nfc, pictures)):
        raise UsageError(
            f"{path} names no picture of the data set; its first column has names as {min(pictures)!r}"
        )
    return {
        title: {picture: cells[place] for picture, cells in values.items()}
        for place, title in enumerate(titles[1:])
    }
