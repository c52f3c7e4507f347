"""A picture file becomes an upright RGB array at working size, or UnreadablePhoto says why it cannot."""

from __future__ import annotations

import importlib
import io
import re
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import datetime
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar, cast

from chueok.errors import UnreadablePhoto
from chueok.vision.formats import PictureFormat, picture_format
from chueok.vision.pixels import decoded_share, upright_part, upright_rgb

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image
    from PIL.ImageFile import ImageFile

    from chueok.records import Box

T = TypeVar("T")

PIXEL_LIMIT = 16_383**2  # 268 megapixels (docs/engine.md): a WebP's largest; real 200-megapixel photos pass
_YEARS = range(1826, 2108)  # the oldest surviving photograph; the last year a camera's FAT card can hold
_TIME = re.compile(r"\s*(\d{4})\D(\d\d)\D(\d\d)\D(\d\d)\D(\d\d)\D(\d\d)")
_ORIENTATION, _DATE_TIME, _EXIF_FOLDER = 0x0112, 0x0132, 0x8769  # EXIF 3.0, 4.6.5 and 4.6.3
_ORIGINAL, _DIGITIZED = 0x9003, 0x9004  # EXIF 3.0, 4.6.6: DateTimeOriginal, DateTimeDigitized
_NOTHING = "nothing of it could be read"
_PILLOW_LOCK = threading.Lock()  # Pillow's limits are process-wide: one thread decodes at a time

# Plugin classes are opened directly. Image.open would add the process-wide pixel limit's warnings, hide
# why a file was refused, and lose photos whose multi-picture table is broken (AssertionError).
_PLUGINS = {
    PictureFormat.JPEG: ("PIL.JpegImagePlugin", "JpegImageFile"),
    PictureFormat.PNG: ("PIL.PngImagePlugin", "PngImageFile"),
    PictureFormat.GIF: ("PIL.GifImagePlugin", "GifImageFile"),
    PictureFormat.BMP: ("PIL.BmpImagePlugin", "BmpImageFile"),
    PictureFormat.TIFF: ("PIL.TiffImagePlugin", "TiffImageFile"),
    PictureFormat.WEBP: ("PIL.WebPImagePlugin", "WebPImageFile"),
    PictureFormat.JPEG_2000: ("PIL.Jpeg2KImagePlugin", "Jpeg2KImageFile"),
    PictureFormat.AVIF: ("PIL.AvifImagePlugin", "AvifImageFile"),  # pillow-heif 1.8 reads none
    PictureFormat.HEIF: ("pillow_heif", "HeifImageFile"),
}


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A decoded picture, upright."""

    pixels: NDArray[np.uint8]  # (h, w, 3) uint8 RGB, contiguous, perhaps read-only, at working size
    width: int  # upright full size, pixels
    height: int
    taken_at: datetime | None  # EXIF, local time without zone
    damage: str | None  # what is wrong with a file of which only a part could be read


def decode(data: bytes, size: int = 0) -> Picture:
    """Decode a picture file upright, at about the size that is needed.

    data: a file's bytes, of any PictureFormat; of an animation the first picture counts. size: wanted long
    side in pixels, 0 for full size. `pixels` has a long side in [size, 2 * size), or the full size where that
    is smaller. Colour profiles are not applied: embedders are trained on pictures whose profiles nobody
    applied. Calls from several threads wait for each other.
    Raises UnreadablePhoto when nothing of the picture can be decoded.
    """
    form = picture_format(data)
    whole = _attempt(form, lambda form: _read(form, data, size, tolerant=False), tolerant=False)
    if isinstance(whole, Picture):
        return whole
    rescued = _attempt(form, lambda form: _read(form, data, size, tolerant=True), tolerant=True)
    if not isinstance(rescued, Picture):
        raise UnreadablePhoto(whole)
    if rescued.damage == _NOTHING:
        raise UnreadablePhoto(f"{whole}: {_NOTHING}")
    return replace(rescued, damage=f"{whole}: {rescued.damage}" if rescued.damage else whole)


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A rectangle of a decoded picture, upright."""

    pixels: NDArray[np.uint8]  # (h, w, 3) uint8 RGB
    left: int  # where it begins in the decoded picture, pixels
    top: int
    scale: tuple[float, float]  # decoded pixels for one of the full-size picture, across and down


