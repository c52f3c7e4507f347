"""The detection cascade: image -> list of Detection, empty where nobody is.

Zhang, Zhang, Li, Qiao: "Joint Face Detection and Alignment using Multi-task Cascaded Convolutional Networks"
(IEEE SPL 2016, arXiv 1604.02878), with the weights of facenet_pytorch.MTCNN; the code is our own. A first network
proposes places at every size: chueok's (proposals.py), or MTCNN's P-Net (pnet.py), with which the answers are
facenet_pytorch's. R-Net discards most of what it proposes, O-Net decides and places the landmarks.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from chueok.errors import ModelMissing
from chueok.records import Box, Detection
from chueok.vision.base import MIN_FACE, check_min_face
from chueok.vision.candidates import Candidates, squares
from chueok.vision.judge import DOUBT, Crops, in_doubt, in_turn, judged, landmarks_of, touching
from chueok.vision.models.compile import Network, compiled, is_compiled
from chueok.vision.runtime import open_session
from chueok.vision.suppress import over_smaller, survivors, union_survivors

if TYPE_CHECKING:
    import onnxruntime
    from numpy.typing import NDArray

    from chueok.settings import Device

# From facenet_pytorch.MTCNN, which has them from the authors' code:
_REFINED, _DECIDED = 0.7, 0.7  # probability needed in R-Net and O-Net
_DOUBT = 0.02  # nearer to 0, and O-Net to 1, a network stays at what it says
_R_OVERLAP, _O_OVERLAP = 0.7, 0.7  # more overlap than this is the same face

# Batches whose intermediate results stay in a core's cache. On Sapphire Rapids larger ones were up to a tenth slower.
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
    *,
    as_published: bool = False,
    threads: int = 1,
    device: Device = "cpu",
) -> CascadeDetector:
    """A detector whose networks lie compiled in `cache`; the first call on a machine compiles them (some seconds).

    probability: faces below are not reported. as_published: with P-Net, and the answers of facenet_pytorch.MTCNN; else
    with chueok's own proposals. Raises what `compiled` and `open_session` raise.
    """
    pnet, rnet, onet = detector_networks(cache)
    proposals: Proposals
    if as_published:
        from chueok.vision.pnet import PNetProposals

        proposals = PNetProposals(open_session(pnet, threads, device))
    else:
        from chueok.vision.proposals import LearnedProposals, packaged_network

        proposals = LearnedProposals(open_session(packaged_network(), threads, device))
    sessions = (open_session(path, threads, device) for path in (rnet, onet))
    return CascadeDetector(proposals, *sessions, probability=probability)


def detector_networks(cache: Path) -> list[Path]:
    """P-Net, R-Net and O-Net as ONNX files, compiled where they are missing, all at once: most of it is loading torch.

    Raises what `compiled` raises.
    """
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


class Proposals(Protocol):
    """Proposes where R-Net should look."""

    same_place: float
    """Intersection over union above which squares are of one place. R-Net and O-Net look at the best of a place, and
    at the others unless that settles it. 1: every square is looked at."""

    sizes: tuple[float, ...]
    """Of a square that R-Net left, what O-Net is shown: 1 is the square, the others for where it is in doubt."""

    least: float
    """Longer side of a face that is believed, as a share of the smallest looked for."""

    again: bool
    """Whether O-Net looks once more at each face, to place it and its landmarks better."""

    def __call__(self, image: NDArray[np.uint8], min_face: float) -> tuple[NDArray[np.float32], Crops]:
        """Squares that may hold faces, (n, 4) float32, best first; and what to cut them from.

        image: (h, w, 3) uint8 RGB. min_face: shorter side, in its pixels, of the smallest face looked for.
        """
        ...


@dataclass(frozen=True, slots=True, eq=False)
class _Faces:
    """What O-Net took for faces, in pixels of the image."""

    boxes: NDArray[np.float32]  # (n, 4) left, top, right, bottom
    scores: NDArray[np.float32]  # (n,) probability
    points: NDArray[np.float32]  # (n, 5, 2) landmarks


class CascadeDetector:
    """Finds faces with proposals and two ONNX Runtime sessions, of rnet and onet in models/mtcnn.py."""

    def __init__(
        self,
        proposals: Proposals,
        rnet: onnxruntime.InferenceSession,
        onet: onnxruntime.InferenceSession,
        *,
        probability: float,
    ) -> None:
        self._proposals, self._rnet, self._onet = proposals, rnet, onet
        self._probability = probability

    def detect(self, image: NDArray[np.uint8], min_face: float = MIN_FACE) -> list[Detection]:
        """Find every face, largest first.

        image: (h, w, 3) uint8 RGB, upright; searched at the size it has. min_face: shorter side, in its pixels, of
        the smallest face looked for. Boxes and landmarks are in its pixels and may reach over its border, where a face
        does. Raises UsageError for a min_face below 12.
        """
        check_min_face(min_face)
        proposed, crops = self._proposals(image, min_face)
        faces = self._decide(crops, self._refine(crops, proposed))
        if self._proposals.again:
            faces = self._placed(crops, faces)
        detections = [
            _detection(*face)
            for face in zip(faces.boxes, faces.scores, faces.points, strict=True)
            if (face[0][2:] - face[0][:2]).max() >= self._proposals.least * min_face
        ]
        return sorted(detections, key=lambda face: -face.box.width * face.box.height)

    def _refine(self, crops: Crops, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        """The boxes R-Net agrees with, better placed: (m, 4) float32."""
        # never settled by a face: of the boxes it likes of a place O-Net may like another one better
        found, _ = in_turn(
            lambda some: judged(self._rnet, crops, some, 24, _R_BATCH),
            touching(crops, boxes),
            self._proposals.same_place,
        )
        found = found[found.scores > _REFINED]
        order = np.argsort(-found.scores, kind="stable")
        found = found[union_survivors(found.boxes, order, _R_OVERLAP)]
        return found.moved(1)

    def _decide(self, crops: Crops, boxes: NDArray[np.float32]) -> _Faces:
        """What O-Net takes for faces."""
        whole, *others = self._proposals.sizes
        found, points = in_turn(
            lambda some: self._seen(crops, some),
            touching(crops, squares(boxes, whole)),
            self._proposals.same_place,
            1 - DOUBT,
        )
        doubtful = found.boxes[in_doubt(found, 1 - DOUBT)]
        for size in others:
            again, more = self._seen(crops, squares(doubtful, size))
            found, points = found.with_more(again), np.concatenate([points, more])
        good = found.scores > _DECIDED
        found, points = found[good], points[good]
        faces = found.moved(1)
        # O-Net's best scores are all exactly 1; of equals facenet_pytorch keeps the last
        order = np.argsort(found.scores, kind="stable")[::-1]
        kept = survivors(faces, order, _O_OVERLAP, over_smaller)
        kept = kept[found.scores[kept] >= self._probability]
        return _Faces(faces[kept], found.scores[kept], points[kept])

    def _placed(self, crops: Crops, faces: _Faces) -> _Faces:
        """The faces where O-Net sees them when it looks at the squares around them; as they are where it sees none."""
        found, points = self._seen(crops, squares(faces.boxes), beyond=True)
        if len(found.boxes) < len(faces.boxes):  # one lies outside the image
            return faces
        seen = found.scores > _DECIDED
        boxes = np.where(seen[:, None], found.moved(1), faces.boxes)
        return _Faces(boxes, faces.scores, np.where(seen[:, None, None], points, faces.points))

    def _seen(
        self, crops: Crops, boxes: NDArray[np.float32], *, beyond: bool = False
    ) -> tuple[Candidates, NDArray[np.float32]]:
        """What O-Net says of squares, and the landmarks it sees: (n, 5, 2) pixels."""
        found, landmarks = judged(self._onet, crops, boxes, 48, _O_BATCH, beyond=beyond)
        return found, landmarks_of(found.boxes, landmarks)


def _detection(edges: NDArray[np.float32], score: np.float32, points: NDArray[np.float32]) -> Detection:
    """One face as a record."""
    left, top, right, bottom = (float(edge) for edge in edges)
    landmarks = tuple((float(x), float(y)) for x, y in points)
    return Detection(Box(left, top, right - left, bottom - top), float(score), landmarks)
