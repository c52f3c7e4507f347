"""The learning curve of a run, as numbers and as a picture."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from chueok.errors import OperationFailed, UsageError
from chueok.flow.foreign import refuse_foreign
from chueok.measures import LearningPoint

_MAKER = "chueok lab distill"
_COLUMNS = ("views", "loss", "similarity", "seconds")


def check_curve(folder: Path) -> None:
    """Nothing, when a curve can be drawn and go to the folder: better known before the learning than after.

    Raises UsageError where matplotlib is missing or a file stands there that no curve was written to.
    """
    for name, mark in (("curve.csv", ",".join(_COLUMNS)), ("curve.png", _MAKER)):
        refuse_foreign(folder / name, mark.encode(), f"`{_MAKER}`", "another --out")
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise UsageError("learning curves need matplotlib; run: pip install 'chueok[lab]'") from error


def write_curve(curve: Sequence[LearningPoint], folder: Path) -> None:
    """Write `curve.csv` and `curve.png`, or replace them. Raises OperationFailed."""
    try:
        with _replacing(folder / "curve.csv") as path, path.open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow(_COLUMNS)
            table.writerows(
                (p.views, f"{p.loss:.4f}", f"{p.similarity:.4f}", round(p.seconds)) for p in curve
            )
        with _replacing(folder / "curve.png") as path:
            _draw(curve, path)
    except OSError as error:
        raise OperationFailed(
            f"the learning curve cannot be written to {folder}: {error.strerror or error}; make room and run the same "
            "command again"
        ) from error


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """Another name to write to, which takes this one's place when it is whole."""
    partial = path.with_name(path.name + ".partial")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _draw(curve: Sequence[LearningPoint], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot(xlabel="views", ylabel="cosine to the teacher", ylim=(0, 1))
    views = [point.views for point in curve]
    axes.plot(views, [1 - point.loss for point in curve], label="varied views, as learnt")
    axes.plot(views, [point.similarity for point in curve], label="held-out crops, as they are")
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    figure.savefig(path, dpi=120, format="png", metadata={"Software": _MAKER})
