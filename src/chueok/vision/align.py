"""Cut a face out of a picture: turned and scaled to a template by its landmarks, or simply by its box."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chueok.records import Box, Point

# Where ArcFace-trained networks expect the landmarks, in pixels of a 112 x 112 crop, first pixel's centre
# at 0: left eye, right eye, nose, mouth left, mouth right (left as seen in the picture). Deng et al. 2019,
# arXiv 1801.07698; the numbers of its reference implementation, used alike by OpenCV's FaceRecognizerSF.
ARCFACE_TEMPLATE: tuple[Point, ...] = (
    (38.2946, 51.6963),
    (73.5318, 51.5014),
    (56.0252, 71.7366),
    (41.5493, 92.3655),
    (70.7299, 92.2041),
)
TEMPLATE_PIXELS = 112


def arcface_crop(
    image: NDArray[np.uint8], landmarks: Sequence[Point], size: int = TEMPLATE_PIXELS
) -> NDArray[np.uint8]:
    """Turn, scale and shift a face so that its landmarks fall on the ArcFace template.

    image: (h, w, 3) uint8 RGB; landmarks: five points in pixels of `image`. Returns (size, size, 3) uint8
    RGB, black where the picture ends: grey, the mean and repeated edges were tried on cut-off LFW faces and
    were no better. Only the face's neighbourhood is read, and a face larger than the crop is averaged down
    first, so that no detail turns into noise. Landmarks that coincide (no direction, no scale) give the
    unturned, unscaled surroundings of that point.
    """
    from PIL import Image

    turn, shift = _similarity(landmarks, size)
    corners = np.array([0, size, size * 1j, size * (1 + 1j)]) * turn + shift
    # whole picture pixels per crop pixel (the rest, below 2, is bilinear's); no more than the picture has
    shrink = int(min(max(1.0, abs(turn)), max(image.shape)))
    left, top, window = _neighbourhood(image, corners, border=2 * shrink)
    patch = Image.fromarray(window).reduce(shrink)
    a, b = turn.real / shrink, -turn.imag / shrink
    c, f = (shift.real - left) / shrink, (shift.imag - top) / shrink
    warped = patch.transform(
        (size, size), Image.Transform.AFFINE, (a, b, c, -b, a, f), Image.Resampling.BILINEAR
    )
    return np.asarray(warped)


def box_crop(image: NDArray[np.uint8], box: Box, size: int = 160, margin: int = 0) -> NDArray[np.uint8]:
    """Stretch the box, with `margin` crop pixels more around it, to a square.

    The same pixels as `facenet_pytorch.extract_face` (MIT, Timothy Esler) cuts from a Pillow picture:
    truncated to whole pixels, kept inside the picture, resized bilinearly. image: (h, w, 3) uint8 RGB; returns
    (size, size, 3) uint8 RGB. A box outside the picture gives its nearest pixel.
    """
    from PIL import Image

    height, width = image.shape[:2]
    grow_x, grow_y = (margin * side / (size - margin) / 2 for side in (box.width, box.height))
    left, right = _span(box.x - grow_x, box.x + box.width + grow_x, width)
    top, bottom = _span(box.y - grow_y, box.y + box.height + grow_y, height)
    window = np.ascontiguousarray(image[top:bottom, left:right])
    return np.asarray(Image.fromarray(window).resize((size, size), Image.Resampling.BILINEAR))


def _similarity(landmarks: Sequence[Point], size: int) -> tuple[complex, complex]:
    """The map from crop to picture, `picture = turn * crop + shift`, points as complex numbers x + iy.

    Least squares over rotation, scale and shift from landmarks to template, then inverted. In the plane
    Umeyama's solution (1991, IEEE PAMI 13(4), eq. 40-42) is one complex division: turn and scale are a
    complex factor, and no reflection can be written as one. Points here count from pixel corners, as
    Pillow does.
    """
    face = np.array([complex(x, y) for x, y in landmarks]) + (0.5 + 0.5j)
    template = np.array([complex(x, y) for x, y in ARCFACE_TEMPLATE]) + (0.5 + 0.5j)
    template *= size / TEMPLATE_PIXELS
    face_centre, template_centre = complex(face.mean()), complex(template.mean())
    spread = face - face_centre
    overlap = complex(np.vdot(spread, template - template_centre))
    # an overlap of nothing: coinciding points, or a mirrored face as good one way up as the other
    turn = float(np.vdot(spread, spread).real) / overlap if abs(overlap) > 1e-6 else 1 + 0j
    return turn, face_centre - turn * template_centre


def _neighbourhood(
    image: NDArray[np.uint8], corners: NDArray[np.complex128], border: int
) -> tuple[int, int, NDArray[np.uint8]]:
    """The part of the picture around the corners: its left, its top, its pixels (at least one)."""
    height, width = image.shape[:2]
    left, right = _span(corners.real.min() - border, corners.real.max() + border, width)
    top, bottom = _span(corners.imag.min() - border, corners.imag.max() + border, height)
    return left, top, np.ascontiguousarray(image[top:bottom, left:right])


def _span(start: float, stop: float, length: int) -> tuple[int, int]:
    """Whole pixels from start to stop, inside 0..length and never empty."""
    first = min(int(max(start, 0)), length - 1)
    return first, max(int(min(stop, length)), first + 1)
