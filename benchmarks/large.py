"""A library of 100,000 photos: what looking again costs when nothing has changed, and what finding somebody costs.

    python -m benchmarks.large [--rounds N]

Then memory: while 10,000 small photos are indexed, beside 1,000, and 24 photos of up to 100 megapixels.

The 100,000 photos are files of a few bytes in 200 folders, and their faces made up: nothing is read but names, times
and the library. Beside chueok stands the least that a program in Python would do: one walk with `os.scandir` and
`stat`, and importing what a search needs. Every measurement is a whole process. Prints tables and writes
benchmarks/out/large.json. The first run makes the photos: some minutes and 300 MB.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import sys
import time
from datetime import datetime
from pathlib import Path

import numpy as np
from benchmarks.crowd import a_crowd
from benchmarks.index import (
    CHUEOK,
    OUT,
    Contender,
    alternate,
    defaults,
    large_photos,
    machine,
    peaks,
    spread,
    summary,
)
from PIL import Image

from chueok.flow.walk import stamp_of
from chueok.library import open_library
from chueok.records import Box, Detection, FaceReading, PhotoReading

FOLDERS, PHOTOS = 200, 500  # in each
PERSON = "somebody"
WALK = """
import os, sys
left = [sys.argv[1]]
while left:
    for entry in os.scandir(left.pop()):
        if entry.is_dir(follow_symlinks=False):
            left.append(entry.path)
        else:
            entry.stat(follow_symlinks=False)
"""


def album(folder: Path) -> Path:
    """The photos; made once, long enough ago for their times to be believed."""
    if not folder.is_dir():
        for number in range(FOLDERS):
            (folder / f"{number:03}").mkdir(parents=True)
            for photo in range(PHOTOS):
                (folder / f"{number:03}" / f"IMG_{photo:04}.jpg").write_text(f"{number} {photo}")
        time.sleep(3)
    return folder


def library(folder: Path, photos: Path) -> Path:
    """Everything indexed, with a face each, and one person enrolled; made anew."""
    shutil.rmtree(folder, ignore_errors=True)
    random = np.random.default_rng(0)
    crowd = a_crowd(FOLDERS * PHOTOS, 128, random)
    who = np.repeat(np.arange(len(crowd.sizes)), crowd.sizes)
    vectors = crowd.faces_of(who, random)[random.permutation(len(who))]
    face = Detection(Box(10, 10, 50, 50), 0.99, ((1.0, 1.0),) * 5)
    with open_library(folder) as opened:
        opened.settle_model()
        catalog, now = opened.catalog, datetime.now()
        home = catalog.photos.add_album(photos, now)
        with catalog.transaction():
            for vector, path in zip(vectors, sorted(photos.rglob("*.jpg")), strict=True):
                digest = hashlib.sha256(path.read_bytes()).digest()
                size = path.stat().st_size
                reading = PhotoReading(digest, size, 4000, 3000, None, None, (FaceReading(face, vector),))
                picture = catalog.faces.put_picture(reading, opened.model_id)
                catalog.photos.put(home, path, stamp_of(path.lstat()), picture)
        opened.refresh_index()
    return folder


def many(folder: Path, count: int) -> Path:
    """So many small photos of somebody, no two alike; made once."""
    if not folder.is_dir():
        folder.mkdir(parents=True)
        with Image.open(next(large_photos())) as photo:
            small = np.asarray(photo.convert("RGB").resize((480, 360)), np.int16)
        for number in range(count):
            shade = np.random.default_rng(number).integers(-30, 31, 3)
            picture = Image.fromarray((small + shade).clip(0, 255).astype(np.uint8))
            picture.save(folder / f"{number:05}.jpg", quality=80)
    return folder


def mixed(folder: Path) -> Path:
    """24 photos of half a megapixel to a hundred, every fourth a PNG; made once."""
    if not folder.is_dir():
        folder.mkdir(parents=True)
        sizes = np.geomspace(0.5e6, 100e6, 24)
        for number, (path, pixels) in enumerate(zip(spread(list(large_photos()), 24), sizes, strict=True)):
            with Image.open(path) as photo:
                scale = (pixels / (photo.width * photo.height)) ** 0.5
                large = photo.convert("RGB").resize((round(photo.width * scale), round(photo.height * scale)))
            name = folder / f"{number:02}"
            large.save(f"{name}.png", compress_level=1) if number % 4 == 3 else large.save(
                f"{name}.jpg", quality=92
            )
    return folder


def main(rounds: int) -> None:
    """Prepare, warm up, measure, print, write."""
    environment = defaults()
    photos = album(OUT / "inputs" / "100000")
    folder = str(library(OUT / "state" / "large", photos))
    known = ["--library", folder, "-q"]
    reference = min((OUT / "inputs" / "web").iterdir())
    found = ["--threshold", "0.33"]  # at which a dozen of the made-up faces pass for the person
    field = [
        Contender("python: one walk", [sys.executable, "-c", WALK, str(photos)]),
        Contender("chueok index, nothing new", [*CHUEOK, "index", str(photos), *known]),
        Contender("python: import sqlite3, numpy", [sys.executable, "-c", "import sqlite3, numpy"]),
        Contender("chueok find NAME", [*CHUEOK, "find", PERSON, *found, *known]),
        Contender(
            "chueok find --person, seen before",
            [*CHUEOK, "find", "--person", str(reference), "--largest", *found, *known],
        ),
    ]
    enrol = Contender("enroll", [*CHUEOK, "enroll", PERSON, str(reference), "--largest", *known])
    alternate([enrol, *field], 1, environment)
    runs = alternate(field, rounds, environment)
    table = summary(field, runs, peaks(field, environment))
    print("| | seconds | slowest | CPU seconds | peak MB | of python's |\n|---|---|---|---|---|---|")
    for name, row in table.items():
        least = table[
            "python: one walk" if "index" in name or "walk" in name else "python: import sqlite3, numpy"
        ]
        ratio = row["seconds"] / least["seconds"]
        print(
            f"| {name} | {row['seconds']:.2f} | {row['slowest']:.2f} | {row['cpu_seconds']:.2f} "
            f"| {row['megabytes']:.0f} | {ratio:.1f} |"
        )
    learning = memory(environment)
    facts = {
        "machine": machine(),
        "rounds": rounds,
        "photos": FOLDERS * PHOTOS,
        "table": table,
        "megabytes_while_learning": learning,
    }
    (OUT / "large.json").write_text(json.dumps(facts, indent=2) + "\n")


def memory(environment: dict[str, str]) -> dict[str, float]:
    """Peaks of the whole process tree while albums are learnt, MB, one run each."""
    inputs, fresh = OUT / "inputs", OUT / "state" / "fresh-large"
    albums = {
        "1,000 small photos": many(inputs / "1000 small", 1_000),
        "10,000 small photos": many(inputs / "10000 small", 10_000),
        "24 photos up to 100 megapixels": mixed(inputs / "mixed"),
    }
    field = [
        Contender(
            f"chueok index, {name}",
            [*CHUEOK, "index", str(album), "--library", str(fresh), "-q"],
            fresh=fresh,
        )
        for name, album in albums.items()
    ]
    found = peaks(field, environment)
    print("\n| memory | peak MB, the whole process tree |\n|---|---|")
    for name, megabytes in found.items():
        print(f"| {name} | {megabytes:.0f} |")
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    main(parser.parse_args().rounds)
