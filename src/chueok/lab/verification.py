"""How well embeddings tell people apart: accuracy, ROC, EER, TAR at a FAR, rank-1. Pure numbers, no I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from chueok.flow.thresholds import ENOUGH
from chueok.lab.comparisons import Comparisons, Pair, Similarities, blocks, of_pairs
from chueok.measures import Verification

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Written as model cards write them. 1e-3 is what `chueok find` acts on; rarer ones need more pictures than most have
FARS = {"1e-2": 1e-2, "1e-3": 1e-3, "1e-4": 1e-4, "1e-5": 1e-5}


@dataclass(frozen=True, slots=True)
class Decisions:
    """What became of pairs that a threshold decided; counts, or shares where both kinds weigh the same."""

    accepted_genuine: float
    genuine: float
    accepted_impostors: float
    impostors: float

    def __add__(self, other: Decisions) -> Decisions:
        return Decisions(
            self.accepted_genuine + other.accepted_genuine,
            self.genuine + other.genuine,
            self.accepted_impostors + other.accepted_impostors,
            self.impostors + other.impostors,
        )

    @property
    def accuracy(self) -> float:
        """The share of pairs decided rightly."""
        rightly = self.accepted_genuine + self.impostors - self.accepted_impostors
        return rightly / (self.genuine + self.impostors)

    @property
    def precision(self) -> float | None:
        """The share of genuine pairs among the accepted; None where nothing is accepted."""
        accepted = self.accepted_genuine + self.accepted_impostors
        return self.accepted_genuine / accepted if accepted else None

    @property
    def recall(self) -> float | None:
        """The share of genuine pairs that are accepted; None where there are none."""
        return self.accepted_genuine / self.genuine if self.genuine else None

    @property
    def f1(self) -> float | None:
        """The harmonic mean of precision and recall."""
        if not (self.precision and self.recall):
            return None if self.precision is None or self.recall is None else 0.0
        return 2 * self.precision * self.recall / (self.precision + self.recall)


def verify(
    comparisons: Comparisons,
    folds: Sequence[Sequence[Pair]] = (),
    everything: Similarities | None = None,
) -> Verification:
    """Everything that can be said of embeddings whose people are known.

    Accuracy is over `folds` as LFW has it (Huang et al. 2007, "Labeled Faces in the Wild"): the mean over the folds;
    precision, recall and F1 are of all their decisions together. With one fold they are those of the peak over its
    pairs, with none over all comparisons, and genuine and impostor pairs weigh the same: mostly nearly all pairs are
    impostors, and rejecting everything would be right for them. All else is over all comparisons; rank-1 is told only
    where these are not a list. everything: comparisons.similarities(), where they are there already. Memory: some 12
    bytes a comparison.
    """
    everything = everything or comparisons.similarities()
    parts = [of_pairs(comparisons.vectors, fold) for fold in folds] or [everything]
    if len(parts) > 1:
        threshold, decisions, accuracy = by_folds(parts)
    else:
        threshold, decisions = at_peak(parts[0], balanced=True)
        accuracy = decisions.accuracy if decisions else None
    thresholds = {name: threshold_at(everything.impostors, far) for name, far in FARS.items()}
    share, probes = (None, 0) if comparisons.listed is not None else rank1(recognised(comparisons))
    return Verification(
        accuracy=accuracy,
        accuracy_by="folds" if len(parts) > 1 else "peak",
        threshold=threshold,
        precision=decisions.precision if decisions else None,
        recall=decisions.recall if decisions else None,
        f1=decisions.f1 if decisions else None,
        compared_genuine=sum(len(part.genuine) for part in parts),
        compared_impostors=sum(len(part.impostors) for part in parts),
        eer=equal_error_rate(everything),
        auc=area_under_roc(everything),
        tar={name: tar_at(everything.genuine, threshold) for name, threshold in thresholds.items()},
        thresholds=thresholds,
        genuine=len(everything.genuine),
        impostors=len(everything.impostors),
        rank1=share,
        probes=probes,
    )


def rank1(right: NDArray[np.int8]) -> tuple[float | None, int]:
    """The share of the answers of `recognised` that are right, and how many there are; None of none."""
    asked = right >= 0
    return (float(right[asked].mean()) if asked.any() else None), int(asked.sum())


def recognised(comparisons: Comparisons) -> NDArray[np.int8]:
    """For every picture, 1 where the most similar other one shows the same person, 0 where it does not: (n,) int8.

    Only people with two pictures or more take part, as probes and as gallery; the others are -1.
    """
    names = comparisons.people
    several = np.flatnonzero((np.bincount(names) > 1)[names]) if len(names) else np.empty(0, np.intp)
    right = np.full(len(names), -1, np.int8)
    theirs = names[several]
    for rows, scores in blocks(comparisons.vectors[several]):
        scores[np.arange(len(rows)), rows] = -np.inf  # not itself
        right[several[rows]] = theirs[scores.argmax(axis=1)] == theirs[rows]
    return right


def by_folds(
    folds: Sequence[Similarities],
) -> tuple[float, Decisions, float] | tuple[None, None, None]:
    """Each fold decided by the threshold best on the others: mean threshold, all decisions, mean accuracy.

    None where `fold_thresholds` are.
    """
    thresholds = fold_thresholds(folds)
    if thresholds is None:
        return None, None, None
    decided = [_decide(fold, threshold) for fold, threshold in zip(folds, thresholds, strict=True)]
    accuracy = float(np.mean([one.accuracy for one in decided]))
    return float(np.mean(thresholds)), sum(decided[1:], decided[0]), accuracy


def fold_thresholds(folds: Sequence[Similarities]) -> list[float] | None:
    """For each fold the threshold best on the others; None where one is empty, or its others hold no genuine pair."""
    thresholds = []
    for number, fold in enumerate(folds):
        others = [*folds[:number], *folds[number + 1 :]]
        threshold, _ = at_peak(
            Similarities(
                np.concatenate([other.genuine for other in others]),
                np.concatenate([other.impostors for other in others]),
            )
        )
        if threshold is None or not len(fold.genuine) + len(fold.impostors):
            return None
        thresholds.append(threshold)
    return thresholds


def at_peak(pairs: Similarities, *, balanced: bool = False) -> tuple[float, Decisions] | tuple[None, None]:
    """The threshold that decides most pairs rightly, of those that accept a genuine pair, and its decisions.

    A pair is accepted when its similarity reaches the threshold. balanced: genuine and impostor pairs weigh the same,
    however many there are. Of equally good thresholds the lowest. None without genuine pairs, or where balance lacks
    impostors.
    """
    genuine, impostors = pairs.genuine, pairs.impostors
    if not len(genuine) or (balanced and not len(impostors)):
        return None, None
    # Only genuine similarities need a look: from any other, going up to the next loses nothing
    candidates = np.unique(genuine)
    accepted = len(genuine) - np.searchsorted(np.sort(genuine), candidates)
    rejected = np.searchsorted(np.sort(impostors), candidates)
    weights = (1 / len(genuine), 1 / len(impostors)) if balanced else (1, 1)
    best = int((accepted * weights[0] + rejected * weights[1]).argmax())
    threshold = float(candidates[best])
    decisions = _decide(pairs, threshold)
    if balanced:
        genuine_share = decisions.accepted_genuine / decisions.genuine
        decisions = Decisions(genuine_share, 1, decisions.accepted_impostors / decisions.impostors, 1)
    return threshold, decisions


def _decide(pairs: Similarities, threshold: float) -> Decisions:
    return Decisions(
        int(np.count_nonzero(pairs.genuine >= np.float32(threshold))),
        len(pairs.genuine),
        int(np.count_nonzero(pairs.impostors >= np.float32(threshold))),
        len(pairs.impostors),
    )


def threshold_at(impostors: NDArray[np.float32], far: float) -> float | None:
    """The similarity that a share `far` of the impostor pairs reaches; None where these are fewer than 30."""
    if len(impostors) < round(ENOUGH / far):
        return None
    return float(np.quantile(impostors, 1 - far))


def tar_at(genuine: NDArray[np.float32], threshold: float | None) -> float | None:
    """The true accept rate at a threshold of `threshold_at`: the share of genuine pairs that reach it."""
    if threshold is None or not len(genuine):
        return None
    return float(np.mean(genuine >= threshold))


def roc(pairs: Similarities, fars: NDArray[np.float64]) -> NDArray[np.float64]:
    """The highest true accept rate at a false accept rate of at most each of `fars`: (k,) in 0..1."""
    impostors = np.sort(pairs.impostors)[::-1]
    genuine = np.sort(pairs.genuine)
    allowed = np.floor(fars * len(impostors) * (1 + 1e-12)).astype(np.intp)
    # above the first impostor that is one too many; where all may pass, everything does
    limit = np.append(impostors, -np.inf)[np.minimum(allowed, len(impostors))]
    rates: NDArray[np.float64] = 1 - np.searchsorted(genuine, limit, side="right") / max(1, len(genuine))
    return rates


def equal_error_rate(pairs: Similarities) -> float | None:
    """Where the false accept rate is the false reject rate; between two corners of the ROC, on the straight line.

    None where a kind of pairs is missing.
    """
    if not (len(pairs.genuine) and len(pairs.impostors)):
        return None
    # The corners of the ROC: at every genuine similarity, and just above it
    thresholds = np.unique(pairs.genuine)
    genuine, impostors = np.sort(pairs.genuine), np.sort(pairs.impostors)
    rejected = [np.searchsorted(genuine, thresholds, side) / len(genuine) for side in ("left", "right")]
    accepted = [
        1 - np.searchsorted(impostors, thresholds, side) / len(impostors) for side in ("left", "right")
    ]
    return crossing(np.stack(accepted, axis=1).ravel(), np.stack(rejected, axis=1).ravel())


def crossing(falling: NDArray[np.float64], rising: NDArray[np.float64]) -> float:
    """The value at which a falling curve meets a rising one; both (n,), at the same places, of straight lines.

    They must meet. Where the falling one is the lower from the start, halfway between them.
    """
    after = int(np.argmax(rising >= falling))
    if after == 0:
        return float(rising[0] + falling[0]) / 2
    gap, next_gap = falling[after - 1] - rising[after - 1], rising[after] - falling[after]
    share = gap / (gap + next_gap)
    return float(falling[after - 1] + share * (falling[after] - falling[after - 1]))


def area_under_roc(pairs: Similarities) -> float | None:
    """How often a genuine pair is more similar than an impostor pair, ties counting half (Hanley and McNeil 1982).

    None where a kind of pairs is missing.
    """
    if not (len(pairs.genuine) and len(pairs.impostors)):
        return None
    impostors = np.sort(pairs.impostors)
    below = np.searchsorted(impostors, pairs.genuine) + np.searchsorted(
        impostors, pairs.genuine, side="right"
    )
    return float(below.mean() / (2 * len(impostors)))
