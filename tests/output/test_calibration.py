"""What a calibration looks like: words, and densities as blocks."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest
from tests.output.conftest import RECORDS

from chueok.measures import (
    CalibratedRate,
    CalibrateSummary,
    Calibration,
    CalibrationStatus,
    Densities,
    LeftOut,
    StoredCalibration,
)
from chueok.output.calibration import picture, rows, status_words, summed_up

(WHOLE,) = (record for record in RECORDS if isinstance(record, Calibration))
TOO_FEW = replace(WHOLE, threshold=None, low=None, high=None, measured=None, tar=None, genuine=3)


def test_too_few_pairs_are_said_to_be_too_few() -> None:
    said = dict(rows(replace(TOO_FEW, left_out=LeftOut(0, 0, 0, 0, 0, 0))))
    assert said == {
        "threshold": "not known at a false accept rate of 0.001; until now 0.387 "
        "(lite at a false accept rate of 0.001)",
        "rests on": "12,345 comparisons of 420 pairs of people: too few to say how rarely they look alike",
        "left out": "nothing",
        "accepts": "not measured: 3 pairs of references of one person, and 30 are needed; enrol more photos of each "
        "person",
    }
    assert len(rows(replace(TOO_FEW, people_pairs=0))) == 1


def test_a_rate_that_was_seen_is_not_drawn() -> None:
    assert dict(rows(replace(WHOLE, measured=0.001)))["rests on"].endswith(
        "enough to measure the rate itself"
    )


def test_a_model_without_a_threshold_has_none_to_compare_with() -> None:
    words = "the model sface has no measured threshold"
    said = dict(rows(replace(WHOLE, before=None, before_origin=words)))["threshold"]
    assert said.endswith("0.470 to 0.550); the model sface has no measured threshold")


@pytest.mark.parametrize("width", [20, 40, 79, 80, 200])
def test_the_picture_fits_the_terminal_and_marks_the_threshold(width: int) -> None:
    grid = tuple(number / 100 for number in range(-40, 101))
    bell = tuple(max(0.0, 1 - abs(number - 0.1) * 4) for number in grid)
    lines = picture(Densities(grid, bell, None), 0.5, width)
    assert len(lines) == 6
    assert max(map(len, lines)) <= width
    (column,) = {line.index("│") for line in lines[1:5]}
    columns = max(20, min(width, 100) - 1)
    assert column == round(0.9 / 1.4 * (columns - 1))
    assert lines[1].count("█") < lines[4].count("█")
    assert "0.500" in lines[5]


def test_a_picture_of_nothing_is_empty() -> None:
    lines = picture(Densities((-0.4, 1.0), (0.0, 0.0), None), None, 30)
    assert lines[:5] == ["different people", "", "", "", ""]


def test_the_summary_says_what_find_does_from_now_on() -> None:
    summary = CalibrateSummary("lite", 0.5, 0.001, 10, 7, stored=False, seconds=0.5)
    assert summed_up(summary) == "would use 0.500; nothing was kept; 10 faces looked at in 0.50 s"
    assert summed_up(replace(summary, stored=True)).startswith("`chueok find` goes by threshold 0.500")
    assert summed_up(replace(summary, threshold=None)).startswith(
        "not calibrated, and nothing was changed: the photos show"
    )


@pytest.mark.parametrize(
    ("faces", "old"), [(1000, False), (1400, False), (1600, True), (600, True), (0, True)]
)
def test_a_calibration_is_old_when_the_library_has_changed_a_lot(faces: int, old: bool) -> None:
    rate = CalibratedRate(0.001, 0.5, 0.45, 0.55)
    status = CalibrationStatus(StoredCalibration((rate,), 420, 1000, datetime(2026, 1, 2)), faces)
    assert ("`chueok calibrate` again" in status_words(status)) is old
    assert status_words(status).startswith(
        "threshold 0.500 at a false accept rate of 0.001, from 420 pairs of people, 2026-01-02"
    )
