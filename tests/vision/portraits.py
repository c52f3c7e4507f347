"""Two public-domain portraits that wheels of the development environment carry, so that every machine has them.

Grace Hopper, United States Navy (matplotlib); Eileen Collins, NASA (scikit-image).
"""

from __future__ import annotations

import importlib.util
from pathlib import Path


def _in_wheel(package: str, name: str) -> Path:
    found = importlib.util.find_spec(package)
    assert found is not None and found.origin is not None
    return Path(found.origin).parent / name


GRACE_HOPPER = _in_wheel("matplotlib", "mpl-data/sample_data/grace_hopper.jpg")
EILEEN_COLLINS = _in_wheel("skimage", "data/astronaut.png")
