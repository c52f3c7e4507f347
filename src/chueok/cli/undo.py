"""`chueok undo`: put moved photos back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chueok.cli import options
from chueok.cli.app import app
from chueok.cli.session import Session, command
from chueok.flow.takeout import put_back
from chueok.records import Collected

FAILED = 6


@command(app)
def undo(
    session: Session,
    manifest: Annotated[
        Path, typer.Argument(metavar="MANIFEST", help="The chueok-move-*.jsonl file that a move wrote.")
    ],
    json: options.Json = False,
) -> int:
    """Put photos that `find --move` moved back where they were."""
    failed = False
    with session.library() as library, session.output(json=json) as output:
        for event in put_back(library, manifest):
            failed |= isinstance(event, Collected) and event.error is not None
            output.show(event)
    return FAILED if failed else 0
