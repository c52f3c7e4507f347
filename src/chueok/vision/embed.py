"""Crops to embeddings: one ONNX network, the way its card wants its faces."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from chueok.errors import ModelInvalid
from chueok.vision.align import arcface_crop, box_crop
from chueok.vision.models.compile import compiled, is_compiled
from chueok.vision.models.networks import network
from chueok.vision.models.registry import read_weights, weights_path
from chueok.vision.runtime import open_session

if TYPE_CHECKING:
    import onnxruntime
    from numpy.typing import NDArray

    from chueok.records import Detection
    from chueok.settings import Device
    from chueok.vision.models.card import ModelCard

# Network inputs per call, a mirror image counting as one. docs/engine.md: a batch of 16 halves the time per face;
# beyond that only memory grows (32 faces of 160 pixels: 10 MB of input)
BATCH = 32


class OnnxEmbedder:
    """The Embedder of a model card over an open session."""

    def __init__(self, card: ModelCard, session: onnxruntime.InferenceSession) -> None:
        """Raises ModelInvalid when the network's input or output is not what the card says."""
        self._card = card
        self._session = session
        _check_shapes(card, session)
        self._input = session.get_inputs()[0].name
        self._rows = _rows_per_call(session)

    @property
    def name(self) -> str:
        return self._card.name

    @property
    def dimension(self) -> int:
        return self._card.dimension

    def crop(self, image: NDArray[np.uint8], face: Detection) -> NDArray[np.uint8]:
        """Cut the face by the card's recipe: (h, w, 3) uint8 RGB -> (pixels, pixels, 3) uint8 RGB."""
        recipe = self._card.recipe
        if recipe.crop == "arcface":
            return arcface_crop(image, face.landmarks, recipe.pixels)
        return box_crop(image, face.box, recipe.pixels, recipe.margin)

    def embed(self, crops: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Embed crops made by `crop`: (n, d) float32, unit rows.

        Raises ModelInvalid when the network cannot answer, or answers with something that has no direction.
        """
        step = BATCH // 2 if self._card.recipe.mirror else BATCH
        batches = [self._embed_batch(crops[start : start + step]) for start in range(0, len(crops), step)]
        return np.concatenate([np.empty((0, self.dimension), np.float32), *batches])

    def prepare(self, faces: NDArray[np.uint8]) -> NDArray[np.float32]:
        """What the network takes: (n, s, s, 3) uint8 RGB -> (n, 3, s, s) float32, scaled, in its colour order."""
        recipe = self._card.recipe
        ordered = faces[..., ::-1] if recipe.bgr else faces
        turned = np.ascontiguousarray(
            ordered.transpose(0, 3, 1, 2)
        )  # as bytes: a quarter of the memory to move
        planes = turned.astype(np.float32)
        if any(recipe.mean):  # those of `lite` are in its graph
            planes -= np.array(recipe.mean, np.float32).reshape(3, 1, 1)
        if set(recipe.scale) != {1}:
            planes /= np.array(recipe.scale, np.float32).reshape(3, 1, 1)
        return planes

    def _embed_batch(self, crops: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        inputs = self.prepare(np.stack(crops))
        if not self._card.recipe.mirror:
            return self._unit_rows(self._answer(inputs))
        answers = self._answer(np.concatenate([inputs, inputs[..., ::-1]]))
        return self._unit_rows(answers[: len(crops)] + answers[len(crops) :])

    def _answer(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """What `prepare` gives -> what the network says, (n, d) float32."""
        parts = [inputs[start : start + self._rows] for start in range(0, len(inputs), self._rows)]
        answers: NDArray[np.float32] = np.concatenate([self._run(part) for part in parts])
        if answers.shape != (len(inputs), self.dimension):
            raise ModelInvalid(
                f"the model {self.name!r} answers {len(inputs)} faces with numbers of shape {answers.shape}, "
                f"but its card says {self.dimension} for each face"
            )
        return answers

    def _run(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        from onnxruntime.capi import onnxruntime_pybind11_state as refusals

        try:
            answers: NDArray[np.float32] = self._session.run(None, {self._input: inputs})[0]
        except (refusals.Fail, refusals.InvalidArgument, refusals.RuntimeException) as error:
            raise ModelInvalid(f"the model {self.name!r} cannot embed a face: {error}") from error
        return answers

    def _unit_rows(self, answers: NDArray[np.float32]) -> NDArray[np.float32]:
        lengths: NDArray[np.float32] = np.sqrt(np.sum(answers * answers, axis=1, keepdims=True))
        if not (np.isfinite(lengths) & (lengths > 0)).all():
            raise ModelInvalid(
                f"the model {self.name!r} answered with numbers that have no direction; "
                f"check it with: chueok model verify {self.name}"
            )
        return np.divide(answers, lengths)


def open_embedder(
    card: ModelCard, models_dir: Path, cache: Path, threads: int = 1, device: Device = "cpu"
) -> OnnxEmbedder:
    """Open a model for use, compiling it first where it is a torch network that `cache` does not hold yet.

    threads: for one call of the network. Unverified weights are never run: see registry.weights_path.
    Raises ModelMissing, ModelInvalid, OperationFailed.
    """
    if not card.needs_torch:
        return OnnxEmbedder(card, open_session(read_weights(card, models_dir), threads, device))
    (onnx,) = compiled(cache, [network(card, weights_path(card, models_dir))])
    return OnnxEmbedder(card, open_session(onnx, threads, device))


def needs_compile(card: ModelCard, models_dir: Path, cache: Path) -> bool:
    """Whether `open_embedder` would first compile for some seconds, which the user should be told.

    Raises ModelMissing, ModelInvalid, OperationFailed as `open_embedder` would.
    """
    weights = weights_path(card, models_dir)
    return card.needs_torch and not is_compiled(cache, [network(card, weights)])


def _rows_per_call(session: onnxruntime.InferenceSession) -> int:
    """How many inputs one call takes: BATCH, or as many as the graph fixes (OpenCV's SFace: 1)."""
    batch_axis = session.get_inputs()[0].shape[:1]
    return batch_axis[0] if batch_axis and isinstance(batch_axis[0], int) else BATCH


def _check_shapes(card: ModelCard, session: onnxruntime.InferenceSession) -> None:
    """Compare what the graph declares with the card; a number is binding, a name (a free axis) is not."""
    pixels = card.recipe.pixels
    if len(session.get_inputs()) != 1:
        raise ModelInvalid(f"the network of {card.name!r} takes {len(session.get_inputs())} inputs, not one")
    source, answer = session.get_inputs()[0], session.get_outputs()[0]
    for declared, wanted in ((source, (3, pixels, pixels)), (answer, (card.dimension,))):
        axes = declared.shape[1:]
        if not declared.shape:
            continue  # nothing declared; the answers are checked
        fits = len(axes) == len(wanted) and all(
            axis == want or not isinstance(axis, int) for axis, want in zip(axes, wanted, strict=True)
        )
        if not fits or declared.type != "tensor(float)":
            raise ModelInvalid(
                f"the network of {card.name!r} declares {declared.name!r} as {declared.type} of shape "
                f"{declared.shape}, but its card says tensor(float) of shape (n, {str(wanted)[1:-1]})"
            )
