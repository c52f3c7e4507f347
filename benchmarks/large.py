"""A library of 100,000 photos: what looking again costs when nothing has changed, and what finding somebody costs.

    python -m benchmarks.large [--rounds N]

The photos are files of a few bytes in 200 folders, and their faces made up: nothing is read but names, times and the
library. Beside chueok stands the least that a program in Python would do: one walk with `os.scandir` and `stat`, and
importing what a search needs. Every measurement is a whole process. Prints a table and writes
benchmarks/out/large.json.
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
from benchmarks.index import CHUEOK, OUT, Contender, alternate, defaults, machine, summary

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


def main(rounds: int) -> None:
    """Prepare, warm up, measure, print, write."""
    environment = defaults()
    photos = album(OUT / "inputs" / "100000")
    folder = str(library(OUT / "state" / "large", photos))
    known = ["--library", folder, "-q"]
    reference = next((OUT / "inputs" / "web").iterdir())
    field = [
        Contender("python: one walk", [sys.executable, "-c", WALK, str(photos)]),
        Contender("chueok index, nothing new", [*CHUEOK, "index", str(photos), *known]),
        Contender("python: import sqlite3, numpy", [sys.executable, "-c", "import sqlite3, numpy"]),
        Contender("chueok find NAME", [*CHUEOK, "find", PERSON, *known]),
        Contender(
            "chueok find --person, seen before",
            [*CHUEOK, "find", "--person", str(reference), "--largest", *known],
        ),
    ]
    enrol = Contender("enroll", [*CHUEOK, "enroll", PERSON, str(reference), "--largest", *known])
    for contender in (enrol, *field):
        alternate([contender], 1, environment)
    table = summary(field, alternate(field, rounds, environment))
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
    facts = {"machine": machine(), "rounds": rounds, "photos": FOLDERS * PHOTOS, "table": table}
    (OUT / "large.json").write_text(json.dumps(facts, indent=2) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    main(parser.parse_args().rounds)
