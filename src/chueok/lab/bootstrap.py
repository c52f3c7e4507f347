"""How sure a figure is: rates counted again on people drawn by lot. Pure numbers, no I/O.

Pairs that share a person are not independent, so people are drawn, with replacement, and bring their pictures along
(Bolle, Ratha and Pankanti 2004, "Error analysis of pattern recognition systems: the subsets bootstrap"). Who is drawn
twice counts twice, but is never compared with himself as with a stranger. Thresholds at a FAR are found anew on every
draw; the threshold of an accuracy, and who was taken for whom at rank 1, stay as they were measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from chueok.lab.comparisons import Comparisons, Located, Pair, Similarities, located, of_pairs
from chueok.lab.verification import FARS, crossing, fold_thresholds, recognised, verify
from chueok.measures import Interval, Verification

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROUNDS = 200  # the ends of a 95 % interval are then the fifth lowest and highest: within a tenth of its width
_CONFIDENCE = 0.95
_FEWEST_PEOPLE = 10  # of fewer, the same few are drawn again and again
_TAIL = 0.04  # share of the impostor pairs kept, the most similar: no draw moves the 1e-2 threshold out of it

Replicates = Mapping[str, "NDArray[np.float64]"]


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What the figures of one model on one data set rest on."""

    people: NDArray[np.intp]  # (n,) who each face shows, numbers from 0
    genuine: Located  # every pair of one person, the most similar first
    impostors: Located  # the most similar pairs of two people, the most similar first: a share of them all
    is_list: bool  # whether the impostors are all that count, being listed
    decided: Located  # pairs of the folds; none without folds
    rightly: NDArray[np.bool_]  # which of those were decided rightly
    recognised: NDArray[np.int8]  # (n,) as verification.recognised
    measured: Verification

    @property
    def many_people(self) -> bool:
        """Whether enough people have two pictures: who is drawn then changes little by one of them."""
        return len(np.unique(self.people[self.genuine.first])) >= _FEWEST_PEOPLE


