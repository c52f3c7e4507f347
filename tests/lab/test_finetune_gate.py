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
    assert {(one.error, one.verdict) for one in found} == {(0, "same")}
    public, _ = figures(_faces(), (rows, rows), "public")
    assert [one.measure for one in public] == ["accuracy", "TAR 1e-2"]


def test_of_few_people_only_a_loss_counts() -> None:
    good, bad = _vectors(0.9)[:36], _vectors(1.4)[:36]  # nine people
    faces = of_people(_faces(), [f"p{number:02}" for number in range(9)])
    for vectors, verdict in (((bad, good), "same"), ((good, bad), "worse")):
        (eer,) = (one for one in figures(faces, vectors, "held-out")[0] if one.measure == "EER")
        assert (eer.error, eer.verdict) == (None, verdict)
    assert "too few people to tell" in decision([eer])[1]


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
    assert (passed, reason.startswith("it is worse on the public data set: accuracy ")) == (False, True)


def test_a_difference_within_the_error_is_no_reason() -> None:
    figure = GateFigure("held-out", Path(), 9, "EER", 0.2, 0.19, 0.02, "same")
    assert decision([figure])[1].startswith(
        "on the held-out people it is not better by more than chance: EER 20.00 %"
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
