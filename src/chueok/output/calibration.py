"""A calibration for people: sentences, the two densities as a picture of blocks, and what would change."""

from __future__ import annotations

from collections.abc import Sequence

from chueok.measures import CalibrateSummary, Calibration, CalibrationStatus, Densities, MatchChange
from chueok.output.text import duration, plural, printable
from chueok.settings import DEFAULT_FAR

_BLOCKS = " ▁▂▃▄▅▆▇█"  # eighths of a row
_ROWS = 4  # of a curve
_WIDEST = 100  # columns: a wider picture says no more


def rows(calibration: Calibration) -> list[tuple[str, str]]:
    """What was measured, as (key, value) rows."""
    found = [("threshold", _threshold(calibration))]
    if calibration.people_pairs:
        found.append(("rests on", _rests_on(calibration)))
        found.append(("left out", _left_out(calibration)))
        found.append(("accepts", _accepts(calibration)))
    return found


def _threshold(calibration: Calibration) -> str:
    before = f"{printable(calibration.before_origin)}"
    if calibration.before is not None:
        before = f"until now {calibration.before:.3f} ({before})"
    if calibration.threshold is None:
        return f"not known at a false accept rate of {calibration.far:g}; {before}"
    return (
        f"{calibration.threshold:.3f} at a false accept rate of {calibration.far:g} "
        f"(90 % interval {calibration.low:.3f} to {calibration.high:.3f}); {before}"
    )


def _rests_on(calibration: Calibration) -> str:
    pairs = f"{plural(calibration.comparisons, 'comparison')} of {plural(calibration.people_pairs, 'pair')} of people"
    if calibration.measured is None:
        return f"{pairs}: too few to say how rarely they look alike"
    if calibration.measured <= calibration.far:
        return f"{pairs}, enough to measure the rate itself"
    return (
        f"{pairs}: measured down to a rate of {calibration.measured:g}, drawn on as a normal tail from there"
    )


def _left_out(calibration: Calibration) -> str:
    seen = calibration.left_out
    parts = [
        ("somebody seems to be seen twice (mirrors, collages)", seen.doubles, "photo"),
        ("shots repeated (bursts, copies)", seen.copies, "face"),
        ("boxes inside another's", seen.overlapping, "face"),
        ("people of one photo only", seen.once, "pair"),
        ("people enrolled as one", seen.same, "pair"),
    ]
    said = [f"{what}: {plural(count, noun)}" for what, count, noun in parts if count]
    if seen.lookalikes:
        said.append(f"kept: {plural(seen.lookalikes, 'pair')} of look-alikes often seen together")
    return "; ".join(said) or "nothing"


def _accepts(calibration: Calibration) -> str:
    pairs = f"{plural(calibration.genuine, 'pair')} of references of one person"
    if calibration.tar is None:
        return f"not measured: {pairs}, and 30 are needed; enrol more photos of each person"
    return f"{100 * calibration.tar:.1f} % of {pairs}"


def picture(densities: Densities, threshold: float | None, width: int) -> list[str]:
    """The densities of different people and, where it is known, of one person, with the threshold marked.

    width: columns of the terminal; the lines are no longer.
    """
    columns = max(20, min(width, _WIDEST) - 1)
    low, high = densities.grid[0], densities.grid[-1]
    mark = None if threshold is None else round((threshold - low) / (high - low) * (columns - 1))
    lines = ["different people", *_curve(densities.grid, densities.impostors, columns, mark)]
    if densities.genuine is not None:
        lines += ["one person", *_curve(densities.grid, densities.genuine, columns, mark)]
    return [*lines, _axis(low, high, columns, threshold, mark)]


def _curve(grid: Sequence[float], heights: Sequence[float], columns: int, mark: int | None) -> list[str]:
    """A curve in rows of blocks, and the threshold as a line through it."""
    top = max(heights) or 1.0
    at = [heights[round(column / (columns - 1) * (len(grid) - 1))] / top for column in range(columns)]
    lines = []
    for row in reversed(range(_ROWS)):
        eighths = [min(8, max(0, round(height * _ROWS * 8) - 8 * row)) for height in at]
        line = "".join("│" if column == mark else _BLOCKS[eighth] for column, eighth in enumerate(eighths))
        lines.append(line.rstrip())
    return lines


def _axis(low: float, high: float, columns: int, threshold: float | None, mark: int | None) -> str:
    """Similarities below the curves; the threshold's own number comes before round ones."""
    line = [" "] * columns
    labels = [] if threshold is None or mark is None else [(mark, f"{threshold:.3f}")]
    steps = [number / 5 for number in range(round(low * 5), round(high * 5) + 1)]
    labels += [(round((step - low) / (high - low) * (columns - 1)), f"{step:.1f}") for step in steps]
    for column, label in labels:
        start = min(max(0, column - len(label) // 2), columns - len(label))
        if all(sign == " " for sign in line[max(0, start - 1) : start + len(label) + 1]):
            line[start : start + len(label)] = label
    return "".join(line).rstrip()


def change_words(change: MatchChange) -> str:
    """Some of the photos that another threshold finds or loses."""
    said = []
    for word, photos, count in (
        ("gained", change.gained, change.after - (change.before or 0)),
        ("lost", change.lost, (change.before or 0) - change.after),
    ):
        if photos:
            more = ", …" if count > len(photos) else ""
            said.append(f"{word}: {', '.join(printable(photo.name) for photo in photos)}{more}")
    return "; ".join(said)


def summed_up(summary: CalibrateSummary) -> str:
    """What `find` does from now on."""
    looked = f"{plural(summary.faces, 'face')} looked at in {duration(summary.seconds)}"
    if summary.threshold is None:
        return (
            f"not calibrated, and nothing was changed: the photos show {plural(summary.people_pairs, 'pair')} of "
            f"different people who are seen elsewhere too, and some 200 are needed; {looked}. Index more photos that "
            "show several people"
        )
    if not summary.stored:
        return f"would use {summary.threshold:.3f}; nothing was kept; {looked}"
    option = "" if summary.far == DEFAULT_FAR else f" --far {summary.far:g}"
    return (
        f"`chueok find{option}` goes by threshold {summary.threshold:.3f} in this library from now on, and "
        f"`chueok calibrate --forget` takes that back; {looked}"
    )


def status_words(status: CalibrationStatus) -> str:
    """The calibration in use, for `chueok status`."""
    stored = status.stored
    rate = next(
        (rate for rate in stored.rates if rate.far == DEFAULT_FAR), stored.rates[0]
    )  # what `find` goes by
    words = (
        f"threshold {rate.threshold:.3f} at a false accept rate of {rate.far:g}, from "
        f"{plural(stored.people_pairs, 'pair')} of people, {stored.made_at:%Y-%m-%d}"
    )
    if status.is_old:
        words += f"; there were {plural(stored.faces, 'face')} then, {status.faces:,} now: `chueok calibrate` again"
    return words
