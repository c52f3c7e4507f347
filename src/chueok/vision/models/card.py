"""What is known about one embedding model: origin, hash, input recipe, thresholds."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Literal

Crop = Literal["arcface", "box"]
Architecture = Literal["onnx", "inception_resnet_v1", "mobilefacenet"]
Channels = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a face becomes a network's input, and the network's output an embedding.

    The input is (n, 3, pixels, pixels) float32, `(crop - mean) / scale` per channel, crop values 0..255.
    A change in the meaning of a crop needs a new crop name: vectors of the two would not compare.
    """

    crop: Crop  # "arcface": 5-point similarity to the ArcFace template; "box": the detector's box, stretched
    pixels: int  # side of the square crop
    mean: Channels = (0.0, 0.0, 0.0)
    scale: Channels = (1.0, 1.0, 1.0)
    bgr: bool = False  # the network wants blue first; mean and scale then count blue first too
    mirror: bool = False  # the embedding is the normalised sum of the crop's and its mirror image's
    margin: int = 0  # "box" only: pixels of the crop that lie outside the box, both sides together


@dataclass(frozen=True, slots=True)
class ModelCard:
    """One model. Weights are only ever used when their sha256 is the card's."""

    name: str
    description: str
    licence: str
    file: str  # the weights' file name, without a folder
    size: int  # bytes
    sha256: str  # lower-case hex
    architecture: Architecture
    dimension: int
    recipe: Recipe
    url: str | None = None
    packaged: bool = False  # the weights come with chueok
    thresholds: Mapping[str, float] = field(default_factory=dict)  # false accept rate ("1e-3") -> similarity
    impostor_pairs: int = 0  # pictures of different people the thresholds rest on

    @property
    def needs_torch(self) -> bool:
        """Whether the weights are a torch state dict, to be compiled to ONNX once."""
        return self.architecture != "onnx"


def embedding_key(card: ModelCard) -> str:
    """What identifies the embedding space: 64 hex digits over the weights' sha256 and the recipe.

    Not the name: a renamed model keeps its library, and new weights under an old name do not get it.
    """
    identity = {"sha256": card.sha256, "recipe": asdict(card.recipe)}
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


def threshold(card: ModelCard, far: float) -> float | None:
    """The similarity a match needs so that `far` (0..1) of different people's faces pass.

    Between measured rates the similarity is linear in log(far): the tail of the impostor scores is close to
    exponential there. None outside the measured range: an extrapolated tail is a guess.
    """
    return at_rate({float(rate): similarity for rate, similarity in card.thresholds.items()}, far)


def at_rate(thresholds: Mapping[float, float], far: float) -> float | None:
    """The similarity at a false accept rate, of those measured by rate; between them as `threshold` explains."""
    known = sorted(thresholds.items())
    for rate, similarity in known:
        if math.isclose(rate, far, rel_tol=1e-9):
            return similarity
    for (low, strict), (high, loose) in pairwise(known):
        if low < far < high:
            share = math.log(far / low) / math.log(high / low)
            return strict + share * (loose - strict)
    return None
