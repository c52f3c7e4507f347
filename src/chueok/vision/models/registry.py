"""Which models exist, which are on this machine, and that their weights are what they claim to be."""

from __future__ import annotations

import contextlib
import difflib
import hashlib
from collections.abc import Mapping
from pathlib import Path

from chueok.errors import ModelInvalid, ModelMissing, OperationFailed, UsageError
from chueok.records import ModelStatus
from chueok.vision.models.card import Channels, ModelCard, Recipe, embedding_key, threshold
from chueok.vision.models.manifest import read_manifest

__all__ = [
    "BUILT_IN",
    "ModelCard",
    "check_file_is_free",
    "embedding_key",
    "find_model",
    "installed_path",
    "known_models",
    "model_status",
    "model_statuses",
    "read_weights",
    "threshold",
    "verify",
    "weights_path",
]

PACKAGED_WEIGHTS = Path(__file__).parent / "weights"

# ImageNet's mean and spread for pictures in 0..1 (torchvision), here for 0..255
_IMAGENET_MEAN: Channels = (0.485 * 255, 0.456 * 255, 0.406 * 255)
_IMAGENET_SCALE: Channels = (0.229 * 255, 0.224 * 255, 0.225 * 255)

_LITE = ModelCard(
    # Made by this project (chueok lab distill, chueok lab quantize); its card is in docs/models.md
    name="lite",
    description="small and packaged; a student of mobilefacenet",
    licence="MIT",
    file="lite-int8.onnx",
    size=1_823_034,
    sha256="12c5bc05d240416695a5a2981956b8f733438f454689785fbf96e5a209b00267",
    architecture="onnx",
    dimension=128,
    recipe=Recipe(crop="arcface", pixels=112, mirror=True),  # scaling is inside the graph
    packaged=True,
    # all impostor pairs of LFW's first two folds: `chueok lab evaluate`
    thresholds={"1e-2": 0.296, "1e-3": 0.387, "1e-4": 0.457},
    impostor_pairs=1_248_599,
)

_MOBILEFACENET = ModelCard(
    # github.com/foamliu/MobileFaceNet at ad73da7
    name="mobilefacenet",
    description="MobileFaceNet, trained on MS-Celeb-1M: small and accurate",
    licence="Apache-2.0",
    url="https://github.com/foamliu/MobileFaceNet/raw/ad73da7/weights/mobilefacenet.pt",
    file="mobilefacenet-ms1m.pt",
    size=4_135_271,
    sha256="90a00ba1d8b0b688af3deb731ed53dca582e6106805d1bc3cfdef55f570493f4",
    architecture="mobilefacenet",
    dimension=128,
    recipe=Recipe(crop="arcface", pixels=112, mean=_IMAGENET_MEAN, scale=_IMAGENET_SCALE, mirror=True),
    # 1e-3: all 29.6 M impostor pairs of LFW; the others from the 1.25 M of its first two folds, read by this
    # code, where 1e-3 fell at 0.338
    thresholds={"1e-2": 0.253, "1e-3": 0.335, "1e-4": 0.407},
    impostor_pairs=1_250_180,
)

_FACENET = ModelCard(
    # github.com/timesler/facenet-pytorch, release v2.2.9
    name="facenet",
    description="FaceNet (InceptionResnetV1), trained on VGGFace2",
    licence="MIT",
    url="https://github.com/timesler/facenet-pytorch/releases/download/v2.2.9/20180402-114759-vggface2.pt",
    file="20180402-114759-vggface2.pt",
    size=111_898_327,
    sha256="281cebca8662831adb987a874bdcb36e73f5b1c6dc5ee5878f305e985625d99b",
    architecture="inception_resnet_v1",
    dimension=512,
    # facenet_pytorch's fixed_image_standardization, and MTCNN's crop with its default margin
    recipe=Recipe(crop="box", pixels=160, mean=(127.5, 127.5, 127.5), scale=(128.0, 128.0, 128.0)),
)

_SFACE = ModelCard(
    # github.com/opencv/opencv_zoo at 47534e2, kept there by Git LFS. Its published cosine threshold, 0.363,
    # is where accuracy peaks on LFW's pairs, not a false accept rate, so it is not in `thresholds`
    name="sface",
    description="SFace from OpenCV's model zoo",
    licence="Apache-2.0",
    url="https://media.githubusercontent.com/media/opencv/opencv_zoo/47534e27c9851bb1128ccc0102f1145e27f23f98/"
    "models/face_recognition_sface/face_recognition_sface_2021dec.onnx",
    file="face_recognition_sface_2021dec.onnx",
    size=38_696_353,
    sha256="0ba9fbfa01b5270c96627c4ef784da859931e02f04419c829e83484087c34e79",
    architecture="onnx",
    dimension=128,
    recipe=Recipe(crop="arcface", pixels=112),  # scaling is inside the graph
)

BUILT_IN: dict[str, ModelCard] = {card.name: card for card in (_LITE, _MOBILEFACENET, _FACENET, _SFACE)}


