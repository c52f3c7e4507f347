"""The report of an evaluation: what was measured, on what and by what, as one JSON file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import AbstractContextManager
from importlib.metadata import version
from pathlib import Path
from typing import Any, BinaryIO

from chueok.measures import ModelEvaluated, ModelsCompared
from chueok.output.evaluation_rows import by_dataset
from chueok.output.jsonl import SCHEMA, as_fields
from chueok.output.private import private_file

_MARK = '"made_by": "chueok lab evaluate"'
_OF_THE_DATASET = ("dataset", "dataset_bytes", "pictures", "people", "faceless", "unreadable", "pairs")


def report_file(path: Path) -> AbstractContextManager[BinaryIO]:
    """Where a report shall stand: it appears, private (0600) and whole, when the block ends well.

    Raises UsageError where `path` is anything but an earlier report, OperationFailed when the disk says no.
    """
    return private_file(path, _MARK.encode())


def write_report(
    file: BinaryIO, evaluations: Sequence[ModelEvaluated], comparisons: Sequence[ModelsCompared] = ()
) -> None:
    """Write the report of one data set as an object, of several as a list of such."""
    reports = [
        _report(records, [one for one in comparisons if one.dataset == records[0].dataset])
        for records in by_dataset(evaluations)
    ]
    text = json.dumps(reports if len(reports) > 1 else reports[0], indent=2, ensure_ascii=False)
    file.write(text.encode() + b"\n")


def _report(evaluations: Sequence[ModelEvaluated], comparisons: Sequence[ModelsCompared]) -> dict[str, Any]:
    """One data set: what is the same for every model, the models, and what changes between them."""
    lines = [as_fields(record) or {} for record in evaluations]
    about = {key: lines[0][key] for key in _OF_THE_DATASET if key in lines[0]}
    models = [
        {"name": line["model"]}
        | {key: value for key, value in line.items() if key not in ("type", "model", *_OF_THE_DATASET)}
        for line in lines
    ]
    head = {"schema": SCHEMA, "made_by": "chueok lab evaluate", "version": version("chueok")}
    changes = [
        {key: value for key, value in (as_fields(one) or {}).items() if key not in ("type", *_OF_THE_DATASET)}
        for one in comparisons
    ]
    return head | about | {"models": models} | ({"comparisons": changes} if changes else {})
