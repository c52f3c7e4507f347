"""The learning curve of a fine-tuning, as numbers and as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from chueok.errors import OperationFailed
from chueok.flow.foreign import refuse_foreign
from chueok.lab.checkpoint import replacing
from chueok.lab.delivery import Maker
from chueok.measures import TuningPoint

_COLUMNS = ("epoch", "loss", "eer", "rank1", "lr", "seconds", "best")


def refuse_foreign_curve(folder: Path) -> None:
    """Raise UsageError where a curve would take the place of somebody's file; OSError where the disk does not tell."""
    for name, mark in (("curve.csv", ",".join(_COLUMNS)), ("curve.png", Maker.FINETUNE)):
        refuse_foreign(folder / name, mark.encode(), f"`{Maker.FINETUNE}`", "another --out")


def write_curve(curve: Sequence[TuningPoint], folder: Path) -> None:
    """Write `curve.csv` and `curve.png`, or replace them. Raises OperationFailed."""
    try:
        with replacing(folder / "curve.csv") as file:
            file.writelines(f"{','.join(row)}\n".encode() for row in [_COLUMNS, *map(_row, curve)])
        with replacing(folder / "curve.png") as file:
            _draw(curve, file)
    except OSError as error:
        raise OperationFailed(
            f"the learning curve cannot be written to {folder}: {error.strerror or error}; make room and run the same "
            "command again"
        ) from error


def _row(point: TuningPoint) -> tuple[str, ...]:
    loss = "" if point.loss is None else f"{point.loss:.4f}"
    rates = (f"{point.eer:.4f}", f"{point.rank1:.4f}", f"{point.rate:.3g}", f"{point.seconds:.0f}")
    return (str(point.epoch), loss, *rates, str(int(point.best)))


def _draw(curve: Sequence[TuningPoint], file: BinaryIO) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    rates = figure.add_subplot(xlabel="epoch", ylabel="equal error rate, validation people, %")
    rates.plot([point.epoch for point in curve], [100 * point.eer for point in curve], "o-", label="EER")
    best = [point for point in curve if point.best][-1]
    rates.plot([best.epoch], [100 * best.eer], "o", markersize=11, fillstyle="none", label="kept")
    rates.set_ylim(bottom=0)
    rates.locator_params(axis="x", integer=True)
    rates.grid(alpha=0.3)
    losses = rates.twinx()
    losses.set_ylabel("loss")
    learnt = [(point.epoch, point.loss) for point in curve if point.loss is not None]
    losses.plot(*zip(*learnt, strict=True) if learnt else ([], []), "s--", color="tab:grey", label="loss")
    figure.legend(loc="outside upper right", ncols=3)
    figure.savefig(file, dpi=120, format="png", metadata={"Software": Maker.FINETUNE.value})
