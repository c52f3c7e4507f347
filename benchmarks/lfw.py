"""How well a model tells faces apart, on the folds of Labeled Faces in the Wild that the test material has.

    python -m benchmarks.lfw [--model lite]

Faces are found, aligned and embedded as `chueok index` does it; of several faces the one nearest the middle counts.
Accuracy is the mean over folds, each with the threshold that is best on the other folds (LFW's protocol). The
similarity at a false accept rate is taken from all pairs of different people. Needs CHUEOK_TEST_DATA (default
../shared). Source: Huang et al. 2007, "Labeled Faces in the Wild".
"""

from __future__ import annotations

import argparse
import os
import tarfile
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import chueok
from chueok.records import PhotoReading
from chueok.vision.reader import ReadingTask

LFW = Path(os.environ.get("CHUEOK_TEST_DATA", Path(__file__).parents[2] / "shared")) / "faces" / "lfw"
Pair = tuple[str, str, bool]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", default="lite")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        vectors, faceless = embed(Path(folder), options.model)
    folds = [[pair for pair in fold if pair[0] in vectors and pair[1] in vectors] for fold in read_pairs()]
    scores = [np.array([vectors[a] @ vectors[b] for a, b, _ in fold]) for fold in folds]
    same = [np.array([pair[2] for pair in fold]) for fold in folds]
    print(
        f"{options.model}: {len(vectors)} pictures, {faceless} without a face, {sum(map(len, folds))} pairs"
    )
    print(f"accuracy {accuracy(scores, same):.2%}")
    for far, similarity in impostor_quantiles(vectors).items():
        print(f"similarity at a false accept rate of {far:g}: {similarity:.3f}")


def embed(folder: Path, model: str) -> tuple[dict[str, NDArray[np.float32]], int]:
    """Picture name -> embedding, and how many pictures show no face."""
    with tarfile.open(LFW / "images.tar") as archive:
        archive.extractall(folder / "images", filter="data")
    tasks = [ReadingTask(path) for path in sorted((folder / "images").rglob("*.jpg"))]
    vectors = {}
    with chueok.open_library(folder / "library", model=model) as library:
        for task, reading in library.run_pool(tasks):
            if isinstance(reading, PhotoReading) and reading.faces:
                vectors[task.path.stem] = central(reading)
    return vectors, len(tasks) - len(vectors)


def central(reading: PhotoReading) -> NDArray[np.float32]:
    """The embedding of the face nearest the middle of the picture."""

    def distance(number: int) -> float:
        box = reading.faces[number].detection.box
        across = box.x + box.width / 2 - reading.width / 2
        return abs(across) + abs(box.y + box.height / 2 - reading.height / 2)

    return reading.faces[min(range(len(reading.faces)), key=distance)].vector


def read_pairs() -> list[list[Pair]]:
    """The folds of pairs.txt: `name i j` is one person, `name i other j` are two."""
    lines = (LFW / "pairs.txt").read_text().split("\n")
    count, each = map(int, lines[0].split())
    rows = [line.split("\t") for line in lines[1:] if line]
    pairs: list[Pair] = [
        (
            f"{row[0]}_{int(row[1]):04}",
            f"{row[-2] if len(row) == 4 else row[0]}_{int(row[-1]):04}",
            len(row) == 3,
        )
        for row in rows
    ]
    return [pairs[start : start + 2 * each] for start in range(0, 2 * each * count, 2 * each)]


def accuracy(scores: list[NDArray[np.float32]], same: list[NDArray[np.bool_]]) -> float:
    """Mean over folds, each decided by the threshold that is best on the others."""
    found = []
    for fold in range(len(scores)):
        others = [number for number in range(len(scores)) if number != fold]
        rest, truth = np.concatenate([scores[n] for n in others]), np.concatenate([same[n] for n in others])
        best = max(np.unique(rest), key=lambda limit: ((rest >= limit) == truth).mean())
        found.append(((scores[fold] >= best) == same[fold]).mean())
    return float(np.mean(found))


def impostor_quantiles(vectors: dict[str, NDArray[np.float32]]) -> dict[float, float]:
    """The similarity that a share of all pairs of different people reaches, by that share."""
    people = np.unique([name[:-5] for name in vectors], return_inverse=True)[1]
    matrix = np.stack(list(vectors.values()))
    different = np.triu(people[:, None] != people, 1)
    impostors = (matrix @ matrix.T)[different]
    return {far: float(np.quantile(impostors, 1 - far)) for far in (1e-2, 1e-3, 1e-4)}


if __name__ == "__main__":
    main()
