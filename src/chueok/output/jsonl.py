"""JSON Lines on stdout, as docs/formats.md has them: one record, one line, flushed."""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from chueok.measures import (
    CalibrateSummary,
    Calibration,
    DistillSummary,
    EvaluateSummary,
    FinetuneSummary,
    GateFigure,
    LearningPoint,
    ModelEvaluated,
    ModelsCompared,
    NetworkMeasured,
    PairsSummary,
    PruneSummary,
    QuantizeSummary,
    SweepCell,
    SweepSummary,
    TuningPoint,
)
from chueok.output.base import Output, Record
from chueok.output.messages import Messages
from chueok.output.text import UNSAFE, escaped
from chueok.records import (
    Action,
    Collected,
    CollectSummary,
    Enrolled,
    EnrollSummary,
    Face,
    FaceVerdict,
    FindSummary,
    LibraryStatus,
    Lookalike,
    LookalikeSummary,
    Match,
    ModelStatus,
    Note,
    Person,
    PhotoIndexed,
    ScanSummary,
    Status,
)

SCHEMA = 1
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")

Fields = dict[str, Any]


class JsonLines(Output):
    """Records as JSON objects, UTF-8 whatever the locale; notes stay on stderr."""

    def __init__(self, stream: BinaryIO, messages: Messages) -> None:
        self._stream = stream
        self._messages = messages

    def show(self, record: Record) -> None:
        if isinstance(record, Note):
            self._messages.tell(record)
            return
        self._messages.follow(record)
        fields = as_fields(record)
        if fields is not None:
            self._stream.write(as_line(fields))
            self._stream.flush()

    def close(self) -> None:
        try:
            self._stream.flush()
        finally:
            self._messages.close()


def as_line(fields: Fields) -> bytes:
    """One object as a line of UTF-8; characters unsafe on a terminal become JSON escapes: nothing is lost."""
    text = json.dumps({"schema": SCHEMA} | fields, ensure_ascii=False, separators=(",", ":"))
    return UNSAFE.sub(lambda found: json.dumps(found[0])[1:-1], text).encode() + b"\n"


def as_fields(record: Record) -> Fields | None:
    """A record's type and fields; None for what has no line. Never an embedding."""
    if type(record) not in _TYPES:
        return None
    name, fields = _TYPES[type(record)]
    return {"type": name} | fields(record)


def _match(match: Match) -> Fields:
    return {
        **_path("path", match.photo),
        "similarity": _score(match.similarity),
        "threshold": _score(match.threshold),
        "person": _text(match.person),
        "model": match.model,
        "face": _face(match.face),
        "taken_at": _time(match.taken_at),
        **_path("reference", match.reference),
    }


def _lookalike(answer: Lookalike) -> Fields:
    return {
        "rank": answer.rank,
        "name": _text(answer.name),
        "similarity": _score(answer.similarity),
        "percent": round(answer.percent, 1),
        "percentile": None if answer.percentile is None else round(answer.percentile, 1),
        **_path("reference", answer.reference),
        "face": _face(answer.face),
    }


def _indexed(photo: PhotoIndexed) -> Fields:
    error = None if photo.error is None else _text(photo.error)
    return {**_path("path", photo.path), "status": photo.status.value, "faces": photo.faces, "error": error}


def _enrolled(record: Enrolled) -> Fields:
    return {
        "name": _text(record.name),
        **_path("path", record.source),
        "face": _face(record.face),
        "already_known": record.already_known,
    }


def _person(person: Person) -> Fields:
    references = [{**_path("path", r.source), "face": r.face_id} for r in person.references]
    return {"name": _text(person.name), "references": references, "enrolled_at": _time(person.enrolled_at)}


def _verdict(verdict: FaceVerdict) -> Fields:
    return {
        "number": verdict.number,
        "face": _face(verdict.face),
        "matched": verdict.matched,
        "similarity": _score(verdict.similarity),
        "threshold": _score(verdict.threshold),
        **_path("reference", verdict.reference),
        "runner_up": None if verdict.runner_up is None else _text(verdict.runner_up),
        "runner_up_similarity": _score(verdict.runner_up_similarity),
        "margin": _score(verdict.margin),
    }


def _action(action: Action) -> Fields:
    return {
        **_path("path", action.source),
        **_path("target", action.target),
        "step": action.step.value,
        **_path("displaced", action.displaced),
        "note": None if action.note is None else _text(action.note),
    }


def _collected(record: Collected) -> Fields:
    return _action(record.action) | {"error": None if record.error is None else _text(record.error)}


def _evaluation(record: ModelEvaluated) -> Fields:
    """Rates and similarities keyed by false accept rate; null where there were too few pairs to say."""
    measured = record.verification
    return {
        **_path("dataset", record.dataset),
        "model": _text(record.model),
        "sha256": record.sha256,
        "pictures": record.pictures,
        "people": record.people,
        "faceless": _value(record.faceless),
        "unreadable": _value(record.unreadable),
        "pairs": {
            "positive": measured.compared_genuine,
            "negative": measured.compared_impostors,
            "no_face": record.lost,
        },
        "accuracy": _score(measured.accuracy),
        "accuracy_by": measured.accuracy_by,
        "threshold": _score(measured.threshold),
        "precision": _score(measured.precision),
        "recall": _score(measured.recall),
        "f1": _score(measured.f1),
        "eer": _score(measured.eer),
        "auc": _score(measured.auc),
        "tar_at_far": _value(dict(measured.tar)),
        "threshold_at_far": _value(dict(measured.thresholds)),
        "genuine_pairs": measured.genuine,
        "impostor_pairs": measured.impostors,
        "rank1": _score(measured.rank1),
        "probes": measured.probes,
        "ms_per_face": _score(record.ms_per_face),
        "seed": record.seed,
        "intervals": {name: [_score(one.low), _score(one.high)] for name, one in record.intervals.items()},
        "sliced_at": _score(record.sliced_at),
        "slices": _value(record.slices),
        "hardest": [
            {
                "pictures": [_text(pair.first), _text(pair.second)],
                "people": _value(pair.people),
                "similarity": _score(pair.similarity),
            }
            for pair in record.hardest
        ],
        "roc": [[float(f"{far:.3g}"), _score(tar)] for far, tar in record.roc],
    }


