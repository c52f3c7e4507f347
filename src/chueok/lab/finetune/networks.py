"""The networks that can learn: a model's weights in torch, with its embedding layer named.

Importing this file imports torch.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from chueok.lab.finetune.restore import restored, settle
from chueok.lab.students import Student
from chueok.lab.training import computes_bfloat16
from chueok.vision.models import networks
from chueok.vision.models.registry import read_weights

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chueok.lab.models import LabModel
    from chueok.vision.models.card import ModelCard, Recipe

BATCH = 64  # crops a call where nothing is learnt; more only take memory
_SETTLED_BY = 400  # crops: a channel's mean is then known to a twentieth of its spread or better
# The layers that turn features into the embedding: what `--freeze all-but-head` leaves free
_HEADS = {
    "onnx": ("embed", "embed_norm"),
    "mobilefacenet": ("conv3", "bn"),
    "inception_resnet_v1": ("last_linear", "last_bn"),
}


@dataclass(frozen=True, slots=True, eq=False)
class Learner:
    """A network, and how faces are given to it."""

    network: nn.Module  # (n, 3, s, s) float32, prepared -> (n, d) float32, of any length
    card: ModelCard  # of the model it began as; its recipe's size is the one learnt at
    eight_bit: bool  # whether the model it began as was rounded, and the new one shall be

    @property
    def head(self) -> tuple[str, ...]:
        """Names of the embedding's layers."""
        return _HEADS[self.card.architecture]


def open_learner(model: LabModel, size: int) -> Learner:
    """The model in torch, ready for inference. Raises UsageError, ModelMissing, ModelInvalid, OperationFailed."""
    card, weights = model.card, read_weights(model.card, model.folder)
    card = replace(card, recipe=replace(card.recipe, pixels=size))
    if card.architecture == "onnx":
        model.check_crops()
        return Learner(restored(weights, card.name), card, eight_bit=b"DequantizeLinear" in weights)
    build = getattr(networks, card.architecture)
    state = torch.load(io.BytesIO(weights), map_location="cpu", weights_only=True)
    return Learner(build(state).module.eval(), card, eight_bit=False)


def settle_on(learner: Learner, crops: NDArray[np.uint8]) -> None:
    """Make a restored network's batch norms fit for training: crops (n, s, s, 3) uint8 RGB, first those of many."""
    if isinstance(learner.network, Student):
        settle(learner.network, [prepared(part, learner.card.recipe) for part in _parts(crops[:_SETTLED_BY])])


def embed(learner: Learner, crops: NDArray[np.uint8], device: torch.device) -> NDArray[np.float32]:
    """What the network answers, by its recipe, mirrored sum included: (n, s, s, 3) uint8 -> (n, d), unit rows."""
    learner.network.eval()
    recipe = learner.card.recipe
    answers = []
    with torch.inference_mode():
        for part in _parts(crops):
            images = prepared(part, recipe).to(device)
            answer = answers_of(learner.network, images)
            if recipe.mirror:
                answer = functional.normalize(answer + answers_of(learner.network, images.flip(3)))
            answers.append(answer.cpu())
    return np.asarray(torch.cat(answers).numpy(), np.float32)


def answers_of(network: nn.Module, images: Tensor) -> Tensor:
    """What a network says to prepared crops: (n, d) float32, unit rows; in bfloat16 where the device multiplies it."""
    with torch.autocast(images.device.type, torch.bfloat16, enabled=computes_bfloat16(images.device)):
        answers: Tensor = network(images)
    return functional.normalize(answers.float())


def prepared(crops: Tensor, recipe: Recipe) -> Tensor:
    """As vision/embed.py gives crops to a network: (n, 3, s, s) uint8 RGB -> float32, scaled, in its colour order."""
    images = (crops.flip(1) if recipe.bgr else crops).float()
    mean, scale = (
        torch.tensor(values, device=crops.device).view(1, 3, 1, 1) for values in (recipe.mean, recipe.scale)
    )
    return ((images - mean) / scale).contiguous(memory_format=torch.channels_last)


def _parts(crops: NDArray[np.uint8]) -> list[Tensor]:
    return [
        torch.from_numpy(np.ascontiguousarray(crops[start : start + BATCH].transpose(0, 3, 1, 2)))
        for start in range(0, len(crops), BATCH)
    ]
