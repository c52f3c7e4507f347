"""Photos are cut in a process of their own; close-ups are square, inside the photo, and centred on the face."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from chueok.output.pictures import Cut, Cutter, closeup
from chueok.records import Box
from chueok.settings import default_settings
from chueok.vision.decode import Picture


def _picture(height: int, width: int, scale: int = 1) -> Picture:
    """A photo `scale` times larger than its pixels; red is the column, green the row."""
    rows, columns = np.mgrid[0:height, 0:width].astype(np.uint8)
    pixels = np.stack([columns, rows, np.zeros_like(rows)], axis=-1)
    return Picture(pixels, width=width * scale, height=height * scale, taken_at=None, damage=None)


@pytest.mark.parametrize(
    ("box", "scale", "columns", "rows"),
    [
        (Box(100, 80, 20, 20), 1, (93, 127), (73, 107)),  # 20 pixels and 35 % more on each side
        (Box(200, 160, 40, 40), 2, (93, 127), (73, 107)),  # the same face in a photo decoded at half size
        (Box(0, 0, 20, 20), 1, (0, 34), (0, 34)),  # moved into the photo
        (Box(190, 100, 20, 20), 1, (166, 200), (86, 120)),
        (Box(0, 0, 200, 200), 1, (40, 160), (0, 120)),  # larger than the photo: its middle
        (Box(-900, -900, 5, 5), 1, (0, 8), (0, 8)),  # nowhere near
    ],
)
def test_a_closeup_stays_inside_the_photo(
    box: Box, scale: int, columns: tuple[int, int], rows: tuple[int, int]
) -> None:
    image = closeup(_picture(120, 200, scale), box, columns[1] - columns[0])
    pixels = np.asarray(image)
    assert (pixels[0, 0, 0], pixels[0, -1, 0] + 1) == columns
    assert (pixels[0, 0, 1], pixels[-1, 0, 1] + 1) == rows


def test_a_picture_that_swells_costs_itself_and_no_other(tmp_path: Path) -> None:
    large, photo = tmp_path / "large.png", tmp_path / "photo.png"
    Image.new("L", (16_000, 16_000)).save(large, compress_level=1)  # 256 MB, decoded
    Image.new("RGB", (400, 200), (220, 30, 30)).save(photo)
    sizes = {}
    for megabytes in (250, 1500):
        settings = dataclasses.replace(default_settings(), worker_megabytes=megabytes)
        with Cutter(settings) as cutter:
            cuttings = [cutter.cut(Cut(path, 100, whole=100)) for path in (photo, large, photo)]
        sizes[megabytes] = [cut and (cut.width, cut.height, cut.images[0].size) for cut in cuttings]
    small = (400, 200, (100, 50))
    assert sizes == {250: [small, None, small], 1500: [small, (16_000, 16_000, (100, 100)), small]}


def test_the_process_that_was_asked_decodes_nothing(tmp_path: Path) -> None:
    Image.new("RGB", (400, 200)).save(tmp_path / "photo.jpg")
    script = (
        "import sys; from pathlib import Path; from chueok.output.pictures import Cut, Cutter\n"
        "with Cutter() as cutter: print(cutter.cut(Cut(Path(sys.argv[1]), 100, whole=100)).images[0].size)\n"
        "print(sorted({'chueok.vision.decode', 'PIL.JpegImagePlugin', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "photo.jpg"], capture_output=True, text=True, check=True
    )
    assert done.stdout == "(100, 50)\n[]\n"
