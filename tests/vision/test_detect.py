"""The cascade with P-Net finds what facenet_pytorch's finds; with chueok's own proposals, the same people."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tests.vision import portraits

from chueok.errors import ModelInvalid, UsageError
from chueok.records import Detection
from chueok.vision import detect, pnet, proposals
from chueok.vision.candidates import as_probability
from chueok.vision.detect import CascadeDetector, detector_is_compiled, open_detector
from chueok.vision.models.compile import compiled
from chueok.vision.runtime import open_session

pytestmark = pytest.mark.weights

# One or two of each album: portraits, a family, groups, grey stills, a face over the border, 11 megapixels shrunk
PHOTOS = [
    "azure_family/photos/identification1.jpg",
    "azure_family/photos/Family2-Man1.jpg",
    "leaders/photos/Obama_1.png",
    "kpop_events/photos/bona3.jpg",
]
SIDE = 800  # pixels; tests must stay short. `python -m benchmarks.detection` compares all photos, at 1280


@pytest.fixture(scope="module")
def detector(networks_cache: Path) -> CascadeDetector:
    return open_detector(networks_cache, probability=0.7, as_published=True)


@pytest.fixture(scope="module")
def quick(networks_cache: Path) -> CascadeDetector:
    return open_detector(networks_cache)


@pytest.fixture(scope="module")
def reference() -> Any:
    import torch
    from facenet_pytorch import MTCNN

    torch.set_num_threads(1)
    return MTCNN(keep_all=True, min_face_size=20)


def load(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as photo:
        picture = photo.convert("RGB")
    picture.thumbnail((SIDE, SIDE))
    return np.asarray(picture)


def as_rows(faces: list[Detection]) -> NDArray[np.float64]:
    """Edges, probability and landmarks, one row a face: (n, 15)."""
    rows = [
        (
            f.box.x,
            f.box.y,
            f.box.x + f.box.width,
            f.box.y + f.box.height,
            f.probability,
            *sum(f.landmarks, ()),
        )
        for f in faces
    ]
    return np.array(rows).reshape(-1, 15)


def assert_parity(detector: CascadeDetector, reference: Any, image: NDArray[np.uint8]) -> None:
    boxes, probabilities, landmarks = reference.detect(Image.fromarray(image), landmarks=True)
    expected = np.hstack([boxes, np.vstack(probabilities), landmarks.reshape(-1, 10)]).astype(float)
    np.testing.assert_allclose(as_rows(detector.detect(image)), expected, atol=0.01, rtol=0)


@pytest.mark.parametrize("name", PHOTOS)
def test_faces_are_those_of_facenet_pytorch(
    detector: CascadeDetector, reference: Any, shared: Path, name: str
) -> None:
    assert_parity(detector, reference, load(shared / "albums" / name))


@pytest.mark.parametrize("portrait", [portraits.GRACE_HOPPER, portraits.EILEEN_COLLINS])
def test_faces_are_those_of_facenet_pytorch_on_every_machine(
    detector: CascadeDetector, reference: Any, portrait: Path
) -> None:
    assert_parity(detector, reference, load(portrait))


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("pnet", [(1, 3, 12, 12), (1, 3, 13, 50), (3, 3, 37, 90)]),
        ("rnet", [(1, 3, 24, 24), (7, 3, 24, 24)]),
        ("onet", [(1, 3, 48, 48), (7, 3, 48, 48)]),
    ],
)
def test_rearranged_networks_compute_what_torch_does(
    networks_cache: Path, reference: Any, name: str, shapes: list[tuple[int, ...]]
) -> None:
    import torch

    paths = dict(zip(("pnet", "rnet", "onet"), compiled(networks_cache, detect._networks()), strict=True))
    session = open_session(paths[name])
    for shape in shapes:
        image = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
        with torch.no_grad():
            *others, probabilities = getattr(reference, name)(torch.from_numpy(image))
        (got,) = session.run(None, {"image": image})
        np.testing.assert_allclose(got[:, :-1], np.concatenate(others, axis=1), atol=1e-5)
        np.testing.assert_allclose(as_probability(got[:, -1]), probabilities[:, 1], atol=1e-5)


def test_a_doubtful_face_needs_a_low_probability(
    detector: CascadeDetector, networks_cache: Path, shared: Path
) -> None:
    image = load(shared / "albums" / PHOTOS[2])
    everyone = detector.detect(image)
    sure = open_detector(networks_cache, probability=0.999, as_published=True).detect(image)
    assert 0 < len(sure) < len(everyone)
    assert sure == [face for face in everyone if face.probability >= 0.999]


@pytest.mark.parametrize(("name", "strips"), [("detector", pnet), ("quick", proposals)])
def test_narrow_strips_find_the_same(
    name: str,
    strips: ModuleType,
    shared: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    detector: CascadeDetector = request.getfixturevalue(name)
    image = load(shared / "albums" / PHOTOS[0])
    whole = as_rows(detector.detect(image))
    monkeypatch.setattr(strips, "_STRIP_PIXELS", 1)
    assert len(whole) > 0
    np.testing.assert_allclose(as_rows(detector.detect(image)), whole, atol=0.01, rtol=0)


@pytest.mark.parametrize("name", PHOTOS)
def test_own_proposals_lead_to_the_same_faces(
    detector: CascadeDetector, quick: CascadeDetector, shared: Path, name: str
) -> None:
    image = load(shared / "albums" / name)
    expected = [face for face in detector.detect(image, 28) if face.probability >= 0.99]
    found = quick.detect(image, 28)
    assert len(expected) > 0
    for face in expected:
        apart = [np.abs(np.subtract(face.landmarks, one.landmarks)).max() for one in found]
        assert min(apart) < 0.3 * face.box.size  # one of them is half outside


@pytest.mark.parametrize("portrait", [portraits.GRACE_HOPPER, portraits.EILEEN_COLLINS])
def test_own_proposals_lead_to_a_face_on_every_machine(
    detector: CascadeDetector, quick: CascadeDetector, portrait: Path
) -> None:
    image = load(portrait)
    (expected,), (found,) = detector.detect(image), quick.detect(image)
    np.testing.assert_allclose(found.landmarks, expected.landmarks, atol=0.1 * expected.box.size, rtol=0)


def test_a_crowd_is_found(quick: CascadeDetector) -> None:
    with Image.open(portraits.GRACE_HOPPER) as portrait:
        face = portrait.convert("RGB").crop((130, 30, 410, 310)).resize((44, 44), Image.Resampling.BOX)
    crowd = np.tile(np.asarray(face), (18, 25, 1))
    assert len(quick.detect(crowd, 24)) >= 0.95 * 18 * 25


@pytest.mark.parametrize("apart", [75, 90, 110])
def test_a_head_partly_behind_another_is_found(quick: CascadeDetector, apart: int) -> None:
    picture = Image.new("RGB", (500, 400), (90, 90, 90))
    with Image.open(portraits.GRACE_HOPPER) as portrait:
        face = portrait.convert("RGB").crop((130, 30, 410, 310)).resize((160, 160))
    with Image.open(portraits.EILEEN_COLLINS) as portrait:
        whole = portrait.convert("RGB")
    box = quick.detect(np.asarray(whole))[0].box
    other = whole.crop((box.x, box.y, box.x + box.width, box.y + box.height)).resize((106, 128))
    picture.paste(face, (150, 100))
    picture.paste(other, (170 + apart, 141))  # the first face's box is 106 pixels wide and begins at 170
    assert len(quick.detect(np.asarray(picture), 24)) == 2


@pytest.mark.parametrize("side", [30, 60, 120, 250, 500])
def test_a_face_of_any_size_is_proposed(quick: CascadeDetector, side: int) -> None:
    picture = np.full((600, 800, 3), 90, np.uint8)
    with Image.open(portraits.GRACE_HOPPER) as portrait:
        face = portrait.convert("RGB").crop((130, 30, 410, 310)).resize((side, side), Image.Resampling.BOX)
    picture[20 : 20 + side, 40 : 40 + side] = np.asarray(face)
    (found,) = quick.detect(picture, 12)
    assert 40 < found.box.x + found.box.width / 2 < 40 + side
    assert 20 < found.box.y + found.box.height / 2 < 20 + side


@pytest.mark.parametrize("shape", [(1, 1), (19, 19), (20, 20), (21, 900), (11, 500), (300, 400)])
@pytest.mark.parametrize("as_published", [True, False])
def test_nobody_is_found_in_noise(networks_cache: Path, as_published: bool, shape: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    assert open_detector(networks_cache, 0.7, as_published=as_published).detect(image) == []


def test_damaged_weights_of_the_own_proposals_are_named(
    networks_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged = tmp_path / "proposals.onnx"
    damaged.write_bytes(proposals.WEIGHTS.read_bytes()[:-1])
    monkeypatch.setattr(proposals, "WEIGHTS", damaged)
    with pytest.raises(ModelInvalid, match="is damaged: reinstall chueok"):
        open_detector(networks_cache)
    damaged.unlink()
    with pytest.raises(ModelInvalid, match="cannot be read"):
        open_detector(networks_cache)


def test_too_small_a_face_is_a_usage_error(networks_cache: Path) -> None:
    with pytest.raises(UsageError, match="11 pixels are too small"):
        open_detector(networks_cache).detect(np.zeros((50, 50, 3), np.uint8), min_face=11)


def test_detecting_loads_no_torch(networks_cache: Path) -> None:
    assert detector_is_compiled(networks_cache)
    script = (
        "import sys, numpy; from pathlib import Path; from chueok.vision.detect import open_detector;"
        "found = open_detector(Path(sys.argv[1])).detect(numpy.zeros((90, 90, 3), numpy.uint8));"
        "print(found, [name for name in ('torch', 'facenet_pytorch', 'onnx') if name in sys.modules])"
    )
    command = [sys.executable, "-c", script, str(networks_cache)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("[] []\n", "")
