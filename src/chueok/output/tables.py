"""Answers as rich tables for a person at a terminal. Every name passes through `printable`; markup is off."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from chueok.measures import (
    GateFigure,
    MatchChange,
    ModelEvaluated,
    ModelsCompared,
    NetworkMeasured,
    SweepCell,
)
from chueok.output.calibration import change_words
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
from chueok.output.sentences import status_rows
from chueok.output.text import bytes_size, percent, points, printable
from chueok.records import (
    FaceVerdict,
    Failure,
    LibraryStatus,
    Lookalike,
    Match,
    ModelStatus,
    Person,
)

_FEW_REFERENCES = 3  # of each person, in a list of several people: a row stays a glance
_FEW_FAILURES = 20  # in `status`: one screen; --verbose and --json list them all


def matches_table(matches: Sequence[Match], verbose: bool = False) -> Table:
    """Photos, the most similar first as they came; `person` only where several were wanted."""
    several = len({match.person for match in matches}) > 1 or verbose
    table = _table("similarity>", *(["person"] if several else []), "date", "photo")
    for match in matches:
        date = "" if match.taken_at is None else match.taken_at.strftime("%Y-%m-%d")
        person = [_text(match.person)] if several else []
        table.add_row(f"{match.similarity:.3f}", *person, date, _text(match.photo))
    return table


def lookalikes_table(answers: Sequence[Lookalike], verbose: bool = False) -> Table:
    """The ranking, the winner in bold."""
    table = _table("rank>", "name", "likeness>", "similarity>", "percentile>", "picture")
    for answer in answers:
        table.add_row(
            str(answer.rank),
            _text(answer.name),
            f"{answer.percent:.1f} %",
            f"{answer.similarity:.3f}",
            "" if answer.percentile is None else f"{answer.percentile:.1f}",
            _text("" if answer.reference is None else answer.reference),
            style="bold" if answer.rank == 1 else None,
        )
    return table


def people_table(people: Sequence[Person], verbose: bool = False) -> Table:
    """Enrolled people and what they are matched by: all references of one person, a few of many."""
    table = _table("name", "enrolled", "references>", "pictures")
    for person in people:
        shown = len(person.references) if verbose or len(people) == 1 else _FEW_REFERENCES
        pictures = [printable(reference.source) for reference in person.references[:shown]]
        rest = len(person.references) - len(pictures)
        pictures += [f"and {rest:,} more"] if rest else []
        date = person.enrolled_at.strftime("%Y-%m-%d")
        table.add_row(_text(person.name), date, f"{len(person.references):,}", Text("\n".join(pictures)))
    return table


def verdicts_table(verdicts: Sequence[FaceVerdict], verbose: bool = False) -> Table:
    """Each face of a photo: how near the wanted person is, and who is next."""
    table = _table("face>", "where", "similarity>", "threshold>", "verdict", "best reference", "runner-up")
    for verdict in verdicts:
        box = verdict.face.detection.box
        table.add_row(
            str(verdict.number),
            f"{box.width:.0f} x {box.height:.0f} at {box.x:.0f}, {box.y:.0f}",
            f"{verdict.similarity:.3f}",
            f"{verdict.threshold:.3f}",
            "match" if verdict.matched else "no match",
            _text(verdict.reference),
            _runner_up(verdict),
            style="bold" if verdict.matched else None,
        )
    return table


def _runner_up(verdict: FaceVerdict) -> Text:
    if verdict.runner_up is None or verdict.runner_up_similarity is None:
        return Text("")
    return _text(f"{verdict.runner_up} ({verdict.runner_up_similarity:.3f})")


def models_table(models: Sequence[ModelStatus], verbose: bool = False) -> Table:
    """The models, the one in use marked."""
    table = _table("", "model", "state", "size>", "numbers>", "licence", "about")
    for model in models:
        table.add_row(
            "*" if model.current else "",
            _text(model.name),
            "installed" if model.installed else "not here",
            bytes_size(model.size),
            str(model.dimension),
            _text(model.licence),
            _text(model.description),
        )
    return table


def evaluations_table(evaluations: Sequence[ModelEvaluated], verbose: bool = False) -> Group:
    """Data set by data set: what was measured on, and how well each model tells people apart there."""
    parts: list[RenderableType] = []
    for records in by_dataset(evaluations):
        parts += ["", Text(printable(records[0].dataset), style="bold"), about_dataset(records[0]), ""]
        table = _table("", *(f"{printable(record.model)}>" for record in records))
        for title, cells in figure_rows(records):
            table.add_row(title, *cells)
        parts.append(table)
        for record in records if verbose else ():
            parts += ["", _slices_table(record)]
    notes = [SURE, *([f"* {PEAK}"] if is_peak(evaluations) else [])]
    return Group(*parts[1:], "", *notes)


def _slices_table(record: ModelEvaluated) -> Table:
    at = "" if record.sliced_at is None else f" at {record.sliced_at:.3f}"
    title = printable(record.model) + at
    table = _table(title, "", "of one person>", "accepted>", "of two>", "accepted>")
    for row in slice_rows(record):
        table.add_row(*map(_text, row))
    return table


def comparisons_table(comparisons: Sequence[ModelsCompared], verbose: bool = False) -> Group:
    """What changes from one model to another, in percentage points, and whether that is more than luck."""
    parts: list[RenderableType] = []
    for record in comparisons:
        names = f"{printable(record.model)} against {printable(record.baseline)}, {printable(record.dataset)}"
        table = _table("", "change, points>", "95 %>", "")
        for row in change_rows(record):
            table.add_row(*row)
        parts += ["", Text(names, style="bold"), table]
    return Group(*parts, "")


def networks_table(forms: Sequence[NetworkMeasured], verbose: bool = False) -> Table:
    """Forms of a network: size, time, and how near the later ones' answers are to the first's."""
    table = _table("model", "size>", "ms a face>", "similarity>", "worst 1 %>")
    for form in forms:
        alike = (form.similarity, form.similarity_worst)
        table.add_row(
            _text(form.model),
            bytes_size(form.bytes),
            f"{form.ms_per_face:.2f}",
            *("" if number is None else f"{number:.4f}" for number in alike),
        )
    return table


def gate_table(figures: Sequence[GateFigure], verbose: bool = False) -> Table:
    """What fine-tuning changed, and whether it is more than chance."""
    table = _table("people", "pictures>", "measure", "before>", "after>", "change, 95 %>", "verdict")
    for figure in figures:
        table.add_row(
            f"{figure.people}",
            f"{figure.pictures:,}",
            figure.measure,
            percent(figure.before),
            percent(figure.after),
            points(figure.change),
            figure.verdict,
            style="bold" if figure.verdict == "worse" else None,
        )
    return table


def sweep_table(cells: Sequence[SweepCell], verbose: bool = False) -> Table:
    """Combinations of options, the best first as they came."""
    names = list(cells[0].options)
    table = _table(*names, "EER before>", "EER>", "rank-1>", "epoch>", "seconds>", "")
    for cell in cells:
        options = (_option(cell.options[name]) for name in names)
        rates = ("", "", "") if cell.failed else map(percent, (cell.eer_before, cell.eer, cell.rank1))
        table.add_row(
            *map(_text, options), *rates, str(cell.best_epoch), f"{cell.seconds:.0f}", _text(cell.failed)
        )
    return table


def _option(value: str | float | bool) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def status_table(status: LibraryStatus) -> Table:
    """What is known, a row each."""
    return grid(status_rows(status))


def grid(rows: Sequence[tuple[str, str]]) -> Table:
    """Keys in bold, and what is said of each."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for key, value in rows:
        table.add_row(key, Text(value))
    return table