def gather(
    comparisons: Comparisons,
    folds: Sequence[Sequence[Pair]],
    measured: Verification,
    everything: Similarities,
) -> Evidence:
    """The evidence behind `measured`, which is `verify(comparisons, folds)`; everything: comparisons.similarities()."""
    is_list = comparisons.listed is not None
    impostors = comparisons.impostors(-1.0 if is_list else _least(everything, measured))
    decided, rightly = _decisions(comparisons.vectors, folds, measured.threshold)
    return Evidence(
        people=comparisons.people,
        genuine=comparisons.genuine(),
        impostors=impostors,
        is_list=is_list,
        decided=decided,
        rightly=rightly,
        recognised=np.full(len(comparisons.people), -1, np.int8) if is_list else recognised(comparisons),
        measured=measured,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Weighed:
    """What is known of one model on one data set, and how sure it is."""

    measured: Verification
    everything: Similarities
    evidence: Evidence
    drawn: Replicates


def weigh(comparisons: Comparisons, folds: Sequence[Sequence[Pair]], seed: int) -> Weighed:
    """Measure, and measure again on people drawn by lot."""
    everything = comparisons.similarities()
    measured = verify(comparisons, folds, everything)
    evidence = gather(comparisons, folds, measured, everything)
    return Weighed(measured, everything, evidence, replicate(evidence, seed))


def intervals(replicates: Replicates) -> dict[str, Interval]:
    """The middle 95 % of every figure's replicates; figures that too many draws could not tell are left out."""
    edges = 100 * np.array([(1 - _CONFIDENCE) / 2, (1 + _CONFIDENCE) / 2])
    found = {}
    for name, values in replicates.items():
        told = values[np.isfinite(values)]
        if len(told) > 0.9 * len(values):
            low, high = np.percentile(told, edges)
            found[name] = Interval(float(low), float(high))
    return found


def replicate(evidence: Evidence, seed: int = 0, rounds: int = ROUNDS) -> Replicates:
    """Every figure on `rounds` draws: (rounds,) float64 by name, NaN where a draw cannot tell; nothing of few people.

    Names: "accuracy", "eer", "rank1", and the FARs of `FARS` for the TAR there. The same seed draws the same people, so
    that two models measured on the same faces can be compared draw by draw.
    """
    if not evidence.many_people:
        return {}
    people = int(evidence.people.max()) + 1
    random = np.random.default_rng(seed)
    draws = random.multinomial(people, np.full(people, 1 / people), size=rounds).astype(np.float64)
    rows = [dict(_figures(evidence, weights)) for weights in draws]
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def _least(everything: Similarities, measured: Verification) -> float:
    """The similarity from which impostor pairs are kept: below every threshold that a draw may come to."""
    if not len(everything.impostors):
        return 1.0
    share = min(1.0, max(_TAIL, 2 * (measured.eer or 0) + _TAIL))
    least = float(np.quantile(everything.impostors, 1 - share))
    return least if measured.threshold is None else min(least, measured.threshold)


def _decisions(
    vectors: NDArray[np.float32], folds: Sequence[Sequence[Pair]], threshold: float | None
) -> tuple[Located, NDArray[np.bool_]]:
    """The pairs of the folds, and which of them were decided rightly; none where there was nothing to decide."""
    told = folds if threshold is not None else ()
    limits = [threshold] if len(told) == 1 else fold_thresholds([of_pairs(vectors, fold) for fold in told])
    pairs = [(pair, limit) for fold, limit in zip(told, limits or (), strict=True) for pair in fold]
    decided = located(vectors, [pair for pair, _ in pairs])
    same = np.array([pair.same for pair, _ in pairs], np.bool_)
    accepted = decided.scores >= np.array([limit for _, limit in pairs], np.float32)
    return decided, accepted == same


def _figures(evidence: Evidence, weights: NDArray[np.float64]) -> Iterator[tuple[str, float]]:
    """The figures when every person counts as often as `weights` (p,) says; NaN where there is nothing to count."""
    faces = weights[evidence.people]
    genuine, impostors = evidence.genuine, evidence.impostors
    # a person's own pairs count as often as he was drawn, not the square of it
    kept = np.append(0.0, np.cumsum(faces[genuine.first]))
    passing = np.append(0.0, np.cumsum(faces[impostors.first] * faces[impostors.second]))
    strangers = passing[-1] if evidence.is_list else _strangers(evidence, faces)
    kept, passing = kept / (kept[-1] or np.nan), passing / (strangers or np.nan)
    yield "eer", _eer(evidence, kept, passing)
    for name, far in FARS.items():
        yield name, _tar(evidence, kept, passing, far) if evidence.measured.tar[name] is not None else np.nan
    yield "accuracy", _accuracy(evidence, faces, kept, passing)
    asked = faces * (evidence.recognised >= 0)
    yield "rank1", float(asked @ (evidence.recognised == 1) / asked.sum()) if asked.any() else np.nan


def _strangers(evidence: Evidence, faces: NDArray[np.float64]) -> float:
    """How many pairs of two people there are."""
    of_person = np.bincount(evidence.people, faces)
    return float((of_person.sum() ** 2 - (of_person**2).sum()) / 2)


def _tar(evidence: Evidence, kept: NDArray[np.float64], passing: NDArray[np.float64], far: float) -> float:
    """The share of genuine pairs above the first impostor pair that is too much."""
    too_much = int(np.searchsorted(passing[1:], far, side="right"))
    if too_much == len(evidence.impostors):
        return np.nan  # the draw's threshold lies below what was kept
    limit = evidence.impostors.scores[too_much]
    return float(kept[_passing(evidence.genuine, limit, above=True)])


def _eer(evidence: Evidence, kept: NDArray[np.float64], passing: NDArray[np.float64]) -> float:
    """Where the rates cross, at the same corners as verification.equal_error_rate has them."""
    limits = np.unique(evidence.genuine.scores)
    if not len(limits) or np.isnan(kept[-1]) or np.isnan(passing[-1]):
        return np.nan
    corners = [
        (
            passing[_passing(evidence.impostors, limits, above)],
            1 - kept[_passing(evidence.genuine, limits, above)],
        )
        for above in (False, True)
    ]
    accepted, rejected = (np.stack(rates, axis=1).ravel() for rates in zip(*corners, strict=True))
    return crossing(accepted, rejected)


def _passing(pairs: Located, limit: NDArray[np.float32] | np.float32, above: bool) -> NDArray[np.intp]:
    """How many pairs, the most similar first, reach a limit, or lie above it."""
    return np.asarray(np.searchsorted(-pairs.scores, -limit, side="left" if above else "right"))


def _accuracy(
    evidence: Evidence,
    faces: NDArray[np.float64],
    kept: NDArray[np.float64],
    passing: NDArray[np.float64],
) -> float:
    """As it was measured: over the pairs of several folds, or with both kinds weighing the same."""
    threshold = evidence.measured.threshold
    if threshold is None:
        return np.nan
    if len(evidence.decided):
        return _of_decided(evidence, faces)
    limit = np.float32(threshold)
    accepted = kept[_passing(evidence.genuine, limit, above=False)]
    wrongly = passing[_passing(evidence.impostors, limit, above=False)]
    return float(accepted + 1 - wrongly) / 2


def _of_decided(evidence: Evidence, faces: NDArray[np.float64]) -> float:
    """The share of the folds' pairs decided rightly; of a single fold the mean of both kinds' shares."""
    first, second = evidence.decided.first, evidence.decided.second
    same = evidence.people[first] == evidence.people[second]
    weights = faces[first] * np.where(same, 1.0, faces[second])
    kinds = [np.ones_like(same)] if evidence.measured.accuracy_by == "folds" else [same, ~same]
    totals = [weights @ kind for kind in kinds]
    if not all(totals):
        return np.nan
    shares = [weights @ (kind & evidence.rightly) / total for kind, total in zip(kinds, totals, strict=True)]
    return float(np.mean(shares))
