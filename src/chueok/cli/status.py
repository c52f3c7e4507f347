"""`chueok status` and `chueok path`: what is known, and where it is kept."""

from __future__ import annotations

import enum
import os
import sys
from typing import Annotated

import typer

from chueok.cli import options
from chueok.cli.app import app
from chueok.cli.session import Session, command
from chueok.flow.status import status as status_of


class StateFolder(enum.StrEnum):
    """What chueok keeps on this machine."""

    LIBRARY = "library"  # what was learned
    MODELS = "models"  # weights the user installed
    CACHE = "cache"  # compiled networks; can be deleted at any time


@command(app)
def status(session: Session, json: options.Json = False) -> int:
    """What is known: albums, photos, faces, failures with reasons, model, sizes."""
    with session.library() as library, session.output(json=json) as output:
        output.show(status_of(library))
    return 0


@command(app)
def path(
    session: Session,
    what: Annotated[
        StateFolder, typer.Argument(metavar="[WHAT]", help=f"{', '.join(StateFolder)}.")
    ] = StateFolder.LIBRARY,
) -> int:
    """Where chueok keeps its state."""
    folder = getattr(session.settings(), what.value)
    sys.stdout.buffer.write(os.fsencode(folder) + b"\n")
    return 0
