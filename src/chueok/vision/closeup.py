"""Faces that fill their picture: the detector looks at them once more, with room around them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from chueok.records import Detection
    from chueok.vision.base import Detector

# MTCNN's last window is 0.709 to 1 of a picture's shorter side; a larger face is judged by a part of it. In 822 tight
# crops of celebrities (RMFD) a border moves the landmarks by 6 pixels of 130, and mobilefacenet's rank-1 from 0.72 to
# 0.85; of 322 portraits that are whole photos it concerns 32.
CRAMPED = 0.7  # of the picture's shorter side: the longer side of a face's box
BORDER = 0.4  # of the picture's sides, on each: a face that fills the picture then takes 1 / 1.8 of it
# Pixels of the long side for the second look: of such faces more than the 48 that the last network sees, for a twelfth
# of the work at 1280, which a picture without a face costs as well
CLOSE_SIDE = 192
_LARGE = 0.5  # of the shorter side: smaller faces were for the first look to find


def find_faces(detector: Detector, image: NDArray[np.uint8]) -> list[Detection]:
    """Every face of a picture, largest first, close-ups and tight crops too.

    image: (h, w, 3) uint8 RGB, upright; boxes and landmarks are in its pixels and may reach over its border. A picture
    with a face that takes more than 70 % of its shorter side, or with none, is looked at again, with black around it.
    """
    found = detector.detect(image)
    shorter = min(image.shape[:2])
    if found and _side(found[0]) <= CRAMPED * shorter:
        return found
    close = [face for face in _with_room(detector, image) if _side(face) > _LARGE * shorter]
    others = [face for face in found if not any(_middle_in(face, large) for large in close)]
    return sorted(close + others, key=lambda face: -face.box.width * face.box.height)


def _side(face: Detection) -> float:
    return max(face.box.width, face.box.height)


def _middle_in(face: Detection, other: Detection) -> bool:
    """Whether the middle of the one lies in the box of the other: they are the same face."""
    x, y = face.box.x + face.box.width / 2, face.box.y + face.box.height / 2
    box = other.box
    return box.x <= x <= box.x + box.width and box.y <= y <= box.y + box.height


def _with_room(detector: Detector, image: NDArray[np.uint8]) -> list[Detection]:
    """What the detector finds in the picture made small, with a border."""
    import numpy as np

    from chueok.vision.decode import resize

    small = resize(image, CLOSE_SIDE)
    height, width = small.shape[:2]
    down, across = round(BORDER * height), round(BORDER * width)
    bordered = np.pad(small, ((down, down), (across, across), (0, 0)))
    scale = image.shape[1] / width, image.shape[0] / height
    return [face.moved(-across, -down).scaled(*scale) for face in detector.detect(bordered)]
