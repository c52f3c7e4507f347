"""The page of results: every match with its photo and face, one file, nothing fetched from anywhere."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from chueok.flow.paths import real
from chueok.output.page import FOOT, HEAD, MARK
from chueok.output.pictures import Cut, Cutter, Cuttings
from chueok.output.private import private_file
from chueok.output.sentences import found
from chueok.output.text import printable
from chueok.records import Box, FindSummary, Match
from chueok.settings import Settings

if TYPE_CHECKING:
    from PIL.Image import Image

_DECODED = 2048  # long side in pixels: a face of 1/20 of the photo still fills its close-up
_PHOTO = 560  # long side of a thumbnail in pixels: sharp in a 280-pixel column on a screen of double density
_FACE = 144  # side of a close-up in pixels, shown at 72
_QUALITY = 78  # JPEG; a thumbnail of 560 pixels is then about 40 kB
_REFERENCES = 6  # pictures shown per wanted person in the page's head


def write_sheet(
    path: Path, matches: Sequence[Match], summary: FindSummary, settings: Settings | None = None
) -> None:
    """Write the matches as a page that a browser opens from the disk, in the order given.

    The file is private (0600) and replaced whole. A photo that has vanished keeps its place, with words.
    settings: for the time and memory a photo may take. Raises UsageError where `path` is anything but a file
    chueok wrote, OperationFailed when the disk says no.
    """
    with private_file(path, MARK) as file, Cutter(settings) as cutter:
        for part in _parts(matches, summary, cutter):
            file.write(part.encode("utf-8"))


def _parts(matches: Sequence[Match], summary: FindSummary, cutter: Cutter) -> Iterator[str]:
    """The page in pieces, so that a thousand photos need the memory of one."""
    title = ", ".join(printable(person) for person in summary.people) or "photos"
    yield HEAD.format(title=escape(title))
    yield f"<header><h1>{escape(title)}</h1>\n<p>{escape(found(summary))}</p>\n"
    yield from _references(matches, cutter)
    yield "</header>\n<main>\n"
    several = len({match.person for match in matches}) > 1
    for match in matches:
        yield _figure(match, several, cutter)
    yield FOOT


def _references(matches: Sequence[Match], cutter: Cutter) -> Iterator[str]:
    """The pictures the wanted people were matched by."""
    people = dict.fromkeys(match.person for match in matches)
    for person in people:
        pictures = dict.fromkeys(match.reference for match in matches if match.person == person)
        yield f'<section class="wanted"><h2>{escape(printable(person))}</h2><div>'
        for reference in list(pictures)[:_REFERENCES]:
            name = escape(printable(reference.name))
            # `enroll` follows links, so the page does too; an album's photos are no links.
            cuttings = cutter.cut(Cut(real(reference), _FACE, whole=_FACE))
            if cuttings is None:
                yield f'<span class="gone">{name} is not there any more</span>'
            else:
                yield f'<img src="{_data_url(cuttings.images[0])}" alt="{name}" title="{name}">'
        yield "</div></section>\n"


def _figure(match: Match, several: bool, cutter: Cutter) -> str:
    """One match: the photo with the face framed, the face near, and the facts."""
    box = match.face.detection.box
    cuttings = cutter.cut(Cut(match.photo, _DECODED, whole=_PHOTO, face=box, near=_FACE))
    name = escape(printable(match.photo.name))
    face = ""
    if cuttings is None:
        photo = f'<span class="gone">{name} is not there any more, or cannot be read</span>'
    else:
        whole, near = cuttings.images
        photo = f'<img src="{_data_url(whole)}" alt="{name}">{_frame(cuttings, box)}'
        face = f'<img class="face" src="{_data_url(near)}" alt="the face">'
    link = escape(match.photo.absolute().as_uri())
    return (
        f'<figure><a class="photo" href="{link}">{photo}</a>\n'
        f"<figcaption>{face}<div>{_facts(match, several)}"
        f'<a href="{link}">{name}</a><br><small>{escape(printable(match.photo.parent))}</small>'
        "</div></figcaption></figure>\n"
    )


def _facts(match: Match, several: bool) -> str:
    """Similarity, person where it is not clear, date."""
    person = f" {escape(printable(match.person))}" if several else ""
    date = "" if match.taken_at is None else f" <time>{match.taken_at:%Y-%m-%d}</time>"
    return f"<b>{match.similarity:.3f}</b>{person}{date}<br>"


def _frame(photo: Cuttings, box: Box) -> str:
    """The face's box over the photo, in percent of its sides, so that it scales with the page."""
    left, width = 100 * box.x / photo.width, 100 * box.width / photo.width
    top, height = 100 * box.y / photo.height, 100 * box.height / photo.height
    return f'<i style="left:{left:.2f}%;top:{top:.2f}%;width:{width:.2f}%;height:{height:.2f}%"></i>'


def _data_url(image: Image) -> str:
    """The image inside the page itself."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=_QUALITY, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode("ascii")
