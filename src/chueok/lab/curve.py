"""The learning curve of a run, as numbers and as a picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

from chueok.errors import OperationFailed, UsageError
from chueok.flow.foreign import refuse_foreign
from chueok.lab.checkpoint import replacing
from chueok.measures import LearningPoint

_COLUMNS = ("views", "loss", "similarity", "seconds")
_MAKER = "chueok lab distill"


def check_matplotlib() -> None:
    """Nothing, when curves can be drawn: better known before the learning than after. Raises UsageError."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise UsageError("learning curves need matplotlib; run: pip install 'chueok[lab]'") from error


def refuse_foreign_curve(folder: Path, columns: Sequence[str] = _COLUMNS, maker: str = _MAKER) -> None:
    """Raise UsageError where a curve would take the place of somebody's file; OSError where the disk does not tell.

    columns: of `curve.csv`; maker: the command, which signs `curve.png`.
    """
    for name, mark in (("curve.csv", ",".join(columns)), ("curve.png", maker)):
        refuse_foreign(folder / name, mark.encode(), f"`{maker}`", "another --out")


def write_curve(curve: Sequence[LearningPoint], folder: Path) -> None:
    """Write `curve.csv` and `curve.png`, or replace them. Raises OperationFailed."""
    rows = [(f"{p.views}", f"{p.loss:.4f}", f"{p.similarity:.4f}", f"{p.seconds:.0f}") for p in curve]
    write_files(folder, [_COLUMNS, *rows], lambda file: _draw(curve, file))


def write_files(folder: Path, rows: Sequence[Sequence[str]], draw: Callable[[BinaryIO], None]) -> None:
    """Write `curve.csv`, titles first, and what `draw` draws as `curve.png`. Raises OperationFailed."""
    try:
        with replacing(folder / "curve.csv") as file:
            file.writelines(f"{','.join(row)}\n".encode() for row in rows)
        with replacing(folder / "curve.png") as file:
            draw(file)
    except OSError as error:
        raise OperationFailed(
            f"the learning curve cannot be written to {folder}: {error.strerror or error}; make room and run the same "
            "command again"
        ) from error


def _draw(curve: Sequence[LearningPoint], file: BinaryIO) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot(xlabel="views", ylabel="cosine to the teacher", ylim=(0, 1))
    views = [point.views for point in curve]
    axes.plot(views, [1 - point.loss for point in curve], label="varied views, as learnt")
    axes.plot(views, [point.similarity for point in curve], label="held-out crops, as they are")
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.locator_params(axis="x", nbins=6)  # numbers in the millions would run into each other
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    figure.savefig(file, dpi=120, format="png", metadata={"Software": _MAKER})
