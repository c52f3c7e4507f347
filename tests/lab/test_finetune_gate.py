"""The gate: better on people it never saw, no worse on a public set, by more than chance."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from chueok.lab.datasets import Dataset, LabelledPicture
from chueok.lab.faces import Faces
from chueok.lab.finetune.gate import (
    _measured,
    _Ranked,
    decision,
    held_out_figures,
    public_figures,
    strict_thresholds,
)
from chueok.lab.verification import (
    Similarities,
    all_pairs,
    equal_error_rate,
    rank1,
    tar_at,
    threshold_at,
    verify,
)
from chueok.measures import GateFigure, Verification

PEOPLE, PICTURES = 30, 4


def _faces() -> Faces:
    names = [f"p{number // PICTURES:02}" for number in range(PEOPLE * PICTURES)]
    pictures = tuple(LabelledPicture(f"{number}.png", name, Path()) for number, name in enumerate(names))
    crops = np.zeros((len(names), 1, 1, 3), np.uint8)
    return Faces(Dataset(Path("mine"), pictures), pictures, ((),) * len(names), crops, (), ())


def _vectors(noise: float, seed: int = 0) -> NDArray[np.float32]:
    """Embeddings of the people, the same people and the same kind of noise whatever its amount."""
    chance = np.random.default_rng(seed)
    middle = np.repeat(chance.standard_normal((PEOPLE, 16)), PICTURES, 0)
    rows = middle + noise * chance.standard_normal(middle.shape)
    unit: NDArray[np.float32] = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return unit


def test_the_figures_are_those_of_an_evaluation() -> None:
    rows, faces = _vectors(1.0), _faces()
    pairs = all_pairs(rows, faces.people)
    tar, eer, share = held_out_figures(faces, (rows, rows))
    assert (tar.measure, eer.measure, share.measure) == ("TAR 1e-2", "EER", "rank-1")  # 6,960 impostor pairs
    assert tar.before == pytest.approx(tar_at(pairs.genuine, threshold_at(pairs.impostors, 1e-2)), abs=0.02)
    assert eer.before == pytest.approx(equal_error_rate(pairs), abs=1e-3)
    assert share.before == rank1(rows, faces.people)[0]
    for figure in (tar, eer, share):
        assert (figure.after, figure.error, figure.verdict) == (figure.before, 0, "same")


def test_a_person_who_is_drawn_twice_counts_as_two_of_them() -> None:
    rows = _vectors(1.2)[:16]
    people = np.repeat(np.arange(4), 4)
    twice = np.concatenate([rows, rows[:4]])
    named = np.concatenate([people, np.full(4, 4)])
    drawn = _measured(_Ranked(rows, people), np.array([2.0, 1, 1, 1]))
    pairs = all_pairs(twice, [str(name) for name in named])
    apart = all_pairs(rows[:4], ["a"] * 4).genuine  # a person and their double are no impostors
    cross = (rows[:4] @ rows[:4].T).ravel()
    impostors = sorted(pairs.impostors.tolist())
    for one in cross.tolist():
        impostors.remove(min(impostors, key=lambda score: abs(score - one)))
    expected = equal_error_rate(Similarities(pairs.genuine, np.array(impostors, np.float32)))
    assert len(apart) == 6
    assert drawn[0] == pytest.approx(expected, abs=1e-6)


def test_the_equal_error_rate_by_hand() -> None:
    def eer(genuine: list[float], impostors: list[float]) -> float | None:
        return equal_error_rate(Similarities(np.array(genuine, np.float32), np.array(impostors, np.float32)))

    assert eer([0.9, 0.8], [0.1, 0.2]) == 0
    assert eer([0.9, 0.8, 0.7, 0.2], [0.1, 0.1, 0.3, 0.1]) == 0.25
    assert eer([0.1], [0.9]) == 1
    assert eer([], [0.9]) is None


def test_a_better_model_passes_and_a_worse_one_is_told() -> None:
    faces, good, bad = _faces(), _vectors(0.9), _vectors(1.4)
    better = list(held_out_figures(faces, (bad, good)))
    assert [figure.verdict for figure in better[:2]] == ["better", "better"]
    public = list(public_figures(faces, *(verify(good, faces.people) for _ in range(2))))
    assert decision([*better, *public])[0]
    assert decision(better) == (
        False,
        "whether it forgot other people was not measured: --public DATASET does that",
    )
    passed, reason = decision([*held_out_figures(faces, (good, bad)), *public])
    assert (passed, reason.startswith("it is worse on the held-out people: TAR 1e-2 ")) == (False, True)
    lost = list(public_figures(faces, verify(good, faces.people), verify(bad, faces.people)))
    passed, reason = decision([*better, *lost])
    assert (passed, reason.startswith("it is worse on the public data set: accuracy ")) == (False, True)


def test_a_difference_within_the_error_is_no_reason() -> None:
    figure = GateFigure("held-out", Path(), 9, "EER", 0.2, 0.19, 0.02, "same")
    assert decision([figure])[1].startswith(
        "on the held-out people it is not better by more than chance: EER 20.00 %"
    )


def test_the_error_of_a_share_is_binomial() -> None:
    measured = verify(_vectors(1.0), _faces().people)
    before = replace(measured, accuracy=0.9, compared_genuine=50, compared_impostors=50)
    folded = replace(_faces(), dataset=replace(_faces().dataset, folds=((),)))
    accuracy, tar = public_figures(_faces(), before, replace(before, accuracy=0.87))
    assert accuracy.error == pytest.approx(
        (0.9 * 0.1 / 120) ** 0.5
    )  # pictures: every pair shares its own with others
    assert (accuracy.verdict, tar.verdict) == ("worse", "same")
    assert folded.folds  # of LFW's folds, whose pairs are drawn apart, all pairs count
    accuracy, _ = public_figures(folded, before, replace(before, accuracy=0.875))
    assert accuracy.error == pytest.approx(0.03)
    assert accuracy.verdict == "same"


def test_thresholds_are_the_strictest_of_both_sets() -> None:
    def measured(impostors: int, **thresholds: float | None) -> Verification:
        fars = {f"1e-{name[1:]}": value for name, value in thresholds.items()}
        return replace(verify(_vectors(1.0), _faces().people), impostors=impostors, thresholds=fars)

    ours = measured(40_000, e2=0.40, e3=0.55, e4=None)
    public = measured(900_000, e2=0.25, e3=0.33, e4=0.41)
    assert strict_thresholds([ours, public]) == ({"1e-2": 0.40, "1e-3": 0.55}, 40_000)
    assert strict_thresholds([public]) == ({"1e-2": 0.25, "1e-3": 0.33, "1e-4": 0.41}, 900_000)
    assert strict_thresholds([measured(10, e2=None, e3=None, e4=None)]) == ({}, 0)
