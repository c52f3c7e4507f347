"""What an evaluation shows: how similar pairs are, the ROC, and the pairs a model judges worst."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from chueok.errors import UsageError
from chueok.flow.thresholds import ENOUGH
from chueok.lab.verification import roc
from chueok.measures import HardPair, Portrayed

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from chueok.lab.bootstrap import Evidence
    from chueok.lab.comparisons import Located, Similarities
    from chueok.lab.faces import Faces

_HARDEST = 12  # pairs shown of each kind: whole rows of two, three or four
_SAMPLE = 20_000  # similarities behind a density: of more it is the same to the eye, and takes seconds
_POINTS = 61  # of a ROC: twelve a decade down to 1e-5


def check_drawing() -> None:
    """Nothing, when pages can be drawn: better known before the work than after. Raises UsageError."""
    try:
        import matplotlib.figure  # noqa: F401
        import scipy.stats  # noqa: F401
    except ImportError as error:
        raise UsageError("a page needs matplotlib and scipy; run: pip install 'chueok[lab]'") from error


def roc_points(pairs: Similarities) -> tuple[tuple[float, float], ...]:
    """FAR and TAR, evenly on a logarithmic axis, from the FAR that thirty impostor pairs are to 1."""
    if not len(pairs.genuine) or len(pairs.impostors) < ENOUGH:
        return ()
    fars = np.geomspace(ENOUGH / len(pairs.impostors), 1, _POINTS)
    return tuple(zip(fars.tolist(), roc(pairs, fars).tolist(), strict=True))


def hardest(evidence: Evidence, faces: Faces) -> tuple[HardPair, ...]:
    """The least similar pairs of one person, then the most similar of two; no picture twice among either."""
    found = []
    for pairs in (evidence.genuine[::-1], evidence.impostors):
        for row in _without_repeats(pairs):
            one, other = faces.pictures[pairs.first[row]], faces.pictures[pairs.second[row]]
            similarity = float(pairs.scores[row])
            found.append(HardPair(one.name, other.name, (one.person, other.person), similarity))
    return tuple(found)


def _without_repeats(pairs: Located) -> list[int]:
    shown: set[int] = set()
    rows: list[int] = []
    for row in range(len(pairs)):
        pair = int(pairs.first[row]), int(pairs.second[row])
        if shown.isdisjoint(pair):
            shown.update(pair)
            rows.append(row)
        if len(rows) == _HARDEST:
            break
    return rows


def portray(
    pairs: Similarities,
    threshold: float | None,
    points: Sequence[tuple[float, float]],
    hard: Sequence[HardPair],
    faces: Faces,
) -> Portrayed:
    """What a page shows, drawn. threshold: of the accuracy."""
    wanted = {name for pair in hard for name in (pair.first, pair.second)}
    return Portrayed(
        densities=_densities(pairs, threshold),
        roc=_roc(points),
        crops={
            picture.name: _jpeg(crop)
            for picture, crop in zip(faces.pictures, faces.crops, strict=True)
            if picture.name in wanted
        },
    )


def _densities(pairs: Similarities, threshold: float | None) -> bytes:
    """Both kinds of pairs as Gaussian kernel densities (Scott's rule, scipy's default), as SVG."""
    figure, axes = _figure("similarity", "density")
    for scores, name in ((pairs.impostors, "two people"), (pairs.genuine, "one person")):
        if len(scores) and scores.min() < scores.max():
            places, density = kernel_density(scores)
            axes.fill_between(places, density, alpha=0.35)
            axes.plot(places, density, label=f"{name} ({len(scores):,} pairs)")
    if threshold is not None:
        axes.axvline(threshold, linestyle="--", color="0.4", label=f"threshold {threshold:.3f}")
    axes.set_ylim(bottom=0)
    if axes.lines:
        axes.legend(loc="upper right")
    return _svg(figure)


def kernel_density(scores: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """scores (n,), of which two differ -> where and how dense: (301,) each. Of very many, 20,000 drawn by lot."""
    from scipy.stats import gaussian_kde

    if len(scores) > _SAMPLE:
        scores = np.random.default_rng(0).choice(scores, _SAMPLE, replace=False)
    places = np.linspace(min(-0.3, float(scores.min())), 1, 301)
    return places, gaussian_kde(scores.astype(np.float64))(places)


def _roc(points: Sequence[tuple[float, float]]) -> bytes:
    figure, axes = _figure("false accept rate", "true accept rate")
    if points:
        axes.plot(*zip(*points, strict=True))
        axes.set_xscale("log")
        axes.set_ylim(top=1.005)
    return _svg(figure)


def _figure(across: str, up: str) -> tuple[Figure, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.add_subplot(xlabel=across, ylabel=up)
    axes.grid(alpha=0.3)
    return figure, axes


def _svg(figure: Figure) -> bytes:
    """The same figure, the same bytes: no date, and ids that do not depend on chance."""
    import matplotlib

    file = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "chueok", "svg.fonttype": "path"}):
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return file.getvalue()


def _jpeg(crop: NDArray[np.uint8]) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(crop).save(file, "JPEG", quality=88)
    return file.getvalue()