def decode_parts(data: bytes, size: int, boxes: Sequence[Box], *, tolerant: bool) -> list[Part]:
    """Rectangles of a picture that `decode` has read, finer: a full-size picture is never copied whole.

    size: as for `decode`. boxes: in pixels of the full-size picture, cut at its borders here. tolerant: whether the
    file is damaged. Raises UnreadablePhoto.
    """

    def read(form: PictureFormat) -> list[Part]:
        loaded = _loaded(form, data, size)
        width, height = loaded.image.size
        if loaded.orientation > 4:
            width, height = height, width
        scale = width / loaded.width, height / loaded.height
        parts = []
        for box in boxes:
            left = _clipped(box.x * scale[0], 0, width - 1)
            top = _clipped(box.y * scale[1], 0, height - 1)
            right = _clipped((box.x + box.width) * scale[0], left + 1, width)
            bottom = _clipped((box.y + box.height) * scale[1], top + 1, height)
            pixels = upright_part(loaded.image, (left, top, right, bottom), loaded.orientation)
            parts.append(Part(pixels, left, top, scale))
        return parts

    parts = _attempt(picture_format(data), read, tolerant=tolerant)
    if isinstance(parts, str):
        raise UnreadablePhoto(parts)
    return parts


def resize(pixels: NDArray[np.uint8], long_side: int) -> NDArray[np.uint8]:
    """Shrink a picture to a long side in pixels; a smaller picture comes back as it is.

    pixels: (h, w, 3) uint8 RGB. Returns (h', w', 3) uint8 RGB, contiguous. Hamming: measured as fast as
    bilinear (15 ms from 2.4 to 1.1 megapixels) and nearer to Lanczos (30 ms).
    """
    import numpy as np
    from PIL import Image

    height, width = pixels.shape[:2]
    scale = long_side / max(height, width)
    if scale >= 1:
        return pixels
    target = max(1, round(width * scale)), max(1, round(height * scale))
    return np.array(Image.fromarray(pixels).resize(target, Image.Resampling.HAMMING))  # a copy: writable


# ---- decoding ------------------------------------------------------------------------------------


def _attempt(form: PictureFormat, read: Callable[[PictureFormat], T], *, tolerant: bool) -> T | str:
    """Decode once: what `read` makes of the file, or what is wrong with it.

    The error itself is dropped: its traceback would keep a half-decoded picture alive during the retry.
    Raises UnreadablePhoto when a retry is pointless.
    """
    from PIL.Image import DecompressionBombError

    try:
        with _pillow_rules(tolerant=tolerant):
            return read(form)
    except UnreadablePhoto:
        raise
    except MemoryError:
        reason = "too large: there is not enough memory to decode it"
        raise UnreadablePhoto(reason) from None
    except DecompressionBombError:
        raise UnreadablePhoto(f"too large: more than {PIXEL_LIMIT // 10**6} megapixels") from None
    except Exception as error:  # noqa: BLE001 - hostile files make Pillow raise ten unrelated types (docs/engine.md)
        return _fault(form, error)


@contextmanager
def _pillow_rules(*, tolerant: bool) -> Iterator[None]:
    """Pillow's process-wide switches as decoding needs them, silent, and put back afterwards."""
    from PIL import AvifImagePlugin, Image, ImageFile

    with (
        _PILLOW_LOCK,
        warnings.catch_warnings(),
        _held(Image, "MAX_IMAGE_PIXELS", (PIXEL_LIMIT + 1) // 2),  # plugins raise above twice this
        _held(ImageFile, "LOAD_TRUNCATED_IMAGES", tolerant),
        _held(AvifImagePlugin, "DEFAULT_MAX_THREADS", 1),  # else one per core, in each reading process
    ):
        warnings.simplefilter("ignore")
        yield


@contextmanager
def _held(module: ModuleType, name: str, value: object) -> Iterator[None]:
    """Hold one setting of a module at a value."""
    kept = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, kept)


