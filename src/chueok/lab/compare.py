"""Whether one model is better than another, or only luckier: both measured on the same draws of people."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from chueok.measures import Difference, Interval, ModelEvaluated, ModelsCompared

if TYPE_CHECKING:
    from chueok.lab.bootstrap import Replicates

_TOLD = 0.9  # share of the draws that must tell a figure of both models


def compared(
    model: ModelEvaluated, drawn: Replicates, baseline: ModelEvaluated, drawn_baseline: Replicates
) -> ModelsCompared:
    """What changes from the baseline to the model; both drawn with the same seed over the same faces."""
    before, after = _figures(baseline), _figures(model)
    differences = {}
    for name, value in after.items():
        old = before[name]
        if value is None or old is None:
            continue
        differences[name] = Difference(value - old, _interval(name, drawn, drawn_baseline))
    return ModelsCompared(model.dataset, model.model, baseline.model, differences)


def _figures(record: ModelEvaluated) -> dict[str, float | None]:
    found = record.verification
    return {"accuracy": found.accuracy, "eer": found.eer, **found.tar, "rank1": found.rank1}


def _interval(name: str, drawn: Replicates, drawn_baseline: Replicates) -> Interval | None:
    """The middle 95 % of the differences, draw by draw; None where draws cannot tell."""
    if name not in drawn or name not in drawn_baseline:
        return None
    changes = drawn[name] - drawn_baseline[name]
    told = changes[np.isfinite(changes)]
    if len(told) < _TOLD * len(changes):
        return None
    low, high = np.percentile(told, (2.5, 97.5))
    return Interval(float(low), float(high))
