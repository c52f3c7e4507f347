"""`chueok why`: why a photo matches a person, or does not."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chueok.cli import options
from chueok.cli.app import app
from chueok.cli.session import Session, command
from chueok.errors import ExitCode
from chueok.flow.people import FaceChoice
from chueok.flow.why import why as explain
from chueok.records import Note


@command(app)
def why(
    session: Session,
    photo: Annotated[Path, typer.Argument(metavar="PHOTO", help="Any photo, in an album or not.")],
    person: options.PersonRef,
    threshold: options.Threshold = None,
    far: options.Far = None,
    face: options.FaceNumber = None,
    largest: options.Largest = False,
    json: options.Json = False,
) -> int:
    """Why a photo matches a person, or does not: similarity, threshold, best reference, runner-up.

    Ends with 1 when no face matches.
    """
    with (
        session.library(threshold=threshold, far=far) as library,
        session.output(json=json) as output,
    ):
        found = explain(library, photo, person, FaceChoice(face, largest))
        for verdict in found.verdicts:
            output.show(verdict)
        output.show(Note(f"threshold: {found.threshold_origin}"))
    return 0 if any(verdict.matched for verdict in found.verdicts) else ExitCode.NOTHING_FOUND
