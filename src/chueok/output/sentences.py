"""Records as sentences, the same on a terminal, in a pipe and in a log."""

from __future__ import annotations

import shlex
from pathlib import Path

from chueok.measures import (
    DistillSummary,
    EvaluateSummary,
    FinetuneSummary,
    LearningPoint,
    PairsSummary,
    PruneSummary,
    QuantizeSummary,
    SweepSummary,
    TuningPoint,
)
from chueok.output.calibration import status_words
from chueok.output.text import bytes_size, duration, plural, printable
from chueok.records import (
    Action,
    CollectSummary,
    Enrolled,
    EnrollSummary,
    FindSummary,
    LibraryStatus,
    LookalikeSummary,
    PhotoIndexed,
    ScanSummary,
    Status,
    Step,
    Transfer,
)

SCALE = (
    "50 % means similarity 0; the percentage is a playful scale, not a probability. "
    "The percentile is the share of this gallery's scores between different people that lie below."
)

_DONE = {
    Transfer.COPY: "copied",
    Transfer.SYMLINK: "symlinked",
    Transfer.HARDLINK: "hard-linked",
    Transfer.MOVE: "moved",
}
DOING = {
    Transfer.COPY: "copying",
    Transfer.SYMLINK: "symlinking",
    Transfer.HARDLINK: "hard-linking",
    Transfer.MOVE: "moving",
}
_TO_DO = {
    Transfer.COPY: "copy",
    Transfer.SYMLINK: "symlink",
    Transfer.HARDLINK: "hard-link",
    Transfer.MOVE: "move",
}


def photo_line(photo: PhotoIndexed) -> str:
    """What became of one photo; the reason where it could not be read."""
    path = printable(photo.path)
    if photo.status is Status.FAILED:
        return f"cannot read {path}: {printable(photo.error)}"
    if photo.status is Status.DAMAGED:
        return f"only partly readable: {path}: {printable(photo.error)} ({plural(photo.faces, 'face')})"
    return f"{photo.status}: {path} ({plural(photo.faces, 'face')})"


def indexed(summary: ScanSummary) -> str:
    """The result of a scan."""
    total = sum(summary.counts.values())
    if not (total or summary.missing or summary.left or summary.pruned or summary.unreachable):
        if summary.faces:  # after `chueok model use`
            return f"nothing was left to do: all {plural(summary.faces, 'face')} were embedded before"
        return "no photos there; name the folder they are in: `chueok index ALBUM` (links are not followed)"
    by_status = [f"{summary.counts[s]:,} {s}" for s in Status if summary.counts.get(s)]
    parts = [("would index " if summary.dry_run else "indexed ") + plural(total, "photo")]
    if by_status:
        parts.append(f" ({', '.join(by_status)})")
    if not summary.dry_run:
        parts.append(f": {plural(summary.faces, 'face')} in {duration(summary.seconds)}")
    return "".join(parts) + _loose_ends(summary)


def _loose_ends(summary: ScanSummary) -> str:
    """What the user may want to do after a scan."""
    ends = ""
    if summary.left:
        ends += f"; {plural(summary.left, 'photo')} left for the next run"
    if summary.pruned:
        ends += f"; {'would forget' if summary.dry_run else 'forgot'} {plural(summary.pruned, 'photo')}"
    if summary.unreachable:
        ends += f"; {plural(summary.unreachable, 'folder')} could not be looked into"
    if summary.missing:
        gone = plural(summary.missing, "known photo")
        ends += f"; {gone} no longer there (`chueok index --prune` forgets them)"
    return ends


def found(summary: FindSummary) -> str:
    """How many photos, and which number decided; what to try next when there is none."""
    people = _listed(summary.people)
    if not summary.faces:
        return f"no faces to search for {people}: index an album first (`chueok index ALBUM`)"
    searched = f"{plural(summary.faces, 'face')} searched in {duration(summary.seconds)}"
    if not summary.photos:
        return (
            f"nothing found for {people}; {_threshold(summary)}; {searched}. Try fewer "
            "conditions, a lower --threshold, another reference photo, or `chueok why PHOTO --person REF`"
        )
    photos = plural(summary.photos, "photo")
    if summary.beyond_limit:
        photos = f"the first {photos} of {summary.photos + summary.beyond_limit:,}"
    return f"{photos} of {people}; {_threshold(summary)}; {searched}"


def _threshold(summary: FindSummary) -> str:
    origin = "as given" if summary.threshold_origin == "given" else printable(summary.threshold_origin)
    return f"threshold {summary.threshold:.3f} ({origin})"


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(printable(name) for name in names) or "anyone"


