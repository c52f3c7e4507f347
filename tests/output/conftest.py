"""One record of every kind, and streams that can be read afterwards."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from chueok.measures import (
    CalibrateSummary,
    Calibration,
    Densities,
    Difference,
    DistillSummary,
    EvaluateSummary,
    FinetuneSummary,
    GateFigure,
    HardPair,
    Interval,
    LearningPoint,
    LeftOut,
    MatchChange,
    ModelEvaluated,
    ModelsCompared,
    NetworkMeasured,
    PairsSummary,
    PruneSummary,
    QuantizeSummary,
    SliceMeasured,
    SweepCell,
    SweepSummary,
    TuningPoint,
    Verification,
)
from chueok.output.base import Progress, Record, open_output
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
    ModelEvaluated(
        dataset=Path("faces/lfw"),
        model="lite",
        sha256="ab",
        pictures=1583,
        people=749,
        faceless=("Kim_0001.jpg",),
        unreadable=(),
        lost=2,
        verification=Verification(
            accuracy=0.91917,
            accuracy_by="folds",
            threshold=0.3,
            precision=0.93,
            recall=0.905,
            f1=0.9173,
            compared_genuine=599,
            compared_impostors=599,
            eer=0.081,
            auc=0.971,
            tar={"1e-2": 0.712, "1e-3": 0.5, "1e-4": None, "1e-5": None},
            thresholds={"1e-2": 0.457, "1e-3": 0.568, "1e-4": None, "1e-5": None},
            genuine=2800,
            impostors=1_247_000,
            rank1=0.8,
            probes=1100,
        ),
        ms_per_face=2.41,
        seed=7,
        intervals={"accuracy": Interval(0.901, 0.935), "1e-2": Interval(0.68, 0.74)},
        sliced_at=0.568,
        slices=(
            SliceMeasured("face size", "below 64 pixels", 100, 20_000, 0.41, 0.00123),
            SliceMeasured("age", "(none)", 0, 7, None, 0.0),
        ),
        roc=((2.4e-5, 0.31), (1.0, 1.0)),
        hardest=(
            HardPair("Kim/1.jpg", "Kim/2.jpg", ("Kim", "Kim"), 0.0123),
            HardPair("Kim/1.jpg", "Lee/1.jpg", ("Kim", "Lee"), 0.71),
        ),
    ),
    ModelsCompared(
        Path("faces/lfw"),
        "lite",
        "mobilefacenet",
        {
            "accuracy": Difference(-0.01, Interval(-0.02, -0.005)),
            "eer": Difference(-0.02, Interval(-0.03, -0.01)),
            "1e-2": Difference(0.001, Interval(-0.01, 0.02)),
            "rank1": Difference(0.0, None),
        },
    ),
    PairsSummary(749, 1583, 1, 0, 1972, 1972, 10, 31.0),
    EvaluateSummary(1, 1, 1583, 1, 0, 61.2),
    NetworkMeasured("ours", 7_646_595, 5.123, None, None),
    NetworkMeasured("int8", 1_964_546, 1.9, 0.99871, 0.9965),
    QuantizeSummary("int8", Path("to/int8.toml"), 400, 1000, 27.5),
    PruneSummary("pruned", Path("to/pruned.toml"), 656, 464, 32_000, 0.97126, 178.2, False),
    Progress("learning", "views", 16_032, 6_000_000),
    LearningPoint(16_000, 0.41234, 0.70056, 214.2),
    DistillSummary(
        "student", Path("run/student.toml"), Path("run/curve.png"), 6_000_000, 0.91234, 7230.4, True
    ),
    Calibration(
        model="lite",
        far=0.001,
        threshold=0.5123,
        low=0.47,
        high=0.55,
        before=0.387,
        before_origin="lite at a false accept rate of 0.001",
        people=120,
        people_pairs=420,
        comparisons=12_345,
        measured=0.1,
        left_out=LeftOut(copies=12, overlapping=0, doubles=1, once=30, same=0, lookalikes=2),
        genuine=40,
        tar=0.925,
        densities=Densities((-0.2, 0.4, 1.0), (0.1, 2.0, 0.0), (0.0, 1.0, 0.5)),
        changes=(MatchChange("엄마", 12, 11, (), (Path("b.jpg"),)),),
    ),
    CalibrateSummary("lite", 0.5123, 0.001, 3000, 420, stored=True, seconds=1.2),
    TuningPoint(1, 6, 0.15041, 0.16248, 0.85612, 4.66e-5, 13.3, True),
    GateFigure("held-out", Path("mine"), 368, "EER", 0.1738, 0.15391, Interval(-0.031, -0.0082), "better"),
    FinetuneSummary(
        "lite-tuned",
        "lite",
        Path("run/lite-tuned.toml"),
        True,
        "it is better",
        Path("run/curve.png"),
        5,
        6,
        127.4,
    ),
    SweepCell({"lr": 5e-5, "freeze": "bn"}, 0.1882, 0.1561, 0.8417, 5, 6, 127.4, ""),
    SweepSummary(6, 2, Path("run/sweep.csv"), "--lr 5e-05 --freeze bn", 301.0),
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
