"""Whether one model is better than another, or only luckier: both measured on the same draws of people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chueok.lab.bootstrap import intervals
from chueok.measures import Difference, ModelEvaluated, ModelsCompared, Verification

if TYPE_CHECKING:
    from chueok.lab.bootstrap import Replicates


def compared(
    model: ModelEvaluated, drawn: Replicates, baseline: ModelEvaluated, drawn_baseline: Replicates
) -> ModelsCompared:
    """What changes from the baseline to the model; both drawn with the same seed over the same faces."""
    before, after = shares(baseline.verification), shares(model.verification)
    shared = drawn.keys() & drawn_baseline.keys()
    ends = intervals({name: drawn[name] - drawn_baseline[name] for name in shared})
    differences = {
        name: Difference(value - old, ends.get(name))
        for name, value in after.items()
        if value is not None and (old := before[name]) is not None
    }
    return ModelsCompared(model.dataset, model.model, baseline.model, differences)


def shares(found: Verification) -> dict[str, float | None]:
    """The figures that draws of people can tell apart, by their names there."""
    return {"accuracy": found.accuracy, "eer": found.eer, **found.tar, "rank1": found.rank1}
