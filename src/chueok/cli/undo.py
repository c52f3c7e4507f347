"""`chueok undo`: put moved photos back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from chueok.cli import options
from chueok.cli.app import app
from chueok.cli.session import Session, command, to_the_end
from chueok.errors import ExitCode, NoLibrary
from chueok.flow.takeout import put_back
from chueok.flow.undo import undo as undo_move
from chueok.records import Collected, CollectSummary


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
    with ExitStack() as stack:
        output = stack.enter_context(session.output(json=json))
        for event in _events(session, stack, manifest):
            failed |= isinstance(event, Collected) and event.error is not None
            with to_the_end("all photos were put back"):
                output.show(event)
    return ExitCode.FAILED if failed else ExitCode.DONE


def _events(session: Session, stack: ExitStack, manifest: Path) -> Iterator[Collected | CollectSummary]:
    """Photos can be put back also when the library that found them is gone."""
    try:
        library = stack.enter_context(session.library())
    except NoLibrary:
        return undo_move(manifest)
    return put_back(library, manifest)
