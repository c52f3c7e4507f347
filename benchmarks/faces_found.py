"""Which faces chueok's settings find of those facenet_pytorch finds at full size, and how alike their embeddings are.

    python -m benchmarks.faces_found

The photos are those of the test albums (CHUEOK_TEST_DATA, default ../shared), and 80 mosaics of them with smaller
faces. The reference is facenet_pytorch.MTCNN at full size with faces from 20 pixels, at a probability of 0.95: no
truth, but what chueok replaces. "Others" are faces that chueok reports where the reference has nothing, not even
doubtful: mostly wrong. Embeddings are compared with those chueok makes with the reference's settings (full size,
candidates from 0.6). Prints a table, writes benchmarks/out/faces_found.json. The first run takes some five minutes.
"""

from __future__ import annotations

import json
import random
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from multiprocessing import Pool
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.index import MATERIAL, OUT, defaults
from PIL import Image, ImageOps

from chueok.records import Box, FaceReading
from chueok.settings import DEFAULT_MODEL, FAST, Settings, load_settings
from chueok.vision.decode import decode
from chueok.vision.files import read_file
from chueok.vision.models.registry import find_model
from chueok.vision.reader import PhotoReader, ReadingTask, open_reader

SURE = 0.95
BANDS = (
    (0.016, 0.02),
    (0.02, 0.03),
    (0.03, 0.05),
    (0.05, 9.0),
    (0.016, 9.0),
    (0.03, 9.0),
)  # of the long side
SAME, APART = 0.4, 0.3  # overlap (intersection over union) of one face's two boxes, and of two faces'
MOSAIC = (2000, 1500)

Boxes = list[tuple[float, float, float, float, float]]  # left, top, right, bottom, probability


@dataclass(slots=True)
class Tally:
    """What one setting found on one kind of photo."""

    found: list[tuple[float, bool]] = field(
        default_factory=list
    )  # face's share of the long side, whether found
    others: int = 0
    alike: list[float] = field(default_factory=list)  # similarity of a face's two embeddings
    cpu_ms: list[float] = field(default_factory=list)

    def recall(self, low: float, high: float) -> str:
        """Found and all of a band."""
        band = [found for share, found in self.found if low <= share < high]
        return f"{sum(band)}/{len(band)}" + (f" {100 * sum(band) / len(band):.1f} %" if band else "")


def contenders() -> dict[str, Settings]:
    """The settings compared, the reference's own first."""
    default = load_settings(defaults())
    exact = replace(default, detector_size=0, detector_min_face=20)
    return {"full": exact, "default": default, "--fast": replace(default, **FAST)}


# ---- photos --------------------------------------------------------------------------------------


def mosaics(folder: Path) -> Path:
    """Two, three and four photos a row in one of 2,000 x 1,500 pixels, twice; made once, always the same."""
    if folder.is_dir():
        return folder
    folder.mkdir(parents=True)
    chance, number = random.Random(1), 0
    pictures = [picture for path in photos() if max((picture := upright(path)).size) >= 500]
    for row in (2, 3, 4) * 2:
        chance.shuffle(pictures)
        for first in range(0, len(pictures) - row * row + 1, row * row):
            sheet = Image.new("RGB", MOSAIC)
            for place, picture in enumerate(pictures[first : first + row * row]):
                sheet.paste(*placed(picture, place, row, chance))
            sheet.save(folder / f"{number:02}.jpg", quality=92)
            number += 1
    return folder


