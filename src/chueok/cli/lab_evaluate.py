"""`chueok lab evaluate`: how well models tell people apart."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from chueok.cli import options
from chueok.cli.app import lab_app
from chueok.cli.session import Session, command, to_the_end
from chueok.errors import ExitCode, NoLibrary
from chueok.measures import EvaluateSummary, ModelEvaluated
from chueok.output.counting import counting
from chueok.output.report import report_file, write_report
from chueok.settings import DEFAULT_MODEL

DataSets = Annotated[
    list[Path],
    typer.Argument(
        metavar="DATASET...", help="Folders with a folder per person, or LFW's pairs.txt and pictures."
    ),
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
    report: Report = None,
    jobs: options.Jobs = None,
    json: options.Json = False,
) -> int:
    """How well models tell people apart: accuracy, TAR at a FAR, rank-1, thresholds.

    TAR 1e-3: how many pairs of one person's pictures are found when one pair of strangers in 1,000 passes. Rank-1: how
    often the most similar other picture shows the same person.

    Faces are found as `chueok index` finds them; of several the central one counts. Nothing is kept in your library.
    With LFW's folds accuracy is its protocol's. Needs two pictures of some people; 30,000 pairs of different people
    (250 pictures) for a figure at FAR 1e-3.
    """
    from chueok.lab.datasets import open_dataset
    from chueok.lab.evaluate import evaluate as evaluate_models
    from chueok.lab.models import find_lab_model

    settings = session.settings(jobs=jobs)
    names = dict.fromkeys(model or [_library_model(session)])
    models = [find_lab_model(name, settings) for name in names]
    opened = [open_dataset(path) for path in dict.fromkeys(datasets)]
    evaluations = []
    unreadable = 0
    with ExitStack() as stack:
        file = None if report is None else stack.enter_context(report_file(report))
        output = stack.enter_context(session.output(json=json))
        progress = counting(output, "finding faces", "pictures")
        for event in evaluate_models(opened, models, settings, progress=progress, names=list(names)):
            if isinstance(event, ModelEvaluated):
                evaluations.append(event)
            if isinstance(event, EvaluateSummary):
                unreadable = event.unreadable
            with to_the_end("all models were measured"):
                output.show(event)
        if file is not None:
            write_report(file, evaluations)
    return ExitCode.SOME_UNREADABLE if unreadable else 0


def _library_model(session: Session) -> str:
    """The model of this user's library; without one, that of a new library."""
    try:
        with session.library() as library:
            return library.card.name
    except NoLibrary:
        return session.settings().model or DEFAULT_MODEL
