"""The safety gate: whether a new model is better on people it never saw, and no worse on a public set. Pure numbers.

A difference counts when it is larger than its standard error, from drawing the people anew (lab/bootstrap.py). Both
models meet the same draws, so what makes some people hard for either falls out of the difference.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from chueok.lab.bootstrap import Replicates, gather, replicate
from chueok.lab.compare import shares
from chueok.lab.comparisons import Comparisons, numbered
from chueok.lab.verification import ENOUGH, FARS, verify
from chueok.measures import GateFigure, Verification

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chueok.lab.faces import Faces

Vectors = tuple["NDArray[np.float32]", "NDArray[np.float32]"]  # before and after: (n, d) float32, unit rows
_ACTED_ON = 1e-3  # Settings.far
_TITLES = {"accuracy": "accuracy", "eer": "EER", "rank1": "rank-1"}


def figures(
    faces: Faces, vectors: Vectors, people: Literal["held-out", "public"], seed: int = 0
) -> tuple[list[GateFigure], Verification]:
    """What changed on these faces, and how the new model does there.

    Of the held-out people the TAR at the rarest FAR that has enough pairs, which is what counts, EER and rank-1; of a
    public set its accuracy and that TAR.
    """
    before, after = (_weighed(faces, rows, seed) for rows in vectors)
    far = _rarest(before[0].impostors)
    rarest = [] if far is None else [far]
    names = [*rarest, "eer", "rank1"] if people == "held-out" else ["accuracy", *rarest]
    found = []
    for name in names:
        old, new = shares(before[0])[name], shares(after[0])[name]
        if old is not None and new is not None:
            error = _error(name, before[1], after[1])
            gain = old - new if name == "eer" else new - old
            title = _TITLES.get(name, f"TAR {name}")
            verdict = _verdict(gain, error)
            found.append(
                GateFigure(people, faces.dataset.path, len(faces.pictures), title, old, new, error, verdict)
            )
    return found, after[0]


def _weighed(faces: Faces, vectors: NDArray[np.float32], seed: int) -> tuple[Verification, Replicates]:
    """The figures, and the same on people drawn by lot."""
    comparisons = Comparisons(vectors, numbered(faces.people))
    measured = verify(comparisons, faces.folds)
    return measured, replicate(gather(comparisons, faces.folds, measured, comparisons.similarities()), seed)


def _error(name: str, before: Replicates, after: Replicates) -> float | None:
    """The standard error of a difference; None where there are too few people to draw from."""
    if name not in before or name not in after:
        return None
    error = float(np.nanstd(after[name] - before[name]))
    return error if math.isfinite(error) else None


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


def _rarest(impostors: int) -> str | None:
    """The rarest FAR, down to the one `chueok find` acts on, that so many impostor pairs can say something of."""
    enough = [name for name, far in FARS.items() if far >= _ACTED_ON and impostors >= round(ENOUGH / far)]
    return enough[-1] if enough else None


def _verdict(gain: float, error: float | None) -> Literal["better", "same", "worse"]:
    if error is None:
        return "worse" if gain < 0 else "same"  # what cannot be told is no reason to use a model
    if gain > error:
        return "better"
    return "worse" if gain < -error else "same"


def _told(figure: GateFigure) -> str:
    return f"{figure.measure} {100 * figure.before:.2f} % before, {100 * figure.after:.2f} % after, " + (
        "too few people to tell" if figure.error is None else f"standard error {100 * figure.error:.2f} %"
    )