def _read(form: PictureFormat, data: bytes, size: int, *, tolerant: bool) -> Picture:
    """Decode under the present rules; raises whatever Pillow raises."""
    loaded = _loaded(form, data, size)
    factor = max(1, max(loaded.image.size) // size) if size else 1
    pixels = upright_rgb(loaded.image, factor, loaded.orientation)
    damage = _loss(pixels, loaded.orientation) if tolerant else None
    return Picture(pixels, loaded.width, loaded.height, loaded.taken_at, damage)


@dataclass(frozen=True, slots=True, eq=False)
class _Loaded:
    """A decoded file, as it is stored."""

    image: ImageFile
    width: int  # upright full size, pixels
    height: int
    orientation: int  # EXIF, 1..8
    taken_at: datetime | None


def _loaded(form: PictureFormat, data: bytes, size: int) -> _Loaded:
    """Decode under the present rules; raises whatever Pillow raises."""
    image = _opened(form, data)
    width, height = image.size
    if width * height > PIXEL_LIMIT:
        megapixels = f"{width * height / 1e6:.0f} megapixels; chueok reads up to {PIXEL_LIMIT // 10**6}"
        raise UnreadablePhoto(f"too large: the picture has {megapixels}")
    if form is PictureFormat.JPEG:
        _draft(image, size)
    image.load()
    if form is not PictureFormat.JPEG:
        width, height = image.size  # TIFF has been turned upright, HEIF has found its true size
    orientation, taken_at = _metadata(image)  # after loading: asked before, some good photos are lost
    if orientation > 4:
        width, height = height, width
    return _Loaded(image, width, height, orientation, taken_at)


def _clipped(edge: float, least: int, most: int) -> int:
    """The whole pixel next to an edge, from `least` to `most`."""
    return max(least, min(round(edge), most))


def _opened(form: PictureFormat, data: bytes) -> ImageFile:
    """The picture, its header read."""
    module, plugin = _PLUGINS[form]
    opener = getattr(importlib.import_module(module), plugin)
    one_thread: AbstractContextManager[None] = nullcontext()
    if form is PictureFormat.HEIF:
        import pillow_heif

        one_thread = _held(
            pillow_heif.options, "DECODE_THREADS", 1
        )  # else four, asked for when a file is opened
    with one_thread:
        return cast("ImageFile", opener(io.BytesIO(data)))


def _loss(pixels: NDArray[np.uint8], orientation: int) -> str | None:
    """How much of a damaged picture is there; None when all of its area is."""
    share = decoded_share(pixels, orientation)
    if share == 0:
        return _NOTHING
    return f"{max(1, int(share * 100))} % of it could be read" if share < 1 else None


def _draft(image: ImageFile, size: int) -> None:
    """Let the JPEG decoder do the shrinking, to 1/2, 1/4 or 1/8, as far as the long side stays >= size."""
    long_side = max(image.size)
    if size and long_side >= 2 * size:
        width, height = (max(1, side * size // long_side) for side in image.size)
        image.draft(None, (width, height))


def _fault(form: PictureFormat, error: Exception) -> str:
    """What is wrong with a file, in words for its owner, with Pillow's own for whoever repairs it."""
    detail = " ".join(str(error).split())[:100] or type(error).__name__
    if "truncated" in detail.lower() or isinstance(error, EOFError):
        return "the file is cut off"
    return f"the {form} file is damaged ({detail})"


# ---- metadata ------------------------------------------------------------------------------------


def _metadata(image: Image) -> tuple[int, datetime | None]:
    """EXIF orientation, 1..8, and the time the photo was taken; (1, None) where EXIF does not say."""
    orientation, taken_at = 1, None
    try:
        exif = image.getexif()
        if exif.get(_ORIENTATION) in range(1, 9):
            orientation = int(exif[_ORIENTATION])
        folder = exif.get_ifd(_EXIF_FOLDER)
        times = (folder.get(_ORIGINAL), folder.get(_DIGITIZED), exif.get(_DATE_TIME))
        taken_at = next((moment for moment in map(_moment, times) if moment), None)
    except Exception:  # noqa: BLE001 - broken EXIF raises as many types as broken pixels, and loses no photo
        return orientation, None
    return orientation, taken_at


def _moment(text: Any) -> datetime | None:
    """An EXIF date and time, "2019:05:02 10:11:12" or like it; None for nonsense."""
    numbers = _TIME.match(text) if isinstance(text, str) else None
    try:
        moment = datetime(*map(int, numbers.groups())) if numbers else None  # type: ignore[arg-type]
    except ValueError:
        return None
    return moment if moment and moment.year in _YEARS else None
