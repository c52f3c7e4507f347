"""Faces that fill their picture: the detector looks at them once more, with room around them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chueok.vision.base import MIN_FACE, shown

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from chueok.records import Detection
    from chueok.vision.base import Detector

# P-Net's last window is 0.709 to 1 of a picture's shorter side; a larger face is judged by a part of it. chueok's own
# first network copes better, but not with faces that fill their picture wholly.
CRAMPED = 0.7  # of the picture's shorter side: the longer side of a face's box
ROOM = 0.4  # of the picture's sides, on each: a face that fills the picture then takes 1 / 1.8 of it
# Pixels of the shorter side in the second look: 90 and more of a face, of which the last network sees 48. That is a
# twentieth of a first look at 1280, which pictures without a face pay too. A panorama's longer side bounds it.
_SHORTER, _LONGER = 128, 1024
_LARGE = 0.5  # of the shorter side: smaller faces were for the first look to find


def find_faces(detector: Detector, image: NDArray[np.uint8], min_face: float = MIN_FACE) -> list[Detection]:
    """The detector's faces, and those that it has no room for: close-ups, tight crops. Largest first.

    image: (h, w, 3) uint8 RGB, upright; min_face: shorter side, in its pixels, of the smallest face looked for. Boxes
    and landmarks are in its pixels and may reach over its edge. A picture with a face that takes more than 70 % of its
    shorter side, or with none, is looked at again, with black around it.
    """
    found = detector.detect(image, min_face)
    height, width = image.shape[:2]
    shorter = min(height, width)
    if found and _side(found[0]) <= CRAMPED * shorter:
        return found
    least = max(_LARGE * shorter, min_face)
    close = [face for face in _with_room(detector, image) if _side(face) > least]
    others = [face for face in found if not any(_is_same(face, large, width, height) for large in close)]
    return sorted(close + others, key=lambda face: -face.box.width * face.box.height)


def _side(face: Detection) -> float:
    return max(face.box.width, face.box.height)


def _is_same(face: Detection, large: Detection, width: int, height: int) -> bool:
    """Whether a face found at first is one of the second look: it lies there, and is not a child before a parent.

    width, height: of the picture. How far a face reaches beyond it the first look can only guess.
    """
    seen, box = shown(face.box, width, height), large.box
    x, y = seen.x + seen.width / 2, seen.y + seen.height / 2
    inside = box.x <= x <= box.x + box.width and box.y <= y <= box.y + box.height
    return inside and max(seen.width, seen.height) > 0.5 * _side(large)


def _with_room(detector: Detector, image: NDArray[np.uint8]) -> list[Detection]:
    """What the detector finds in the picture made small, with black around it; in pixels of `image`."""
    import numpy as np

    from chueok.vision.decode import resize

    shorter, longer = sorted(image.shape[:2])
    small = resize(image, min(_LONGER, round(_SHORTER * longer / shorter)))
    height, width = small.shape[:2]
    down, across = round(ROOM * height), round(ROOM * width)
    roomy = np.pad(small, ((down, down), (across, across), (0, 0)))
    scale = image.shape[1] / width, image.shape[0] / height
    return [face.moved(-across, -down).scaled(*scale) for face in detector.detect(roomy)]
