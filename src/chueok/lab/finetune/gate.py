"""The safety gate: whether a new model is better on people it never saw, and no worse on a public set. Pure numbers.

Both models are measured on the same people drawn by lot (lab/bootstrap.py), so what makes some people hard for either
falls out of the change. On the held-out people a change counts when 95 % of the draws agree on its side. On the public
set it is turned round, since a small set agrees on nothing: the draws must rule out a loss that would matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from chueok.flow.thresholds import ENOUGH
from chueok.lab.bootstrap import intervals, weigh
from chueok.lab.compare import shares
from chueok.lab.comparisons import Comparisons, numbered
from chueok.lab.verification import FARS
from chueok.measures import GateFigure, Interval, Verification

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chueok.lab.faces import Faces

Verdict = Literal["better", "same", "worse"]
Vectors = tuple["NDArray[np.float32]", "NDArray[np.float32]"]  # before and after: (n, d) float32, unit rows
_ACTED_ON = 1e-3  # Settings.far
# What a public set may have lost at worst, in shares. Two faces in a hundred pairs are what a user would hardly notice
_MOST_LOST = {"accuracy": 0.01, "TAR": 0.02}
_TITLES = {"accuracy": "accuracy", "eer": "EER", "rank1": "rank-1"}


def figures(
    faces: Faces, vectors: Vectors, people: Literal["held-out", "public"], seed: int = 0
) -> tuple[list[GateFigure], Verification]:
    """What changed on these faces, and how the new model does there.

    Of the held-out people the TAR at the rarest FAR that has enough pairs, which is what counts, EER and rank-1; of a
    public set its accuracy and that TAR.
    """
    before, after = (weigh(Comparisons(rows, numbered(faces.people)), faces.folds, seed) for rows in vectors)
    far = _rarest(before.measured.impostors)
    rarest = [] if far is None else [far]
    names = [*rarest, "eer", "rank1"] if people == "held-out" else ["accuracy", *rarest]
    found = []
    changes = intervals(
        {name: after.drawn[name] - before.drawn[name] for name in before.drawn.keys() & after.drawn.keys()}
    )
    for name in names:
        old, new = shares(before.measured)[name], shares(after.measured)[name]
        if old is not None and new is not None:
            title, change = _TITLES.get(name, f"TAR {name}"), changes.get(name)
            verdict = _verdict(title, change) if people == "held-out" else _public_verdict(title, change)
            place, count = faces.dataset.path, len(faces.pictures)
            found.append(GateFigure(people, place, count, title, old, new, change, verdict))
    return found, after.measured


def decision(figures: Sequence[GateFigure]) -> tuple[bool, str]:
    """Whether the new model may be offered, and why or why not."""
    ours = [figure for figure in figures if figure.people == "held-out"]
    public = [figure for figure in figures if figure.people == "public"]
    if worse := [figure for figure in (*ours, *public) if figure.verdict == "worse"]:
        if worse[0].people == "public":
            return False, f"that it is no worse on the public data set cannot be said: {_told(worse[0])}"
        return False, f"it is worse on the held-out people: {_told(worse[0])}"
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


def _verdict(title: str, change: Interval | None) -> Verdict:
    """Whether the draws agree; of too few people nothing is told."""
    if change is None or change.low <= 0 <= change.high:
        return "same"
    return "better" if (change.low > 0) != (title == _TITLES["eer"]) else "worse"


def _public_verdict(title: str, change: Interval | None) -> Verdict:
    """Worse where the draws do not rule out a loss that matters, or agree that there is one."""
    most = _MOST_LOST[title.split(maxsplit=1)[0]]
    if change is None or change.low < -most or change.high < 0:
        return "worse"
    return "better" if change.low > 0 else "same"


def _told(figure: GateFigure) -> str:
    ends = figure.change
    change = (
        "too few people to tell"
        if ends is None
        else f"{100 * ends.low:+.2f} to {100 * ends.high:+.2f} points"
    )
    return f"{figure.measure} {100 * figure.before:.2f} % before, {100 * figure.after:.2f} % after ({change})"
