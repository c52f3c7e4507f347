"""How sure figures are: draws of people that reproduce, and intervals that hold what they promise."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from chueok.lab.bootstrap import Evidence, _figures, gather, intervals, replicate
from chueok.lab.compare import compared
from chueok.lab.comparisons import Comparisons, Pair, numbered
from chueok.lab.verification import verify
from chueok.measures import ModelEvaluated, Verification


def crowd(people: int, pictures: int, seed: int, noise: float = 1.3) -> tuple[NDArray[np.float32], list[str]]:
    """Pictures of people whose directions are known: (people * pictures, 16) unit rows, and who they show."""
    random = np.random.default_rng(seed)
    centres = random.standard_normal((people, 16))
    vectors = np.repeat(centres, pictures, axis=0) + noise * random.standard_normal((people * pictures, 16))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float32), [f"p{row // pictures:04}" for row in range(people * pictures)]


def folds_of(people: list[str]) -> list[list[Pair]]:
    """Two folds of pairs, half of them of one person."""
    pairs = [
        Pair(row, other, people[row] == people[other])
        for row in range(0, len(people), 3)
        for other in ((row + 1) % len(people), (row + 7) % len(people))
    ]
    return [pairs[: len(pairs) // 2], pairs[len(pairs) // 2 :]]


def evidence_of(
    vectors: NDArray[np.float32],
    people: list[str],
    folds: list[list[Pair]] | None = None,
    *,
    listed: bool = False,
) -> Evidence:
    pairs = tuple(pair for fold in folds or () for pair in fold)
    comparisons = Comparisons(vectors, numbered(people), pairs if listed else None)
    return gather(comparisons, folds or [], verify(comparisons, folds or []), comparisons.similarities())


@pytest.mark.parametrize("people", [10, 60])
@pytest.mark.parametrize("kind", ["all", "one fold", "two folds", "only a list"])
def test_everybody_drawn_once_gives_the_figures_themselves(kind: str, people: int) -> None:
    vectors, names = crowd(people, 4, seed=1)
    two = folds_of(names)
    folds = [] if kind == "all" else [two[0] + two[1]] if kind == "one fold" else two
    evidence = evidence_of(vectors, names, folds, listed=kind == "only a list")
    measured, drawn = evidence.measured, dict(_figures(evidence, np.ones(people)))
    assert drawn["eer"] == pytest.approx(measured.eer)
    assert drawn["accuracy"] == pytest.approx(measured.accuracy)
    if measured.tar["1e-2"] is not None:
        assert drawn["1e-2"] == pytest.approx(
            measured.tar["1e-2"], abs=2e-3
        )  # quantiles lie between two pairs
    assert measured.rank1 is None or drawn["rank1"] == pytest.approx(measured.rank1)


def test_weights_count_people_not_pairs_and_nobody_as_his_own_stranger() -> None:
    vectors, people = crowd(5, 3, seed=2)
    evidence = evidence_of(vectors, people)
    weights = np.array([3.0, 1, 0, 2, 1])
    accepted = rejected = genuine = impostors = 0.0
    threshold = np.float32(evidence.measured.threshold)
    for row, other in combinations(range(15), 2):
        one, two = row // 3, other // 3
        passes = float(vectors[row] @ vectors[other]) >= threshold
        if one == two:
            genuine += weights[one]
            accepted += weights[one] * passes
        else:
            impostors += weights[one] * weights[two]
            rejected += weights[one] * weights[two] * (not passes)
    found = dict(_figures(evidence, weights))
    assert found["accuracy"] == pytest.approx((accepted / genuine + rejected / impostors) / 2)


def test_the_same_seed_draws_the_same_people() -> None:
    vectors, people = crowd(30, 4, seed=3)
    evidence = evidence_of(vectors, people)
    one, same, other = (replicate(evidence, seed) for seed in (5, 5, 6))
    assert all(np.array_equal(one[name], same[name], equal_nan=True) for name in one)
    assert not np.array_equal(one["eer"], other["eer"])


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    truth = evidence_of(*crowd(1500, 3, seed=0)).measured.eer
    assert truth is not None
    held = widths = 0.0
    for seed in range(20):
        evidence = evidence_of(*crowd(60, 4, seed=100 + seed))
        found = intervals(replicate(evidence, seed, 100))["eer"]
        held += found.low <= truth <= found.high
        widths += found.high - found.low
    assert held >= 16
    assert widths / 20 < 0.06  # and not by being wide: the rate itself is 0.1


def test_what_cannot_be_told_has_no_interval() -> None:
    vectors, people = crowd(30, 4, seed=4)
    told = intervals(replicate(evidence_of(vectors, people)))
    assert set(told) == {"accuracy", "eer", "1e-2", "rank1"}  # 7,000 impostor pairs
    assert replicate(evidence_of(vectors[:36], people[:36])) == {}  # of nine people
    rows = [*range(0, 120, 4), 1, 5, 9]  # one picture each, but of three people two
    assert replicate(evidence_of(vectors[rows], [people[row] for row in rows])) == {}


def record_of(model: str, measured: Verification) -> ModelEvaluated:
    return ModelEvaluated(Path("set"), model, "", 0, 0, (), (), 0, measured, None)


def test_a_better_model_is_told_from_a_luckier_one() -> None:
    good, people = crowd(80, 4, seed=5, noise=0.8)
    bad, _ = crowd(80, 4, seed=5, noise=1.6)
    again, _ = crowd(80, 4, seed=6, noise=0.8)
    records = {}
    for name, vectors in (("good", good), ("bad", bad), ("again", again)):
        evidence = evidence_of(vectors, people)
        records[name] = record_of(name, evidence.measured), replicate(evidence)
    worse = compared(*records["bad"], *records["good"]).differences["eer"]
    alike = compared(*records["again"], *records["good"]).differences["eer"]
    assert worse.interval is not None
    assert alike.interval is not None
    assert worse.interval.low > 0
    assert alike.interval.low <= 0 <= alike.interval.high
