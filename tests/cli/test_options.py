"""Values of options, as they are written and as they are meant."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
import typer

from chueok.cli import options
from chueok.errors import UsageError
from chueok.settings import load_settings


@pytest.fixture
def in_seoul(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "KST-9")  # POSIX counts westward: 9 hours ahead of UTC
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2019", datetime(2019, 1, 1)),
        ("2019-05", datetime(2019, 5, 1)),
        (" 2019-05-02 ", datetime(2019, 5, 2)),
        ("2019-05-02T23:30", datetime(2019, 5, 2, 23, 30)),
        ("2019-05-02T23:30Z", datetime(2019, 5, 3, 8, 30)),
        ("2019-05-02T23:30-05:00", datetime(2019, 5, 3, 13, 30)),
        ("2019-05-02T23:30+09:00", datetime(2019, 5, 2, 23, 30)),
        ("0001-01-01", datetime(1, 1, 1)),
    ],
)
def test_a_date_is_local_time_and_its_zone_counts(in_seoul: None, text: str, moment: datetime) -> None:
    assert options.date_of(text, "--after") == moment


@pytest.mark.parametrize("text", ["yesterday", "2019-13", "9999-12-31T23:00Z", "0001-01-01T00:00+14:00"])
def test_what_is_no_date_is_refused(in_seoul: None, text: str) -> None:
    with pytest.raises(UsageError, match=r"--after .*: write a date as 2019, 2019-05"):
        options.date_of(text, "--after")


@pytest.mark.parametrize("library", ["~nobody-of-this-name", "x" * 5000])
def test_completion_is_silent_where_a_library_cannot_be(library: str) -> None:
    context = typer.Context(typer.main.get_command(typer.Typer(callback=lambda: None)))
    context.params = {"library": library}
    assert options.names_known(context, "") == []


@pytest.mark.parametrize(("text", "pixels"), [("full", 0), ("160", 160), ("2560", 2560)])
def test_a_detector_size_is_pixels_or_full_wherever_it_is_set(text: str, pixels: int, tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(f'detector_size = "{text}"\n')
    assert load_settings({}, detector_size=text).detector_size == pixels
    assert load_settings({"CHUEOK_DETECTOR_SIZE": text}).detector_size == pixels
    assert load_settings({}, file).detector_size == pixels


@pytest.mark.parametrize("text", ["0", "159", "-1280", "1280px", "FULL", "1e3"])
def test_another_detector_size_is_explained(text: str) -> None:
    with pytest.raises(UsageError, match=r"--detector-size is .*160 or more pixels, or full"):
        load_settings({}, detector_size=text)
    with pytest.raises(UsageError, match=r"CHUEOK_DETECTOR_SIZE is .*160 or more pixels, or full"):
        load_settings({"CHUEOK_DETECTOR_SIZE": text})
