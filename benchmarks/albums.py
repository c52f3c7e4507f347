"""How well people are found in real albums: one reference photo each, checked against the albums' truth files.

    python -m benchmarks.albums [--model lite] [--far 1e-3] [--way default]

Needs the test material (CHUEOK_TEST_DATA, default ../shared). Every person with two photos or more is looked for by
one photo of theirs, the first that shows one face (else the largest face). "Not listed" counts photos found that the
truth does not list for that person; others may be in a photo without being listed, so look at them before calling
them wrong. `--way` is how closely photos are looked at: default, fast, or full (as facenet_pytorch is used, see
benchmarks/faces_found.py). Prints a table and writes benchmarks/out/albums-<model>-<way>.json.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import chueok
from chueok.settings import FAST

OUT = Path(__file__).parent / "out"
MATERIAL = Path(os.environ.get("CHUEOK_TEST_DATA", Path(__file__).parents[2] / "shared")) / "albums"
WAYS: dict[str, dict[str, Any]] = {
    "default": {},
    "fast": FAST,
    "full": {"detector_size": 0, "detector_min_face": 20},
}
ALBUMS = ("leaders", "azure_family", "compreface", "kpop_events")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", default="lite")
    parser.add_argument("--far", type=float, default=1e-3)
    parser.add_argument("--way", choices=WAYS, default="default")
    options = parser.parse_args()
    rows = []
    for album in ALBUMS:
        with (
            tempfile.TemporaryDirectory() as folder,
            chueok.open_library(folder, model=options.model, far=options.far, **WAYS[options.way]) as library,
        ):
            for _ in chueok.scan(library, MATERIAL / album / "photos"):
                pass
            rows.append({"album": album, **search(library, album)})
    print(f"{options.model} at a false accept rate of {options.far:g}, {options.way}")
    print(f"{'album':14}{'people':>8}{'photos to find':>16}{'found':>7}{'not listed':>12}")
    for row in rows:
        print(f"{row['album']:14}{row['people']:8}{row['wanted']:16}{row['found']:7}{row['unlisted']:12}")
    OUT.mkdir(exist_ok=True)
    (OUT / f"albums-{options.model}-{options.way}.json").write_text(
        json.dumps({"far": options.far, "albums": rows}, indent=1)
    )


def search(library: chueok.Library, album: str) -> dict[str, int]:
    """Look for everybody in one album; the reference itself is not counted as found."""
    photos_of: dict[str, set[str]] = defaultdict(set)
    with (MATERIAL / album / "truth.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            for person in filter(None, row["people"].split(";")):
                photos_of[person].add(row["photo"])
    tally = {"people": 0, "wanted": 0, "found": 0, "unlisted": 0}
    for photos in photos_of.values():
        if len(photos) < 2:
            continue
        reference = a_portrait(library, MATERIAL / album / "photos", sorted(photos))
        matches = chueok.find_matches(library, reference, choice=chueok.FaceChoice(largest=True))
        names = {match.photo.name for match in matches} - {reference.name}
        tally["people"] += 1
        tally["wanted"] += len(photos) - 1
        tally["found"] += len(names & photos)
        tally["unlisted"] += len(names - photos)
    return tally


def a_portrait(library: chueok.Library, folder: Path, photos: list[str]) -> Path:
    """The first photo with one face, or the first."""
    alone = (name for name in photos if library.read(folder / name).faces == 1)
    return folder / next(alone, photos[0])


if __name__ == "__main__":
    main()
