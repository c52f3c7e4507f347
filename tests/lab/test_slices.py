"""Figures by kind of picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from chueok.errors import UsageError
from chueok.lab.slices import MIXED, Slicing, measure_slices, read_columns, turned
from chueok.measures import SliceMeasured
from chueok.records import Box, Detection

Point = tuple[float, float]


def face(left: Point, right: Point, nose: Point) -> Detection:
    return Detection(Box(0, 0, 100, 100), 1.0, (left, right, nose, (0.0, 0.0), (0.0, 0.0)))


def test_a_face_is_turned_as_far_as_the_nose_is_off_the_middle_of_the_eyes() -> None:
    assert turned(face((30, 40), (70, 40), (50, 60))) == 0
    assert turned(face((30, 40), (70, 40), (60, 60))) == 0.25
    assert turned(face((30, 40), (70, 40), (30, 60))) == 0.5
    # tilted by a quarter turn it is as far turned as before
    assert turned(face((60, 30), (60, 70), (40, 60))) == 0.25
    assert turned(face((5, 5), (5, 5), (9, 9))) == 1  # no face has such eyes


def test_a_pair_counts_as_the_worse_of_its_pictures_and_by_a_column_as_what_both_are() -> None:
    # mom, mom, dad, dad: the first of each is large
    vectors = np.array([[1, 0], [0.8, 0.6], [0, 1], [0.6, 0.8]], np.float32)
    kinds = np.array([0, 1, 0, 1])
    size = Slicing("size", ("large", "small"), kinds, ordered=True)
    glasses = Slicing("glasses", ("no", "yes", MIXED), kinds, ordered=False)
    found = measure_slices(vectors, ["mom", "mom", "dad", "dad"], 0.79, [size, glasses])
    assert found == (
        SliceMeasured("size", "large", 0, 1, None, 0.0),
        SliceMeasured("size", "small", 2, 3, 1.0, 1 / 3),  # 0.96 between the two small ones
        SliceMeasured("glasses", "no", 0, 1, None, 0.0),
        SliceMeasured("glasses", "yes", 0, 1, None, 1.0),
        SliceMeasured("glasses", MIXED, 2, 2, 1.0, 0.0),
    )


def test_a_table_sorts_pictures_by_its_columns(tmp_path: Path) -> None:
    (tmp_path / "ages.csv").write_text(
        "\ufeffpicture,age,hat\na/1.jpg,child\n\n김/2.jpg,adult,yes\n", "utf-8"
    )
    assert read_columns(tmp_path / "ages.csv") == {
        "age": {"a/1.jpg": "child", "김/2.jpg": "adult"},
        "hat": {"a/1.jpg": "", "김/2.jpg": "yes"},
    }


@pytest.mark.parametrize("text", ["", "picture\n1.jpg\n", "\xff\xfe"])
def test_a_table_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "t.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError, match=r"no column to sort by|cannot be read as a table"):
        read_columns(tmp_path / "t.csv")
