"""`chueok lab pairs`: which pictures of a data set to compare, as a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chueok.cli import options
from chueok.cli.app import lab_app
from chueok.cli.session import Session, command, to_the_end
from chueok.errors import ExitCode, UsageError
from chueok.measures import PairsSummary
from chueok.output.counting import counting
from chueok.output.private import private_file

Out = Annotated[Path, typer.Option("--out", metavar="FILE.csv", help="Where the pairs go.")]
Negatives = Annotated[
    str | None,
    typer.Option(
        "--negatives",
        metavar="N|all",
        help="Pairs of two people to draw by lot. Default: as many as there are of one person.",
    ),
]
Folds = Annotated[
    int,
    typer.Option(
        "--folds",
        min=1,
        metavar="N",
        help="Parts without common people: one decides by the others' threshold.",
    ),
]


@command(lab_app)
def pairs(
    session: Session,
    dataset: options.DataSet,
    out: Out,
    negatives: Negatives = None,
    folds: Folds = 1,
    seed: options.Seed = 0,
    jobs: options.Jobs = None,
    json: options.Json = False,
) -> int:
    """Pairs to verify with: every two pictures of one person, and pairs of two people drawn by lot.

    The table has file_x, file_y, Decision (yes: one person) and fold; `chueok lab evaluate DATASET --pairs FILE` takes
    it. Pictures in which no face is found are named, and in no pair. The same seed makes the same pairs.
    """
    from chueok.lab.datasets import open_dataset
    from chueok.lab.pair_files import COLUMNS
    from chueok.lab.pairs import write_pairs

    wanted = _count(negatives)
    settings = session.settings(jobs=jobs)
    opened = open_dataset(dataset)
    unreadable = 0
    with private_file(out, ",".join(COLUMNS).encode()) as file, session.output(json=json) as output:
        progress = counting(output, "finding faces", "pictures")
        for event in write_pairs(
            opened, file, settings, negatives=wanted, folds=folds, seed=seed, progress=progress
        ):
            if isinstance(event, PairsSummary):
                unreadable = event.unreadable
            with to_the_end("the pairs were written"):
                output.show(event)
    return ExitCode.SOME_UNREADABLE if unreadable else 0


def _count(text: str | None) -> int | None:
    """How many pairs of two people: 0 for as many as of one, None for all. Raises UsageError."""
    if text is None or text == "all":
        return None if text else 0
    if not text.isdecimal() or not int(text):
        raise UsageError(f"--negatives {text}: give a number from 1, or all")
    return int(text)
