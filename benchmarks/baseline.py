"""What chueok replaces: facenet-pytorch as its README shows it, photo by photo, in one script.

    python -m benchmarks.baseline PERSON.jpg ALBUM

InceptionResnetV1 has seeded random weights, since nothing is downloaded here: the arithmetic, and so the time, are
those of the trained ones; only the similarities mean nothing.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import torch
from facenet_pytorch import MTCNN, InceptionResnetV1
from PIL import Image, ImageOps

THRESHOLD = 0.6  # any number: it decides what is printed, not what is computed


def main(person: Path, album: Path) -> None:
    """Print the photos the person is said to be in, then the speed."""
    torch.manual_seed(0)
    mtcnn = MTCNN(keep_all=True, min_face_size=20)
    resnet = InceptionResnetV1(pretrained=None).eval()
    started = time.perf_counter()
    detecting, faces, photos = 0.0, 0, 0
    with torch.no_grad():
        reference = resnet(mtcnn(picture(person))[:1])[0]
        for path in sorted(album.iterdir()):
            image = picture(path)
            before = time.perf_counter()
            crops = mtcnn(image)
            detecting += time.perf_counter() - before
            photos += 1
            if crops is None:
                continue
            similarities = torch.nn.functional.cosine_similarity(resnet(crops), reference)
            faces += len(crops)
            if similarities.max() > THRESHOLD:
                print(path)
    seconds = time.perf_counter() - started
    print(
        f"{photos} photos, {faces} faces, {photos / seconds:.2f} photos/s, "
        f"{detecting / seconds:.0%} of {seconds:.1f} s is MTCNN",
        file=sys.stderr,
    )


def picture(path: Path) -> Image.Image:
    """The photo, upright."""
    return ImageOps.exif_transpose(Image.open(path)).convert("RGB")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
