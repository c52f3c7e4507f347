"""Close-ups are square, inside the photo, and centred on the face where there is room."""

from __future__ import annotations

import numpy as np
import pytest

from chueok.output.pictures import closeup
from chueok.records import Box
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
