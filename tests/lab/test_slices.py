"""Figures by kind of picture."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import numpy as np
import pytest

from chueok.errors import UsageError
from chueok.lab.comparisons import Comparisons
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
    few = Comparisons(vectors, np.array([0, 0, 1, 1]))
    counts = [
        (one.by, one.kind, one.genuine, one.impostors) for one in measure_slices(few, 0.79, [size, glasses])
    ]
    assert counts == [
        ("size", "large", 0, 1), ("size", "small", 2, 3),
        ("glasses", "no", 0, 1), ("glasses", "yes", 0, 1), ("glasses", MIXED, 2, 2),
    ]  # fmt: skip
    # two people, forty times the same pictures: pairs of one person are 1 and 0.8, of two 0, 0.6 and 0.96
    many = Comparisons(np.tile(vectors, (40, 1)), np.tile([0, 0, 1, 1], 40))
    repeated = Slicing("size", size.kinds, np.tile(kinds, 40), ordered=True)
    large, small = measure_slices(many, 0.79, [repeated])
    assert (large.tar, large.far) == (1.0, None)  # of 1,600 impostor pairs 1 % is less than 30
    assert (small.impostors, small.tar) == (4800, 1.0)
    assert small.far == pytest.approx(1 / 3)


def test_a_share_of_few_pairs_is_not_told() -> None:
    vectors = np.tile(np.array([[1, 0], [0, 1]], np.float32), (5, 1))
    way = Slicing("size", ("any",), np.zeros(10, np.intp), ordered=True)
    assert measure_slices(Comparisons(vectors, np.tile([0, 1], 5)), 0.5, [way]) == (
        SliceMeasured("size", "any", 20, 25, None, None),
    )


PICTURES = ["a/1.jpg", unicodedata.normalize("NFD", "김/2.jpg")]


def test_a_table_sorts_pictures_by_its_columns_however_their_names_are_spelt(tmp_path: Path) -> None:
    text = "\ufeffpicture,age,hat\r\na/1.jpg,child\r\n\r\n김/2.jpg,adult,yes\r\n"
    (tmp_path / "ages.csv").write_bytes(text.encode())
    assert read_columns(tmp_path / "ages.csv", PICTURES) == {
        "age": {"a/1.jpg": "child", "김/2.jpg": "adult"},
        "hat": {"a/1.jpg": "", "김/2.jpg": "yes"},
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no columns to sort by"),
        ("picture\n1.jpg\n", "no columns to sort by"),
        ("picture,age,age\na/1.jpg,1,2\n", "two of one title"),
        (
            "picture,age\nb/1.jpg,1\n",
            "names no picture of the data set; its first column has names as 'a/1.jpg'",
        ),
    ],
)
def test_a_table_that_is_none_is_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(UsageError, match=words):
        read_columns(tmp_path / "t.csv", PICTURES)
    with pytest.raises(UsageError, match="cannot be read as a table"):
        read_columns(tmp_path, PICTURES)
