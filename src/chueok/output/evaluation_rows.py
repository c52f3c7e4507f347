"""The figures of an evaluation as rows, a column for each model: the same on a terminal and on a page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from chueok.measures import Difference, ModelEvaluated, ModelsCompared
from chueok.output.text import TOO_FEW, percent, points, sure

PEAK = "by the threshold best on these very pairs, genuine and impostor pairs weighing the same: a little too good"
SURE = (
    "In brackets: where a figure lies with 95 % confidence, people drawn by lot, where ten or more have two pictures; "
    f"“{TOO_FEW}”: fewer than 30 pairs would decide the figure, or none."
)
_NAMES = {"accuracy": "accuracy", "eer": "equal error rate", "rank1": "rank-1"}

Row = tuple[str, list[str]]


def by_dataset(evaluations: Sequence[ModelEvaluated]) -> list[list[ModelEvaluated]]:
    """The records of each data set, in the order they came."""
    paths: dict[Path, list[ModelEvaluated]] = {}
    for record in evaluations:
        paths.setdefault(record.dataset, []).append(record)
    return list(paths.values())


def about_dataset(record: ModelEvaluated) -> str:
    """What was measured on."""
    found = record.verification
    unread = f", {len(record.unreadable):,} unreadable" if record.unreadable else ""
    lost = f", {record.lost:,} more lost" if record.lost else ""
    compared = found.compared_genuine + found.compared_impostors
    all_decide = compared == found.genuine + found.impostors
    decided = lost if all_decide else f"; {compared:,} decide the accuracy{lost}"
    return (
        f"{record.people:,} people, {record.pictures:,} pictures, {len(record.faceless):,} without a face{unread}; "
        f"{found.genuine:,} pairs of one person, {found.impostors:,} of two{decided}"
    )


def figure_rows(evaluations: Sequence[ModelEvaluated]) -> Iterator[Row]:
    """A row for each figure; the records are of one data set."""
    found = [record.verification for record in evaluations]
    star = " *" if is_peak(evaluations) else ""
    yield "accuracy" + star, [sure(r.verification.accuracy, r.intervals.get("accuracy")) for r in evaluations]
    yield "at the similarity", ["" if v.threshold is None else f"{v.threshold:.3f}" for v in found]
    yield "precision", [percent(v.precision) for v in found]
    yield "recall", [percent(v.recall) for v in found]
    yield "F1", [percent(v.f1) for v in found]
    yield "equal error rate", [sure(r.verification.eer, r.intervals.get("eer")) for r in evaluations]
    for far in found[0].tar:
        yield f"TAR at FAR {far}", [sure(r.verification.tar[far], r.intervals.get(far)) for r in evaluations]
    for far in found[0].thresholds:
        similarities = [v.thresholds[far] for v in found]
        yield f"similarity at {far}", [TOO_FEW if one is None else f"{one:.3f}" for one in similarities]
    yield "rank-1", [sure(r.verification.rank1, r.intervals.get("rank1")) for r in evaluations]
    times = [record.ms_per_face for record in evaluations]
    yield "ms a face", ["" if time is None else f"{time:.2f}" for time in times]


def is_peak(evaluations: Sequence[ModelEvaluated]) -> bool:
    """Whether an accuracy is that of the threshold best on the very pairs."""
    return any(
        r.verification.accuracy_by == "peak" and r.verification.accuracy is not None for r in evaluations
    )


def slice_rows(record: ModelEvaluated) -> Iterator[tuple[str, str, str, str, str, str]]:
    """By what, which kind, pairs of one person and the share accepted, pairs of two and the share accepted."""
    for one in record.slices:
        far = TOO_FEW if one.far is None else f"{100 * one.far:.3f} %"
        yield one.by, one.kind, f"{one.genuine:,}", percent(one.tar), f"{one.impostors:,}", far


def change_rows(record: ModelsCompared) -> Iterator[tuple[str, str, str, str]]:
    """Figure, change in percentage points, where the change lies with 95 % confidence, and what that means."""
    for name, one in record.differences.items():
        interval = "" if one.interval is None else points(one.interval)
        verdict = _verdict(one, lower_is_better=name == "eer")
        yield _NAMES.get(name, f"TAR at FAR {name}"), f"{100 * one.value:+.2f}", interval, verdict


def _verdict(change: Difference, *, lower_is_better: bool) -> str:
    """Whether zero lies outside the interval, and on which side."""
    if change.interval is None:
        return TOO_FEW
    if change.interval.low <= 0 <= change.interval.high:
        return "no difference told"
    return "better" if (change.interval.low > 0) != lower_is_better else "worse"
