"""How near `chueok calibrate` comes to the threshold that labels would give, in libraries whose people are known.

    python -m benchmarks.calibration [--model NAME] [--libraries N]

Photos of one to six people are put together from faces of labelled pictures (LFW, East Asian celebrities, tight
Chinese crops; see `CHUEOK_TEST_DATA`), people of a group being seen together, the first groups more often; a tenth of
the photos is followed by up to seven copies, and some photos repeat a face (mirrors) or show one person several times
(collages). The truth is the similarity that one in a thousand of all pairs of faces of different people in that
library reaches. The real albums are calibrated as they are. Prints a table and writes
benchmarks/out/calibration-MODEL.json.
"""

from __future__ import annotations

import argparse
import json
import os
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import chueok
from chueok.flow.calibrate import calibrate
from chueok.flow.strangers import Faces, strangers
from chueok.flow.thresholds import Tail
from chueok.vision.models.card import at_rate

OUT = Path(__file__).parent / "out"
MATERIAL = Path(os.environ.get("CHUEOK_TEST_DATA", Path(__file__).parents[2] / "shared"))
ALBUMS = ("leaders", "azure_family", "compreface", "kpop_events", "bbt")
SIZES = ((30, 200), (40, 400), (99, 1000), (400, 2000))  # people and photos, before copies
SPOILT = (0.0, 0.01, 0.04)  # share of photos that are mirrors or collages, half of each
FAR = 1e-3
NOISE = (
    0.037  # added to every number of an embedding: two uses of one picture are then 0.85 alike, as in a burst
)
PAIRS = 300_000
COPY_NOISE = 0.01  # and copies 0.99


@dataclass(frozen=True, slots=True)
class Labelled:
    """Embeddings (n, d) and who each shows."""

    vectors: NDArray[np.float32]
    people: NDArray[np.str_]


@dataclass(frozen=True, slots=True)
class Row:
    """A kind of library: means over those that were told a threshold; rates are shares."""

    faces: str
    people: int
    photos: int
    spoilt: float
    libraries: int
    told: int
    pairs: float = 0.0  # of people
    model: float = 0.0  # the model's threshold
    calibrated: float = 0.0
    truth: float = 0.0
    error: float = 0.0  # root of the mean square of calibrated - truth
    held: float = 0.0  # how often the interval held the truth
    far_of_model: float = 0.0  # the true false accept rate at the model's threshold
    far_calibrated: float = 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", default="lite")
    parser.add_argument("--libraries", type=int, default=20, help="of each kind")
    options = parser.parse_args()
    rows = []
    print(
        f"{options.model}\n{'faces':10}{'people':>7}{'photos':>7}{'spoilt':>7}{'told':>6}{'pairs':>6}{'model':>7}"
        f"{'calibr.':>8}{'truth':>7}{'error':>7}{'held':>6}{'FAR model':>11}{'FAR calibr.':>12}"
    )
    for name in ("lfw", "asian", "rmfd"):
        labelled, limit = embedded(name, options.model)
        for people, photos in SIZES:
            if people > len(np.unique(labelled.people)):
                continue
            for spoilt in SPOILT:
                rows.append(kind(name, labelled, limit, people, photos, spoilt, options.libraries))
                print(line(rows[-1]), flush=True)
    albums = {name: album(name, options.model) for name in ALBUMS}
    print("\n".join(f"{name}: {words}" for name, words in albums.items()))
    OUT.mkdir(exist_ok=True)
    text = json.dumps({"rows": [asdict(row) for row in rows], "albums": albums}, indent=1)
    (OUT / f"calibration-{options.model}.json").write_text(text)


def line(row: Row) -> str:
    start = f"{row.faces:10}{row.people:7}{row.photos:7}{row.spoilt:7.0%}{f'{row.told}/{row.libraries}':>6}"
    if not row.told:
        return start
    return (
        f"{start}{row.pairs:6.0f}{row.model:7.3f}{row.calibrated:8.3f}{row.truth:7.3f}{row.error:7.3f}{row.held:6.0%}"
        f"{row.far_of_model:11.2%}{row.far_calibrated:12.2%}"
    )


def kind(
    name: str, labelled: Labelled, limit: float, people: int, photos: int, spoilt: float, libraries: int
) -> Row:
    """Calibrate so many libraries of one kind."""
    told = []
    for seed in range(libraries):
        rng = np.random.default_rng(seed)
        faces, shown = made_library(labelled, rng, people, photos, spoilt)
        found = strangers(faces)
        tail = None if found is None else Tail(found.scores)
        rate = None if tail is None else tail.at(FAR)
        if found is None or rate is None:
            continue
        impostors = impostor_scores(faces, shown, rng)
        truth = float(np.quantile(impostors, 1 - FAR))
        told.append(
            (
                len(found.scores.first), limit, rate.threshold, truth, (rate.threshold - truth) ** 2,
                rate.low <= truth <= rate.high, (impostors >= limit).mean(), (impostors >= rate.threshold).mean(),
            )
        )  # fmt: skip
    if not told:
        return Row(name, people, photos, spoilt, libraries, 0)
    pairs, model, calibrated, truth, square, held, at_model, at_own = np.array(told, float).mean(axis=0)
    return Row(
        name, people, photos, spoilt, libraries, len(told),
        pairs, model, calibrated, truth, square**0.5, held, at_model, at_own,
    )  # fmt: skip


