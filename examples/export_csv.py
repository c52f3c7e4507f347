"""Enrol every picture of a folder under its file name, and write who is where to a spreadsheet.

python examples/export_csv.py demo/references people.csv
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import chueok


def main(references: Path, table: Path, library_folder: Path | None = None) -> None:
    """One row per person and photo, in an album that `chueok index` has learned."""
    with (
        chueok.open_library(library_folder, create=False) as library,
        table.open("w", encoding="utf-8-sig", newline="") as file,  # with the mark by which Excel knows UTF-8
    ):
        writer = csv.writer(file)
        writer.writerow(("person", "photo", "similarity", "taken"))
        for reference in sorted(references.glob("*.jpg")):
            chueok.enroll(library, reference.stem, [reference])
        for reference in sorted(references.glob("*.jpg")):
            for match in chueok.find_matches(library, reference.stem):
                writer.writerow((match.person, match.photo, f"{match.similarity:.3f}", match.taken_at or ""))
    print(f"{table} written")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
