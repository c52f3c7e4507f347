"""Whether our detector finds what facenet_pytorch's finds, on every photo of the test albums, and at what cost.

    python -m benchmarks.detection [--size 1280] [--every N]

Same pictures, one thread each, in turns. Needs the test material (CHUEOK_TEST_DATA, default ../shared). `--size 0` is
full size. Prints one line and writes benchmarks/out/detection-<size>.json.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chueok.settings import load_settings
from chueok.vision.decode import decode, resize
from chueok.vision.detect import open_detector
from chueok.vision.files import read_file

OUT = Path(__file__).parent / "out"
MATERIAL = Path(os.environ.get("CHUEOK_TEST_DATA", Path(__file__).parents[2] / "shared")) / "albums"
SURE = 0.95  # the probability from which on a face counts
APART = 0.03  # of a face's size: two boxes or landmarks further apart than this differ


def main() -> None:
    import torch
    from facenet_pytorch import MTCNN

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--size", type=int, default=1280)
    parser.add_argument("--every", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(1)
    theirs, ours = (
        MTCNN(keep_all=True, min_face_size=20),
        open_detector(load_settings().cache, SURE, as_published=True),
    )
    photos = sorted(path for path in MATERIAL.rglob("photos/*") if path.is_file())[:: options.every]
    seconds: dict[str, list[float]] = {"ours": [], "theirs": []}
    faces = differences = 0
    furthest = 0.0
    for path in photos:
        pixels = decode(read_file(path), options.size).pixels
        pixels = resize(pixels, options.size) if options.size else pixels
        started = time.process_time()
        found = ours.detect(pixels)
        between = time.process_time()
        boxes, probabilities, points = theirs.detect(pixels, landmarks=True)
        seconds["ours"].append(between - started)
        seconds["theirs"].append(time.process_time() - between)
        expected = _rows(boxes, probabilities, points)
        answered = [
            np.array(
                [f.box.x, f.box.y, f.box.x + f.box.width, f.box.y + f.box.height, *np.ravel(f.landmarks)]
            )
            for f in found
        ]
        faces += len(expected)
        missing, distance = _compare(expected, answered)
        differences += missing
        furthest = max(furthest, distance)
    report = {
        "size": options.size or "full",
        "photos": len(photos),
        "faces": faces,
        "differences": differences,
        "largest_error_of_face_size": furthest,
        "ours_ms": statistics.mean(seconds["ours"]) * 1e3,
        "theirs_ms": statistics.mean(seconds["theirs"]) * 1e3,
        "ratio": sum(seconds["theirs"]) / sum(seconds["ours"]),
    }
    OUT.mkdir(exist_ok=True)
    (OUT / f"detection-{options.size}.json").write_text(json.dumps(report, indent=1))
    print(
        f"{report['photos']} photos at {report['size']}: {faces} faces at {SURE} or more, {differences} differ, "
        f"largest error {furthest:.1e} of a face; CPU a photo {report['ours_ms']:.0f} ms, "
        f"facenet_pytorch {report['theirs_ms']:.0f} ms, ratio {report['ratio']:.1f}"
    )


def _rows(boxes: Any, probabilities: Any, points: Any) -> list[NDArray[np.float64]]:
    """Corners and landmarks of the sure faces, one row of 14 numbers each."""
    if boxes is None:
        return []
    return [
        np.concatenate([box, np.ravel(point)])
        for box, probability, point in zip(boxes, probabilities, points, strict=True)
        if probability >= SURE
    ]


def _compare(expected: list[NDArray[np.float64]], answered: list[NDArray[np.float64]]) -> tuple[int, float]:
    """Faces that only one of the two has, and the largest error among the others, in face sizes."""
    left = list(answered)
    missing, furthest = 0, 0.0
    for row in expected:
        size = min(row[2] - row[0], row[3] - row[1])
        errors = [float(np.abs(other - row).max() / size) for other in left]
        if errors and min(errors) <= APART:
            furthest = max(furthest, min(errors))
            left.pop(int(np.argmin(errors)))
        else:
            missing += 1
    return missing + len(left), furthest


if __name__ == "__main__":
    main()