def made_library(
    labelled: Labelled, rng: np.random.Generator, people: int, photos: int, spoilt: float
) -> tuple[Faces, NDArray[np.str_]]:
    """The faces of a library, and whose each is."""
    names = rng.permutation(np.unique(labelled.people))[:people]
    rows = {name: np.flatnonzero(labelled.people == name) for name in names}
    shown: list[list[tuple[str, NDArray[np.float32]]]] = []
    for _ in range(photos):
        group = names[5 * int(np.ceil(people / 5) * rng.random() ** 1.5) :][:5]
        who = [*rng.choice(group, min(int(rng.integers(1, 6)), len(group)), replace=False)]
        who += [rng.choice(names)] if rng.random() < 0.15 else []
        photo = [(name, taken(labelled.vectors[rng.choice(rows[name])], rng)) for name in dict.fromkeys(who)]
        chance = rng.random()
        if chance < spoilt / 2:
            photo.append(photo[0])
        elif chance < spoilt:
            several = rng.permutation(rows[who[0]])[: int(rng.integers(2, 5))]
            photo = [(who[0], taken(labelled.vectors[row], rng)) for row in several]
        shown.append(photo)
        copies = int(rng.integers(1, 8)) * (rng.random() < 0.1)
        shown += [[(name, taken(face, rng, COPY_NOISE)) for name, face in photo] for _ in range(copies)]
    numbers = np.repeat(np.arange(len(shown)), [len(photo) for photo in shown])
    faces = [face for photo in shown for _, face in photo]
    return Faces(np.stack(faces), numbers), np.array([name for photo in shown for name, _ in photo])


def taken(face: NDArray[np.float32], rng: np.random.Generator, noise: float = NOISE) -> NDArray[np.float32]:
    """A face as another photo has it."""
    moved = face + rng.normal(0, noise, face.shape)
    return (moved / np.linalg.norm(moved)).astype(np.float32)


def impostor_scores(faces: Faces, people: NDArray[np.str_], rng: np.random.Generator) -> NDArray[np.float32]:
    """Pairs of faces of different people of different photos of a library."""
    first, second = rng.integers(0, len(people), (2, PAIRS))
    apart = (people[first] != people[second]) & (faces.photos[first] != faces.photos[second])
    return np.asarray(np.einsum("nd,nd->n", faces.vectors[first[apart]], faces.vectors[second[apart]]))


def embedded(name: str, model: str) -> tuple[Labelled, float]:
    """The largest face of every labelled picture, by its folder, and the model's own threshold."""
    with (
        tempfile.TemporaryDirectory() as folder,
        chueok.open_library(Path(folder) / "library", model=model) as library,
    ):
        pictures = Path(folder) / "pictures"
        for path, made in labelled_pictures(name):
            (pictures / path).parent.mkdir(parents=True, exist_ok=True)
            (pictures / path).write_bytes(made) if isinstance(made, bytes) else made.save(pictures / path)
        for _ in chueok.scan(library, pictures):
            pass
        who = {}
        for photo in library.catalog.photos.under(pictures):
            if photo.picture_id is not None and photo.faces:
                faces = library.catalog.faces.of_pictures([photo.picture_id])[photo.picture_id]
                who[max(faces, key=lambda face: face.detection.box.size).id] = photo.path.parent.name
        ids, vectors = library.catalog.faces.vectors(library.model_id, who)
        limit = at_rate({float(rate): value for rate, value in library.card.thresholds.items()}, FAR)
    return Labelled(vectors, np.array([who[face] for face in ids.tolist()])), limit or 0.0


def labelled_pictures(name: str) -> Iterator[tuple[Path, bytes | Image.Image]]:
    """Pictures below a folder for each person; tight crops get a black border, or no face is found in them."""
    if name == "lfw":
        with tarfile.open(MATERIAL / "faces/lfw/images.tar") as tar:
            for member in tar:
                file = tar.extractfile(member) if member.isfile() else None
                if file is not None:
                    yield Path(*Path(member.name).parts[-2:]), file.read()
        return
    root = MATERIAL / "faces" / {"asian": "asian_celebs", "rmfd": "rmfd_cn99"}[name]
    for path in sorted(
        path for path in root.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp")
    ):
        inside = Path(path.parent.name) / path.name
        if name == "asian":
            yield inside, path.read_bytes()
            continue
        crop = Image.open(path).convert("RGB")
        border = round(0.4 * max(crop.size))
        padded = Image.new("RGB", (crop.width + 2 * border, crop.height + 2 * border))
        padded.paste(crop, (border, border))
        yield inside.with_suffix(".png"), padded


def album(name: str, model: str) -> str:
    """What a real album is told."""
    with (
        tempfile.TemporaryDirectory() as folder,
        chueok.open_library(Path(folder) / "library", model=model) as library,
    ):
        for _ in chueok.scan(library, MATERIAL / "albums" / name):
            pass
        found = calibrate(library, dry_run=True).calibration
    told = (
        "too few"
        if found.threshold is None
        else f"{found.threshold:.3f} ({found.low:.3f} to {found.high:.3f})"
    )
    return f"{found.people_pairs} pairs of people: {told}"


if __name__ == "__main__":
    main()
