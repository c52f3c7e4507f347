"""The nouns of measuring: what is said about a model, and about a library's threshold; frozen, without I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

Counted = Callable[[int, int], None]  # told how much of long work is done, and of how much


@dataclass(frozen=True, slots=True)
class Interval:
    """Where a figure lies with a confidence of 95 %."""

    low: float
    high: float


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
    # of the same decisions; where no folds are given genuine and impostor pairs weigh the same
    precision: float | None
    recall: float | None
    f1: float | None
    # pairs of one person that the accuracy rests on: of the folds, where there are folds
    compared_genuine: int
    compared_impostors: int
    eer: float | None  # the rate at which as many genuine pairs are rejected as impostor pairs accepted
    auc: float | None  # area under the ROC: how often a genuine pair is more similar than an impostor pair
    tar: Mapping[str, float | None]  # by FAR: share of all genuine pairs accepted there
    thresholds: Mapping[str, float | None]  # by FAR: the similarity that this share of impostor pairs passes
    genuine: int  # all pairs of pictures of one person, whatever the folds
    impostors: int  # all pairs of pictures of two people: what `thresholds` rests on
    rank1: float | None  # share of probes whose most similar other picture shows the same person
    probes: int  # pictures of people who have two or more


@dataclass(frozen=True, slots=True)
class SliceMeasured:
    """What the threshold of a whole data set does to one kind of pairs."""

    by: str  # "face size", "pose", or a column of a table
    kind: str
    genuine: int
    impostors: int
    tar: float | None  # share of the genuine pairs that are accepted
    far: float | None  # share of the impostor pairs that are accepted


@dataclass(frozen=True, slots=True)
class HardPair:
    """Two pictures that a model judges worst."""

    first: str  # names of pictures, below the data set's folder
    second: str
    people: tuple[str, str]
    similarity: float


@dataclass(frozen=True, slots=True, eq=False)
class Portrayed:
    """What a page shows of an evaluation."""

    densities: bytes  # SVG: how similar pairs of one person are, and of two
    roc: bytes  # SVG
    crops: Mapping[str, bytes]  # JPEG of the faces in `hardest`, by their pictures' names


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
    seed: int = 0  # of the draws behind `intervals`
    intervals: Mapping[str, Interval] = field(
        default_factory=dict
    )  # "accuracy", "eer", "rank1", and by FAR of the TAR
    sliced_at: float | None = None  # the similarity that decided the pairs of `slices`
    slices: tuple[SliceMeasured, ...] = ()
    roc: tuple[tuple[float, float], ...] = ()  # FAR, and the TAR there, from what the pairs can tell to 1
    hardest: tuple[HardPair, ...] = ()  # the least similar of one person, then the most similar of two
    portrayed: Portrayed | None = None  # where a page was asked for


@dataclass(frozen=True, slots=True)
class Difference:
    """What a figure changes by from one model to another."""

    value: float
    interval: Interval | None  # None where there are too few people to tell


@dataclass(frozen=True, slots=True)
class ModelsCompared:
    """What changes on a data set from one model to another."""

    dataset: Path
    model: str
    baseline: str
    differences: Mapping[str, Difference]  # "accuracy", "eer", "rank1", and by FAR of the TAR


@dataclass(frozen=True, slots=True)
class PairsSummary:
    """The last event of making pairs."""

    people: int
    pictures: int
    faceless: int
    unreadable: int
    positive: int
    negative: int
    folds: int
    seconds: float


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


# ---- calibration -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CalibratedRate:
    """The similarity a match needs so that a share `far` (0..1) of different people pass."""

    far: float
    threshold: float
    low: float  # 90 % interval
    high: float


@dataclass(frozen=True, slots=True)
class StoredCalibration:
    """What a library remembers of its calibration for one model."""

    rates: tuple[CalibratedRate, ...]  # the rate that was asked for first
    people_pairs: int
    faces: int  # with an embedding of the model, when it was made
    made_at: datetime


@dataclass(frozen=True, slots=True)
class CalibrationStatus:
    """The calibration in use, and how many faces the library has now."""

    stored: StoredCalibration
    faces: int

    @property
    def is_old(self) -> bool:
        """Whether the library has become half as large again, or has lost a third of its faces, since."""
        return not 2 / 3 <= (self.faces + 1) / (self.stored.faces + 1) <= 1.5


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What the guards of a calibration saw."""

    copies: int  # faces that are one shot with another: bursts, copies, edits
    overlapping: int  # boxes that lie in another face's
    doubles: int  # photos that show somebody twice: mirrors, collages, photos of photos
    once: int  # pairs of people who are in one photo only, so that no two photos could be compared
    same: int  # pairs of people that the enrolled references say are one person
    lookalikes: int  # kept, not left out: people who look alike and are together again and again, as twins


@dataclass(frozen=True, slots=True)
class Densities:
    """How dense similarities lie, at points of a grid; the area below each curve is 1."""

    grid: tuple[float, ...]
    impostors: tuple[float, ...]
    genuine: tuple[float, ...] | None  # None: too few pairs


@dataclass(frozen=True, slots=True)
class MatchChange:
    """What another threshold does to one enrolled person's photos."""

    person: str
    before: int | None  # photos found; None: there was no threshold before
    after: int
    gained: tuple[Path, ...]  # a few of those
    lost: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Calibration:
    """A library's own threshold for its model, and what it rests on. None is "too few to say"."""

    model: str
    far: float
    threshold: float | None
    low: float | None  # 90 % interval
    high: float | None
    before: float | None  # the threshold `find` used until now; None: the model has none
    before_origin: str
    people: int  # groups of faces taken for one person's, of whom pairs were compared
    people_pairs: int
    comparisons: int
    measured: (
        float | None
    )  # the rarest false accept rate that was seen often enough; below it the tail is drawn on
    left_out: LeftOut
    genuine: int  # pairs of references of one person
    tar: float | None  # the share of these that the threshold accepts
    densities: Densities | None
    changes: tuple[MatchChange, ...]


@dataclass(frozen=True, slots=True)
class CalibrateSummary:
    """The last event of a calibration."""

    model: str
    threshold: float | None
    far: float
    faces: int  # looked at
    people_pairs: int  # of different people, who are seen in several photos
    stored: bool
    seconds: float


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
    change: Interval | None  # None where there are too few people to tell
    verdict: Literal[
        "better", "same", "worse"
    ]  # "worse" of public people: a loss that matters is not ruled out


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
