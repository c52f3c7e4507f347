"""Learn an album and print the photos one person is in.

python examples/find_person.py demo/album demo/references/grace.jpg
"""

from __future__ import annotations

import sys
from pathlib import Path

import chueok


def main(album: Path, person: Path, library_folder: Path | None = None) -> None:
    """Only new and changed photos are read: the second run answers at once."""
    with chueok.open_library(library_folder) as library:
        for event in chueok.scan(library, album):
            if isinstance(event, chueok.PhotoIndexed) and event.error:
                print(f"{event.path}: {event.error}", file=sys.stderr)
        for match in chueok.find_matches(library, person):
            print(f"{match.similarity:.3f}  {match.photo}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
