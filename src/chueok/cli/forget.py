"""`chueok forget`: remove biometric data for good."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chueok.cli import options
from chueok.cli.app import app
from chueok.cli.session import Session, command
from chueok.errors import UsageError
from chueok.flow import forget as forgetting
from chueok.records import Note


@command(app)
def forget(
    session: Session,
    path: Annotated[
        Path | None, typer.Option("--path", metavar="P", help="Everything learned from this photo or folder.")
    ] = None,
    person: Annotated[
        str | None,
        typer.Option(
            "--person",
            metavar="NAME",
            help="A person and their references.",
            autocompletion=options.names_known,
        ),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="The whole library.")] = False,
) -> int:
    """Remove what was learned, for good. No photo is touched."""
    if sum((path is not None, person is not None, everything)) != 1:
        raise UsageError("say what to forget: one of --path P, --person NAME and --all")
    if everything:
        note = forgetting.forget_everything(session.settings().library)
    else:
        with session.library() as library:
            if path is not None:
                note = forgetting.forget_path(library, path)
            else:
                note = forgetting.forget_person(library, person or "")
    with session.output() as output:
        output.show(Note(note))
    return 0