def compared(summary: LookalikeSummary) -> str:
    """What the probe was compared with."""
    if not summary.people:
        return (
            "nobody to compare with; give --gallery a folder with a picture (or a sub-folder) per person, "
            "or enroll people first (`chueok enroll NAME PHOTO`)"
        )
    unusable = f", {summary.unusable:,} unusable" if summary.unusable else ""
    return (
        f"compared {printable(summary.probe)} with {plural(summary.people, 'person')} "
        f"({plural(summary.pictures, 'picture')}{unusable}) by {printable(summary.model)} "
        f"in {duration(summary.seconds)}"
    )


def enrolled(record: Enrolled) -> str:
    """Which face of which picture now stands for a person."""
    source = printable(record.source)
    if record.already_known:
        return f"{printable(record.name)}: {source} was a reference before"
    box = record.face.detection.box
    return (
        f"{printable(record.name)}: learned from {source} (face of {box.width:.0f} x {box.height:.0f} pixels)"
    )


def enrolment(summary: EnrollSummary) -> str:
    """The result of an enrolment, and the command it was made for."""
    name = printable(summary.name)
    known = f" ({summary.already_known:,} known before)" if summary.already_known else ""
    return (
        f"enrolled {name} from {plural(summary.references, 'reference')}{known} "
        f"in {duration(summary.seconds)}; find the photos: `chueok find {_shell(summary.name)}`"
    )


def planned(action: Action) -> str:
    """One line of a plan."""
    source, target = printable(action.source), printable(action.target)
    note = printable(action.note) if action.note else ""
    match action.step:
        case Step.ALREADY_THERE:
            line = f"{source}: already there as {target}"
        case Step.SKIPPED:
            line = f"{source}: skipped, another file is at {target}"
        case Step.MISSING:
            return f"{source}: {note or 'it is no longer there'}"
        case Step.REPLACE:
            line = f"{source} -> {target}, replacing the file there"
        case Step.TRANSFER:
            line = f"{source} -> {target}"
    if action.displaced:
        line += f", the file there becomes {printable(action.displaced)}"
    return f"{line} ({note})" if note else line


def collected(summary: CollectSummary) -> str:
    """The result of a collection, and how to take a move back."""
    verb = f"would {_TO_DO[summary.transfer]}" if summary.dry_run else _DONE[summary.transfer]
    there = "already there"
    if summary.manifest is not None and not summary.put_back:
        there += ", of which a second one was removed"
    rest = [
        f"{count:,} {what}"
        for count, what in (
            (summary.already_there, there),
            (summary.skipped, "skipped"),
            (summary.failed, "failed"),
        )
        if count
    ]
    sentence = f"{verb} {plural(summary.done, 'photo')} to {printable(summary.destination)}"
    if summary.put_back:
        sentence = f"put back {plural(summary.done, 'photo')} from {printable(summary.destination)}"
    sentence += f" ({', '.join(rest)})" if rest else ""
    if summary.manifest is not None:
        sentence += f"; to put them back: `chueok undo {_shell(str(summary.manifest))}`"
    return sentence


def paired(summary: PairsSummary) -> str:
    """The pairs that were made, and what they can be used for."""
    without = f"; {plural(summary.faceless, 'picture')} without a face" if summary.faceless else ""
    without += f"; {summary.unreadable:,} unreadable" if summary.unreadable else ""
    folds = f" in {summary.folds} folds" if summary.folds > 1 else ""
    return (
        f"wrote {summary.positive:,} pairs of one person and {summary.negative:,} of two{folds}, of "
        f"{plural(summary.people, 'person')}{without}; measure with them: `chueok lab evaluate DATASET --pairs FILE`"
    )


def measured(summary: EvaluateSummary) -> str:
    """The result of an evaluation."""
    without = f", {summary.faceless:,} without a face" if summary.faceless else ""
    without += f", {summary.unreadable:,} unreadable" if summary.unreadable else ""
    return (
        f"measured {plural(summary.models, 'model')} on {plural(summary.pictures, 'picture')}{without}, of "
        f"{plural(summary.datasets, 'data set')}, in {duration(summary.seconds)}"
    )


def quantized(summary: QuantizeSummary) -> str:
    """The result of a quantisation, and how to use it."""
    return (
        f"calibrated with {plural(summary.calibration, 'crop')}, compared on {summary.compared:,} others in "
        f"{duration(summary.seconds)}; install it: {_fetch(summary.model, summary.manifest)}"
    )