def known_models(models_dir: Path) -> dict[str, ModelCard]:
    """Every model by name: the built-in ones, then those described by `models_dir/*.toml`.

    Raises ModelInvalid for a broken manifest, or one that takes a name or a file's name that is taken.
    """
    cards = dict(BUILT_IN)
    for path in sorted(models_dir.glob("*.toml")):
        card = read_manifest(path)
        if card.name in cards:
            raise ModelInvalid(f"{path} names its model {card.name!r}, which is taken; choose another")
        _compare_files(card, cards)
        cards[card.name] = card
    return cards


def check_file_is_free(card: ModelCard, models_dir: Path) -> None:
    """Nothing, when no other model's weights go by the card's file name. Raises ModelInvalid.

    To be asked before weights are installed; broken manifests are passed over, for one may be about to be mended.
    """
    others = dict(BUILT_IN)
    for path in models_dir.glob("*.toml"):
        with contextlib.suppress(ModelInvalid):
            described = read_manifest(path)
            others[described.name] = described
    _compare_files(card, others)


def _compare_files(card: ModelCard, others: Mapping[str, ModelCard]) -> None:
    """Two models may share one file, but not one name for two: the later would replace the earlier."""
    for other in others.values():
        same_name = card.file.casefold() == other.file.casefold()  # macOS tells no case apart
        if same_name and card.name != other.name and card.sha256 != other.sha256:
            raise ModelInvalid(
                f"the models {other.name!r} and {card.name!r} both keep their weights in a file {card.file}; rename "
                f"the file of {card.name!r}, and `file` in its manifest, to {card.name}.onnx"
            )


def find_model(name: str, models_dir: Path) -> ModelCard:
    """The model of that name. Raises UsageError naming the known ones, the nearest first.

    A built-in model is found even when somebody's manifest is broken.
    """
    if name in BUILT_IN:
        return BUILT_IN[name]
    cards = known_models(models_dir)
    if name in cards:
        return cards[name]
    near = difflib.get_close_matches(name.lower(), cards, n=1)
    hint = f"did you mean {near[0]!r}? There" if near else "there"
    raise UsageError(f"there is no model {name!r}; {hint} are: {', '.join(cards)}")


def installed_path(card: ModelCard, models_dir: Path) -> Path:
    """Where the weights are, or would be."""
    return (PACKAGED_WEIGHTS if card.packaged else models_dir) / card.file


def weights_path(card: ModelCard, models_dir: Path) -> Path:
    """Where the weights are; there, and of the card's size, but not hashed.

    Nobody runs what is in that file before hashing it: `read_weights` hands out verified bytes, and compile.py
    hashes a state dict before torch sees it. Raises ModelMissing, ModelInvalid, OperationFailed.
    """
    path = installed_path(card, models_dir)
    try:
        size = path.stat().st_size
    except FileNotFoundError as error:
        raise ModelMissing(_how_to_get(card, path)) from error
    except OSError as error:
        raise OperationFailed(f"{path} cannot be read: {error.strerror}") from error
    if size != card.size:
        raise ModelInvalid(_not_the_weights(card, path, f"it has {size:,} bytes, not {card.size:,}"))
    return path


def read_weights(card: ModelCard, models_dir: Path) -> bytes:
    """The weights, hashed after they were read: what is returned is what was verified.

    Raises ModelMissing, ModelInvalid, OperationFailed.
    """
    path = weights_path(card, models_dir)
    try:
        weights = path.read_bytes()
    except OSError as error:
        raise OperationFailed(f"{path} cannot be read: {error.strerror}") from error
    found = hashlib.sha256(weights).hexdigest()
    if found != card.sha256:
        raise ModelInvalid(_not_the_weights(card, path, f"its sha256 is {found}, not {card.sha256}"))
    return weights


def verify(card: ModelCard, models_dir: Path) -> None:
    """Nothing, when the weights on this machine are the card's; raises as `read_weights` otherwise."""
    read_weights(card, models_dir)


def model_statuses(models_dir: Path, current: str) -> list[ModelStatus]:
    """Every known model, as `chueok model list` shows it; `current` names the one in use."""
    return [model_status(card, models_dir, current) for card in known_models(models_dir).values()]


def model_status(card: ModelCard, models_dir: Path, current: str = "") -> ModelStatus:
    """One model; installed means that a file of the right size is there."""
    path = installed_path(card, models_dir)
    return ModelStatus(
        name=card.name,
        description=card.description,
        dimension=card.dimension,
        licence=card.licence,
        size=card.size,
        sha256=card.sha256,
        url=card.url,
        installed=path.is_file() and path.stat().st_size == card.size,
        current=card.name == current,
        thresholds=dict(card.thresholds),
    )


def _how_to_get(card: ModelCard, path: Path) -> str:
    if card.packaged:
        return f"the packaged model {path} is missing; install chueok again"
    return (
        f"the model {card.name!r} is not on this machine. Run: chueok model fetch {card.name} "
        f"(or, with a copy of {card.file} at hand: chueok model fetch {card.name} --from FILE)"
    )


def _not_the_weights(card: ModelCard, path: Path, reason: str) -> str:
    remedy = "install chueok again" if card.packaged else f"run: chueok model fetch {card.name}"
    return f"{path} is not the model {card.name!r}: {reason}. It is not used; {remedy}"
