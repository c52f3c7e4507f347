"""Put the faces of one person, most similar first, on one picture: the quickest check of what was found.

python examples/contact_sheet.py demo/references/grace.jpg grace-sheet.jpg
"""

from __future__ import annotations

import sys
from pathlib import Path

import pillow_heif
from PIL import Image, ImageFile, ImageOps

import chueok

TILE = 160  # pixels
COLUMNS = 8


def main(person: Path, sheet: Path, library_folder: Path | None = None) -> None:
    """Cut every matching face out of its photo, with half a face of room around it."""
    pillow_heif.register_heif_opener()  # matches can be HEIC,
    ImageFile.LOAD_TRUNCATED_IMAGES = True  # or damaged
    with chueok.open_library(library_folder, create=False) as library:
        matches = chueok.find_matches(library, person)
    rows = max(1, -(-len(matches) // COLUMNS))
    picture = Image.new("RGB", (COLUMNS * TILE, rows * TILE), "white")
    for number, match in enumerate(matches):
        row, column = divmod(number, COLUMNS)
        picture.paste(face(match), (column * TILE, row * TILE))
    picture.save(sheet)
    print(f"{sheet}: {len(matches)} faces")


def face(match: chueok.Match) -> Image.Image:
    """The matching face as a tile. Boxes are in pixels of the upright photo, so it is turned first."""
    box = match.face.detection.box
    room = max(box.width, box.height)
    x, y = box.x + box.width / 2, box.y + box.height / 2
    with Image.open(match.photo) as image:
        upright = ImageOps.exif_transpose(image).convert("RGB")
    corners = (round(x - room), round(y - room), round(x + room), round(y + room))
    return upright.crop(corners).resize((TILE, TILE), Image.Resampling.LANCZOS)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
