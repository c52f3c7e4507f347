"""The torch networks behind `facenet` and `mobilefacenet`, as compile.py needs them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from chueok.vision.models.compile import Blueprint, Network

if TYPE_CHECKING:
    from chueok.vision.models.card import ModelCard
    from chueok.vision.models.compile import StateDict

_BUILDERS = {
    "inception_resnet_v1": f"{__name__}:inception_resnet_v1",
    "mobilefacenet": f"{__name__}:mobilefacenet",
}


def network(card: ModelCard, weights: Path) -> Network:
    """How to compile a model whose weights are a torch state dict."""
    return Network(card.name, _BUILDERS[card.architecture], weights, card.sha256)


def inception_resnet_v1(state: StateDict) -> Blueprint:
    """FaceNet: (n, 3, 160, 160) -> unit (n, 512). The checkpoint's VGGFace2 classifier is left out."""
    import torch
    from facenet_pytorch import InceptionResnetV1

    module = InceptionResnetV1(pretrained=None)
    module.load_state_dict({name: value for name, value in state.items() if not name.startswith("logits.")})
    return Blueprint(module, torch.zeros(2, 3, 160, 160))


def mobilefacenet(state: StateDict) -> Blueprint:
    """MobileFaceNet: (n, 3, 112, 112) -> (n, 128), not yet of unit length."""
    import torch

    from chueok.vision.models.mobilefacenet import MobileFaceNet

    module = MobileFaceNet()
    module.load_state_dict(state)
    return Blueprint(module, torch.zeros(2, 3, 112, 112))