def _comparison(record: ModelsCompared) -> Fields:
    """What changes, and where the change lies with 95 % confidence; null where that cannot be told."""
    changes = {
        name: {
            "change": _score(one.value),
            "interval": None
            if one.interval is None
            else [_score(one.interval.low), _score(one.interval.high)],
        }
        for name, one in record.differences.items()
    }
    return {
        **_path("dataset", record.dataset),
        "model": _text(record.model),
        "baseline": _text(record.baseline),
        "changes": changes,
    }


def _tuning(point: TuningPoint) -> Fields:
    """Rates of learning are smaller than four decimals show."""
    return _flat(point) | {"rate": float(f"{point.rate:.3g}")}


def _cell(cell: SweepCell) -> Fields:
    """Options as they were given."""
    return _flat(cell) | {"options": dict(cell.options)}


def _gate(figure: GateFigure) -> Fields:
    """Before and after, and where the change lies with 95 % confidence."""
    ends = figure.change
    change = None if ends is None else [_score(ends.low), _score(ends.high)]
    told = _flat(dataclasses.replace(figure, change=None))
    return told | {"change": change}


def _scan_summary(summary: ScanSummary) -> Fields:
    counts = {status.value: summary.counts.get(status, 0) for status in Status}
    rest = _flat(summary)
    del rest["counts"]
    return {"command": "index", "photos": sum(counts.values())} | counts | rest


def _summary(command: str) -> Callable[[Any], Fields]:
    return lambda summary: {"command": command} | _flat(summary)


def _face(face: Face | None) -> Fields | None:
    """Box in pixels of the upright full-size photo: [x, y, width, height]."""
    if face is None:
        return None
    box = face.detection.box
    return {
        "id": face.id,
        "box": [round(float(side), 1) for side in (box.x, box.y, box.width, box.height)],
        "probability": _score(face.detection.probability),
    }


def _flat(record: Any) -> Fields:
    """A record's fields as they are named, with paths, times, numbers and names made fit for JSON."""
    fields: Fields = {}
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        fields |= _path(field.name, value) if isinstance(value, Path) else {field.name: _value(value)}
    return fields


def _value(value: Any) -> Any:
    match value:
        case tuple():
            return [_value(item) for item in value]
        case dict():
            return {str(key): _value(item) for key, item in value.items()}
        case Path():
            return _path("path", value)
        case _ if dataclasses.is_dataclass(value):
            return _flat(value)
    return _scalar(value)


def _scalar(value: Any) -> Any:
    match value:
        case float():
            return _score(value)
        case str():
            return _text(value)
        case datetime():
            return _time(value)
    return value


def _path(key: str, path: Path | None) -> Fields:
    """A path as text; beside it its bytes (base64) where they are not UTF-8."""
    text = None if path is None else str(path)
    if text is None or not _LONE_SURROGATE.search(text):
        return {key: text}
    return {key: _text(text), f"{key}_bytes": base64.b64encode(os.fsencode(text)).decode()}


def _text(text: str) -> str:
    """Text that UTF-8 can carry: a byte that was not UTF-8 as its escape."""
    return _LONE_SURROGATE.sub(lambda found: escaped(found[0]), text)


def _score(number: float | None) -> float | None:
    """Four decimals: a threshold is given with three, and one more keeps the order visible."""
    return None if number is None else round(float(number), 4)


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="seconds")


_TYPES: dict[type, tuple[str, Callable[[Any], Fields]]] = {
    Match: ("match", _match),
    Lookalike: ("lookalike", _lookalike),
    PhotoIndexed: ("indexed", _indexed),
    Enrolled: ("enrolled", _enrolled),
    Person: ("person", _person),
    FaceVerdict: ("verdict", _verdict),
    LibraryStatus: ("status", _flat),
    ModelStatus: ("model", _flat),
    ModelEvaluated: ("evaluation", _evaluation),
    ModelsCompared: ("comparison", _comparison),
    NetworkMeasured: ("network", _flat),
    LearningPoint: ("learning", _flat),
    Calibration: ("calibration", _flat),
    TuningPoint: ("epoch", _tuning),
    GateFigure: ("gate", _gate),
    SweepCell: ("cell", _cell),
    Action: ("planned", _action),
    Collected: ("collected", _collected),
    ScanSummary: ("summary", _scan_summary),
    FindSummary: ("summary", _summary("find")),
    LookalikeSummary: ("summary", _summary("lookalike")),
    EnrollSummary: ("summary", _summary("enroll")),
    CollectSummary: ("summary", _summary("collect")),
    PairsSummary: ("summary", _summary("lab pairs")),
    EvaluateSummary: ("summary", _summary("lab evaluate")),
    QuantizeSummary: ("summary", _summary("lab quantize")),
    PruneSummary: ("summary", _summary("lab prune")),
    DistillSummary: ("summary", _summary("lab distill")),
    CalibrateSummary: ("summary", _summary("calibrate")),
    FinetuneSummary: ("summary", _summary("lab finetune")),
    SweepSummary: ("summary", _summary("lab finetune --sweep")),
}
