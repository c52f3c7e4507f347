"""decode and read_file: every kind of bad file becomes a sentence, and what can be read of it is read."""

from __future__ import annotations

import csv
import errno
import os
import socket
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile
from tests.vision import pictures

from chueok.errors import UnreadablePhoto
from chueok.vision.decode import PIXEL_LIMIT, decode
from chueok.vision.files import FILE_LIMIT, read_file

READ_BY_CHUEOK = {"JPEG", "MPO", "PNG", "WEBP", "TIFF", "BMP", "GIF", "JPEG2000", "AVIF"}


def reason(data: bytes) -> str:
    with pytest.raises(UnreadablePhoto) as caught:
        decode(data)
    return str(caught.value)


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_a_cut_jpeg_is_read_as_far_as_it_goes(orientation: int) -> None:
    data = pictures.turned(pictures.noise(160, 160), orientation, quality=90)
    picture = decode(data[: len(data) * 6 // 10])
    assert picture.damage is not None
    cause, _, share = picture.damage.partition(": ")
    assert cause == "the file is cut off"
    assert 50 <= int(share.removesuffix(" % of it could be read")) <= 70
    assert (picture.width, picture.height) == (160, 160)


def test_a_cut_png_is_read_as_far_as_it_goes() -> None:
    data = pictures.encode(pictures.noise(), "PNG")
    picture = decode(data[: len(data) // 2])
    assert picture.damage is not None
    assert picture.damage.startswith("the file is cut off: ")
    np.testing.assert_array_equal(picture.pixels[:24], pictures.rgb(pictures.noise())[:24])


def test_a_file_with_a_header_and_nothing_else_is_unreadable() -> None:
    data = pictures.encode(pictures.noise(320, 240), "JPEG")
    start = data.index(b"\xff\xda") + 14
    assert reason(data[:start]) == "the file is cut off: nothing of it could be read"
    assert reason(pictures.png(400, 300, 8, 2, b"", rows=0)).endswith("nothing of it could be read")


def test_a_jpeg_with_a_broken_multi_picture_table_is_a_plain_jpeg() -> None:
    data = pictures.animation([pictures.scene(), pictures.scene()], "MPO")
    broken = data.replace(b"MPF\0II*\0", b"MPF\0II*\xff", 1)
    assert broken != data
    assert decode(broken).damage is None


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "the file is empty (0 bytes)"),
        (b"\0" * 9999, "the file holds only zeros: its content was lost, perhaps on a failing disk"),
        (b"%PDF-1.7 ...", "not a photo: it starts like a PDF document"),
        (b"PK\x03\x04....", "not a photo: it starts like a ZIP archive"),
        (b"\0\0\0\x14ftypqt  \0\0\0\0qt  ", "not a photo: it starts like a video"),
        (b"\0\0\0\x14ftyp", "not a photo: it starts like a video"),
        (b"RIFF\0\0\0\0AVI LIST", "not a photo: it starts like a video or sound file"),
        (b"<!DOCTYPE html>", "not a photo: it starts like a web page or drawing (HTML, XML or SVG)"),
        (b"dear diary", "not a photo, or in a format that chueok does not know"),
        (b"\xff", "not a photo, or in a format that chueok does not know"),
    ],
)
def test_what_is_not_a_photo_is_named(data: bytes, sentence: str) -> None:
    assert reason(data) == sentence


@pytest.mark.parametrize(
    "bomb",
    [
        pictures.png(60_000, 60_000, 8, 2, b"", rows=0),
        pictures.png(16_384, 16_384, 1, 0, b"", rows=0),
        pictures.encode(pictures.scene(), "BMP").replace(b"`\0\0\0@\0\0\0", b"\0\0\1\0\0\0\1\0", 1),
    ],
)
def test_more_than_the_pixel_limit_is_refused_before_decoding(bomb: bytes) -> None:
    started = time.perf_counter()
    assert reason(bomb).startswith("too large: the picture has ")
    assert time.perf_counter() - started < 1


def test_the_largest_picture_a_webp_can_hold_is_read() -> None:
    """As PNG of black and white: the same number of pixels, made in a second."""
    picture = decode(pictures.png(16_383, 16_383, 1, 0, b"\xf0" * 2048), 1280)
    assert (picture.width * picture.height, picture.damage) == (PIXEL_LIMIT, None)
    assert picture.pixels.shape == (1366, 1366, 3)


def test_pillow_is_left_as_it_was_and_says_nothing() -> None:
    before = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, list(warnings.filters)
    data = pictures.encode(pictures.noise(), "JPEG")
    decode(data[:-200])
    with pytest.raises(UnreadablePhoto):
        decode(data[:300])
    assert (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, list(warnings.filters)) == before


def test_mutated_photos_never_raise_anything_else() -> None:
    scene = pictures.scene(48, 32)
    originals = [
        *(pictures.encode(scene, form) for form in ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "AVIF")),
        pictures.encode(scene, "TIFF", compression="tiff_lzw"),
        pictures.turned(scene, 6),
        pictures.animation([scene, scene], "MPO"),
        pictures.heic(scene),
    ]
    for number in range(330):
        try:
            picture = decode(pictures.mutated(originals[number % len(originals)], number), 24)
        except UnreadablePhoto as error:
            assert str(error).isprintable()
        else:
            assert picture.pixels.ndim == 3


