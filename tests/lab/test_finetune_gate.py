"""The gate: better on people it never saw, no worse on a public set, by more than chance."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from chueok.lab.comparisons import Comparisons, numbered
from chueok.lab.datasets import Dataset, LabelledPicture
from chueok.lab.faces import Faces, of_people
from chueok.lab.finetune.gate import decision, figures, strict_thresholds
from chueok.lab.verification import verify
from chueok.measures import GateFigure, Interval, Verification

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


def _again(seed: int) -> NDArray[np.float32]:
    """The same people, another draw of the same noise: as good, and different."""
    middle = np.repeat(np.random.default_rng(seed).standard_normal((PEOPLE, 16)), PICTURES, 0)
    rows = middle + np.random.default_rng(1000 + seed).standard_normal(middle.shape)
    unit: NDArray[np.float32] = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return unit


def measured(rows: NDArray[np.float32]) -> Verification:
    return verify(Comparisons(rows, numbered(_faces().people)))


def test_the_figures_are_those_of_an_evaluation() -> None:
    rows = _vectors(1.0)
    found, after = figures(_faces(), (rows, rows), "held-out")
    assert after == measured(rows)
    assert [(one.measure, one.before, one.after) for one in found] == [
        ("TAR 1e-2", after.tar["1e-2"], after.tar["1e-2"]),  # 6,960 impostor pairs
        ("EER", after.eer, after.eer),
        ("rank-1", after.rank1, after.rank1),
    ]
    assert {(one.change, one.verdict) for one in found} == {(Interval(0.0, 0.0), "same")}
    public, _ = figures(_faces(), (rows, rows), "public")
    assert [one.measure for one in public] == ["accuracy", "TAR 1e-2"]


def test_few_people_tell_nothing_and_are_no_public_set() -> None:
    good, bad = _vectors(0.9)[:36], _vectors(1.4)[:36]  # nine people
    faces = of_people(_faces(), [f"p{number:02}" for number in range(9)])
    held_out, _ = figures(faces, (bad, good), "held-out")
    assert {(one.change, one.verdict) for one in held_out} == {(None, "same")}
    assert "too few people to tell" in decision(held_out)[1]
    assert [one.verdict for one in figures(faces, (good, good), "public")[0]] == ["worse"]


def test_chance_is_not_better_and_a_small_public_set_does_not_let_a_loss_through() -> None:
    verdicts = [
        figures(_faces(), (_vectors(1.0, seed), _again(seed)), "held-out")[0][1].verdict for seed in range(20)
    ]
    assert verdicts.count("better") <= 2
    few = [f"p{number:02}" for number in range(12)]
    lost = [
        figures(of_people(_faces(), few), (_vectors(1, seed)[:48], _vectors(1.1, seed)[:48]), "public")[0]
        for seed in range(10)
    ]
    assert [one[0].verdict for one in lost] == ["worse"] * 10


def test_a_better_model_passes_and_a_worse_one_is_told() -> None:
    faces, good, bad = _faces(), _vectors(0.9), _vectors(1.4)
    better, _ = figures(faces, (bad, good), "held-out")
    assert [figure.verdict for figure in better[:2]] == ["better", "better"]
    public, _ = figures(faces, (good, good), "public")
    assert decision([*better, *public])[0]
    assert decision(better) == (
        False,
        "whether it forgot other people was not measured: --public DATASET does that",
    )
    passed, reason = decision([*figures(faces, (good, bad), "held-out")[0], *public])
    assert (passed, reason.startswith("it is worse on the held-out people: TAR 1e-2 ")) == (False, True)
    passed, reason = decision([*better, *figures(faces, (good, bad), "public")[0]])
    assert (
        passed,
        reason.startswith("that it is no worse on the public data set cannot be said: accuracy "),
    ) == (False, True)


def test_a_difference_within_the_error_is_no_reason() -> None:
    figure = GateFigure("held-out", Path(), 9, "EER", 0.2, 0.19, Interval(-0.03, 0.01), "same")
    assert decision([figure])[1] == (
        "on the held-out people it is not better by more than chance: EER 20.00 % before, 19.00 % after "
        "(-3.00 to +1.00 points)"
    )


def test_thresholds_are_the_strictest_of_both_sets() -> None:
    def having(impostors: int, *thresholds: float | None) -> Verification:
        fars = dict(zip(("1e-2", "1e-3", "1e-4", "1e-5"), [*thresholds, None], strict=True))
        return replace(measured(_vectors(1.0)), impostors=impostors, thresholds=fars)

    ours = having(40_000, 0.40, 0.55, None)
    public = having(900_000, 0.25, 0.33, 0.41)
    assert strict_thresholds([ours, public]) == ({"1e-2": 0.40, "1e-3": 0.55}, 40_000)
    assert strict_thresholds([public]) == ({"1e-2": 0.25, "1e-3": 0.33, "1e-4": 0.41}, 900_000)
    assert strict_thresholds([having(10, None, None, None)]) == ({}, 0)
