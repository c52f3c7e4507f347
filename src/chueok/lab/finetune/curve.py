"""The learning curve of a fine-tuning, as numbers and as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from chueok.lab import curve
from chueok.lab.delivery import Maker
from chueok.measures import TuningPoint

_COLUMNS = ("epoch", "loss", "eer", "rank1", "lr", "seconds", "best")


def refuse_foreign_curve(folder: Path) -> None:
    """As lab/curve.py's, for fine-tuning's curve."""
    curve.refuse_foreign_curve(folder, _COLUMNS, Maker.FINETUNE)


def write_curve(points: Sequence[TuningPoint], folder: Path) -> None:
    """Write `curve.csv` and `curve.png`, or replace them. Raises OperationFailed."""
    curve.write_files(folder, [_COLUMNS, *map(_row, points)], lambda file: _draw(points, file))


def _row(point: TuningPoint) -> tuple[str, ...]:
    loss = "" if point.loss is None else f"{point.loss:.4f}"
    rates = (f"{point.eer:.4f}", f"{point.rank1:.4f}", f"{point.rate:.3g}", f"{point.seconds:.0f}")
    return (str(point.epoch), loss, *rates, str(int(point.best)))


def _draw(points: Sequence[TuningPoint], file: BinaryIO) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    rates = figure.add_subplot(xlabel="epoch", ylabel="equal error rate, validation people, %")
    rates.plot([point.epoch for point in points], [100 * point.eer for point in points], "o-", label="EER")
    best = [point for point in points if point.best][-1]
    rates.plot([best.epoch], [100 * best.eer], "o", markersize=11, fillstyle="none", label="kept")
    rates.set_ylim(bottom=0)
    rates.locator_params(axis="x", integer=True)
    rates.grid(alpha=0.3)
    losses = rates.twinx()
    losses.set_ylabel("loss")
    learnt = [(point.epoch, point.loss) for point in points if point.loss is not None]
    losses.plot(*zip(*learnt, strict=True) if learnt else ([], []), "s--", color="tab:grey", label="loss")
    figure.legend(loc="outside upper right", ncols=3)
    figure.savefig(file, dpi=120, format="png", metadata={"Software": Maker.FINETUNE.value})
