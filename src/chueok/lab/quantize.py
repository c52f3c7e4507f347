"""The recipe that makes a model small and fast: eight-bit weights and activations, calibrated on face crops."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from chueok.errors import UsageError
from chueok.lab.backgrounds import BLACK, on_any_background, on_background
from chueok.lab.crops import load_crops
from chueok.lab.delivery import Maker, delivery
from chueok.lab.eight_bit import eight_bit
from chueok.lab.forms import Form, compared
from chueok.measures import NetworkMeasured, QuantizeSummary
from chueok.vision.embed import OnnxEmbedder
from chueok.vision.runtime import open_session

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chueok.lab.models import LabModel
    from chueok.settings import Settings
    from chueok.vision.models.card import ModelCard


@dataclass(frozen=True, slots=True)
class Config:
    """What a run depends on."""

    crops: Path  # what lab/crops.py reads
    folder: Path  # gets NAME.onnx and NAME.toml
    name: str
    # 96, 400 and 800 crops differed by 0.0001; more meet rarer light, but a single crop can widen a range
    calibration: int = 400
    held_out: int = 1000  # crops to compare on: the worst 1 % are ten faces
    seed: int = 0
    rounds: int = 40  # of timing; the median of so many shrugs off what else the machine does


@dataclass(frozen=True, slots=True)
class Report:
    """What came of it."""

    card: ModelCard  # of the eight-bit model
    manifest: Path  # what `chueok model fetch NAME --from` takes
    networks: tuple[NetworkMeasured, ...]  # before and after
    summary: QuantizeSummary


def quantize(model: LabModel, config: Config, settings: Settings) -> Report:
    """Write the eight-bit form of a model and its manifest, and measure both forms.

    The same model, crops and config give the same bytes on the same kind of machine. Raises UsageError, ModelMissing,
    ModelInvalid, OperationFailed.
    """
    began = time.monotonic()
    model.check_crops()
    network = model.network(settings)
    with delivery(config.folder, config.name, Maker.QUANTIZE, model) as delivered:
        calibration, held_out = _choose(load_crops(config.crops), config)
        before = OnnxEmbedder(model.card, open_session(network))
        made = eight_bit(network, before.prepare(calibration))
        card = _described(model.card, config.name)
        after = OnnxEmbedder(card, open_session(made))
        forms = [Form(before.name, len(network), before), Form(after.name, len(made), after)]
        networks = compared(forms, held_out, config.rounds)
        # only what has answered takes an older file's place
        card = delivered.put(card, made, _remark(model.card))
    seconds = time.monotonic() - began
    summary = QuantizeSummary(card.name, delivered.manifest, len(calibration), len(held_out), seconds)
    return Report(card, delivered.manifest, networks, summary)


def _described(original: ModelCard, name: str) -> ModelCard:
    """Thresholds stay the float network's."""
    return dataclasses.replace(original, name=name, description=f"{original.description}; eight-bit")


def _remark(original: ModelCard) -> str:
    origin = f"from {original.name}, sha256 {original.sha256}"
    return origin + (",\nwhose thresholds these are." if original.thresholds else ".")


def _choose(crops: NDArray[np.uint8], config: Config) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Crops to calibrate with and others to compare on, both (n, 112, 112, 3) uint8 RGB. Raises UsageError."""
    if len(crops) <= config.calibration:
        raise UsageError(
            f"{config.crops} holds {len(crops):,} crops; calibrating with {config.calibration:,} leaves none to "
            "compare on. Give more crops, or a lower --calibration"
        )
    chance = np.random.default_rng(config.seed)
    order = chance.permutation(len(crops))
    first, others = np.split(crops[order[: config.calibration + config.held_out]], [config.calibration])
    return on_any_background(first, chance), on_background(others, BLACK)
