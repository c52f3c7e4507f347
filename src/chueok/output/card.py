"""The lookalike as a picture: both faces side by side, the name and the percentage."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from chueok.errors import UsageError
from chueok.flow.paths import real
from chueok.output.fonts import drawable, font_for
from chueok.output.pictures import Cut, Cutter
from chueok.output.private import check_free, private_file
from chueok.output.text import printable
from chueok.records import Face, Lookalike
from chueok.settings import Settings

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

# A PNG begins with its text chunks, and chueok names itself there (PNG specification, keyword "Software").
_MARK = b"Software\0chueok"
_WIDTH, _HEIGHT = 1200, 800  # pixels: 3:2, as photo prints and previews of links are
_FACE = 520  # side of a face in pixels
_TOP, _GAP = 50, 40  # pixels above and between the faces
_LEFT = (_WIDTH - 2 * _FACE - _GAP) // 2
_DECODED = 4096  # long side the photos are decoded at: a face of 1/8 of the photo is still sharp
_GROUND, _INK, _FAINT, _EMPTY = (250, 250, 248), (28, 28, 26), (102, 102, 95), (222, 221, 215)
_LONGEST = 200  # characters of a text worth measuring: twice what fits at the smallest size
_BIG, _SMALL, _LEAST = 84, 34, 24  # font sizes in pixels: the result, the words, the smallest readable


def write_card(
    path: Path, probe: Path, probe_face: Face, answer: Lookalike, settings: Settings | None = None
) -> None:
    """Write the side-by-side picture as a PNG, mode 0600.

    A gallery of plain numbers has no picture, and a picture may be gone: words stand in its place.
    settings: for the time and memory a photo may take. Raises UsageError where `path` does not end in .png or is
    anything but a file chueok wrote, OperationFailed when the disk says no.
    """
    from PIL.PngImagePlugin import PngInfo

    check_card(path)
    with Cutter(settings) as cutter:
        faces = [_face(cutter, probe, probe_face), _face(cutter, answer.reference, answer.face)]
    card = _draw(faces, answer)
    maker = PngInfo()
    maker.add_text("Software", "chueok")
    with private_file(path, _MARK) as file:
        card.save(file, "PNG", pnginfo=maker)


def check_card(path: Path) -> None:
    """Raise UsageError or OperationFailed where no card can be written, which should be told before the work."""
    if path.suffix.lower() != ".png":
        raise UsageError(f"the card is a PNG picture; name it like {path.with_suffix('.png')}")
    check_free(path, _MARK)


def _draw(faces: list[Image | None], answer: Lookalike) -> Image:
    from PIL import Image, ImageDraw

    card = Image.new("RGB", (_WIDTH, _HEIGHT), _GROUND)
    draw = ImageDraw.Draw(card)
    for place, image in enumerate(faces):
        left = _LEFT + place * (_FACE + _GAP)
        if image is None:
            draw.rectangle((left, _TOP, left + _FACE - 1, _TOP + _FACE - 1), fill=_EMPTY)
            _write(draw, "no picture", (left + _FACE // 2, _TOP + _FACE // 2), _SMALL, _FAINT)
        else:
            card.paste(image, (left, _TOP))
    percent = f"{answer.percent:.0f} %"
    _write(draw, percent, (_WIDTH // 2, _TOP + _FACE + 70), _BIG, _INK)
    _write(draw, printable(answer.name), (_WIDTH // 2, _TOP + _FACE + 145), _SMALL + 10, _INK)
    _write(draw, _small_print(answer), (_WIDTH // 2, _TOP + _FACE + 200), _SMALL - 10, _FAINT)
    return card


def _face(cutter: Cutter, photo: Path | None, face: Face | None) -> Image | None:
    if photo is None or face is None:
        return None
    cuttings = cutter.cut(Cut(real(photo), _DECODED, face=face.detection.box, near=_FACE))
    return None if cuttings is None else cuttings.images[0]


def _small_print(answer: Lookalike) -> str:
    """The number the percentage comes from, and where it stands."""
    words = f"similarity {answer.similarity:.2f}; 50 % is no likeness at all"
    if answer.percentile is not None:
        words += f"; above {answer.percentile:.1f} % of different people here"
    return words


def _write(draw: ImageDraw, text: str, centre: tuple[int, int], size: int, ink: tuple[int, int, int]) -> None:
    """Text around its centre, made smaller, then cut, until it fits the card."""
    text = drawable(text[:_LONGEST])
    room = _WIDTH - 2 * _LEFT
    while size > _LEAST and draw.textlength(text, font_for(text, size)) > room:
        size -= 2
    while len(text) > 4 and draw.textlength(text, font_for(text, size)) > room:
        text = text[:-4] + "..."
    draw.text(centre, text, fill=ink, font=font_for(text, size), anchor="mm")
