"""Plain lines for the next program in the pipe: paths as raw bytes, fields between tabs."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, BinaryIO

from chueok.measures import (
    Calibration,
    GateFigure,
    ModelEvaluated,
    ModelsCompared,
    NetworkMeasured,
    SweepCell,
)
from chueok.output.base import Output, Record
from chueok.output.messages import Messages
from chueok.output.sentences import status_rows
from chueok.output.text import printable
from chueok.records import FaceVerdict, LibraryStatus, Lookalike, Match, ModelStatus, Person


class Plain(Output):
    """One line per answer on stdout; everything else on stderr."""

    def __init__(self, stream: BinaryIO, messages: Messages, end: bytes = b"\n") -> None:
        self._stream = stream
        self._messages = messages
        self._end = end

    def show(self, record: Record) -> None:
        answer = lines(record)
        for line in answer:
            self._stream.write(line + self._end)
        if not answer:
            self._stream.flush()  # the words about an answer come after it, also where 2>&1 joins them
        self._messages.tell(record)

    def close(self) -> None:
        try:
            self._stream.flush()
        finally:
            self._messages.close()


def lines(record: Record) -> list[bytes]:
    """The lines a record is on stdout, without their ends; none for what belongs on stderr."""
    make = _LINES.get(type(record))
    return [] if make is None else make(record)


def _fields(*values: str) -> bytes:
    """Values between tabs, UTF-8 whatever the locale; a tab or newline inside a value is escaped."""
    return "\t".join(printable(value) for value in values).encode()


def _lookalike(answer: Lookalike) -> list[bytes]:
    return [_fields(answer.name, f"{answer.similarity:.4f}", f"{answer.percent:.1f}")]


def _model(model: ModelStatus) -> list[bytes]:
    state = "current" if model.current else "installed" if model.installed else "missing"
    return [_fields(model.name, state, str(model.size), model.licence)]


def _evaluation(record: ModelEvaluated) -> list[bytes]:
    """As docs/formats.md has the columns; `-` where there were too few pairs to say."""
    measured = record.verification
    tars, thresholds = list(measured.tar.values()), list(measured.thresholds.values())
    rates = [measured.accuracy, *tars[:3], measured.rank1, *thresholds[:3]]
    rates += [measured.precision, measured.recall, measured.f1, measured.eer, measured.auc]
    rates += [*tars[3:], *thresholds[3:]]  # columns are only ever added at the end
    numbers = ["-" if rate is None else f"{rate:.4f}" for rate in rates]
    return [_fields(str(record.dataset), record.model, *numbers)]


def _comparison(record: ModelsCompared) -> list[bytes]:
    """A line for each figure: data set, model, baseline, figure, change, and its 95 % interval."""
    rows = []
    for name, one in record.differences.items():
        ends = ("-", "-") if one.interval is None else (f"{one.interval.low:.4f}", f"{one.interval.high:.4f}")
        rows.append(
            _fields(str(record.dataset), record.model, record.baseline, name, f"{one.value:.4f}", *ends)
        )
    return rows


def _network(form: NetworkMeasured) -> list[bytes]:
    """As docs/formats.md has the columns; `-` for the form that the other is compared with."""
    alike = [
        "-" if number is None else f"{number:.4f}" for number in (form.similarity, form.similarity_worst)
    ]
    return [_fields(form.model, str(form.bytes), f"{form.ms_per_face:.2f}", *alike)]


def _gate(figure: GateFigure) -> list[bytes]:
    """As docs/formats.md has the columns."""
    ends = figure.change
    change = ["-", "-"] if ends is None else [f"{ends.low:.4f}", f"{ends.high:.4f}"]
    shares = [f"{share:.4f}" for share in (figure.before, figure.after)]
    return [_fields(figure.people, figure.measure, *shares, *change, figure.verdict)]


def _cell(cell: SweepCell) -> list[bytes]:
    """As docs/formats.md has the columns; `-` for the figures of a combination that failed."""
    shares = (cell.eer_before, cell.eer, cell.rank1)
    numbers = ["-" if cell.failed else f"{share:.4f}" for share in shares]
    options = [f"{name}={value}" for name, value in cell.options.items()]
    return [_fields(*numbers, str(cell.best_epoch), *options)]


def _verdict(verdict: FaceVerdict) -> list[bytes]:
    answer = "match" if verdict.matched else "no match"
    return [_fields(answer, f"{verdict.similarity:.4f}", f"{verdict.threshold:.4f}", str(verdict.reference))]


def _calibration(calibration: Calibration) -> list[bytes]:
    """Threshold, both ends of its interval, rate; nothing where there are too few pairs."""
    if calibration.threshold is None:
        return []
    numbers = (calibration.threshold, calibration.low, calibration.high)
    return [_fields(*(f"{number:.4f}" for number in numbers), f"{calibration.far:g}")]


def _status(status: LibraryStatus) -> list[bytes]:
    rows = [f"{key}: {value}" for key, value in status_rows(status)]
    rows += [f"{f.status}: {printable(f.path)}: {printable(f.reason)}" for f in status.failures]
    return [row.encode() for row in rows]


_LINES: dict[type, Callable[[Any], list[bytes]]] = {
    Match: lambda match: [os.fsencode(match.photo)],
    Lookalike: _lookalike,
    Person: lambda person: [_fields(person.name)],
    ModelStatus: _model,
    FaceVerdict: _verdict,
    ModelEvaluated: _evaluation,
    ModelsCompared: _comparison,
    NetworkMeasured: _network,
    GateFigure: _gate,
    SweepCell: _cell,
    LibraryStatus: _status,
    Calibration: _calibration,
}
