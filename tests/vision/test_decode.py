"""decode: every kind of picture becomes the same upright RGB, at the size that is wanted."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from tests.vision import pictures

from chueok.errors import UnreadablePhoto
from chueok.records import Box
from chueok.vision.decode import decode, decode_parts, resize

JPEG_STEP = 12  # grey levels by which a JPEG of quality 95 without subsampling may differ
SMOOTH: dict[str, object] = {"quality": 95, "subsampling": 0}


def assert_shows(pixels: NDArray[np.uint8], expected: Image.Image, tolerance: int = 0) -> None:
    wanted = pictures.rgb(expected)
    assert (pixels.shape, pixels.dtype, pixels.flags.c_contiguous) == (wanted.shape, wanted.dtype, True)
    assert int(np.abs(pixels.astype(int) - wanted).max()) <= tolerance


# ---- orientation ---------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_every_orientation_is_turned_upright(form: str, orientation: int) -> None:
    options: dict[str, dict[str, object]] = {
        "JPEG": SMOOTH,
        "WEBP": {"lossless": True},
        "AVIF": {"quality": 100, "subsampling": "4:4:4"},
    }
    picture = decode(pictures.turned(pictures.scene(), orientation, form, **options.get(form, {})))
    assert (picture.width, picture.height, picture.damage) == (96, 64, None)
    assert_shows(picture.pixels, pictures.scene(), 0 if form in {"PNG", "WEBP", "TIFF"} else JPEG_STEP)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_a_reduced_picture_is_turned_upright_too(form: str, orientation: int) -> None:
    picture = decode(pictures.turned(pictures.scene(384, 256), orientation, form), size=96)
    assert (picture.width, picture.height) == (384, 256)
    assert_shows(picture.pixels, pictures.scene(384, 256).reduce(4), 40)


def test_heic_is_turned_upright_once() -> None:
    data = pictures.heic(pictures.scene(), exif=pictures.exif(6).tobytes())
    assert decode(data).pixels.shape == (96, 64, 3)


@pytest.mark.parametrize("nonsense", [0, 9, 65535])
def test_a_nonsense_orientation_is_ignored(nonsense: int) -> None:
    data = pictures.encode(pictures.scene(), "PNG", exif=pictures.exif(nonsense))
    assert_shows(decode(data).pixels, pictures.scene())


# ---- modes and formats ---------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "JPEG2000"])
def test_lossless_formats_come_out_exactly(form: str) -> None:
    assert_shows(decode(pictures.encode(pictures.scene(), form)).pixels, pictures.scene())


@pytest.mark.parametrize("mode", ["1", "L", "P"])
@pytest.mark.parametrize("form", ["PNG", "TIFF", "BMP", "GIF"])
def test_few_colours_become_rgb(form: str, mode: str) -> None:
    image = pictures.scene().convert(mode)
    assert_shows(decode(pictures.encode(image, form)).pixels, image)


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_jpeg_modes_become_rgb(mode: str) -> None:
    image = pictures.scene().convert(mode)
    assert_shows(decode(pictures.encode(image, "JPEG", **SMOOTH)).pixels, image, JPEG_STEP)


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "LAB"])
def test_tiff_colour_spaces_become_rgb(mode: str) -> None:
    if mode == "LAB":
        from PIL import ImageCms

        profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        image = ImageCms.profileToProfile(pictures.scene(), *profiles, outputMode="LAB")
        assert image is not None
    else:
        image = pictures.scene().convert(mode)
    picture = decode(pictures.encode(image, "TIFF"))
    difference = np.abs(picture.pixels.astype(int) - pictures.rgb(pictures.scene()))
    assert difference.mean() < 8  # LAB has no room for the purest blue


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
def test_transparent_parts_are_white(mode: str) -> None:
    image = pictures.scene().convert("RGBA" if mode != "LA" else "LA")
    image.putalpha(Image.linear_gradient("L").resize(image.size).point(lambda level: 255 * (level > 127)))
    picture = decode(pictures.encode(image.quantize() if mode == "PA" else image, "PNG"))
    assert (picture.pixels[:30] == 255).all()
    difference = np.abs(picture.pixels.astype(int) - pictures.rgb(image.convert("RGB")))
    assert difference[34:].max() <= (40 if mode == "PA" else 0)


def test_a_transparent_picture_is_reduced_without_a_dark_fringe() -> None:
    image = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    image.paste((200, 100, 50, 255), (0, 0, 64, 31))
    picture = decode(pictures.encode(image, "PNG"), size=32)
    assert picture.pixels[15, 0].tolist() == [227, 177, 152]  # half (200, 100, 50), half white


@pytest.mark.parametrize(("mode", "key"), [("P", 0), ("RGB", (1, 2, 3)), ("L", 2)])
def test_a_transparent_colour_is_white(mode: str, key: object) -> None:
    plain = Image.new("RGB", (8, 8), (1, 2, 3))
    image = plain.quantize(1) if mode == "P" else plain.convert(mode)
    assert (decode(pictures.encode(image, "PNG", transparency=key)).pixels == 255).all()


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_sixteen_bits_keep_the_picture(form: str) -> None:
    levels = np.linspace(0, 65_535, 96 * 64).reshape(64, 96)
    picture = decode(pictures.encode(Image.fromarray(levels.astype(np.uint16)), form))
    expected = Image.fromarray((levels / 257).round().astype(np.uint8))
    assert_shows(picture.pixels, expected, 1)


@pytest.mark.parametrize("white", [1023, 4095, 16_383, 65_535])
def test_the_bit_depth_is_seen_from_the_brightest_value(white: int) -> None:
    levels = np.array([[0, white // 2, white]], np.uint16).repeat(4, axis=0)
    picture = decode(pictures.encode(Image.fromarray(levels), "TIFF"))
    assert picture.pixels[0, :, 0].tolist() in ([0, 127, 255], [0, 128, 255])


@pytest.mark.parametrize("scale", [1.0, 255.0, 1e6])
def test_floating_point_greys_are_scaled_by_their_range(scale: float) -> None:
    levels = np.array([[0, 0.25, 1, np.nan]], np.float32).repeat(4, axis=0) * np.float32(scale)
    picture = decode(pictures.encode(Image.fromarray(levels), "TIFF"))
    assert picture.pixels[0, :, 0].tolist() == [0, 64, 255, 0]


def test_negative_greys_are_black() -> None:
    levels = np.array([[-1000, 0, 1000]], np.int32).repeat(4, axis=0)
    picture = decode(pictures.encode(Image.fromarray(levels), "TIFF"))
    assert picture.pixels[0, :, 1].tolist() == [0, 126, 252]  # white is 1023, black -1000


def test_heic_and_avif_are_read() -> None:
    for data in (pictures.heic(pictures.scene()), pictures.encode(pictures.scene(), "AVIF", quality=90)):
        picture = decode(data)
        assert (picture.width, picture.height, picture.damage) == (96, 64, None)
        assert np.abs(picture.pixels.astype(int) - pictures.rgb(pictures.scene())).mean() < 4


def test_a_heic_file_is_decoded_by_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """The decoder is listened to: how many threads it was allowed shows nowhere else."""
    import _pillow_heif  # type: ignore[import-not-found]  # pillow-heif's C half, without type information
    import pillow_heif

    allowed, load = [], _pillow_heif.load_file

    def listening(data: bytes, threads: int, *rest: object) -> object:
        allowed.append(threads)
        return load(data, threads, *rest)

    monkeypatch.setattr(_pillow_heif, "load_file", listening)
    decode(pictures.heic(pictures.scene()))
    assert (allowed, pillow_heif.options.DECODE_THREADS) == ([1], 4)


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG", "MPO", "TIFF"])
def test_the_first_picture_of_several_counts(form: str) -> None:
    frames = [pictures.scene(), Image.new("RGB", (96, 64), "black")]
    picture = decode(pictures.animation(frames, form))
    assert (picture.width, picture.height, picture.damage) == (96, 64, None)
    assert np.abs(picture.pixels.astype(int) - pictures.rgb(frames[0])).mean() < 16  # GIF: 256 colours


# ---- size ----------------------------------------------------------------------------------------


# ---- parts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_a_part_is_what_the_whole_shows_there(form: str, orientation: int) -> None:
    data = pictures.turned(pictures.scene(97, 64), orientation, form)
    whole = decode(data).pixels
    boxes = [
        Box(10, 5, 30, 20),
        Box(-8, -9, 40.4, 20.6),
        Box(80, 50, 99, 99),
        Box(96, 63, 1, 1),
        Box(0, 0, 97, 64),
    ]
    edges = [(10, 5, 40, 25), (0, 0, 32, 12), (80, 50, 97, 64), (96, 63, 97, 64), (0, 0, 97, 64)]
    parts = decode_parts(data, 0, boxes, tolerant=False)
    for part, (left, top, right, bottom) in zip(parts, edges, strict=True):
        assert (part.left, part.top, part.scale) == (left, top, (1.0, 1.0))
        np.testing.assert_array_equal(part.pixels, whole[top:bottom, left:right])


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_part_of_a_reduced_picture_says_where_it_lies(orientation: int) -> None:
    data = pictures.turned(pictures.scene(800, 600), orientation, "JPEG")
    whole = decode(data, 400)
    (part,) = decode_parts(data, 400, [Box(200, 100, 80, 60)], tolerant=False)
    assert whole.pixels.shape == (300, 400, 3)
    assert (part.left, part.top, part.scale) == (100, 50, (0.5, 0.5))
    np.testing.assert_array_equal(part.pixels, whole.pixels[50:80, 100:140])


def test_a_part_of_a_deep_picture_is_as_bright_as_the_whole() -> None:
    values = np.arange(64 * 96, dtype=np.uint16).reshape(64, 96) * 10
    data = pictures.encode(Image.fromarray(values), "PNG")
    (part,) = decode_parts(data, 0, [Box(5, 5, 20, 10)], tolerant=False)
    np.testing.assert_array_equal(part.pixels, decode(data).pixels[5:15, 5:25])


def test_a_part_of_a_damaged_picture_needs_patience() -> None:
    data = pictures.encode(pictures.scene(800, 600), "JPEG")[:-3000]
    whole = decode(data)
    assert whole.damage is not None
    (part,) = decode_parts(data, 0, [Box(0, 0, 50, 40)], tolerant=True)
    np.testing.assert_array_equal(part.pixels, whole.pixels[:40, :50])
    with pytest.raises(UnreadablePhoto, match="cut off"):
        decode_parts(data, 0, [Box(0, 0, 50, 40)], tolerant=False)


@settings(max_examples=60, deadline=None)
@given(
    width=st.integers(1, 500),
    height=st.integers(1, 500),
    size=st.integers(0, 600),
    form=st.sampled_from(["JPEG", "BMP"]),
)
def test_the_long_side_is_between_the_wanted_size_and_its_double(
    width: int, height: int, size: int, form: str
) -> None:
    picture = decode(pictures.encode(pictures.scene(width, height), form), size)
    long_side = max(picture.pixels.shape)
    assert (picture.width, picture.height) == (width, height)
    if 0 < size < max(width, height):
        assert size <= long_side < 2 * size or long_side <= 3  # 3 is the number of channels
    else:
        assert picture.pixels.shape == (height, width, 3)


def test_strips_join_without_a_seam() -> None:
    wide = Image.effect_noise((3000, 2400), 60)  # 7.2 megapixels: two strips
    assert_shows(decode(pictures.encode(wide, "BMP")).pixels, wide)
    assert_shows(decode(pictures.encode(wide, "BMP"), size=1000).pixels, wide.reduce(3), 1)


def test_two_hundred_megapixels_are_read() -> None:
    width, height = 17_320, 11_548
    row = (np.arange(width) // 70 % 256).astype(np.uint8).tobytes()
    picture = decode(pictures.png(width, height, 8, 0, row), size=1280)
    assert (picture.width, picture.height, picture.pixels.shape) == (width, height, (889, 1333, 3))


def test_resize_shrinks_to_the_long_side_and_never_enlarges() -> None:
    pixels = pictures.rgb(pictures.scene(300, 200))
    assert resize(pixels, 150).shape == (100, 150, 3)
    assert resize(pixels, 300) is pixels
    assert resize(pixels, 1000) is pixels
    assert resize(np.zeros((1000, 1, 3), np.uint8), 100).shape == (100, 1, 3)


# ---- the time a photo was taken ------------------------------------------------------------------


def taken_at(**tags: object) -> datetime | None:
    return decode(pictures.encode(pictures.scene(), "JPEG", exif=pictures.exif(**tags))).taken_at


def test_the_original_time_comes_first_then_digitizing_then_change() -> None:
    first, second, third = "2019:05:02 10:11:12", "2020:01:01 00:00:00", "2021:12:31 23:59:59"
    assert taken_at(taken_at=first, digitized=second, changed=third) == datetime(2019, 5, 2, 10, 11, 12)
    assert taken_at(digitized=second, changed=third) == datetime(2020, 1, 1)
    assert taken_at(changed=third) == datetime(2021, 12, 31, 23, 59, 59)
    assert taken_at() is None


@pytest.mark.parametrize(
    "nonsense",
    [
        "0000:00:00 00:00:00",
        "    :  :     :  :  ",
        "2019:13:41 10:11:12",
        "0019:05:02 10:11:12",
        "",
        "yesterday",
    ],
)
def test_a_nonsense_time_is_no_time(nonsense: str) -> None:
    assert taken_at(taken_at=nonsense) is None
    assert taken_at(taken_at=nonsense, changed="2021:12:31 23:59:59") == datetime(2021, 12, 31, 23, 59, 59)


def test_other_ways_to_write_a_time_are_understood() -> None:
    assert taken_at(taken_at="2019-05-02T10:11:12+09:00") == datetime(2019, 5, 2, 10, 11, 12)


@pytest.mark.parametrize("form", ["PNG", "WEBP", "TIFF", "AVIF"])
def test_every_format_tells_the_time(form: str) -> None:
    data = pictures.encode(pictures.scene(), form, exif=pictures.exif(taken_at="2019:05:02 10:11:12"))
    assert decode(data).taken_at == datetime(2019, 5, 2, 10, 11, 12)


def test_heic_tells_the_time() -> None:
    data = pictures.heic(pictures.scene(), exif=pictures.exif(taken_at="2019:05:02 10:11:12").tobytes())
    assert decode(data).taken_at == datetime(2019, 5, 2, 10, 11, 12)


def test_broken_exif_loses_no_photo() -> None:
    data = pictures.encode(pictures.scene(), "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff garbage", **SMOOTH)
    picture = decode(data)
    assert (picture.taken_at, picture.damage) == (None, None)
    assert_shows(picture.pixels, pictures.scene(), JPEG_STEP)
