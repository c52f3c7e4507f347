"""`chueok model`: what models there are, getting one, changing to one."""

from __future__ import annotations

from typing import Annotated

import typer

from chueok.cli import options
from chueok.cli.app import model_app
from chueok.cli.session import Session, command, to_the_end
from chueok.errors import ExitCode, NoLibrary
from chueok.flow.models import use_model
from chueok.output.download import download_progress
from chueok.records import Note, PhotoIndexed, Status
from chueok.vision.models import registry

ModelArgument = Annotated[str, typer.Argument(metavar="NAME", help="A model of `chueok model list`.")]


_NO_THRESHOLD = (
    "this model has no measured threshold: give `chueok find` a --threshold, or let `chueok calibrate` "
    "measure one"
)


@command(model_app, "list")
def list_models(session: Session, json: options.Json = False) -> int:
    """The models chueok knows, with licence, size and hash."""
    settings = session.settings()
    try:
        with session.library() as library:
            current = library.card.name
    except NoLibrary:
        current = settings.model or ""
    with session.output(json=json) as output:
        for status in registry.model_statuses(settings.models, current):
            output.show(status)
    return 0


@command(model_app)
def fetch(
    session: Session,
    name: ModelArgument,
    source: Annotated[
        str | None,
        typer.Option("--from", metavar="FILE|URL", help="A file downloaded before, or a TOML manifest."),
    ] = None,
) -> int:
    """Download a model's weights, or install them from a file. The only command that uses the network."""
    from chueok.vision.models.fetch import obtain  # brings urllib and ssl

    settings = session.settings()
    with session.output() as output, download_progress(name, quiet=session.shared.quiet) as progress:
        card, path = obtain(name, settings.models, source, progress)
        output.show(Note(f"{card.name} is installed and verified: {path}"))
    return 0


@command(model_app)
def verify(
    session: Session,
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Default: every installed model.")
    ] = None,
) -> int:
    """Check installed weights against their sha256."""
    settings = session.settings()
    if name is not None:
        cards = [registry.find_model(name, settings.models)]
    else:
        every = registry.known_models(settings.models).values()
        cards = [card for card in every if registry.installed_path(card, settings.models).exists()]
    with session.output() as output:
        for card in cards:
            registry.verify(card, settings.models)
            output.show(Note(f"{card.name}: the sha256 of the weights is right"))
    return 0


@command(model_app)
def use(session: Session, name: ModelArgument, jobs: options.Jobs = None, json: options.Json = False) -> int:
    """Change the library to another model: faces are embedded again from their stored boxes, people are kept."""
    failed = False
    with (
        session.library(model=name, jobs=jobs, switch_model=True) as library,
        session.output(json=json) as output,
    ):
        for event in use_model(library):
            failed |= isinstance(event, PhotoIndexed) and event.status is Status.FAILED
            with to_the_end("all faces were embedded"):
                output.show(event)
        if not library.card.thresholds and library.catalog.calibrations.of(library.model_id) is None:
            output.show(Note(_NO_THRESHOLD))
    return ExitCode.SOME_UNREADABLE if failed else 0
