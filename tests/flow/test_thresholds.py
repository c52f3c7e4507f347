"""The threshold of a tail, against distributions that are known and against scipy."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from chueok.flow.thresholds import Scores, Tail, density

FARS = (1e-1, 1e-2, 1e-3, 1e-4)


def normal(count: int, middle: float = 0.05, spread: float = 0.1, seed: int = 0) -> Scores:
    """Similarities of so many pairs of people who have nothing to do with each other."""
    return Scores.apart(np.random.default_rng(seed).normal(middle, spread, count).astype(np.float32))


def of_people(people: int, pairs: int, seed: int) -> Scores:
    """Pairs among people of whom some look like everybody: a standard deviation of 0.12, half of it the people's."""
    rng = np.random.default_rng(seed)
    commonness = rng.normal(0, 0.06, people)
    drawn = rng.choice(people * people, 2 * pairs, replace=False)
    first, second = drawn // people, drawn % people
    first, second = first[first != second][:pairs], second[first != second][:pairs]
    own = rng.normal(0, (0.12**2 - 2 * 0.06**2) ** 0.5, len(first))
    scores = commonness[first] + commonness[second] + own
    return Scores(scores.astype(np.float32), np.arange(len(scores)), first, second)


def test_what_many_pairs_show_is_measured_and_what_few_show_is_drawn_on_as_scipy_has_the_normal() -> None:
    ppf = pytest.importorskip("scipy.stats").norm.ppf
    many, few = Tail(normal(200_000), resamplings=20), Tail(normal(2000))
    assert many.measured is not None and many.measured <= 1e-3
    assert few.measured is not None and 0.01 < few.measured <= 0.1
    for tail, slack, fars in ((many, 0.01, FARS[1:]), (few, 0.03, FARS[1:3])):
        for far in fars:
            found = tail.at(far)
            assert found is not None
            assert found.threshold == pytest.approx(ppf(1 - far, 0.05, 0.1), abs=slack)
            assert found.low < found.threshold < found.high


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    truth = 0.12 * 3.0902
    found = [Tail(of_people(100, 900, seed), resamplings=60).at(1e-3) for seed in range(40)]
    told = [rate for rate in found if rate is not None]
    held = [rate.low <= truth <= rate.high for rate in told]
    assert len(told) >= 36
    assert np.mean(held) >= 0.85
    assert np.mean([rate.high - rate.low for rate in told]) < 0.2


@pytest.mark.parametrize("pairs", [1, 2, 30, 60])
def test_of_too_few_pairs_nothing_is_said(pairs: int) -> None:
    tail = Tail(normal(pairs))
    assert (tail.measured, [tail.at(far) for far in FARS]) == (None, [None] * len(FARS))


def test_how_far_a_tail_is_drawn_depends_on_how_far_it_was_seen() -> None:
    known = [Tail(normal(pairs, seed=3)).at(1e-4) is not None for pairs in (300, 5000)]
    assert known == [False, True]


def test_a_rarer_rate_has_a_higher_threshold() -> None:
    tail = Tail(normal(3000))
    found = [tail.at(far) for far in (0.3, *FARS)]
    limits = [rate.threshold for rate in found if rate is not None]
    assert len(limits) == 5
    assert all(common < rare for common, rare in pairwise(limits))


def test_every_pair_of_people_weighs_the_same_however_many_pictures_they_have() -> None:
    scores = normal(1000)
    first = np.where(scores.pair == 7, 500, 1)
    often = Scores(
        np.repeat(scores.similarities, first), np.repeat(scores.pair, first), scores.first, scores.second
    )
    assert Tail(often).at(1e-2) == Tail(scores).at(1e-2)


def test_the_same_seed_gives_the_same_answer_and_another_seed_nearly_that() -> None:
    scores = of_people(80, 1000, seed=5)
    one, again, other = (Tail(scores, seed).at(1e-3) for seed in (1, 1, 2))
    assert one is not None and other is not None
    assert one == again
    assert other.threshold == pytest.approx(one.threshold, abs=0.01)


@pytest.mark.parametrize("weights", [None, np.linspace(0.1, 3, 500)], ids=["plain", "weighted"])
def test_a_density_is_scipys(weights: NDArray[np.float64] | None) -> None:
    stats = pytest.importorskip("scipy.stats")
    values = np.random.default_rng(0).normal(0.1, 0.2, 500)
    grid = np.linspace(-1, 1, 60)
    expected = stats.gaussian_kde(values, "scott", weights)(grid)
    assert density(values, grid, weights) == pytest.approx(expected, rel=1e-9)


def test_the_area_below_a_density_is_one_also_of_equal_values() -> None:
    grid = np.linspace(-1, 1, 40_001)
    for values in (np.full(5, 0.25), np.array([0.25])):
        assert density(values, grid).sum() * (grid[1] - grid[0]) == pytest.approx(1, abs=1e-3)
