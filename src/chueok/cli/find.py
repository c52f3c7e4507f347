"""`chueok find`: the photos in which a person appears."""

from __future__ import annotations

from pathlib import Path

from chueok.cli import options
from chueok.cli.app import app
from chueok.cli.session import Session, command, to_the_end
from chueok.errors import ExitCode, UsageError
from chueok.flow.find import Query
from chueok.flow.find import find as find_photos
from chueok.flow.paths import as_path
from chueok.flow.people import FaceChoice
from chueok.flow.takeout import take_out
from chueok.library import Library
from chueok.output.base import Output, Record
from chueok.output.html import write_sheet
from chueok.records import Collected, Conflict, Match, Note, Transfer

MANIFESTS = "chueok-move-*.jsonl"  # see flow/manifest.py


@command(app)
def find(
    session: Session,
    expression: options.Expression = None,
    person: options.Persons = None,
    together_with: options.With = None,
    without: options.Without = None,
    only: options.Only = False,
    count: options.Count = None,
    after: options.After = None,
    before: options.Before = None,
    min_face: options.MinFace = 0,
    album: options.InAlbum = None,
    threshold: options.Threshold = None,
    far: options.Far = None,
    limit: options.Limit = None,
    face: options.FaceNumber = None,
    largest: options.Largest = False,
    copy: options.Copy = None,
    symlink: options.Symlink = None,
    hardlink: options.Hardlink = None,
    move: options.Move = None,
    conflict: options.ConflictMode = Conflict.RENAME,
    dry_run: options.DryRun = False,
    html: options.Html = None,
    json: options.Json = False,
    null: options.Null = False,
) -> int:
    """The photos in which a person appears, most similar first.

    A photo without a date of its own is dated by its file. Ends with 1 when nothing is found.
    """
    collecting = _destination(copy, symlink, hardlink, move)
    if dry_run and collecting is None:
        raise UsageError(
            "--dry-run goes with --copy, --symlink, --hardlink or --move; a search changes nothing"
        )
    query = Query(
        expression=expression,
        persons=tuple(person or ()),
        together_with=tuple(together_with or ()),
        without=tuple(without or ()),
        only=only,
        count=options.count_of(count),
        after=options.date_of(after, "--after"),
        before=options.date_of(before, "--before"),
        min_face=min_face,
        album=album,
        limit=limit,
        choice=FaceChoice(face, largest),
    )
    with (
        session.library(threshold=threshold, far=far) as library,
        session.output(json=json, null=null) as output,
    ):
        found = find_photos(library, query)
        records: list[Record] = [*found.notes, *found.matches, found.summary]
        if collecting is None:
            output.show_all(records)
        if html is not None and not dry_run:
            write_sheet(html, found.matches, found.summary, library.settings)
            output.show(Note(f"the page of results is {html.absolute()}"))
        code = 0 if found.matches else ExitCode.NOTHING_FOUND
        if collecting is not None:
            # Photos first: whoever reads the answer may go away early, as `head` does.
            code = code or _collect(library, output, found.matches, *collecting, conflict, dry_run=dry_run)
            output.show_all(records)
        return code


def _destination(*folders: Path | None) -> tuple[Transfer, Path] | None:
    """The one way of taking photos out that was asked for. Raises UsageError for several."""
    given = [
        (transfer, folder)
        for transfer, folder in zip(
            (Transfer.COPY, Transfer.SYMLINK, Transfer.HARDLINK, Transfer.MOVE), folders, strict=True
        )
        if folder is not None
    ]
    if len(given) > 1:
        raise UsageError("choose one of --copy, --symlink, --hardlink and --move")
    return given[0] if given else None


def _collect(
    library: Library,
    output: Output,
    matches: list[Match],
    transfer: Transfer,
    destination: Path,
    conflict: Conflict,
    *,
    dry_run: bool,
) -> int:
    failed = False
    photos = [match.photo for match in matches]
    folder = as_path(destination)
    before = set(folder.glob(MANIFESTS))
    try:
        for event in take_out(library, photos, destination, transfer, conflict, dry_run=dry_run):
            failed |= isinstance(event, Collected) and event.error is not None
            with to_the_end("all photos were taken out"):
                output.show(event)
    except BaseException:
        for manifest in sorted(set(folder.glob(MANIFESTS)) - before):
            output.show(Note(f"what was moved so far can be put back: chueok undo {manifest}"))
        raise
    return ExitCode.FAILED if failed else ExitCode.DONE
