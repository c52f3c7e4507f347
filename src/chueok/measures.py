"""The nouns of the lab: what a measurement says about a model; frozen, without I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Counted = Callable[[int, int], None]  # told how much of long work is done, and of how much


@dataclass(frozen=True, slots=True)
class Verification:
    """How well embeddings tell people apart. Rates are shares, 0..1; None is "too few to say".

    Rates of false accepts are keyed as model cards have them: "1e-3".
    """

    accuracy: float | None  # share of pairs decided rightly
    # "folds": each fold decided by the threshold best on the others (LFW's protocol); "peak": by the threshold best on
    # the very pairs it is measured on, a little too good
    accuracy_by: Literal["folds", "peak"]
    threshold: float | None  # the similarity that decided; over folds, the mean
    # pairs of one person that the accuracy rests on: of the folds, where there are folds
    compared_genuine: int
    compared_impostors: int
    tar: Mapping[str, float | None]  # by FAR: share of all genuine pairs accepted there
    thresholds: Mapping[str, float | None]  # by FAR: the similarity that this share of impostor pairs passes
    genuine: int  # all pairs of pictures of one person, whatever the folds
    impostors: int  # all pairs of pictures of two people: what `thresholds` rests on
    rank1: float | None  # share of probes whose most similar other picture shows the same person
    probes: int  # pictures of people who have two or more


@dataclass(frozen=True, slots=True)
class ModelEvaluated:
    """One model, measured on one data set."""

    dataset: Path
    model: str
    sha256: str  # of the weights
    pictures: int
    people: int
    faceless: tuple[str, ...]  # pictures in which no face was found
    unreadable: tuple[str, ...]  # pictures that cannot be read
    lost: int  # pairs that could not be compared: a picture has no face or cannot be read
    verification: Verification
    ms_per_face: float | None  # milliseconds of one core, to embed a crop: a median; None without faces


@dataclass(frozen=True, slots=True)
class EvaluateSummary:
    """The last event of an evaluation."""

    datasets: int
    models: int
    pictures: int
    faceless: int
    unreadable: int
    seconds: float


@dataclass(frozen=True, slots=True)
class NetworkMeasured:
    """What one form of a network costs, and how near its answers are to those of the form it was made from."""

    model: str
    bytes: int  # size of the ONNX file
    ms_per_face: float  # milliseconds of one core, to embed a crop by the model's recipe; a median
    # mean cosine to the first form's embeddings of the same crops; None for the first
    similarity: float | None
    similarity_worst: float | None  # what the worst 1 % of these stay below


@dataclass(frozen=True, slots=True)
class QuantizeSummary:
    """The last event of a quantisation."""

    model: str  # the new one's name
    manifest: Path  # what `chueok model fetch MODEL --from` takes
    calibration: int  # crops the ranges were found with
    compared: int  # other crops, on which both forms were compared
    seconds: float


@dataclass(frozen=True, slots=True)
class PruneSummary:
    """The last event of a pruning."""

    model: str  # the new one's name
    manifest: Path  # what `chueok model fetch MODEL --from` takes
    filters_before: int  # inside the blocks, all together
    filters: int  # of which so many are left
    views: int  # learnt from afterwards
    similarity: float  # mean cosine of its embeddings to the original's, on held-out crops
    seconds: float  # of learning, over all runs
    has_thresholds: bool  # whether the model knows where a match begins


@dataclass(frozen=True, slots=True)
class LearningPoint:
    """A point of a learning curve."""

    views: int  # seen until here
    loss: float  # 1 - cosine to the teacher on varied views, mean since the point before
    similarity: float  # mean cosine to the teacher on held-out crops, as they are
    seconds: float  # of work until here, over all runs


@dataclass(frozen=True, slots=True)
class DistillSummary:
    """The last event of a distillation."""

    model: str  # the new one's name
    manifest: Path  # what `chueok model fetch MODEL --from` takes
    curve: Path  # the learning curve as a picture; curve.csv beside it has the numbers
    views: int
    similarity: float  # mean cosine to the teacher on held-out crops
    seconds: float  # of work, over all runs
    has_thresholds: bool  # whether the model knows where a match begins


@dataclass(frozen=True, slots=True)
class TuningPoint:
    """Where a fine-tuning stands after an epoch; epoch 0 is the model as it was."""

    epoch: int
    epochs: int  # planned
    loss: float | None  # mean over the epoch; None before the first
    eer: float  # equal error rate on the validation people: false accepts as often as false rejects
    rank1: float  # on the validation people
    rate: float  # of learning, at the end of the epoch
    seconds: float  # of work until here, over all runs
    best: bool  # whether no epoch before had so low an EER


@dataclass(frozen=True, slots=True)
class GateFigure:
    """One figure of a model before and after fine-tuning, and whether the difference is more than chance."""

    people: Literal["held-out", "public"]
    dataset: Path
    pictures: int
    measure: str  # "TAR 1e-3", "EER", "rank-1", "accuracy"
    before: float
    after: float
    error: float  # standard error: of the difference (held-out), of the share itself (public)
    verdict: Literal["better", "same", "worse"]  # "same": the difference is no larger than the error


@dataclass(frozen=True, slots=True)
class FinetuneSummary:
    """The last event of a fine-tuning."""

    model: str  # the new one's name
    origin: str  # name of the model it began as
    manifest: (
        Path | None
    )  # what `chueok model fetch MODEL --from` takes; None when no epoch was better than the start
    installed: bool  # whether it passed the gate and is in the model store
    reason: str  # why, or why not
    curve: Path  # the learning curve as a picture; curve.csv beside it has the numbers
    best_epoch: int
    epochs: int  # learnt
    seconds: float  # of work, over all runs


@dataclass(frozen=True, slots=True)
class SweepCell:
    """One combination of a grid, learnt."""

    options: Mapping[str, str | float | bool]  # those the grid varies, as the command line has them
    eer_before: float  # on the validation people, of the model as it was
    eer: float  # of the best epoch
    rank1: float  # of the best epoch
    best_epoch: int
    epochs: int  # learnt
    seconds: float
    failed: str  # why there is no result, else empty


@dataclass(frozen=True, slots=True)
class SweepSummary:
    """The last event of a sweep."""

    cells: int
    kept: int  # done by an earlier run of the same sweep
    table: Path  # sweep.csv; sweep.json beside it
    best: (
        str  # the options of the best cell as one would type them; empty where none is better than the start
    )
    seconds: float
