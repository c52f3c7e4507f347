"""Of overlapping boxes the best stays."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from chueok.vision import suppress
from chueok.vision.suppress import grid_survivors, over_smaller, over_union, survivors, union_survivors


def by_definition(boxes: NDArray[np.float32], scores: NDArray[np.float32], limit: float) -> list[int]:
    """Greedy suppression, one box at a time; of equal scores the first."""
    kept: list[int] = []
    for index in sorted(range(len(boxes)), key=lambda i: -scores[i]):
        if all(over_union(boxes[index], boxes[better]) <= limit for better in kept):
            kept.append(index)
    return kept


def best_first(scores: NDArray[np.float32]) -> NDArray[np.intp]:
    return np.argsort(-scores, kind="stable")


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 40), st.sampled_from([0.3, 0.5, 0.7]), st.integers(0, 999))
def test_survivors_are_those_of_the_definition(count: int, limit: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    corner = rng.integers(0, 30, (count, 2))
    boxes = np.hstack([corner, corner + rng.integers(5, 30, (count, 2))]).astype(np.float32)
    scores = (rng.integers(0, 10, count) / 10).astype(np.float32)
    got = survivors(boxes, best_first(scores), limit, over_union)
    assert got.tolist() == by_definition(boxes, scores, limit)


@pytest.mark.parametrize("pairs", [1, 7, suppress._PAIRS])
@pytest.mark.parametrize("limit", [0.4, 0.5, 0.7])
@pytest.mark.parametrize("count", [0, 1, 2, 40, 300])
def test_from_left_to_right_the_same_survive(
    count: int, limit: float, pairs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suppress, "_PAIRS", pairs)
    for seed, step in enumerate((0.01, 1, 10)):  # pixels: the larger, the more boxes are alike
        rng = np.random.default_rng(seed)
        corner = rng.integers(int(-30 / step), int(150 / step), (count, 2)) * step
        sides = rng.integers(1, 1 + int(60 / step), (count, 2)) * step
        boxes = np.hstack([corner, corner + sides]).astype(np.float32)
        order = rng.permutation(count)[: count - count // 5]
        got = union_survivors(boxes, order, limit)
        assert got.tolist() == survivors(boxes, order, limit, over_union).tolist()


@settings(max_examples=60, deadline=None)
@given(
    st.floats(12, 90),
    st.integers(1, 30),
    st.integers(1, 30),
    st.floats(0.05, 1),
    st.integers(2, 50),
    st.integers(0, 999),
)
def test_neighbours_on_a_grid_suffice(
    side: float, height: int, width: int, share: float, grades: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    row, column = np.nonzero(rng.random((height, width)) < share)
    cells = np.stack([row, column], axis=1)
    corner = 2 * cells[:, ::-1].astype(np.float32)
    boxes = np.floor(np.hstack([corner + 1, corner + 12]) / np.float32(12 / side))
    scores = (rng.integers(0, grades, len(cells)) / grades).astype(np.float32)  # with ties
    got = grid_survivors(boxes, scores, cells, 0.5)
    assert got.tolist() == sorted(survivors(boxes, best_first(scores), 0.5, over_union).tolist())


@pytest.mark.parametrize(("measure", "expected"), [(over_union, 0.25), (over_smaller, 1.0)])
def test_a_box_within_a_box(measure, expected: float) -> None:  # type: ignore[no-untyped-def]
    outer = np.array([0, 0, 20, 20], np.float32)
    inner = np.array([[5, 5, 15, 15]], np.float32)
    np.testing.assert_allclose(measure(outer, inner), [expected])


def test_boxes_that_only_touch_share_a_pixel_by_mtcnns_count() -> None:
    left, right = np.array([0, 0, 9, 9], np.float32), np.array([[9, 0, 18, 9]], np.float32)
    assert (over_union(left, right).tolist(), over_smaller(left, right).tolist()) == (
        [0.0],
        [pytest.approx(0.1)],
    )


def test_of_no_boxes_none_survive() -> None:
    nothing = np.empty((0, 4), np.float32)
    assert survivors(nothing, np.empty(0, np.intp), 0.5, over_union).tolist() == []
    assert grid_survivors(nothing, np.empty(0, np.float32), np.empty((0, 2), np.intp), 0.5).tolist() == []
