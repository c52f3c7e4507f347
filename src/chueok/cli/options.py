"""Every option of the command line, written once."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from chueok.errors import ChueokError, UsageError
from chueok.records import Conflict


def names_known(context: typer.Context, incomplete: str) -> list[str]:
    """Person names for shell completion, of the library the line asks for; silence where there is none."""
    from chueok.library import open_library

    given = [level.params.get("library") for level in (context, context.find_root())]
    try:
        with open_library(next(filter(None, given), None), create=False) as library:
            return [
                person.name for person in library.catalog.people.all() if person.name.startswith(incomplete)
            ]
    except (ChueokError, OSError, RuntimeError):  # RuntimeError: ~ of a user there is none of
        return []


# ---- what every command takes; see session.py ----

LibraryDir = Annotated[
    Path | None, typer.Option("--library", metavar="DIR", help="Where chueok keeps what it learned.")
]
ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="Settings in TOML, below flags and environment."),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Only data and failures.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Name every photo.")]
ColorWhen = Annotated[
    str | None, typer.Option("--color", metavar="WHEN", help="auto, always or never; NO_COLOR is respected.")
]
Debug = Annotated[bool, typer.Option("--debug", help="Show a traceback when something goes wrong.")]

# ---- output ----

Json = Annotated[bool, typer.Option("--json", help="JSON Lines on stdout.")]
Null = Annotated[bool, typer.Option("--null", "-0", help="End paths with NUL, for xargs -0.")]
DryRun = Annotated[bool, typer.Option("--dry-run", "-n", help="Say what would be done, and do nothing.")]

# ---- index ----

Albums = Annotated[
    list[str] | None,
    typer.Argument(metavar="[ALBUM]...", help="Folders of photos; none given: all known albums."),
]
ModelName = Annotated[
    str | None, typer.Option("--model", metavar="NAME", help="The embedding model of a new library.")
]
Jobs = Annotated[
    int | None,
    typer.Option("--jobs", "-j", min=1, metavar="N", help="Reading processes; default: one per core."),
]
OnDevice = Annotated[
    str | None,
    typer.Option(
        "--device",
        metavar="cpu|auto|cuda|coreml",
        help="What runs the networks; auto: an accelerator if ONNX Runtime can use one. Default: cpu.",
    ),
]
Fast = Annotated[
    bool, typer.Option("--fast", help="Overlook faces below 3 % of a photo's long side, and be quicker.")
]
DetectorSize = Annotated[
    str | None,
    typer.Option(
        "--detector-size",
        metavar="PX",
        help="Look for faces in photos shrunk to about this long side, or `full`.",
    ),
]
LeastFace = Annotated[
    int | None,
    typer.Option("--min-face", min=12, metavar="PX", help="The smallest face looked for, at that size."),
]
Budget = Annotated[
    str | None,
    typer.Option("--budget", metavar="TIME", help="Begin no new photo after this long: 90s, 20m, 1h30m."),
]
RetryFailed = Annotated[bool, typer.Option("--retry-failed", help="Try unreadable photos again.")]
Prune = Annotated[bool, typer.Option("--prune", help="Forget photos whose files are gone.")]

# ---- people ----

PersonName = Annotated[
    str, typer.Argument(metavar="NAME", help="The person's name.", autocompletion=names_known)
]
References = Annotated[
    list[Path], typer.Argument(metavar="REF...", help="Photos of this person; they need not be in an album.")
]
FaceNumber = Annotated[
    int | None,
    typer.Option("--face", metavar="N", help="In a photo of several people: the N-th from the left."),
]
Largest = Annotated[bool, typer.Option("--largest", help="In a photo of several people: the largest face.")]
PersonRef = Annotated[
    str,
    typer.Option("--person", metavar="REF", help="An enrolled name or a photo.", autocompletion=names_known),
]

# ---- find ----

Expression = Annotated[
    str | None,
    typer.Argument(
        metavar="[EXPR]",
        help="Enrolled names joined by & | ! ( ), as in 'mom & (dad | minjun) & !ex'.",
        autocompletion=names_known,
    ),
]
Persons = Annotated[
    list[str] | None,
    typer.Option(
        "--person",
        "-p",
        metavar="REF",
        help="Who is wanted: an enrolled name or a photo. Several: any of them.",
        autocompletion=names_known,
    ),
]
With = Annotated[
    list[str] | None,
    typer.Option("--with", metavar="REF", help="Who must be there too.", autocompletion=names_known),
]
Without = Annotated[
    list[str] | None,
    typer.Option("--without", metavar="REF", help="Who must not be there.", autocompletion=names_known),
]
Only = Annotated[bool, typer.Option("--only", help="Nobody else in the photo.")]
Count = Annotated[
    str | None, typer.Option("--count", metavar="N|N..M", help="How many faces the photo shows: 2, 2..4, 3..")
]
After = Annotated[
    str | None,
    typer.Option("--after", metavar="DATE", help="Taken on or after: 2019, 2019-05, 2019-05-02."),
]
Before = Annotated[str | None, typer.Option("--before", metavar="DATE", help="Taken before this date.")]
MinFace = Annotated[
    int, typer.Option("--min-face", min=0, metavar="PX", help="Overlook faces smaller than this.")
]
InAlbum = Annotated[
    Path | None, typer.Option("--album", metavar="DIR", help="Only photos below this folder.")
]
Threshold = Annotated[
    float | None,
    typer.Option("--threshold", min=-1.0, max=1.0, metavar="X", help="Similarity a match needs, -1 to 1."),
]
Far = Annotated[
    float | None,
    typer.Option(
        "--far", min=1e-9, max=1.0, metavar="RATE", help="False accept rate to take the threshold at."
    ),
]
Limit = Annotated[int | None, typer.Option("--limit", min=1, metavar="N", help="At most N photos.")]
Html = Annotated[
    Path | None, typer.Option("--html", metavar="FILE", help="Write a page of the results, faces marked.")
]
Copy = Annotated[Path | None, typer.Option("--copy", metavar="DIR", help="Copy the photos there.")]
Symlink = Annotated[
    Path | None, typer.Option("--symlink", metavar="DIR", help="Link to the photos from there.")
]
Hardlink = Annotated[
    Path | None, typer.Option("--hardlink", metavar="DIR", help="Hard-link the photos there.")
]
Move = Annotated[
    Path | None,
    typer.Option("--move", metavar="DIR", help="Move the photos there; `chueok undo` takes it back."),
]
ConflictMode = Annotated[
    Conflict, typer.Option("--conflict", metavar="MODE", help=f"Name taken: {', '.join(Conflict)}.")
]

# ---- lookalike ----

Selfie = Annotated[Path, typer.Argument(metavar="SELFIE", help="A photo of one person.")]
GallerySource = Annotated[
    Path | None,
    typer.Option(
        "--gallery",
        "-g",
        metavar="DIR|FILE.json",
        help="One picture or one folder per person, or a JSON of {name: [numbers]}; default: enrolled people.",
    ),
]
Top = Annotated[int | None, typer.Option("--top", min=1, metavar="N", help="Only the N most similar people.")]
Card = Annotated[
    Path | None, typer.Option("--card", metavar="FILE.png", help="Draw the two faces side by side.")
]

# ---- lab ----

MODEL_OR_MANIFEST = "A model of `chueok model list`, or a TOML manifest beside its ONNX file."

DataSet = Annotated[
    Path,
    typer.Argument(
        metavar="DATASET",
        help="A folder with a folder per person, LFW's pairs.txt and pictures, or a library with people enrolled.",
    ),
]
Original = Annotated[str, typer.Argument(metavar="MODEL", help=MODEL_OR_MANIFEST)]
Teacher = Annotated[str, typer.Option("--teacher", metavar="MODEL", help=MODEL_OR_MANIFEST)]
Measured = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        metavar="MODEL",
        help=f"{MODEL_OR_MANIFEST} Several: side by side. Default: the library's.",
    ),
]
Crops = Annotated[
    Path,
    typer.Option("--crops", metavar="SOURCE", help="Aligned faces: a folder of pictures or tars, or a tar."),
]
ModelFolder = Annotated[
    Path, typer.Option("--out", metavar="DIR", help="Gets NAME.onnx, NAME.toml, and what else is made.")
]
NewName = Annotated[
    str | None,
    typer.Option(
        "--name",
        metavar="NAME",
        help="The new model's name; default: student (distill), MODEL-int8 (quantize), MODEL-pruned (prune), "
        "MODEL-tuned (finetune).",
    ),
]
Views = Annotated[
    int, typer.Option("--views", min=1, metavar="N", help="How many varied views of crops to learn from.")
]
EvaluatedOn = Annotated[
    list[Path] | None,
    typer.Option(
        "--evaluate",
        metavar="DATASET",
        help="Measure the result, as `chueok lab evaluate`. Several: the first gives the thresholds.",
    ),
]
Device = Annotated[
    str, typer.Option("--device", metavar="WHERE", help="auto (a GPU where there is one), cpu or cuda.")
]
Seed = Annotated[
    int,
    typer.Option(
        "--seed",
        min=0,
        max=2**31 - 1,
        metavar="N",
        help="Decides what is left to chance: the same seed, the same model.",
    ),
]

# ---- values ----

_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?", re.IGNORECASE)


def seconds_of(text: str | None) -> float | None:
    """`90`, `90s`, `20m`, `1h30m` in seconds. Raises UsageError."""
    if text is None:
        return None
    parts = _DURATION.fullmatch(text.strip())
    if not parts or not any(parts.groups()):
        raise UsageError(f"--budget {text}: write a time as 90s, 20m or 1h30m")
    hours, minutes, seconds = (int(part or 0) for part in parts.groups())
    return timedelta(hours=hours, minutes=minutes, seconds=seconds).total_seconds()


def date_of(text: str | None, option: str) -> datetime | None:
    """The first moment of a year, month or day, or an exact ISO time, in local time. Raises UsageError."""
    if text is None:
        return None
    readers: list[Callable[[str], datetime]] = [
        lambda text: datetime.strptime(text, "%Y"),
        lambda text: datetime.strptime(text, "%Y-%m"),
        datetime.fromisoformat,
    ]
    for read in readers:
        try:
            return _local(read(text.strip()))
        except (ValueError, OverflowError):  # no date, or one whose local time is outside years 1 to 9999
            continue
    raise UsageError(f"{option} {text}: write a date as 2019, 2019-05, 2019-05-02 or 2019-05-02T10:30")


def _local(moment: datetime) -> datetime:
    """A time with a zone as this machine's clocks show it, as cameras write times; one without stays."""
    return moment if moment.tzinfo is None else moment.astimezone().replace(tzinfo=None)


def count_of(text: str | None) -> tuple[int, int | None] | None:
    """`2`, `2..4`, `2..`, `..4` as a range. Raises UsageError."""
    if text is None:
        return None
    parts = re.fullmatch(r"(\d*)(\.\.)?(\d*)", text.strip())
    if not parts or not (parts[1] or parts[3]):
        raise UsageError(f"--count {text}: write a number of faces as 2, 2..4, 2.. or ..4")
    low = int(parts[1] or 0)
    high = (int(parts[3]) if parts[3] else None) if parts[2] else low
    if high is not None and high < low:
        raise UsageError(f"--count {text}: the second number is smaller than the first")
    return low, high
