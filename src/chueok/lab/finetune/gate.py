"""The safety gate: whether a new model is better on people it never saw, and no worse on a public set. Pure numbers.

On the held-out people a difference counts when it is larger than its standard error, from drawing the people anew
(bootstrap: Efron 1979; by person, since pictures of one person rise and fall together). Both models meet the same
draw, so what makes some people hard for either falls out of the difference. On the public set, which is larger, a share
p of n pictures or pairs is known to sqrt(p (1 - p) / n), the binomial standard error; a loss within it is noise.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from chueok.lab.verification import ENOUGH, FARS, crossing
from chueok.measures import GateFigure, Verification

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chueok.lab.faces import Faces

Vectors = tuple["NDArray[np.float32]", "NDArray[np.float32]"]  # before and after: (n, d) float32, unit rows
_DRAWS = 200  # of people: a standard error is then known to 5 %
_ACTED_ON = 1e-3  # Settings.far
_EER, _RANK1 = "EER", "rank-1"


def held_out_figures(faces: Faces, vectors: Vectors, seed: int = 0) -> Iterator[GateFigure]:
    """TAR at the rarest FAR that has enough pairs, EER and rank-1, before and after. The first is what counts."""
    names, people = np.unique(np.asarray(faces.people, np.str_), return_inverse=True)
    ranked = [_Ranked(rows, people) for rows in vectors]
    counts = np.random.default_rng(seed).multinomial(len(names), np.full(len(names), 1 / len(names)), _DRAWS)
    draws = [_measured(one, np.ones(len(names))) for one in ranked]
    drawn = np.array([[_measured(one, count) for one in ranked] for count in counts])  # (draws, 2, measures)
    errors = np.nanstd(drawn[:, 1] - drawn[:, 0], axis=0)
    far = _rarest(ranked[0].impostors)
    for place, measure in enumerate(([] if far is None else [f"TAR {far}"]) + [_EER, _RANK1]):
        before, after = (float(draw[place]) for draw in draws)
        gain = before - after if measure == _EER else after - before
        error = float(errors[place])
        yield GateFigure(
            "held-out",
            faces.dataset.path,
            len(faces.pictures),
            measure,
            before,
            after,
            error,
            _verdict(gain, error),
        )


def public_figures(faces: Faces, before: Verification, after: Verification) -> Iterator[GateFigure]:
    """Accuracy, and TAR at the rarest FAR that has enough pairs, before and after."""
    shares: list[tuple[str, float | None, float | None, int]] = []
    independent = before.compared_genuine + before.compared_impostors if faces.folds else len(faces.pictures)
    shares.append(("accuracy", before.accuracy, after.accuracy, independent))
    far = _rarest(before.impostors)
    if far is not None:
        shares.append((f"TAR {far}", before.tar[far], after.tar[far], before.probes))
    for measure, old, new, count in shares:
        if old is not None and new is not None:
            error = math.sqrt(old * (1 - old) / max(1, count))
            yield GateFigure(
                "public",
                faces.dataset.path,
                len(faces.pictures),
                measure,
                old,
                new,
                error,
                _verdict(new - old, error),
            )


def decision(figures: Sequence[GateFigure]) -> tuple[bool, str]:
    """Whether the new model may be offered, and why or why not."""
    ours = [figure for figure in figures if figure.people == "held-out"]
    public = [figure for figure in figures if figure.people == "public"]
    if worse := [figure for figure in (*ours, *public) if figure.verdict == "worse"]:
        where = "the held-out people" if worse[0].people == "held-out" else "the public data set"
        return False, f"it is worse on {where}: {_told(worse[0])}"
    if not ours or ours[0].verdict != "better":
        told = f": {_told(ours[0])}" if ours else ""
        return False, f"on the held-out people it is not better by more than chance{told}"
    if not public:
        return False, "whether it forgot other people was not measured: --public DATASET does that"
    return (
        True,
        f"it is better on the held-out people ({_told(ours[0])}) and not worse on the public data set",
    )


def strict_thresholds(measured: Sequence[Verification]) -> tuple[dict[str, float], int]:
    """For each FAR the strictest of the sets that can say, and the fewest pairs that one of them rests on.

    A FAR that holds on one population lets through forty times as many of another (docs/models.md), so the strictest
    keeps its promise on both. A rarer FAR, known on fewer sets, that would ask for less than a commoner one is left
    out.
    """
    found: dict[str, float] = {}
    pairs = []
    for far in FARS:  # from the commonest to the rarest
        known = [(one.thresholds[far], one.impostors) for one in measured]
        here = [(similarity, count) for similarity, count in known if similarity is not None]
        if here:
            similarity, count = max(here)
            if similarity >= max(found.values(), default=-1.0):
                found[far] = round(similarity, 3)
                pairs.append(count)
    return found, min(pairs, default=0)


class _Ranked:
    """All pairs of a set by similarity, the highest first, so that people can be drawn anew without sorting again."""

    def __init__(self, vectors: NDArray[np.float32], people: NDArray[np.intp]) -> None:
        first, second = np.triu_indices(len(people), 1)
        scores = np.concatenate([(vectors[row] @ vectors[row + 1 :].T) for row in range(len(people))])
        order = np.argsort(-scores, kind="stable")
        self.first, self.second = people[first[order]], people[second[order]]
        self.same = self.first == self.second
        self.impostors = int(np.count_nonzero(~self.same))
        similar = vectors @ vectors.T
        np.fill_diagonal(similar, -np.inf)
        self.people, self.right = people, people[similar.argmax(axis=1)] == people


def _measured(ranked: _Ranked, count: NDArray[np.float64]) -> tuple[float, ...]:
    """TAR (where a FAR has enough pairs), EER and rank-1, each person counting as often as they were drawn: (people,).

    Two pictures of one person are a pair as often as they were drawn, those of two people as often as both together.
    """
    weights = np.where(ranked.same, count[ranked.first], count[ranked.first] * count[ranked.second])
    genuine, impostors = np.cumsum(weights * ranked.same), np.cumsum(weights * ~ranked.same)
    if not genuine[-1] or not impostors[-1]:  # everybody drawn is one person
        return (math.nan,) * (2 if _rarest(ranked.impostors) is None else 3)
    accepted, false = genuine / genuine[-1], impostors / impostors[-1]
    # from the strictest threshold to the loosest, turned round: false accepts fall and false rejects rise
    eer = crossing(np.append(false[::-1], 0.0), np.append(1 - accepted[::-1], 1.0))
    probes = count[ranked.people]
    share = float((probes * ranked.right).sum() / probes.sum())
    far = _rarest(ranked.impostors)
    if far is None:
        return eer, share
    last = int(np.searchsorted(false, FARS[far], side="right")) - 1
    return float(accepted[last]) if last >= 0 else 0.0, eer, share


def _rarest(impostors: int) -> str | None:
    """The rarest FAR, down to the one `chueok find` acts on, that so many impostor pairs can say something of."""
    enough = [name for name, far in FARS.items() if far >= _ACTED_ON and impostors >= round(ENOUGH / far)]
    return enough[-1] if enough else None


def _verdict(gain: float, error: float) -> Literal["better", "same", "worse"]:
    if gain > error:
        return "better"
    return "worse" if gain < -error else "same"


def _told(figure: GateFigure) -> str:
    return (
        f"{figure.measure} {100 * figure.before:.2f} % before, {100 * figure.after:.2f} % after, standard error "
        f"{100 * figure.error:.2f} %"
    )
