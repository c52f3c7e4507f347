"""What lies where a crop reaches beyond its photo."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLACK = np.zeros(3, np.uint8)  # what chueok's own crops end in


def on_background(crops: NDArray[np.uint8], colours: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Lay crops over colours: (n, s, s, 4) uint8 RGBA -> (n, s, s, 3) uint8 RGB.

    colours: (n, 3) uint8 RGB, or (3,) for all crops.
    """
    share = crops[..., 3:].astype(np.float32) / 255
    mixed = share * crops[..., :3] + (1 - share) * colours[..., np.newaxis, np.newaxis, :].astype(np.float32)
    return np.rint(mixed).astype(np.uint8)