def pruned(summary: PruneSummary) -> str:
    """The result of a pruning, and how to use it."""
    return (
        f"kept {summary.filters:,} of {plural(summary.filters_before, 'filter')} and learnt from "
        f"{plural(summary.views, 'view')} in {duration(summary.seconds)}; similarity to the original "
        f"{summary.similarity:.4f}; install it: {_fetch(summary.model, summary.manifest)}"
        + (
            ""
            if summary.has_thresholds
            else "; it has no threshold, as the original's are not its own: --evaluate DATASET measures them"
        )
    )


def learning(point: LearningPoint) -> str:
    """Where a student stands."""
    return (
        f"{point.views:,} views: loss {point.loss:.4f}, similarity to the teacher {point.similarity:.4f}, "
        f"after {duration(point.seconds)}"
    )


def distilled(summary: DistillSummary) -> str:
    """The result of a distillation, and how to use it."""
    return (
        f"learnt from {plural(summary.views, 'view')} in {duration(summary.seconds)}; similarity to the teacher "
        f"{summary.similarity:.4f}; the learning curve: {printable(str(summary.curve))}; install the student: "
        f"{_fetch(summary.model, summary.manifest)}, or make it smaller with `chueok lab quantize` first"
        + ("" if summary.has_thresholds else "; no threshold was measured: --evaluate DATASET does that")
    )


def tuning(point: TuningPoint) -> str:
    """Where a fine-tuning stands."""
    rates = f"EER {100 * point.eer:.2f} %, rank-1 {100 * point.rank1:.2f} %"
    if point.loss is None:
        return f"before: {rates} on the validation people"
    best = ", the best so far" if point.best else ""
    return (
        f"epoch {point.epoch:,} of {point.epochs:,}: loss {point.loss:.4f}, {rates}{best}, after "
        f"{duration(point.seconds)}"
    )


def tuned(summary: FinetuneSummary) -> str:
    """The result of a fine-tuning, and how to use it, or why not to."""
    learnt = (
        f"learnt for {plural(summary.epochs, 'epoch')} in {duration(summary.seconds)}; the learning curve: "
        f"{printable(str(summary.curve))}; "
    )
    reason = printable(summary.reason)
    if summary.manifest is None:
        return f"{learnt}nothing was made: {reason}"
    if summary.installed:
        use = f"`chueok model use {_shell(summary.model)}`"
        return f"{learnt}installed: {reason}; use it: {use}, and go back: `chueok model use {_shell(summary.origin)}`"
    return f"{learnt}not installed: {reason}; to install it all the same: {_fetch(summary.model, summary.manifest)}"


def swept(summary: SweepSummary) -> str:
    """The result of a sweep, and how to make the best model of it."""
    kept = f" ({summary.kept:,} by earlier runs)" if summary.kept else ""
    best = (
        f"the best: {printable(summary.best)}" if summary.best else "none is better than the model as it was"
    )
    return (
        f"compared {plural(summary.cells, 'combination')}{kept} in {duration(summary.seconds)}; "
        f"the table: {printable(str(summary.table))}; {best}"
    )


def _fetch(model: str, manifest: Path) -> str:
    return f"`chueok model fetch {_shell(model)} --from {_shell(str(manifest))}`"


def _shell(word: str) -> str:
    return printable(shlex.quote(word))


def status_rows(status: LibraryStatus) -> list[tuple[str, str]]:
    """What is known, as (key, value) rows, albums included, failures not."""
    scan = "running now" if status.scan_running else "never finished"
    if status.last_scan is not None:
        ended = status.last_scan.isoformat(" ", "minutes")
        scan = f"{ended}, and one is running now" if status.scan_running else ended
    rows = [
        ("library", printable(status.library)),
        ("model", printable(status.model)),
        *([("calibrated", status_words(status.calibration))] if status.calibration else []),
        ("photos", f"{status.photos:,}"),
        ("pictures", f"{status.pictures:,} different, with references and galleries"),
        ("faces", f"{status.faces:,}"),
        ("people", f"{status.people:,}"),
        ("catalog", bytes_size(status.catalog_bytes)),
        ("index", f"{status.index_state}, {bytes_size(status.index_bytes)}"),
        ("last scan", scan),
    ]
    for album in status.albums:
        counts = [plural(album.photos, "photo"), plural(album.faces, "face")]
        counts += [f"{album.missing:,} missing"] if album.missing else []
        counts += [f"{album.failed:,} failed"] if album.failed else []
        counts += [] if album.present else ["its folder is not there now"]
        rows.append(("album", f"{printable(album.path)} ({', '.join(counts)})"))
    return rows
