"""A model to work on: a registered one by its name, or one that lies beside its manifest, as the lab leaves them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from chueok.errors import UsageError
from chueok.vision.align import TEMPLATE_PIXELS
from chueok.vision.embed import open_embedder
from chueok.vision.models.compile import compiled
from chueok.vision.models.manifest import read_manifest
from chueok.vision.models.networks import network
from chueok.vision.models.registry import ModelCard, find_model, read_weights, weights_path

if TYPE_CHECKING:
    from chueok.settings import Settings
    from chueok.vision.embed import OnnxEmbedder


@dataclass(frozen=True, slots=True)
class LabModel:
    """A model, and the folder its weights lie in."""

    card: ModelCard
    folder: Path

    def check(self) -> None:
        """Nothing, when the weights are there. Raises ModelMissing, ModelInvalid, OperationFailed."""
        weights_path(self.card, self.folder)

    @property
    def takes_aligned_crops(self) -> bool:
        """Whether the model takes the crops that the lab has, aligned to the ArcFace template at its own size."""
        return (self.card.recipe.crop, self.card.recipe.pixels) == ("arcface", TEMPLATE_PIXELS)

    def check_crops(self) -> None:
        """Nothing, when the model takes the crops that the lab has. Raises UsageError."""
        recipe = self.card.recipe
        if not self.takes_aligned_crops:
            raise UsageError(
                f"the model {self.card.name!r} takes other crops ({recipe.crop}, {recipe.pixels} pixels); the lab "
                f"has faces aligned to the ArcFace template at {TEMPLATE_PIXELS} pixels"
            )

    def embedder(self, settings: Settings, threads: int = 1) -> OnnxEmbedder:
        """Ready to embed, compiled first where it is torch's. Raises as `open_embedder` does."""
        return open_embedder(self.card, self.folder, settings.cache, threads)

    def network(self, settings: Settings) -> bytes:
        """As an ONNX file, verified. Raises as `open_embedder` does."""
        if not self.card.needs_torch:
            return read_weights(self.card, self.folder)
        (path,) = compiled(settings.cache, [network(self.card, weights_path(self.card, self.folder))])
        return path.read_bytes()


def find_lab_model(name: str, settings: Settings) -> LabModel:
    """The model of that name, or, where it ends in .toml, the one that this manifest describes.

    Raises UsageError for an unknown name, ModelInvalid for a manifest that says nothing.
    """
    if not name.endswith(".toml"):
        return LabModel(find_model(name, settings.models), settings.models)
    manifest = Path(name)
    card = read_manifest(manifest)
    if not (manifest.parent / card.file).is_file():
        raise UsageError(f"there is no {card.file} beside {manifest}, which describes it")
    return LabModel(card, manifest.parent)