# ---- reading files -------------------------------------------------------------------------------


def refusal(path: Path | bytes) -> str:
    with pytest.raises(UnreadablePhoto) as caught:
        read_file(path)
    return str(caught.value)


def test_a_file_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"x" * 100_000)
    assert read_file(path) == read_file(os.fsencode(path)) == b"x" * 100_000


def test_a_name_that_is_not_utf8_is_read(tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/\xff\xfe.jpg"
    Path(os.fsdecode(name)).write_bytes(b"x")
    assert read_file(name) == read_file(Path(os.fsdecode(name))) == b"x"


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    pipe, link, address = tmp_path / "pipe.jpg", tmp_path / "link.jpg", tmp_path / "socket.jpg"
    os.mkfifo(pipe)
    link.symlink_to(tmp_path / "nowhere")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(address))
        refusals = [refusal(path) for path in (tmp_path, pipe, link, address, Path("/dev/null"))]
    assert refusals == [
        "not a regular file, but a folder",
        "not a regular file, but a named pipe",
        "not a regular file, but a symbolic link",
        "not a regular file, but a device or socket",
        "not a regular file, but a device or socket",
    ]


def test_missing_empty_huge_and_forbidden_files_are_named(tmp_path: Path) -> None:
    empty, huge, forbidden = tmp_path / "empty", tmp_path / "huge", tmp_path / "forbidden"
    empty.touch()
    huge.touch()
    os.truncate(huge, FILE_LIMIT + 1)
    forbidden.write_bytes(b"x")
    forbidden.chmod(0)
    assert refusal(tmp_path / "gone") == "the file is no longer there"
    assert refusal(empty) == "the file is empty (0 bytes)"
    assert refusal(huge) == "the file has 512 MB; chueok reads pictures up to 512 MB"
    if os.geteuid() != 0:
        assert refusal(forbidden) == "permission denied: chueok may not read this file"


