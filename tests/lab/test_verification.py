"""The metrics, against cases worked by hand and against the slow and obvious way."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics

from chueok.lab.comparisons import Comparisons, Pair, Similarities, numbered
from chueok.lab.verification import (
    area_under_roc,
    at_peak,
    by_folds,
    equal_error_rate,
    rank1,
    recognised,
    roc,
    tar_at,
    threshold_at,
    verify,
)
from chueok.measures import Verification

NOTHING = {"1e-2": None, "1e-3": None, "1e-4": None, "1e-5": None}
scores = st.lists(st.integers(-8, 8).map(lambda eighths: eighths / 8), min_size=1, max_size=12)


def similarities(genuine: list[float], impostors: list[float]) -> Similarities:
    return Similarities(np.array(genuine, np.float32), np.array(impostors, np.float32))


def peak(pairs: Similarities, *, balanced: bool = False) -> tuple[float, float] | None:
    """The best threshold, and the accuracy it brings."""
    threshold, decisions = at_peak(pairs, balanced=balanced)
    return None if threshold is None or decisions is None else (threshold, decisions.accuracy)


def near(*numbers: float) -> Any:
    """These numbers, but for the last digits."""
    return pytest.approx(numbers if len(numbers) > 1 else numbers[0])


def pairs_of(vectors: NDArray[np.float32], people: Sequence[str]) -> Comparisons:
    return Comparisons(vectors, numbered(people))


def unit(*degrees: float) -> NDArray[np.float32]:
    """Points on the circle."""
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def test_everything_at_once_by_hand() -> None:
    vectors = unit(0, 60, 90, 180)
    people = ["mom", "mom", "dad", "dad"]
    folds = [[Pair(0, 1, same=True), Pair(0, 3, same=False)], [Pair(2, 3, same=True), Pair(1, 2, same=False)]]
    measured = verify(pairs_of(vectors, people), folds)
    # fold 1: 0.5 and -1; fold 2: 0 and 0.87. Fold 1 is decided by 0 (both right), fold 2 by 0.5 (both wrong)
    assert measured == Verification(
        accuracy=0.5,
        accuracy_by="folds",
        threshold=near(0.25),
        precision=0.5,
        recall=0.5,
        f1=0.5,
        compared_genuine=2,
        compared_impostors=2,
        # genuine 0.5 and 0, impostors 0.87, 0, -0.5 and -1: from 0 up (all, half) pass, above it (half, a quarter)
        eer=near(1 / 3),
        auc=0.6875,  # 5.5 of 8 comparisons
        tar=NOTHING,
        thresholds=NOTHING,
        genuine=2,
        impostors=4,
        rank1=0.5,  # mom's at 60 degrees and dad's at 90 are each other's nearest
        probes=4,
    )


def test_without_folds_accuracy_is_the_peak_of_both_kinds_of_pairs_weighing_the_same() -> None:
    measured = verify(pairs_of(unit(0, 10, 90, 95, 5), ["mom", "mom", "dad", "dad", "ex"]))
    assert (measured.accuracy_by, measured.compared_genuine, measured.compared_impostors) == ("peak", 2, 8)
    # from cos 10 degrees up both genuine pairs pass, and 2 of 8 impostor pairs: the ex is near both of mom's pictures
    assert (measured.accuracy, measured.threshold) == near((1 + 6 / 8) / 2, np.cos(np.radians(10)))


def test_a_single_fold_is_its_own_peak_and_both_kinds_weigh_the_same() -> None:
    fold = [Pair(0, 1, same=True), Pair(0, 2, same=False), Pair(1, 2, same=False)]
    measured = verify(pairs_of(unit(0, 30, 90), ["mom", "mom", "dad"]), [fold])
    assert (measured.accuracy, measured.accuracy_by) == (1.0, "peak")
    assert measured.threshold == pytest.approx(np.cos(np.radians(30)))
    assert (measured.compared_genuine, measured.compared_impostors) == (1, 2)


def test_nobody_is_nothing_to_say() -> None:
    measured = verify(pairs_of(np.empty((0, 2), np.float32), []), [[], []])
    assert measured == Verification(
        accuracy=None, accuracy_by="folds", threshold=None, precision=None, recall=None, f1=None, compared_genuine=0,
        compared_impostors=0, eer=None, auc=None, tar=NOTHING, thresholds=NOTHING, genuine=0, impostors=0, rank1=None,
        probes=0,
    )  # fmt: skip


def test_each_fold_is_decided_by_the_threshold_best_on_the_others() -> None:
    first = similarities([0.9, 0.4], [0.5, 0.1])  # best from 0.4: three of four
    second = similarities([0.8, 0.3], [0.2, 0.35])  # best from 0.3: three of four
    threshold, decisions, accuracy = by_folds([first, second])
    assert (threshold, accuracy) == near(0.35, 0.75)
    # the first by 0.3: both genuine, one impostor; the second by 0.4: one genuine, none
    assert decisions is not None
    assert (decisions.recall, decisions.precision, decisions.f1) == near(0.75, 0.75, 0.75)


def test_of_equally_good_thresholds_the_lowest_is_taken() -> None:
    assert peak(similarities([0.75, 0.25], [0.5])) == near(0.25, 2 / 3)


def test_balance_gives_both_kinds_of_pairs_the_same_weight() -> None:
    pairs = similarities([0.5], [0.75] + [0.0] * 9)
    assert peak(pairs) == near(0.5, 10 / 11)
    assert peak(pairs, balanced=True) == near(0.5, 0.95)


@given(scores, st.lists(st.integers(-8, 8).map(lambda eighths: eighths / 8), max_size=12))
def test_no_threshold_that_accepts_a_genuine_pair_decides_more_pairs_rightly(
    genuine: list[float], impostors: list[float]
) -> None:
    def rightly(threshold: float) -> float:
        accepted = sum(score >= threshold for score in genuine)
        rejected = sum(score < threshold for score in impostors)
        return (accepted + rejected) / (len(genuine) + len(impostors))

    useful = sorted(score for score in {*genuine, *impostors} if score <= max(genuine))
    best = max(useful, key=rightly)
    assert peak(similarities(genuine, impostors)) == near(best, rightly(best))


def test_a_threshold_lets_the_share_of_impostors_through() -> None:
    pairs = similarities([0.98, 0.9899, 0.995, 1], [part / 30_000 for part in range(30_001)])
    assert threshold_at(pairs.impostors, 1e-2) == near(0.99)
    assert threshold_at(pairs.impostors, 1e-3) == near(0.999)
    assert tar_at(pairs.genuine, threshold_at(pairs.impostors, 1e-2)) == 0.5


@pytest.mark.parametrize(("far", "needed"), [(1e-2, 3_000), (1e-3, 30_000), (1e-4, 300_000)])
def test_a_threshold_that_fewer_than_thirty_impostor_pairs_reach_is_not_given(
    far: float, needed: int
) -> None:
    enough = np.linspace(0, 1, needed, dtype=np.float32)
    assert threshold_at(enough, far) == near(1 - far)
    assert threshold_at(enough[1:], far) is None


def test_without_a_threshold_or_genuine_pairs_there_is_no_true_accept_rate() -> None:
    assert tar_at(np.ones(3, np.float32), None) is None
    assert tar_at(np.empty(0, np.float32), 0.5) is None


def test_what_is_given_depends_on_the_number_of_impostor_pairs() -> None:
    measured = verify(pairs_of(unit(*np.linspace(0, 350, 80)), [str(row // 2) for row in range(80)]))
    assert measured.impostors == 3_120
    assert {far for far, rate in measured.tar.items() if rate is not None} == {"1e-2"}
    assert {far for far, similarity in measured.thresholds.items() if similarity is not None} == {"1e-2"}


def test_every_two_rows_are_compared_once() -> None:
    chance = np.random.default_rng(1)
    vectors = chance.standard_normal((1500, 4)).astype(np.float32)  # more than one block
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    names = chance.integers(0, 500, 1500).astype(str).tolist()
    found = pairs_of(vectors, names).similarities()
    upper = np.triu(np.ones((1500, 1500), np.bool_), 1)
    same = np.array(names)[:, None] == np.array(names)
    every = vectors @ vectors.T
    np.testing.assert_allclose(np.sort(found.genuine), np.sort(every[upper & same]), atol=1e-6)
    np.testing.assert_allclose(np.sort(found.impostors), np.sort(every[upper & ~same]), atol=1e-6)
    assert found.impostors.dtype == np.float32


def test_rank_1_asks_only_people_with_two_pictures_and_about_them() -> None:
    # dad's single picture lies nearest to mom's, but has no second one: he is neither asked nor answered
    assert rank1(recognised(pairs_of(unit(0, 20, 8), ["mom", "mom", "dad"]))) == (1.0, 2)
    assert rank1(recognised(pairs_of(unit(0, 20, 8, 90), ["mom", "mom", "dad", "dad"]))) == (0.0, 4)
    assert rank1(recognised(pairs_of(unit(0, 90), ["mom", "dad"]))) == (None, 0)


@given(st.lists(st.sampled_from("abc"), min_size=2, max_size=9), st.integers(0, 99))
def test_rank_1_is_what_looking_at_every_pair_says(people: list[str], seed: int) -> None:
    vectors = unit(*np.random.default_rng(seed).uniform(0, 360, len(people)))
    several = [row for row, person in enumerate(people) if people.count(person) > 1]
    nearest = {
        row: max(
            (other for other in several if other != row), key=lambda other: vectors[row] @ vectors[other]
        )
        for row in several
    }
    right = [people[row] == people[other] for row, other in nearest.items()]
    assert rank1(recognised(pairs_of(vectors, people))) == (
        float(np.mean(right)) if right else None,
        len(several),
    )


@given(st.lists(st.sampled_from("ab"), max_size=8))
def test_pairs_are_counted_by_kind(people: list[str]) -> None:
    measured = verify(pairs_of(unit(*range(len(people))).reshape(-1, 2), people))
    kinds = [one == other for one, other in combinations(people, 2)]
    assert (measured.genuine, measured.impostors) == (kinds.count(True), kinds.count(False))


def labelled(genuine: list[float], impostors: list[float]) -> tuple[list[int], list[float]]:
    """As scikit-learn takes them."""
    return [1] * len(genuine) + [0] * len(impostors), genuine + impostors


@given(scores, scores)
def test_the_area_under_the_roc_is_scikit_learns(genuine: list[float], impostors: list[float]) -> None:
    found = area_under_roc(similarities(genuine, impostors))
    assert found == near(metrics.roc_auc_score(*labelled(genuine, impostors)))


@given(scores, scores)
def test_a_true_accept_rate_is_the_highest_of_scikit_learns_roc(
    genuine: list[float], impostors: list[float]
) -> None:
    accepted, found, _ = metrics.roc_curve(*labelled(genuine, impostors), drop_intermediate=False)
    fars = np.array([0, 0.05, 0.3, 0.5, 1])
    wanted = [found[accepted <= far + 1e-9].max() for far in fars]
    assert roc(similarities(genuine, impostors), fars).tolist() == near(*wanted)


@given(scores, scores)
def test_the_equal_error_rate_is_where_scikit_learns_roc_meets_the_diagonal(
    genuine: list[float], impostors: list[float]
) -> None:
    accepted, found, _ = metrics.roc_curve(*labelled(genuine, impostors), drop_intermediate=False)
    error = equal_error_rate(similarities(genuine, impostors))
    assert error is not None
    # the ROC drawn as straight lines between its corners
    corner = int(np.argmax(accepted >= 1 - found))
    before = max(0, corner - 1)
    line = np.interp(np.linspace(0, 1, 20_001), [0, 1], [0, 1])
    far = accepted[before] + line * (accepted[corner] - accepted[before])
    frr = 1 - (found[before] + line * (found[corner] - found[before]))
    nearest = int(np.abs(far - frr).argmin())
    assert error == pytest.approx(far[nearest], abs=1e-3)


@given(scores, scores)
def test_precision_recall_and_f1_are_scikit_learns(genuine: list[float], impostors: list[float]) -> None:
    threshold, decisions = at_peak(similarities(genuine, impostors))
    truth, values = labelled(genuine, impostors)
    assert threshold is not None
    assert decisions is not None
    wanted = metrics.precision_recall_fscore_support(
        truth, [score >= threshold for score in values], average="binary", zero_division=0.0
    )[:3]
    assert (decisions.precision, decisions.recall, decisions.f1) == near(*wanted)


def test_pairs_are_found_again_by_their_rows() -> None:
    vectors, people = unit(0, 5, 90, 100), ["mom", "mom", "dad", "ex"]
    pairs = pairs_of(vectors, people)
    genuine, impostors = pairs.genuine(), pairs.impostors(0.5)
    assert (genuine.first.tolist(), genuine.second.tolist()) == ([0], [1])
    assert (impostors.first.tolist(), impostors.second.tolist()) == ([2], [3])
    assert impostors.scores.tolist() == [near(np.cos(np.radians(10)))]


def test_of_a_list_nothing_counts_but_its_pairs() -> None:
    listed = (Pair(0, 1, same=True), Pair(1, 2, same=False), Pair(0, 3, same=False))
    measured = verify(Comparisons(unit(0, 10, 90, 180), numbered(list("aabc")), listed), [listed])
    assert (measured.genuine, measured.impostors, measured.rank1, measured.probes) == (1, 2, None, 0)
    assert (measured.accuracy, measured.eer, measured.auc) == (1.0, 0.0, 1.0)
