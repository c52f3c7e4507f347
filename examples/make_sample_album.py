"""Build a small sample album, with truth, from public-domain pictures that Python wheels carry.

    python examples/make_sample_album.py demo/album

writes demo/album, and beside it demo/references, demo/gallery, demo/selfie.jpg and demo/truth.csv. Needs the
matplotlib and scikit-image wheels; downloads nothing. The same bytes every time; a second run writes nothing.
"""

from __future__ import annotations

import csv
import importlib.util
import io
import math
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pillow_heif
from PIL import ExifTags, Image, ImageEnhance, ImageOps

Crop = tuple[int, int, int, int]  # left, top, right, bottom, in pixels of the source picture
Brush = Callable[[], Image.Image]

# Where each source lies in its wheel. Origins and licences: README below.
SOURCES = {
    "grace": ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"),
    "eileen": ("skimage", "data/astronaut.png"),
    "photographer": ("skimage", "data/camera.png"),
    "cat": ("skimage", "data/chelsea.png"),
    "coffee": ("skimage", "data/coffee.png"),
    "rocket": ("skimage", "data/rocket.jpg"),
    "grass": ("skimage", "data/grass.png"),
    "wall": ("skimage", "data/brick.png"),
}

README = """\
A sample album made by chueok's examples/make_sample_album.py, from these sources:

grace         Grace Hopper. Official portrait, United States Navy: a U.S. government work, public domain.
              matplotlib, sample_data/grace_hopper.jpg (commons.wikimedia.org/wiki/File:Grace_Hopper.jpg)
eileen        Eileen Collins. NASA Great Images, public domain. scikit-image, data/astronaut.png
photographer  CC0 by the photographer (Lav Varshney). scikit-image, data/camera.png
cat           CC0 by the photographer (Stefan van der Walt). scikit-image, data/chelsea.png
coffee        CC0 by the photographer (Rachel Michetti). scikit-image, data/coffee.png
rocket        SpaceX, released into the public domain. scikit-image, data/rocket.jpg
grass         CC0 (deviantart.com/linolafett/art/Grass-01-434853879). scikit-image, data/grass.png
wall          CC0Textures, Bricks25, CC0. scikit-image, data/brick.png

Each person comes from one photograph: the album shows what chueok does, not how well.
"""

# What undoes each EXIF orientation (Exif 2.32, tag 0x0112): pixels stored this way come out upright.
STORED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}

FORMATS = {".jpg": "JPEG", ".png": "PNG", ".webp": "WEBP", ".heic": "HEIF"}


@dataclass(frozen=True, slots=True)
class Shot:
    """One file: what it shows, who is in it, and how a camera would have stored it."""

    file: str
    brush: Brush
    people: tuple[str, ...] = ()
    taken: str | None = None  # EXIF DateTimeOriginal
    orientation: int = 1
    quality: int = 88  # of JPEG, WebP and HEIC
    keep: float = 1.0  # share of the bytes that survived


def source(name: str) -> Image.Image:
    """A source picture, RGB; leaves with a sentence when its wheel is not installed."""
    package, inside = SOURCES[name]
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        sys.exit("The sample pictures are in two wheels. Install them: pip install matplotlib scikit-image")
    with Image.open(Path(spec.origin).parent / inside) as image:
        return image.convert("RGB")


def shoot(name: str, width: int, crop: Crop | None = None, look: str = "", *, mirror: bool = False) -> Brush:
    """A photograph of one source, `width` pixels wide, in one of the LOOKS."""

    def brush() -> Image.Image:
        image = source(name).crop(crop) if crop else source(name)
        image = image.resize((width, round(width * image.height / image.width)), Image.Resampling.LANCZOS)
        image = ImageOps.mirror(image) if mirror else image
        return grain(LOOKS[look](image), seed=width)

    return brush


def together(left: Brush, right: Brush, height: int) -> Brush:
    """Two people in one photograph, side by side, blended over a fifteenth of its height."""

    def brush() -> Image.Image:
        a, b = (to_height(side(), height) for side in (left, right))
        seam = height // 15
        scene = Image.new("RGB", (a.width + b.width - seam, height))
        scene.paste(a, (0, 0))
        blend = Image.new("L", b.size, 255)
        blend.paste(Image.linear_gradient("L").rotate(90).resize((seam, height)))
        scene.paste(b, (a.width - seam, 0), blend)
        return scene

    return brush