@pytest.mark.parametrize(
    ("code", "transient"),
    [
        (errno.EIO, True),
        (errno.ESTALE, True),
        (errno.ENOMEM, True),
        (errno.EACCES, False),
        (errno.ENOENT, False),
    ],
)
def test_what_a_failing_drive_says_is_not_the_photos_fault(
    code: int, transient: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """os.fstat stands in for the drive: no drive fails on demand."""
    (tmp_path / "photo.jpg").write_bytes(b"x")

    def failing(descriptor: int) -> os.stat_result:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as drive, pytest.raises(UnreadablePhoto) as caught:
        drive.setattr(os, "fstat", failing)
        read_file(tmp_path / "photo.jpg")
    assert caught.value.transient is transient


# ---- memory ---------------------------------------------------------------------------------------

READS = """
import sys
from pathlib import Path
from chueok.errors import UnreadablePhoto
from chueok.vision.decode import decode
from chueok.vision.files import read_file
peaks = []
for path in sys.argv[1:]:
    try:
        decode(read_file(path), 1280)
    except UnreadablePhoto:
        pass
    status = Path("/proc/self/status").read_text()
    peaks.append(int(status.partition("VmHWM:")[2].split()[0]))
    Path("/proc/self/clear_refs").write_text("5")
print(*peaks)
"""


def peaks(files: list[Path]) -> dict[str, int]:
    """The most memory, in kB resident, that reading each file took in a process of its own (Linux: proc(5)).

    Not getrusage: a child's ru_maxrss begins with its parent's, and this one may hold torch.
    """
    command = [sys.executable, "-c", READS, *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return {path.name: int(peak) for path, peak in zip(files, done.stdout.split(), strict=True)}


MOST = 1_500_000  # kB: the ceiling of docs/reliability.md, and of a reading process


@pytest.mark.skipif(sys.platform != "linux", reason="looks at a process through /proc")
def test_bombs_and_the_largest_photos_stay_below_the_ceiling(tmp_path: Path) -> None:
    colour, grey = b"\x40\x80\xc0" * 16_383, b"\x40" * 16_383
    bombs = {
        "coloured.png": pictures.png(16_383, 16_383, 8, 2, colour),
        "with-alpha.png": pictures.png(16_383, 16_383, 8, 6, b"\x40\x80\xc0\x00" * 16_383),
        "sixteen-bits.png": pictures.png(16_383, 16_383, 16, 0, grey * 2),
        "cut-off.png": pictures.png(16_383, 16_383, 8, 2, colour, rows=16_000),
        "too-large.png": pictures.png(60_000, 60_000, 8, 2, b"", rows=0),
    }
    for name, data in bombs.items():
        (tmp_path / name).write_bytes(data)
    measured = peaks([tmp_path / name for name in bombs])
    assert {name: peak for name, peak in measured.items() if peak > MOST} == {}
    assert max(measured.values()) > 800_000  # it was the decoding that was measured


# ---- real files ----------------------------------------------------------------------------------


def test_real_bad_files_end_well_and_soon(shared: Path) -> None:
    with (shared / "badinput" / "MANIFEST.tsv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    lost, invented = [], []
    for row in rows:
        started = time.perf_counter()
        try:
            decode(read_file(shared / "badinput" / row["file"]), 1280)
        except UnreadablePhoto as error:
            blank = str(error).endswith("nothing of it could be read")
            if row["pillow_outcome"] == "rgb" and row["format"] in READ_BY_CHUEOK and not blank:
                lost.append((row["file"], str(error)))
        else:
            if row["format"] not in READ_BY_CHUEOK and not row["file"].endswith((".heic", ".heif")):
                invented.append(row["file"])
        assert time.perf_counter() - started < 5, row["file"]
    assert (len(rows), lost, invented) == (542, [], [])


def test_every_photo_of_the_real_albums_is_whole(shared: Path) -> None:
    photos = [
        path
        for path in sorted((shared / "albums").rglob("*"))
        if path.suffix.lower() in {".jpg", ".jpeg", ".png"}
    ]
    damaged = [path for path in photos if decode(read_file(path), 640).damage]
    assert (len(photos) > 100, damaged) == (True, [])


@pytest.mark.skipif(sys.platform != "linux", reason="looks at a process through /proc")
def test_real_bad_files_stay_below_the_ceiling(shared: Path) -> None:
    files = sorted(path for path in (shared / "badinput").rglob("*") if path.is_file())
    assert {name: peak for name, peak in peaks(files).items() if peak > MOST} == {}
