"""The MTCNN cascade: image -> list of Detection, empty where nobody is.

Zhang, Zhang, Li, Qiao: "Joint Face Detection and Alignment using Multi-task Cascaded Convolutional Networks"
(IEEE SPL 2016, arXiv 1604.02878), with the weights and the arithmetic of facenet_pytorch.MTCNN, whose answers it
gives; the code is our own. P-Net looks for faces at every size, R-Net discards most of what it proposes, O-Net
decides and places the landmarks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from chueok.errors import ModelMissing
from chueok.records import Box, Detection
from chueok.vision.base import LEAST_MIN_FACE, MIN_FACE, check_min_face
from chueok.vision.decode import reduced
from chueok.vision.means import Means, Sharp
from chueok.vision.models.compile import Network, compiled, is_compiled
from chueok.vision.runtime import open_session
from chueok.vision.suppress import grid_survivors, over_smaller, over_union, survivors

if TYPE_CHECKING:
    import onnxruntime
    from numpy.typing import NDArray

    from chueok.settings import Device

# From facenet_pytorch.MTCNN, which has them from the authors' code:
_CANDIDATE, _REFINED, _DECIDED = 0.6, 0.7, 0.7  # probability needed in P-Net, R-Net and O-Net
_FACTOR = 0.709  # each pyramid level has about half the pixels of the one before
_COARSE_FACE = 16.0  # pixels: as long as the smallest face keeps so many, P-Net and R-Net see a smaller copy
_P_OVERLAP, _R_OVERLAP, _O_OVERLAP = 0.5, 0.7, 0.7  # more overlap than this is the same face
_CELL = LEAST_MIN_FACE  # P-Net's window, pixels of a level
_STRIDE = 2  # between P-Net's windows

# Pieces of work whose intermediate results stay in a core's cache, and memory small. Measured at 1280 px on
# Sapphire Rapids: strips of 16,000 to 100,000 pixels are alike, larger ones up to a tenth slower; so with batches.
_STRIP_PIXELS = 65_536
_STRIP_ROWS = 16  # at least, of P-Net's output: each strip computes 10 rows of the level again
_R_BATCH = 32
_O_BATCH = 16

# sha256 of the weights in facenet-pytorch 2.5.3 (MIT), folder facenet_pytorch/data
_WEIGHTS = {
    "pnet": "a2a71925e0b9996a42f63e47efc1ca19043e69558b5c523b978d611dfae49c8f",
    "rnet": "bbb937de72efc9ef83b186c49f5f558467a1d7e3453a8ece0d71a886633f6a86",
    "onet": "165bfbe42940416ccfb977545cf0e976d5bf321f67083ae2aaaa5c764280118d",
}


def open_detector(
    cache: Path,
    probability: float = 0.95,
    candidate: float = _CANDIDATE,
    threads: int = 1,
    device: Device = "cpu",
) -> MtcnnDetector:
    """A detector whose networks lie compiled in `cache`; the first call on a machine compiles them (some seconds).

    probability: faces below are not reported. candidate: the probability P-Net must give what R-Net looks at.
    Raises what `compiled` and `open_session` raise.
    """
    sessions = [open_session(path, threads, device) for path in detector_networks(cache)]
    return MtcnnDetector(*sessions, probability=probability, candidate=candidate)


def detector_networks(cache: Path) -> list[Path]:
    """P-Net, R-Net and O-Net as ONNX files, compiled where they are missing. Raises what `compiled` raises."""
    return compiled(cache, _networks())


def detector_is_compiled(cache: Path) -> bool:
    """Whether `detector_networks` will answer at once."""
    return is_compiled(cache, _networks())


def _networks() -> list[Network]:
    """P-Net, R-Net and O-Net from the wheel, found without importing facenet_pytorch (it would bring torch)."""
    package = find_spec("facenet_pytorch")
    if package is None or package.origin is None:
        raise ModelMissing("facenet-pytorch, which carries the face detector, is missing: reinstall chueok.")
    folder = Path(package.origin).parent / "data"
    return [
        Network(name, f"chueok.vision.models.mtcnn:{name}", folder / f"{name}.pt", sha256)
        for name, sha256 in _WEIGHTS.items()
    ]


@dataclass(frozen=True, slots=True, eq=False)
class _Candidates:
    """Rectangles that may be faces, in pixels of the image."""

    boxes: NDArray[np.float32]  # (n, 4) left, top, right, bottom
    scores: NDArray[np.float32]  # (n,) probability
    offsets: NDArray[np.float32]  # (n, 4) how far each edge should move, as a share of the box's side

    def __getitem__(self, which: NDArray[np.intp] | NDArray[np.bool_]) -> _Candidates:
        return _Candidates(self.boxes[which], self.scores[which], self.offsets[which])

    def moved(self, pixel: int) -> NDArray[np.float32]:
        """The boxes with their offsets applied; sides are right - left + pixel."""
        sides = self.boxes[:, 2:] - self.boxes[:, :2] + np.float32(pixel)
        return self.boxes + self.offsets * np.tile(sides, 2)


class MtcnnDetector:
    """Finds faces with three ONNX Runtime sessions, of pnet, rnet and onet in models/mtcnn.py."""

    def __init__(
        self,
        pnet: onnxruntime.InferenceSession,
        rnet: onnxruntime.InferenceSession,
        onet: onnxruntime.InferenceSession,
        *,
        probability: float,
        candidate: float,
    ) -> None:
        self._pnet, self._rnet, self._onet = pnet, rnet, onet
        self._probability, self._candidate = probability, candidate

    def detect(self, image: NDArray[np.uint8], min_face: float = MIN_FACE) -> list[Detection]:
        """Find every face, largest first.

        image: (h, w, 3) uint8 RGB, upright; searched at the size it has. min_face: shorter side, in its pixels, of
        the smallest face looked for; from 32 on candidates are looked for in a smaller copy, and the answers are
        no longer facenet_pytorch's to the last digit. Boxes and landmarks are in its pixels and may reach over its
        border, where a face does. Memory: 12 bytes a pixel (of the copy), and about 60 MB. Raises UsageError for a
        min_face below 12.
        """
        check_min_face(min_face)
        factor = max(1, int(min_face / _COARSE_FACE))
        means = Means(reduced(image, factor))
        boxes = self._refine(means, self._propose(means, min_face / factor))
        return self._decide(Sharp(image, means, factor), boxes * np.float32(factor))

    def _propose(self, means: Means, min_face: float) -> NDArray[np.float32]:
        """Squares around what P-Net takes for faces: (n, 4) float32, best first."""
        levels = [self._search(means, scale) for scale in _scales(min(means.height, means.width), min_face)]
        if not levels:
            return np.empty((0, 4), np.float32)
        found = _Candidates(
            np.concatenate([level.boxes for level in levels]),
            np.concatenate([level.scores for level in levels]),
            np.concatenate([level.offsets for level in levels]),
        )
        # No suppression between levels: facenet_pytorch's, at 0.7, finds nothing to do, since the boxes of one level
        # have twice the area of those before (from 12 pixels up even with their sides rounded).
        return _squares(found[np.argsort(-found.scores, kind="stable")].moved(0))

    def _search(self, means: Means, scale: float) -> _Candidates:
        """What P-Net finds in one level, without doubles. The level is worked off in strips that overlap by 10 rows."""
        height, width = int(means.height * scale + 1), int(means.width * scale + 1)
        rows = (height - 9) // _STRIDE
        step = max(_STRIP_ROWS, _STRIP_PIXELS // width // _STRIDE)
        parts = []
        for first in range(0, rows, step):
            last = min(first + step, rows)
            strip = means.shrunk(height, width, _STRIDE * first, min(_STRIDE * last + 10, height))
            (answers,) = self._pnet.run(None, {"image": strip})[0]
            row, column = np.nonzero(answers[4] >= _logit(self._candidate))
            parts.append((row + first, column, answers[:, row, column].T))
        row, column, values = (np.concatenate(part) for part in zip(*parts, strict=True))
        cells = np.stack([row, column], axis=1)
        found = _Candidates(_windows(cells, scale), _probability(values[:, 4]), values[:, :4])
        return found[grid_survivors(found.boxes, found.scores, cells, _P_OVERLAP)]

    def _refine(self, means: Means, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        """The squares R-Net agrees with, better placed: (m, 4) float32."""
        found, _ = _judged(self._rnet, means, boxes, 24, _R_BATCH)
        found = found[found.scores > _REFINED]
        order = np.argsort(-found.scores, kind="stable")
        found = found[survivors(found.boxes, order, _R_OVERLAP, over_union)]
        return _squares(found.moved(1))

    def _decide(self, sharp: Sharp, boxes: NDArray[np.float32]) -> list[Detection]:
        """What O-Net takes for faces, with landmarks."""
        found, landmarks = _judged(self._onet, sharp, boxes, 48, _O_BATCH)
        good = found.scores > _DECIDED
        found, points = found[good], _points(found.boxes[good], landmarks[good])
        faces = found.moved(1)
        # O-Net's best scores are all exactly 1; of equals facenet_pytorch keeps the last
        order = np.argsort(found.scores, kind="stable")[::-1]
        kept = survivors(faces, order, _O_OVERLAP, over_smaller)
        kept = kept[found.scores[kept] >= self._probability]
        detections = [_detection(faces[k], found.scores[k], points[k]) for k in kept]
        return sorted(detections, key=lambda face: -face.box.width * face.box.height)


def _scales(shorter: int, min_face: float) -> Iterator[float]:
    """By what an image is shrunk, from where the smallest face fills a cell to where its shorter side does."""
    scale = _CELL / min_face
    side = shorter * scale
    while side >= _CELL:
        yield scale
        scale *= _FACTOR
        side *= _FACTOR


def _windows(cells: NDArray[np.intp], scale: float) -> NDArray[np.float32]:
    """The part of the image each P-Net cell (n, 2: row, column) sees: (n, 4), whole pixels."""
    corner = _STRIDE * cells[:, ::-1].astype(np.float32)
    edges: NDArray[np.float32] = np.floor(np.hstack([corner + 1, corner + _CELL]) / np.float32(scale))
    return edges


def _squares(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """The square with the same centre and the longer side of each box."""
    sides = boxes[:, 2:] - boxes[:, :2]
    side = sides.max(axis=1, keepdims=True)
    corner = boxes[:, :2] + sides * np.float32(0.5) - side * np.float32(0.5)
    return np.hstack([corner, corner + side])


def _judged(
    net: onnxruntime.InferenceSession, image: Means | Sharp, boxes: NDArray[np.float32], size: int, batch: int
) -> tuple[_Candidates, NDArray[np.float32]]:
    """The boxes (n, 4) that touch the image as the network sees them, and what else it says of each: (n, ...).

    MTCNN counts pixels from 1, and a box's edges belong to it.
    """
    windows = np.trunc(boxes).astype(np.int64) - (1, 1, 0, 0)
    windows = np.clip(windows, 0, (image.width, image.height) * 2)
    touching = (windows[:, 2:] > windows[:, :2]).all(axis=1)
    boxes, windows = boxes[touching], windows[touching]
    verdicts = np.concatenate(
        [
            net.run(None, {"image": image.cut(windows[first : first + batch], size)})[0]
            for first in range(0, max(len(windows), 1), batch)
        ]
    )
    return _Candidates(boxes, _probability(verdicts[:, -1]), verdicts[:, :4]), verdicts[:, 4:-1]


def _probability(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """The sigmoid, which of two classes is their softmax."""
    with np.errstate(over="ignore"):  # exp of a large number is infinite, and its share nothing
        shares: NDArray[np.float32] = np.reciprocal(1 + np.exp(-logits))
    return shares


def _logit(probability: float) -> float:
    """What `_probability` takes for this probability."""
    return math.log(probability / (1 - probability))


def _points(boxes: NDArray[np.float32], landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
    """O-Net's landmarks (n, 10: five x, five y, as shares of the box) in pixels: (n, 5, 2)."""
    sides = boxes[:, None, 2:] - boxes[:, None, :2] + 1
    return landmarks.reshape(-1, 2, 5).transpose(0, 2, 1) * sides + boxes[:, None, :2] - 1


def _detection(edges: NDArray[np.float32], score: np.float32, points: NDArray[np.float32]) -> Detection:
    """One face as a record."""
    left, top, right, bottom = (float(edge) for edge in edges)
    landmarks = tuple((float(x), float(y)) for x, y in points)
    return Detection(Box(left, top, right - left, bottom - top), float(score), landmarks)