def exhibition(size: tuple[int, int], *hung: tuple[Brush, int, tuple[int, int]], look: str = "") -> Brush:
    """Framed pictures on a large brick wall: (picture, height in pixels, left and top corner) each."""

    def brush() -> Image.Image:
        wall = ImageOps.colorize(source("wall").convert("L"), "#30201a", "#f2d9c4")
        scene = ImageOps.fit(wall, size, Image.Resampling.BICUBIC)
        for picture, height, corner in hung:
            mat = ImageOps.expand(to_height(picture(), height), height // 10, "#f4f1ea")
            scene.paste(ImageOps.expand(mat, height // 30, "#2b2118"), corner)
        return grain(LOOKS[look](scene), seed=size[0])

    return brush


def to_height(image: Image.Image, height: int) -> Image.Image:
    """The image, scaled to a height in pixels."""
    width = round(image.width * height / image.height)
    return image.resize((width, height), Image.Resampling.LANCZOS)


def light(image: Image.Image, brightness: float, contrast: float = 1.0) -> Image.Image:
    """The image in other light; 1 is unchanged."""
    return ImageEnhance.Contrast(ImageEnhance.Brightness(image).enhance(brightness)).enhance(contrast)


def cast(image: Image.Image, red: float, green: float, blue: float) -> Image.Image:
    """The image with its channels scaled: the wrong white balance."""
    scale = [factor for factor in (red, green, blue) for _ in range(256)]
    return image.point([min(255, round(level % 256 * factor)) for level, factor in enumerate(scale)])


def tilt(image: Image.Image, degrees: float) -> Image.Image:
    """The square image held crookedly, cut so that no corner is empty."""
    angle = math.radians(abs(degrees))
    spare = 1 - 1 / (
        math.cos(angle) + math.sin(angle)
    )  # the upright square inside a turned one is smaller by this
    return ImageOps.crop(image.rotate(degrees, Image.Resampling.BICUBIC), math.ceil(image.width * spare / 2))


def grain(image: Image.Image, seed: int) -> Image.Image:
    """The image with a sensor's noise (standard deviation 3 of 255), the same for the same seed."""
    shape = (image.height, image.width, 1)
    noise = np.random.default_rng(seed).standard_normal(shape, np.float32) * 3
    return Image.fromarray(np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8))


LOOKS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "": lambda image: image,
    "dark": lambda image: light(image, 0.5),
    "bright": lambda image: light(image, 1.35),
    "flat": lambda image: light(image, 1.05, 0.65),
    "hard": lambda image: light(image, 1.0, 1.4),
    "warm": lambda image: cast(image, 1.12, 1.0, 0.8),
    "cold": lambda image: cast(image, 0.85, 0.98, 1.15),
    "grey": lambda image: ImageOps.grayscale(image).convert("RGB"),
    "tilted": lambda image: tilt(image, 8),
}

GRACE, EILEEN, PHOTOGRAPHER = ("grace",), ("eileen",), ("photographer",)
BOTH = ("grace", "eileen")
HEAD = (120, 20, 420, 420)  # Grace Hopper's head and shoulders
BUST = (90, 0, 390, 400)  # Eileen Collins, to the patches on her suit
PAIR = together(shoot("grace", 1500), shoot("eileen", 1500, (0, 0, 420, 500)), 1750)
WALL_OF_THREE = exhibition(
    (2400, 1600),
    (shoot("grace", 900), 560, (220, 420)),
    (shoot("eileen", 900, BUST), 560, (960, 380)),
    (shoot("photographer", 900, (80, 40, 420, 420)), 560, (1680, 440)),
)
FAR_AWAY = exhibition((3000, 2000), (shoot("eileen", 600), 420, (1900, 760)))
DARK_WALL = exhibition((2600, 1700), (shoot("grace", 700, mirror=True), 700, (500, 300)), look="dark")

ALBUM = (
    Shot("2017/IMG_0001.jpg", shoot("grace", 512), GRACE, "2017-03-11 10:02:00", quality=80),
    Shot("2017/IMG_0002.jpg", shoot("eileen", 640), EILEEN, "2017-03-11 10:05:30"),
    Shot("2017/IMG_0003.jpg", shoot("coffee", 1200), taken="2017-03-11 11:40:00", quality=70),
    Shot("2017/IMG_0004.jpg", shoot("grace", 1600, look="dark"), GRACE, "2017-06-02 20:15:00", 6),
    Shot("2017/IMG_0005.jpg", shoot("rocket", 1920), taken="2017-07-19 05:12:44"),
    Shot(
        "2018/DSC_0101.jpg",
        shoot("eileen", 2400, (40, 0, 440, 330), "warm"),
        EILEEN,
        "2018-01-20 14:00:00",
        8,
        92,
    ),
    Shot("2018/DSC_0102.jpg", PAIR, BOTH, "2018-01-20 14:03:12", quality=92),
    Shot("2018/DSC_0103.jpg", shoot("photographer", 1400), PHOTOGRAPHER, "2018-04-08 09:30:00", 3),
    Shot("2018/DSC_0104.png", shoot("eileen", 700, BUST, "cold", mirror=True), EILEEN),
    Shot("2018/DSC_0105.jpg", shoot("cat", 1800, look="bright"), taken="2018-12-25 18:00:00", orientation=2),
    Shot("2019 가족여행/사진 01.jpg", shoot("grace", 1000, look="grey"), GRACE, "2019-05-02 10:11:12", 3),
    Shot("2019 가족여행/사진 02.jpg", FAR_AWAY, EILEEN, "2019-05-02 13:20:00", quality=90),
    Shot("2019 가족여행/사진 03.webp", shoot("grace", 900, HEAD, "warm"), GRACE, "2019-05-03 08:45:00"),
    Shot("2019 가족여행/사진 04.heic", shoot("eileen", 560, look="flat"), EILEEN, "2019-05-03 16:30:00"),
    Shot("2019 가족여행/사진 05.jpg", shoot("grass", 1024), taken="2019-05-03 22:58:00"),
    Shot("2021/20210814_101500.jpg", shoot("grace", 1300, HEAD, "hard"), GRACE, "2021-08-14 10:15:00", 5),
    Shot("2021/20210814_101730.jpg", shoot("eileen", 1100, look="tilted"), EILEEN, "2021-08-14 10:17:30", 7),
    Shot("2021/20210815_070000.jpg", shoot("grace", 420, look="cold"), GRACE, "2021-08-15 07:00:00", 4, 60),
    Shot("2021/20211224_190000.jpg", shoot("eileen", 900, look="dark"), EILEEN, "2021-12-24 19:00:00", 2),
    Shot("2023/exhibition/wall 1.jpg", WALL_OF_THREE, (*BOTH, "photographer"), "2023-09-01 15:00:00", 6),
    Shot("2023/exhibition/wall 2.jpg", DARK_WALL, GRACE, "2023-09-01 15:04:00", 8),
    Shot("2023/scan.png", shoot("grace", 600, look="flat", mirror=True), GRACE),
    Shot(
        "2023/IMG_0001 (1).jpg", shoot("grace", 512), GRACE, "2017-03-11 10:02:00", quality=80
    ),  # the same bytes
    Shot("damaged/cut off.jpg", shoot("eileen", 1200), EILEEN, "2022-02-22 12:00:00", keep=0.7),
)
UNREADABLE = {
    "damaged/not a picture.jpg": b"This is a note that somebody saved under the name of a picture.\n"
}

BESIDE = (
    Shot("references/grace.jpg", shoot("grace", 700, (60, 0, 470, 480), "bright")),
    Shot("references/eileen.jpg", shoot("eileen", 800, (60, 0, 420, 420), "hard")),
    Shot("gallery/그레이스 호퍼.jpg", shoot("grace", 640, (100, 30, 430, 400))),
    Shot("gallery/Eileen Collins.jpg", shoot("eileen", 640, (100, 0, 380, 320))),
    Shot("gallery/The Photographer/1.jpg", shoot("photographer", 600, (60, 20, 400, 380))),
    Shot("gallery/The Photographer/2.jpg", shoot("photographer", 500, (100, 40, 380, 320), "bright")),
    Shot("selfie.jpg", shoot("eileen", 900, (40, 0, 440, 400), "tilted", mirror=True), orientation=6),
)


def encoded(shot: Shot) -> bytes:
    """The file a camera would have written."""
    image = shot.brush()
    if shot.orientation != 1:
        image = image.transpose(STORED[shot.orientation])
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = shot.orientation
    if shot.taken:
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = shot.taken.replace("-", ":")
    buffer = io.BytesIO()
    image.save(buffer, FORMATS[Path(shot.file).suffix], quality=shot.quality, exif=exif)
    return buffer.getvalue()[: round(buffer.tell() * shot.keep)]


def truth() -> bytes:
    """photo, people (separated by `;`), faces: what a perfect organizer finds."""
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(("photo", "people", "faces"))
    writer.writerows((shot.file, ";".join(shot.people), len(shot.people)) for shot in ALBUM)
    writer.writerows((file, "", 0) for file in UNREADABLE)
    return table.getvalue().encode()


def refuse_strangers(paths: Iterable[Path]) -> None:
    """Leave when a file that no sample put there would be replaced."""
    for path in paths:
        if path.exists():
            sys.exit(f"{path} is there already and is not a sample's. Choose another folder.")


def write(files: dict[Path, bytes]) -> int:
    """Write the files that are not there yet, and say how many."""
    missing = {path: data for path, data in files.items() if not path.exists() or path.read_bytes() != data}
    for path, data in missing.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return len(missing)


def main(album: Path) -> None:
    """Build the album and what stands beside it."""
    pillow_heif.register_heif_opener()
    marker = album / "README.txt"
    plain = {marker: README.encode(), album.parent / "truth.csv": truth()}
    plain |= {album / name: data for name, data in UNREADABLE.items()}
    shots = {album / shot.file: shot for shot in ALBUM} | {album.parent / shot.file: shot for shot in BESIDE}
    if not (marker.exists() and marker.read_text(encoding="utf-8").startswith(README.splitlines()[0])):
        refuse_strangers([*plain, *shots])
    written = write(plain | {path: encoded(shot) for path, shot in shots.items()})
    print(f"{album}: {len(ALBUM) + len(UNREADABLE)} photos, {written} files written")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} ALBUM")
    main(Path(sys.argv[1]))