def changes_table(changes: Sequence[MatchChange]) -> Table:
    """How many photos of each enrolled person there were, and would be."""
    table = _table("name", "photos until now>", "photos>", "which")
    for change in changes:
        before = "" if change.before is None else f"{change.before:,}"
        table.add_row(_text(change.person), before, f"{change.after:,}", Text(change_words(change)))
    return table


def failures_table(failures: Sequence[Failure], verbose: bool = False) -> Table:
    """Photos that could not be read, and why."""
    shown = failures if verbose else failures[:_FEW_FAILURES]
    table = _table("state", "photo", "reason")
    for failure in shown:
        table.add_row(failure.status.value, _text(failure.path), _text(failure.reason))
    if len(failures) > len(shown):
        table.add_row("", f"and {len(failures) - len(shown):,} more (chueok --verbose status)", "")
    return table


def _table(*columns: str) -> Table:
    """A table without lines, so that a row can be copied; a column named with `>` is flush right."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in columns:
        right = name.endswith(">")
        table.add_column(
            name.removesuffix(">"),
            justify="right" if right else "left",
            no_wrap=right,
            overflow="fold",
        )
    return table


def _text(value: object) -> Text:
    """A name or path as it may be shown; rich reads no markup in a Text."""
    return Text(printable(value))