def placed(
    picture: Image.Image, place: int, row: int, chance: random.Random
) -> tuple[Image.Image, tuple[int, int]]:
    """A photo shrunk by chance to fit its cell, and where in the mosaic it goes."""
    width, height = MOSAIC[0] // row, MOSAIC[1] // row
    share = chance.uniform(0.75, 1)
    small = ImageOps.contain(picture, (int(width * share), int(height * share)), Image.Resampling.LANCZOS)
    left = place % row * width + chance.randrange(width - small.width + 1)
    return small, (left, place // row * height + chance.randrange(height - small.height + 1))


def photos() -> list[Path]:
    """Every photo of the albums."""
    return sorted(path for path in MATERIAL.rglob("photos/*") if path.is_file())


def upright(path: Path) -> Image.Image:
    """A photo's pixels, at most 2,000 on a side."""
    picture = Image.fromarray(decode(read_file(path), 2000).pixels)
    picture.thumbnail((2000, 2000))
    return picture


# ---- the comparison ------------------------------------------------------------------------------

_opened: dict[str, Any] = {}  # of this process: the reference, and a reader for every setting


def look(path: Path) -> tuple[bool, dict[str, Tally]]:
    """One photo through all settings; whether it is a mosaic."""
    data = read_file(path)
    pixels = decode(data, 0).pixels
    reference = theirs(path, pixels)
    tallies, embedded = {}, {}
    for name, settings in contenders().items():
        reader = _reader(name, settings)
        reader(ReadingTask(path, data=data))  # once for the caches
        started = time.process_time()
        faces = reader(ReadingTask(path, data=data)).faces
        tally = tallies[name] = Tally(cpu_ms=[1e3 * (time.process_time() - started)])
        embedded[name] = faces
        for face in reference:
            if face[4] >= SURE:
                share = max(face[2] - face[0], face[3] - face[1]) / max(pixels.shape[:2])
                tally.found.append((share, any(overlap(face, corners(f)) > SAME for f in faces)))
        tally.others = sum(all(overlap(box, corners(one)) < APART for box in reference) for one in faces)
        for one in faces:
            for twin in embedded["full"]:
                if overlap(corners(one), corners(twin)) > SAME:
                    tally.alike.append(float(one.vector @ twin.vector))
    return path.parent.name == "mosaic", tallies


def theirs(path: Path, pixels: Any) -> Boxes:
    """What facenet_pytorch finds at full size; remembered, since it is slow."""
    cache = OUT / "reference" / f"{path.parent.parent.name}-{path.name}.json"
    if not cache.exists():
        import torch
        from facenet_pytorch import MTCNN

        torch.set_num_threads(1)
        mtcnn = _opened.setdefault("mtcnn", MTCNN(keep_all=True, min_face_size=20))
        boxes, probabilities = mtcnn.detect(pixels)
        rows = [] if boxes is None else np.hstack([boxes, np.array(probabilities, float)[:, None]]).tolist()
        cache.parent.mkdir(parents=True, exist_ok=True)
        cache.write_text(json.dumps(rows))
    return [tuple(row) for row in json.loads(cache.read_text())]


def _reader(name: str, settings: Settings) -> PhotoReader:
    if name not in _opened:
        _opened[name] = open_reader(find_model(DEFAULT_MODEL, settings.models), settings)
    reader: PhotoReader = _opened[name]
    return reader


def corners(face: FaceReading) -> tuple[float, ...]:
    """Left, top, right, bottom."""
    box: Box = face.detection.box
    return box.x, box.y, box.x + box.width, box.y + box.height


def overlap(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    """Intersection over union."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def main() -> None:
    paths = photos() + sorted(mosaics(OUT / "inputs" / "mosaic").iterdir())
    sums = {(kind, name): Tally() for kind in ("albums", "mosaics") for name in contenders()}
    with Pool(2) as pool:
        for is_mosaic, tallies in pool.imap_unordered(look, paths):
            for name, tally in tallies.items():
                total = sums["mosaics" if is_mosaic else "albums", name]
                total.found += tally.found
                total.others += tally.others
                total.alike += tally.alike
                total.cpu_ms += tally.cpu_ms
    rows = list(table(sums))
    columns = list(rows[0])
    print("| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|")
    for row in rows:
        print("| " + " | ".join(str(value) for value in row.values()) + " |")
    (OUT / "faces_found.json").write_text(json.dumps(rows, indent=1))


def table(sums: dict[tuple[str, str], Tally]) -> Iterator[dict[str, Any]]:
    """A row for each setting and kind of photo."""
    for (kind, name), tally in sums.items():
        row: dict[str, Any] = {"photos": kind, "setting": name}
        for low, high in BANDS:
            row[f"{100 * low:g} %" + (f" to {100 * high:g} %" if high < 1 else " and more")] = tally.recall(
                low, high
            )
        row["others"] = tally.others
        row["similarity, mean"] = round(statistics.mean(tally.alike), 4)
        row["worst 1 %"] = round(float(np.quantile(tally.alike, 0.01)), 3)
        row["CPU ms a photo"] = round(statistics.mean(tally.cpu_ms))
        yield row


if __name__ == "__main__":
    main()
