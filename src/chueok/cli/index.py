"""`chueok index`: learn the photos of albums."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from typing import Any

from chueok.cli import options
from chueok.cli.app import app
from chueok.cli.session import Session, command, to_the_end
from chueok.errors import ExitCode, NoLibrary
from chueok.flow.scan import ScanOptions, album_folder, scan
from chueok.library import Library, open_library
from chueok.records import ScanSummary, Status
from chueok.settings import FAST


@command(app)
def index(
    session: Session,
    albums: options.Albums = None,
    model: options.ModelName = None,
    jobs: options.Jobs = None,
    device: options.OnDevice = None,
    fast: options.Fast = False,
    detector_size: options.DetectorSize = None,
    min_face: options.LeastFace = None,
    budget: options.Budget = None,
    retry_failed: options.RetryFailed = False,
    prune: options.Prune = False,
    dry_run: options.DryRun = False,
    json: options.Json = False,
) -> int:
    """Learn the new and changed photos of albums.

    Can be stopped at any time: the next run goes on from there. Photos that moved keep their faces and names.
    Your photos are only read, never changed.
    """
    asked = ScanOptions(
        retry_failed=retry_failed,
        prune=prune,
        dry_run=dry_run,
        budget=options.seconds_of(budget),
        name_unchanged=json or session.shared.verbose,
    )
    searched = {"detector_size": detector_size, "detector_min_face": min_face}
    if fast:
        searched = FAST | {name: value for name, value in searched.items() if value is not None}
    failed = 0
    for album in albums or ():
        album_folder(album)  # before a library is made for nothing
    with ExitStack() as stack:
        flags = {"model": model, "jobs": jobs, "device": device, **searched}
        library = stack.enter_context(_library(session, stack, bool(albums), dry_run, **flags))
        output = stack.enter_context(session.output(json=json))
        for event in scan(library, albums or (), asked):
            if isinstance(event, ScanSummary):
                failed = event.counts[Status.FAILED] + event.unreachable
            with to_the_end("all photos were learned"):
                output.show(event)
    return ExitCode.SOME_UNREADABLE if failed else 0


def _library(session: Session, stack: ExitStack, albums_given: bool, dry_run: bool, **flags: Any) -> Library:
    """The library to fill; a rehearsal without one uses a passing one, so that nothing is left behind."""
    try:
        return session.library(create=albums_given and not dry_run, **flags)
    except NoLibrary:
        if not (dry_run and albums_given):
            raise
        passing = stack.enter_context(tempfile.TemporaryDirectory(prefix="chueok-"))
        return open_library(passing, settings=session.settings(**flags))
