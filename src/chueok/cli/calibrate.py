"""`chueok calibrate`: the threshold for this library."""

from __future__ import annotations

from typing import Annotated

import typer

from chueok.cli import options
from chueok.cli.app import app
from chueok.cli.session import Session, command
from chueok.errors import ExitCode, UsageError
from chueok.flow.calibrate import calibrate as measure
from chueok.flow.calibrate import forget_calibration
from chueok.records import Note


@command(app)
def calibrate(
    session: Session,
    far: options.Far = None,
    dry_run: options.DryRun = False,
    forget: Annotated[bool, typer.Option("--forget", help="Go back to the model's own threshold.")] = False,
    json: options.Json = False,
) -> int:
    """The threshold for this library, measured on its own photos; `chueok find` uses it from then on.

    Two faces in one photo are two people: that shows how alike different people look here. No photo is read. Ends with
    1, and changes nothing, when the library shows too few pairs of people.
    """
    if forget and (dry_run or far is not None):
        raise UsageError("--forget stands alone: it removes what was measured, at every rate")
    with session.library(far=far) as library, session.output(json=json) as output:
        if forget:
            output.show(Note(forget_calibration(library)))
            return 0
        found = measure(library, dry_run=dry_run)
        output.show_all([found.calibration], found.notes, [found.summary])
        return 0 if found.calibration.threshold is not None else ExitCode.NOTHING_FOUND
