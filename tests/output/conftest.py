"""One record of every kind, and streams that can be read afterwards."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from chueok.output.base import Record, open_output
from chueok.records import (
    Action,
    AlbumStatus,
    Box,
    Collected,
    CollectSummary,
    Detection,
    Enrolled,
    EnrollSummary,
    Face,
    FaceVerdict,
    Failure,
    FindSummary,
    LibraryStatus,
    Lookalike,
    LookalikeSummary,
    Match,
    ModelStatus,
    Note,
    Person,
    PhotoIndexed,
    Plan,
    Reference,
    ScanStarted,
    ScanSummary,
    Status,
    Step,
    Transfer,
)

WHEN = datetime(2019, 5, 2, 10, 11, 12)
FACE = Face(17, Detection(Box(10, 20, 130.44, 150), 0.99812, ()))
MATCH = Match(Path("a.jpg"), FACE, 0.71304, 0.42, "mom", Path("ref.jpg"), WHEN, "lite")
ACTION = Action(Path("a.jpg"), Path("out/a.jpg"), Step.TRANSFER)

RECORDS: tuple[Record, ...] = (
    ScanStarted(2, 2, 1000),
    PhotoIndexed(Path("a.jpg"), Status.NEW, 2),
    PhotoIndexed(Path("b.jpg"), Status.FAILED, 0, "it is empty"),
    ScanSummary({Status.NEW: 1, Status.FAILED: 1}, 2, 0, 0, 0, 4.2),
    MATCH,
    FindSummary(("mom",), 1, 61, 0.42, "lite at FAR 1e-3", 0.031),
    Lookalike(1, "김민지", 0.62, 99.44, Path("people/김민지.jpg"), FACE),
    LookalikeSummary(Path("selfie.jpg"), 75, 80, 2, "lite", 0.15),
    Enrolled("mom", Path("ref.jpg"), FACE, already_known=False),
    EnrollSummary("mom", 1, 0, 0.4),
    Person("mom", (Reference(Path("ref.jpg"), 3),), WHEN),
    Plan(Transfer.COPY, Path("out"), (ACTION,)),
    ACTION,
    Collected(ACTION),
    CollectSummary(Transfer.COPY, Path("out"), 12, 3, 0, 1),
    FaceVerdict(1, FACE, 0.71, 0.42, Path("ref.jpg"), True, "dad", 0.2),
    LibraryStatus(
        library=Path("lib"),
        model="lite",
        albums=(AlbumStatus(Path("Photos"), 12, 1, 1, 40, present=False),),
        photos=12,
        pictures=11,
        faces=40,
        people=1,
        failures=(Failure(Path("Photos/b.jpg"), Status.FAILED, "it is empty"),),
        catalog_bytes=12_345_678,
        index_bytes=900,
        index_state="ready",
        last_scan=WHEN,
        scan_running=False,
    ),
    ModelStatus("lite", "small", 128, "MIT", 1_262_733, "ab", None, True, True, {"1e-3": 0.335}),
    Note("by the way"),
)


Piped = Callable[..., tuple[bytes, str]]


@pytest.fixture
def piped() -> Piped:
    """Shows records with both streams piped: `piped(*records, json=True)` gives (stdout, stderr)."""

    def show(*records: Record, **options: Any) -> tuple[bytes, str]:
        data, words = io.BytesIO(), io.StringIO()
        stdout = io.TextIOWrapper(data, "ascii")  # the locale says nothing about the data
        with open_output(**options, stdout=stdout, stderr=words, environ={}) as output:
            for record in records:
                output.show(record)
        return data.getvalue(), words.getvalue()

    return show


@pytest.fixture
def records() -> tuple[Record, ...]:
    """One record of every kind, in the order commands would show them."""
    return RECORDS


@pytest.fixture
def face() -> Face:
    return FACE


@pytest.fixture
def match() -> Match:
    return MATCH
