"""For every picture in a folder, print who in a gallery looks most like the person in it.

python examples/lookalikes.py demo/references demo/gallery
"""

from __future__ import annotations

import sys
from pathlib import Path

import chueok


def main(pictures: Path, gallery: Path, library_folder: Path | None = None) -> None:
    """The gallery is read for the first picture and remembered for the others."""
    with chueok.open_library(library_folder) as library:
        for picture in sorted(path for path in pictures.iterdir() if path.is_file()):
            try:
                best = chueok.lookalike(library, picture, gallery)[0]
            except chueok.ChueokError as reason:
                print(reason, file=sys.stderr)
                continue
            print(f"{picture.name}: {best.name}, {best.percent:.1f} %")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
