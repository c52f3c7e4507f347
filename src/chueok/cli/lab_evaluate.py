"""`chueok lab evaluate`: how well models tell people apart."""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from chueok.cli import options
from chueok.cli.app import lab_app
from chueok.cli.session import Session, command, to_the_end
from chueok.errors import ExitCode, NoLibrary, UsageError
from chueok.measures import EvaluateSummary, ModelEvaluated, ModelsCompared
from chueok.output.counting import counting
from chueok.output.evaluation_page import page_file, write_page
from chueok.output.report import report_file, write_report
from chueok.records import Note
from chueok.settings import DEFAULT_MODEL

DataSets = Annotated[
    list[Path],
    typer.Argument(
        metavar="DATASET...",
        help="Folders with a folder per person, LFW's pairs.txt and pictures, or a library with people enrolled.",
    ),
]
PairList = Annotated[
    Path | None,
    typer.Option(
        "--pairs",
        metavar="FILE",
        help="Which pictures to compare: `chueok lab pairs` makes such a CSV; LFW's pairs.txt is one, too.",
    ),
]
Columns = Annotated[
    Path | None,
    typer.Option(
        "--by",
        metavar="FILE.csv",
        help="Sort the pictures by the columns of a table: `picture,age,…`, a line a picture.",
    ),
]
Page = Annotated[
    Path | None,
    typer.Option("--html", metavar="FILE", help="Write a page: figures, curves, the pairs judged worst."),
]
Report = Annotated[
    Path | None,
    typer.Option("--report", metavar="FILE.json", help="Write the figures as one JSON file, too."),
]


@command(lab_app)
def evaluate(
    session: Session,
    datasets: DataSets,
    model: options.Measured = None,
    pairs: PairList = None,
    by: Columns = None,
    report: Report = None,
    html: Page = None,
    seed: options.Seed = 0,
    jobs: options.Jobs = None,
    json: options.Json = False,
) -> int:
    """How well models tell people apart: accuracy, precision, recall, F1, ROC, EER, TAR at a FAR, rank-1, thresholds.

    TAR 1e-3: how many pairs of one person's pictures are found when one pair of strangers in 1,000 passes. Rank-1: how
    often the most similar other picture shows the same person.

    Figures in brackets are where the figure lies with 95 % confidence; --seed decides the lot behind them.

    Faces are found as `chueok index` finds them; of several the central one counts. Nothing is kept in your library.
    With LFW's folds accuracy is its protocol's. Needs two pictures of some people; 30,000 pairs of different people
    (250 pictures) for a figure at FAR 1e-3.
    """
    given = _Given(datasets, model or [_library_model(session)], pairs, by, report, html, seed)
    return _measure(session, given, jobs, json=json, compared=False)


@command(lab_app)
def compare(
    session: Session,
    datasets: DataSets,
    model: options.Measured = None,
    pairs: PairList = None,
    by: Columns = None,
    report: Report = None,
    html: Page = None,
    seed: options.Seed = 0,
    jobs: options.Jobs = None,
    json: options.Json = False,
) -> int:
    """What changes from the first --model to the others, and whether that is more than luck.

    Measures as `chueok lab evaluate` does. Then people are drawn by lot again and again, and both models are measured
    on every draw: where the middle 95 % of the changes lie on one side of nothing, one model is better.
    """
    if len(dict.fromkeys(model or ())) < 2:
        raise UsageError("give two models or more, as --model lite --model mobilefacenet")
    given = _Given(datasets, model or [], pairs, by, report, html, seed)
    return _measure(session, given, jobs, json=json, compared=True)


@dataclass(frozen=True, slots=True)
class _Given:
    """What both commands take."""

    datasets: list[Path]
    models: list[str]
    pairs: Path | None
    by: Path | None
    report: Path | None
    html: Path | None
    seed: int


def _measure(session: Session, given: _Given, jobs: int | None, *, json: bool, compared: bool) -> int:
    """Measure, show and write what was asked for."""
    from chueok.lab.datasets import open_dataset
    from chueok.lab.evaluate import Asked
    from chueok.lab.evaluate import evaluate as evaluate_models
    from chueok.lab.models import find_lab_model
    from chueok.lab.slices import read_columns

    settings = session.settings(jobs=jobs)
    names = dict.fromkeys(given.models)
    models = [find_lab_model(name, settings) for name in names]
    paths = dict.fromkeys(given.datasets)
    if given.pairs is not None and len(paths) > 1:
        raise UsageError("--pairs names the pictures of one data set; give one")
    opened = [open_dataset(path, given.pairs) for path in paths]
    pictures = {picture.name for dataset in opened for picture in dataset.pictures}
    columns = {} if given.by is None else read_columns(given.by, pictures)
    asked = Asked(given.seed, columns, portrayed=given.html is not None, compared=compared)
    evaluations: list[ModelEvaluated] = []
    comparisons: list[ModelsCompared] = []
    unreadable = 0
    with ExitStack() as stack:
        file = None if given.report is None else stack.enter_context(report_file(given.report))
        page = None if given.html is None else stack.enter_context(_page(given.html))
        output = stack.enter_context(session.output(json=json))
        progress = counting(output, "finding faces", "pictures")
        for event in evaluate_models(
            opened, models, settings, progress=progress, names=list(names), asked=asked
        ):
            if isinstance(event, ModelEvaluated):
                evaluations.append(event)
            if isinstance(event, ModelsCompared):
                comparisons.append(event)
            if isinstance(event, EvaluateSummary):
                unreadable = event.unreadable
            with to_the_end("all models were measured") if file or page else nullcontext():
                output.show(event)
        if file is not None:
            write_report(file, evaluations, comparisons)
        if page is not None:
            write_page(page, evaluations, comparisons)
        for path in (given.report, given.html):
            if path is not None:
                output.show(Note(f"written: {path}"))
    return ExitCode.SOME_UNREADABLE if unreadable else 0


def _page(path: Path) -> AbstractContextManager[BinaryIO]:
    """Where the page goes, when it can be drawn. Raises UsageError."""
    from chueok.lab.figures import check_drawing

    check_drawing()
    return page_file(path)


def _library_model(session: Session) -> str:
    """The model of this user's library; without one, that of a new library."""
    try:
        with session.library() as library:
            return library.card.name
    except NoLibrary:
        return session.settings().model or DEFAULT_MODEL
