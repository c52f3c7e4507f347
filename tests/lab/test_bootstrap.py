"""How sure figures are: draws of people that reproduce, and intervals that hold what they promise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from chueok.lab.bootstrap import _figures, gather, intervals, replicate
from chueok.lab.compare import compared
from chueok.lab.comparisons import Pair
from chueok.lab.verification import verify
from chueok.measures import ModelEvaluated, Verification


def crowd(people: int, pictures: int, seed: int, noise: float = 1.3) -> tuple[NDArray[np.float32], list[str]]:
    """Pictures of people whose directions are known: (people * pictures, 16) unit rows, and who they show."""
    random = np.random.default_rng(seed)
    centres = random.standard_normal((people, 16))
    vectors = np.repeat(centres, pictures, axis=0) + noise * random.standard_normal((people * pictures, 16))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float32), [f"p{row // pictures}" for row in range(people * pictures)]


def folds_of(people: list[str]) -> list[list[Pair]]:
    """Two folds of pairs, half of them of one person."""
    pairs = [
        Pair(row, other, people[row] == people[other])
        for row in range(0, len(people), 3)
        for other in (row + 1, (row + 7) % len(people))
    ]
    return [pairs[: len(pairs) // 2], pairs[len(pairs) // 2 :]]


@pytest.mark.parametrize("with_folds", [False, True])
def test_everybody_drawn_once_gives_the_figures_themselves(with_folds: bool) -> None:
    vectors, people = crowd(60, 4, seed=1)
    folds = folds_of(people) if with_folds else []
    measured = verify(vectors, people, folds)
    drawn = dict(_figures(gather(vectors, people, folds, measured), np.ones(60)))
    assert drawn["eer"] == pytest.approx(measured.eer, abs=2e-3)
    assert drawn["1e-2"] == pytest.approx(measured.tar["1e-2"], abs=2e-3)
    assert drawn["rank1"] == pytest.approx(measured.rank1)
    assert drawn["accuracy"] == pytest.approx(measured.accuracy)


def test_a_person_drawn_twice_counts_twice_and_never_as_his_own_stranger() -> None:
    vectors, people = crowd(20, 3, seed=2)
    measured = verify(vectors, people)
    weights = np.ones(20)
    weights[:10], weights[10:] = 2, 0
    half = gather(vectors, people, [], measured)
    # names sort as p0, p1, p10, ...: whom the first ten weights mean
    chosen = sorted(set(people))[:10]
    rows = [row for row, person in enumerate(people) if person in chosen]
    alone = verify(vectors[rows], [people[row] for row in rows])
    assert dict(_figures(half, weights))["eer"] == pytest.approx(alone.eer, abs=1e-6)


def test_the_same_seed_draws_the_same_people() -> None:
    vectors, people = crowd(30, 4, seed=3)
    evidence = gather(vectors, people, [], verify(vectors, people))
    one, same, other = (replicate(evidence, seed) for seed in (5, 5, 6))
    assert all(np.array_equal(one[name], same[name], equal_nan=True) for name in one)
    assert not np.array_equal(one["eer"], other["eer"])


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    everything = crowd(1500, 3, seed=0)
    truth = verify(*everything).eer
    assert truth is not None
    held = 0
    for seed in range(20):
        vectors, people = crowd(60, 4, seed=100 + seed)
        found = intervals(replicate(gather(vectors, people, [], verify(vectors, people)), seed, 100))["eer"]
        held += found.low <= truth <= found.high
    assert held >= 16


def test_what_cannot_be_told_has_no_interval() -> None:
    vectors, people = crowd(30, 4, seed=4)
    evidence = gather(vectors, people, [], verify(vectors, people))
    assert set(intervals(replicate(evidence))) == {"accuracy", "eer", "1e-2", "rank1"}  # 7,000 impostor pairs
    few = vectors[:36], people[:36]
    assert replicate(gather(*few, [], verify(*few))) == {}  # of nine people


def record_of(model: str, measured: Verification) -> ModelEvaluated:
    return ModelEvaluated(Path("set"), model, "", 0, 0, (), (), 0, measured, None)


def test_a_better_model_is_told_from_a_luckier_one() -> None:
    good, people = crowd(80, 4, seed=5, noise=0.8)
    bad, _ = crowd(80, 4, seed=5, noise=1.6)
    again, _ = crowd(80, 4, seed=6, noise=0.8)
    records = {}
    for name, vectors in (("good", good), ("bad", bad), ("again", again)):
        measured = verify(vectors, people)
        records[name] = record_of(name, measured), replicate(gather(vectors, people, [], measured))
    worse = compared(*records["bad"], *records["good"]).differences["eer"]
    alike = compared(*records["again"], *records["good"]).differences["eer"]
    assert worse.interval is not None
    assert alike.interval is not None
    assert worse.interval.low > 0
    assert alike.interval.low <= 0 <= alike.interval.high
