"""The page of an evaluation: figures, curves and the pairs judged worst; one file, nothing fetched from anywhere."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from html import escape
from importlib.metadata import version
from pathlib import Path
from typing import BinaryIO

from chueok.measures import HardPair, ModelEvaluated, ModelsCompared, Portrayed
from chueok.output.evaluation_rows import (
    PEAK,
    SURE,
    about_dataset,
    by_dataset,
    change_rows,
    figure_rows,
    is_peak,
    slice_rows,
)
from chueok.output.page import FOOT, HEAD, MARK
from chueok.output.private import private_file
from chueok.output.text import printable

_TITLE = "How well models tell people apart"


def page_file(path: Path) -> AbstractContextManager[BinaryIO]:
    """Where a page shall stand: it appears, private (0600) and whole, when the block ends well.

    Raises UsageError where `path` is anything but a file chueok wrote, OperationFailed when the disk says no.
    """
    return private_file(path, MARK)


def write_page(
    file: BinaryIO, evaluations: Sequence[ModelEvaluated], comparisons: Sequence[ModelsCompared] = ()
) -> None:
    """Write the page, data set by data set. Faces stand in it: it is as private as they are."""
    for part in _parts(evaluations, comparisons):
        file.write(part.encode())


def _parts(evaluations: Sequence[ModelEvaluated], comparisons: Sequence[ModelsCompared]) -> Iterator[str]:
    yield HEAD.format(title=_TITLE)
    yield f'<header><h1>{_TITLE}</h1>\n<p>chueok {escape(version("chueok"))}</p></header>\n<main class="plain">\n'
    for records in by_dataset(evaluations):
        yield from _dataset(records, [one for one in comparisons if one.dataset == records[0].dataset])
    yield FOOT


def _dataset(records: Sequence[ModelEvaluated], comparisons: Sequence[ModelsCompared]) -> Iterator[str]:
    """What is the same for every model, the figures side by side, then each model's own section."""
    first = records[0]
    yield f'<section class="sheet"><h2>{escape(printable(first.dataset))}</h2>\n'
    yield f"<p>{about_dataset(first)}</p>\n"
    rows = [
        *((title, *cells) for title, cells in figure_rows(records)),
        ("sha256", *(f"{record.sha256[:16]}…" for record in records)),
    ]
    yield _table(["", *(printable(record.model) for record in records)], rows)
    notes = [SURE, f"The lot's seed is {first.seed}.", *([f"* {PEAK}"] if is_peak(records) else [])]
    yield f"<p><small>{'<br>'.join(notes)}</small></p>\n"
    for one in comparisons:
        yield f"<h3>{escape(printable(one.model))} against {escape(printable(one.baseline))}</h3>\n"
        yield _table(["", "change, points", "95 %", ""], [*change_rows(one)])
    yield "</section>\n"
    for record in records:
        yield from _model(record)


def _model(record: ModelEvaluated) -> Iterator[str]:
    yield f'<section class="sheet"><h2>{escape(printable(record.model))}</h2>\n'
    shown = record.portrayed
    if shown is not None:
        for name, svg in (("similarity of pairs", shown.densities), ("ROC", shown.roc)):
            yield f'<img class="curve" src="{_data_url("svg+xml", svg)}" alt="{name}">\n'
    if record.slices and record.sliced_at is not None:
        at = f"at the similarity {record.sliced_at:.3f}"
        yield f"<p>By kind of pair, {at}; by size and pose a pair counts as the worse of its pictures:</p>\n"
        yield _table(
            ["", "", "pairs of one person", "accepted", "pairs of two", "accepted"], [*slice_rows(record)]
        )
    if shown is not None:
        yield from _hardest(record.hardest, shown)
    yield "</section>\n"


def _hardest(pairs: Sequence[HardPair], shown: Portrayed) -> Iterator[str]:
    for same, title in (
        (True, "One person, least alike (each picture once)"),
        (False, "Two people, most alike (each picture once)"),
    ):
        yield f"<h3>{title}</h3>\n<div class='sheets'>\n"
        for pair in pairs:
            if (pair.people[0] == pair.people[1]) == same:
                yield _pair(pair, shown)
        yield "</div>\n"


def _pair(pair: HardPair, shown: Portrayed) -> str:
    faces = "".join(
        f'<img src="{_data_url("jpeg", shown.crops[name])}" alt="{escape(printable(name))}">'
        for name in (pair.first, pair.second)
    )
    people = " · ".join(escape(printable(person)) for person in dict.fromkeys(pair.people))
    names = f"{escape(printable(pair.first))}<br>{escape(printable(pair.second))}"
    return (
        f'<figure class="pair"><div>{faces}</div><figcaption><div><b>{pair.similarity:.3f}</b> {people}<br>'
        f"<small>{names}</small></div></figcaption></figure>\n"
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["<tr>" + "".join(f"<th>{escape(title)}</th>" for title in head) + "</tr>"]
    lines += [
        "<tr>" + "".join(f"<td>{escape(printable(cell))}</td>" for cell in row) + "</tr>" for row in rows
    ]
    return '<div class="wide"><table>' + "\n".join(lines) + "</table></div>\n"


def _data_url(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64," + base64.b64encode(content).decode("ascii")
