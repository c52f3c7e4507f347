"""What lies where a crop reaches beyond its photo."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLACK = np.zeros(3, np.uint8)  # what chueok's own crops end in


def on_any_background(crops: NDArray[np.uint8], chance: np.random.Generator) -> NDArray[np.uint8]:
    """As `on_background`, one half over black and one over a colour of its own each, as a quantiser should meet them.

    chueok's own crops end in black; other crops of the same photo's border may end in anything.
    """
    colours = chance.integers(0, 256, (len(crops), 3)) * chance.integers(0, 2, (len(crops), 1))
    return on_background(crops, colours.astype(np.uint8))


def on_background(crops: NDArray[np.uint8], colours: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Lay crops over colours: (n, s, s, 4) uint8 RGBA -> (n, s, s, 3) uint8 RGB.

    colours: (n, 3) uint8 RGB, or (3,) for all crops.
    """
    share = crops[..., 3:].astype(np.float32) / 255
    mixed = share * crops[..., :3] + (1 - share) * colours[..., np.newaxis, np.newaxis, :].astype(np.float32)
    return np.rint(mixed).astype(np.uint8)
