"""How well embeddings tell people apart: accuracy, TAR at a FAR, thresholds, rank-1. Pure numbers, no I/O."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from chueok.measures import Verification

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Written as model cards write them. 1e-3 is what `chueok find` acts on; rarer ones need more pictures than most have
FARS = {"1e-2": 1e-2, "1e-3": 1e-3, "1e-4": 1e-4}
# False accepts that a threshold must rest on: with 30 of them the true rate lies within 30 % of the measured one, with
# 90 % confidence (Doddington's "rule of 30"; ISO/IEC 19795-1, annex B)
ENOUGH = 30
_BLOCK = 1024  # rows compared at a time: 1024 x 5,000 similarities are 20 MB


@dataclass(frozen=True, slots=True)
class Pair:
    """Two pictures by their numbers, and whether they show one person."""

    first: int
    second: int
    same: bool


@dataclass(frozen=True, slots=True, eq=False)
class Similarities:
    """Cosines of pairs of one person, and of pairs of two: (g,) and (i,) float32."""

    genuine: NDArray[np.float32]
    impostors: NDArray[np.float32]


def verify(
    vectors: NDArray[np.float32], people: Sequence[str], folds: Sequence[Sequence[Pair]] = ()
) -> Verification:
    """Everything that can be said of embeddings whose people are known.

    vectors: (n, d) float32, unit rows; people[i] is who vectors[i] shows. Accuracy is over `folds` as LFW has it (Huang
    et al. 2007, "Labeled Faces in the Wild"); with one fold it is the peak over its pairs. With none it is the peak
    over all pairs, genuine and impostor pairs weighing the same: nearly all pairs are impostors, and rejecting
    everything would be right for them. Memory: some 20 bytes a pair, n * (n - 1) / 2 of them.
    """
    everything = all_pairs(vectors, people)
    parts = [_similarities(vectors, fold) for fold in folds] or [everything]
    if len(parts) > 1:
        accuracy, threshold = fold_accuracy(parts)
    else:
        threshold, accuracy = best_threshold(parts[0], balanced=True)
    thresholds = {name: threshold_at(everything.impostors, far) for name, far in FARS.items()}
    share, probes = rank1(vectors, people)
    return Verification(
        accuracy=accuracy,
        accuracy_by="folds" if len(parts) > 1 else "peak",
        threshold=threshold,
        compared_genuine=sum(len(part.genuine) for part in parts),
        compared_impostors=sum(len(part.impostors) for part in parts),
        tar={name: tar_at(everything.genuine, threshold) for name, threshold in thresholds.items()},
        thresholds=thresholds,
        genuine=len(everything.genuine),
        impostors=len(everything.impostors),
        rank1=share,
        probes=probes,
    )


def all_pairs(vectors: NDArray[np.float32], people: Sequence[str]) -> Similarities:
    """The similarity of every two rows, once: vectors (n, d) float32, unit rows."""
    names = _numbered(people)
    genuine, impostors = [], []
    for rows, scores in _blocks(vectors):
        later = np.arange(len(names)) > rows[:, None]
        same = names == names[rows, None]
        genuine.append(scores[later & same])
        impostors.append(scores[later & ~same])
    nothing = np.empty(0, np.float32)
    return Similarities(np.concatenate([nothing, *genuine]), np.concatenate([nothing, *impostors]))


def rank1(vectors: NDArray[np.float32], people: Sequence[str]) -> tuple[float | None, int]:
    """Leave one out: whether the most similar other picture shows the same person, and of how many pictures.

    Only people with two pictures or more take part, as probes and as gallery. None where there is nobody.
    """
    names = _numbered(people)
    several = (np.bincount(names) > 1)[names] if len(names) else np.empty(0, np.bool_)
    vectors, names = vectors[several], names[several]
    right = 0
    for rows, scores in _blocks(vectors):
        scores[np.arange(len(rows)), rows] = -np.inf  # not itself
        right += int(np.count_nonzero(names[scores.argmax(axis=1)] == names[rows]))
    return (right / len(names) if len(names) else None), len(names)


def fold_accuracy(folds: Sequence[Similarities]) -> tuple[float | None, float | None]:
    """Mean accuracy over folds, each decided by the threshold best on the others, and the mean of the thresholds.

    None where a fold is empty, or the others hold no genuine pair.
    """
    accuracies, thresholds = [], []
    for number, fold in enumerate(folds):
        others = [*folds[:number], *folds[number + 1 :]]
        threshold, _ = best_threshold(
            Similarities(
                np.concatenate([other.genuine for other in others]),
                np.concatenate([other.impostors for other in others]),
            )
        )
        pairs = len(fold.genuine) + len(fold.impostors)
        if threshold is None or not pairs:
            return None, None
        right = np.count_nonzero(fold.genuine >= threshold) + np.count_nonzero(fold.impostors < threshold)
        accuracies.append(right / pairs)
        thresholds.append(threshold)
    return float(np.mean(accuracies)), float(np.mean(thresholds))


def best_threshold(pairs: Similarities, *, balanced: bool = False) -> tuple[float, float] | tuple[None, None]:
    """The threshold that decides most pairs rightly, of those that accept a genuine pair, and that accuracy.

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
    rightly = accepted * weights[0] + rejected * weights[1]
    best = int(rightly.argmax())
    most = len(genuine) * weights[0] + len(impostors) * weights[1]
    return float(candidates[best]), float(rightly[best] / most)


def equal_error_rate(pairs: Similarities) -> float | None:
    """The rate at which impostor pairs are accepted as often as genuine ones are rejected; None where either lacks.

    Between two similarities the rates are taken for straight lines.
    """
    genuine, impostors = pairs.genuine, pairs.impostors
    if not len(genuine) or not len(impostors):
        return None
    thresholds = np.unique(np.concatenate([genuine, impostors]))
    accepted = 1 - np.searchsorted(np.sort(impostors), thresholds) / len(impostors)
    rejected = np.searchsorted(np.sort(genuine), thresholds) / len(genuine)
    return crossing(np.append(accepted, 0.0), np.append(rejected, 1.0))


def crossing(falling: NDArray[np.float64], rising: NDArray[np.float64]) -> float:
    """Where two lines through equally spaced points meet: (n,) each, falling from above to below rising."""
    after = int(np.argmax(rising >= falling))
    if after == 0:
        return float(rising[0])
    gap_before, gap_after = (falling - rising)[[after - 1, after]]
    share = gap_before / (gap_before - gap_after)
    return float(rising[after - 1] + share * (rising[after] - rising[after - 1]))


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


def _similarities(vectors: NDArray[np.float32], pairs: Sequence[Pair]) -> Similarities:
    """The pairs of one fold."""
    first = vectors[[pair.first for pair in pairs]]
    second = vectors[[pair.second for pair in pairs]]
    same = np.array([pair.same for pair in pairs], np.bool_)
    scores = np.einsum("nd,nd->n", first, second)
    return Similarities(scores[same], scores[~same])


def _blocks(vectors: NDArray[np.float32]) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float32]]]:
    """Row numbers, and their similarities to all rows: (b,) and (b, n) float32."""
    for start in range(0, len(vectors), _BLOCK):
        rows = np.arange(start, min(start + _BLOCK, len(vectors)))
        yield rows, vectors[rows] @ vectors.T


def _numbered(people: Sequence[str]) -> NDArray[np.intp]:
    """Names as numbers, equal where the names are: (n,)."""
    return np.unique(np.asarray(people, np.str_), return_inverse=True)[1]
