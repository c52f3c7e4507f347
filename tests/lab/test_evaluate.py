"""Evaluation with stand-in networks that find coloured squares, and a real small model that tells colours apart."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper
from PIL import Image
from tests.fakes import FAKES, PEOPLE, make_tree
from tests.vision import portraits

from chueok.errors import ModelMissing
from chueok.flow.people import FaceChoice, enroll
from chueok.lab.comparisons import Comparisons, Pair, numbered
from chueok.lab.datasets import Dataset, LabelledPicture, open_dataset
from chueok.lab.evaluate import Asked, evaluate
from chueok.lab.faces import Faces, read_faces, recut
from chueok.lab.models import LabModel, find_lab_model
from chueok.lab.verification import verify
from chueok.library import open_library
from chueok.measures import EvaluateSummary, ModelEvaluated, Verification
from chueok.records import Box, Detection, Note
from chueok.settings import Settings
from chueok.vision.embed import open_embedder
from chueok.vision.models.card import ModelCard, Recipe
from chueok.vision.models.registry import BUILT_IN
from chueok.vision.reader import ReadingTask

Tree = dict[str, Sequence[str] | bytes]

TREE: Tree = {"mom/1.png": ["mom"], "mom/2.png": ["mom-older"], "dad/1.png": ["dad"], "dad/2.png": ["dad"]}
NOTHING = {"1e-2": None, "1e-3": None, "1e-4": None, "1e-5": None}

SILENCE = Verification(
    accuracy=None, accuracy_by="peak", threshold=None, precision=None, recall=None, f1=None, compared_genuine=0,
    compared_impostors=0, eer=None, auc=None, tar=NOTHING, thresholds=NOTHING, genuine=0, impostors=0, rank1=None,
    probes=0,
)  # fmt: skip


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Folders of its own, one reading process."""
    return Settings(tmp_path / "library", tmp_path / "models", tmp_path / "cache", jobs=1)


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Two pictures of two people each."""
    return open_dataset(make_tree(tmp_path / "set", TREE))


def mean_colours(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    """An embedding that a mirror does not change."""
    means = crops[:, 40:72, 40:72].mean(axis=(1, 2)).astype(np.float32) - 127.5
    rows: NDArray[np.float32] = means / np.linalg.norm(means, axis=1, keepdims=True)
    return rows


def test_faces_are_aligned_and_in_the_order_of_the_pictures(dataset: Dataset, settings: Settings) -> None:
    read: list[tuple[int, int]] = []
    faces = read_faces(dataset, settings, source=FAKES, progress=lambda *counts: read.append(counts))
    assert (faces.people, faces.faceless, faces.unreadable) == (["dad", "dad", "mom", "mom"], (), ())
    assert faces.crops.shape == (4, 112, 112, 3)
    assert faces.crops.dtype == np.uint8
    colours = [tuple(crop[56, 56].tolist()) for crop in faces.crops]
    assert colours == [PEOPLE[name] for name in ("dad", "dad", "mom", "mom-older")]
    assert read == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert not settings.library.exists()


def test_pictures_without_a_face_and_unreadable_ones_are_named(tmp_path: Path, settings: Settings) -> None:
    tree: Tree = {**TREE, "mom/0.png": [], "dad/0.png": b"no picture"}
    faces = read_faces(open_dataset(make_tree(tmp_path / "set", tree)), settings, source=FAKES)
    assert (faces.people, faces.faceless) == (["dad", "dad", "mom", "mom"], ("mom/0.png",))
    assert [name for name, _ in faces.unreadable] == ["dad/0.png"]
    assert faces.lost == 15 - 6


def test_of_several_faces_the_one_in_the_middle_counts(tmp_path: Path, settings: Settings) -> None:
    tree: Tree = {**TREE, "mom/1.png": ["ex", "mom", "dad"]}
    faces = read_faces(open_dataset(make_tree(tmp_path / "set", tree)), settings, source=FAKES)
    assert tuple(faces.crops[2][56, 56].tolist()) == PEOPLE["mom"]


def test_folds_keep_the_pairs_whose_faces_were_found(tmp_path: Path, settings: Settings) -> None:
    tree: Tree = {**TREE, "dad/1.png": []}
    dataset = open_dataset(make_tree(tmp_path / "set", tree))  # dad 1, dad 2, mom 1, mom 2
    folds = (Pair(0, 1, same=True), Pair(1, 2, same=False)), (Pair(2, 3, same=True), Pair(1, 3, same=False))
    faces = read_faces(replace(dataset, folds=folds), settings, source=FAKES)
    assert faces.folds == [[Pair(0, 1, same=False)], [Pair(1, 2, same=True), Pair(0, 2, same=False)]]
    assert faces.lost == 1


def test_any_embedding_of_the_crops_can_be_measured(dataset: Dataset, settings: Settings) -> None:
    faces = read_faces(dataset, settings, source=FAKES)
    measured = verify(Comparisons(mean_colours(faces.crops), numbered(faces.people)), faces.folds)
    assert (measured.accuracy, measured.accuracy_by, measured.rank1) == (1.0, "peak", 1.0)
    assert (measured.genuine, measured.impostors, measured.tar) == (2, 4, NOTHING)
    mixed = mean_colours(faces.crops[::-1].copy()[[0, 2, 1, 3]])
    assert verify(Comparisons(mixed, numbered(faces.people))).rank1 == 0.0


def test_another_cut_keeps_people_and_places(dataset: Dataset, settings: Settings) -> None:
    faces = read_faces(dataset, settings, source=FAKES)
    again = recut(faces, lambda image, face: image[:8, :8], settings)
    assert again.crops.shape == (4, 8, 8, 3)
    assert (again.people, again.seen) == (faces.people, faces.seen)


def test_a_face_is_decoded_as_finely_as_index_does_it(tmp_path: Path, settings: Settings) -> None:
    large, small = (Detection(Box(0, 0, side, side), 1.0, ((0.0, 0.0),) * 5) for side in (600, 60))
    file = io.BytesIO()
    Image.new("RGB", (1200, 1200)).save(file, "jpeg")
    tree: Tree = {"mom/1.jpg": file.getvalue(), "dad/1.png": ["dad"], "dad/2.png": ["dad"]}
    faces = read_faces(open_dataset(make_tree(tmp_path / "set", tree)), settings, source=FAKES)
    portrait = LabelledPicture("mom/1.jpg", "mom", tmp_path / "set/mom/1.jpg")
    sides = []

    def cut(image: NDArray[np.uint8], face: Detection) -> NDArray[np.uint8]:
        sides.append(image.shape[0])
        return image[:8, :8]

    coarse = replace(settings, detector_size=150)
    recut(replace(faces, pictures=(portrait,), seen=((large,),)), cut, coarse)
    again = recut(replace(faces, pictures=(portrait,), seen=((large, small),)), cut, coarse)
    assert (sides, len(again.crops)) == ([150, 150, 120], 1)  # the small one and its surroundings


# ---- models --------------------------------------------------------------------------------------


def colour_network(pixels: int) -> bytes:
    """Mean colour, minus grey: 3 numbers."""
    graph = helper.make_graph(
        [helper.make_node("ReduceMean", ["faces"], ["colours"], axes=[2, 3], keepdims=0)],
        "colours",
        [helper.make_tensor_value_info("faces", TensorProto.FLOAT, ["n", 3, pixels, pixels])],
        [helper.make_tensor_value_info("colours", TensorProto.FLOAT, ["n", 3])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return bytes(model.SerializeToString())


@pytest.fixture
def install(settings: Settings) -> Callable[[str, Recipe], ModelCard]:
    """Puts a colour network among the models."""

    def installed(name: str, recipe: Recipe) -> ModelCard:
        weights = colour_network(recipe.pixels)
        settings.models.mkdir(exist_ok=True)
        (settings.models / f"{name}.onnx").write_bytes(weights)
        digest = hashlib.sha256(weights).hexdigest()
        return ModelCard(name, "", "MIT", f"{name}.onnx", len(weights), digest, "onnx", 3, recipe)

    return installed


def test_every_model_is_measured_on_every_data_set(
    tmp_path: Path, settings: Settings, install: Callable[[str, Recipe], ModelCard]
) -> None:
    grey = (127.5, 127.5, 127.5)
    cards = [
        install("aligned", Recipe("arcface", 112, mean=grey, mirror=True)),
        install("boxed", Recipe("box", 32, mean=grey)),
    ]
    one = make_tree(tmp_path / "one", TREE)
    two = make_tree(tmp_path / "two", {**TREE, "dad/3.png": [], "dad/4.png": b"x", "who.png": ["ex"]})
    ticks = iter(range(1024))
    events = list(
        evaluate(
            [open_dataset(one), open_dataset(two)],
            [LabModel(card, settings.models) for card in cards],
            settings,
            source=FAKES,
            clock=lambda: next(ticks) / 1024,  # exact
        )
    )
    evaluated = [event for event in events if isinstance(event, ModelEvaluated)]
    assert [(event.dataset, event.model) for event in evaluated] == [
        (one, "aligned"), (one, "boxed"), (two, "aligned"), (two, "boxed"),
    ]  # fmt: skip
    verification = replace(evaluated[3].verification, threshold=None)
    sliced = {(one.by, one.kind, one.genuine, one.impostors) for one in evaluated[3].slices}
    assert sliced == {("face size", "64 to 127 pixels", 2, 4), ("pose", "from the front", 2, 4)}
    worst = [(pair.first, pair.second, pair.people) for pair in evaluated[3].hardest]
    assert worst[:2] == [
        ("mom/1.png", "mom/2.png", ("mom", "mom")), ("dad/1.png", "dad/2.png", ("dad", "dad")),
    ]  # fmt: skip
    assert {people for _, _, people in worst[2:]} == {("dad", "mom")}
    told = replace(evaluated[3], verification=verification, sliced_at=None, slices=(), hardest=())
    assert told == ModelEvaluated(
        dataset=two,
        model="boxed",
        sha256=cards[1].sha256,
        pictures=6,
        people=2,
        faceless=("dad/3.png",),
        unreadable=("dad/4.png",),
        lost=9,
        verification=replace(
            SILENCE,
            accuracy=1.0,
            precision=1.0,
            recall=1.0,
            f1=1.0,
            compared_genuine=2,
            compared_impostors=4,
            eer=0.0,
            auc=1.0,
            genuine=2,
            impostors=4,
            rank1=1.0,
            probes=4,
        ),
        ms_per_face=1000 / 1024,
    )
    assert [event.message.removeprefix(str(two)) for event in events if isinstance(event, Note)] == [
        ": left out, for they lie in nobody's folder: who.png",
        f"cannot read {two}/dad/4.png: not a photo, or in a format that chueok does not know",
        ": no face was found in 1 of 6 pictures: dad/3.png",
    ]
    assert replace(_last(events), seconds=0) == EvaluateSummary(2, 2, 10, 1, 1, 0)


def test_models_of_one_name_are_called_as_they_were_typed(
    dataset: Dataset, settings: Settings, install: Callable[[str, Recipe], ModelCard]
) -> None:
    same, other = (install(name, Recipe("arcface", 112)) for name in ("same", "other"))
    models = [LabModel(card, settings.models) for card in (same, other, same)]
    events = evaluate([dataset], models, settings, source=FAKES, names=["same", "x/o.toml", "x/same.toml"])
    names = [event.model for event in events if isinstance(event, ModelEvaluated)]
    assert names == ["same", "other", "x/same.toml"]


def _last(events: Iterable[object]) -> EvaluateSummary:
    *_, last = events
    assert isinstance(last, EvaluateSummary)
    return last


def test_a_data_set_without_any_face_has_nothing_to_say(
    tmp_path: Path, settings: Settings, install: Callable[[str, Recipe], ModelCard]
) -> None:
    dataset = open_dataset(make_tree(tmp_path / "set", dict.fromkeys(TREE, ())))
    card = install("boxed", Recipe("box", 32))
    _, evaluated, summary = evaluate([dataset], [LabModel(card, settings.models)], settings, source=FAKES)
    assert isinstance(evaluated, ModelEvaluated) and isinstance(summary, EvaluateSummary)
    assert (evaluated.ms_per_face, summary.faceless, evaluated.lost) == (None, 4, 6)
    assert evaluated.verification == SILENCE


def test_a_missing_model_is_told_before_anything_is_read(dataset: Dataset, settings: Settings) -> None:
    with pytest.raises(ModelMissing, match="chueok model fetch sface"):
        next(evaluate([dataset], [find_lab_model("sface", settings)], settings))


@pytest.mark.weights
def test_crops_are_those_that_index_embeds(tmp_path: Path, settings: Settings, networks_cache: Path) -> None:
    root = tmp_path / "set"
    for person, source in (("grace", portraits.GRACE_HOPPER), ("eileen", portraits.EILEEN_COLLINS)):
        for number in range(2):
            (root / person).mkdir(parents=True, exist_ok=True)
            (root / person / f"{number}{source.suffix}").write_bytes(source.read_bytes())
    settings = replace(settings, cache=networks_cache)
    faces: Faces = read_faces(open_dataset(root), settings)
    embedder = open_embedder(BUILT_IN["lite"], settings.models, settings.cache)
    with open_library(settings=settings) as library:
        readings = [library.read_task(ReadingTask(picture.path)) for picture in faces.pictures]
    indexed = np.stack([reading.faces[0].vector for reading in readings])
    np.testing.assert_allclose(embedder.embed(list(faces.crops)), indexed, atol=1e-6)


def test_pairs_of_a_picture_appear_once_among_the_hardest_and_can_be_portrayed(
    tmp_path: Path, settings: Settings, install: Callable[[str, Recipe], ModelCard]
) -> None:
    tree: Tree = {**TREE, "mom/3.png": ["aunt"], "mom/4.png": ["mom"]}
    dataset = open_dataset(make_tree(tmp_path / "set", tree))
    model = LabModel(install("aligned", Recipe("arcface", 112)), settings.models)
    (record,) = (
        event
        for event in evaluate([dataset], [model], settings, source=FAKES, asked=Asked(portrayed=True))
        if isinstance(event, ModelEvaluated)
    )
    genuine = [pair for pair in record.hardest if pair.people[0] == pair.people[1]]
    shown = [name for pair in genuine for name in (pair.first, pair.second)]
    assert len(shown) == len(set(shown))
    assert genuine[0].similarity == min(pair.similarity for pair in genuine)
    assert record.portrayed is not None
    assert set(record.portrayed.crops) == {
        name for pair in record.hardest for name in (pair.first, pair.second)
    }
    assert Image.open(io.BytesIO(record.portrayed.crops["mom/1.png"])).size == (112, 112)
    assert b"<svg" in record.portrayed.densities


def test_a_librarys_enrolled_people_are_a_data_set(tmp_path: Path, settings: Settings) -> None:
    tree: Tree = {"both.png": ["mom", "dad"], "mom.png": ["mom"], "dad.png": ["dad"]}
    photos = make_tree(tmp_path / "photos", tree)
    with open_library(settings=settings, source=FAKES) as library:
        for name, path, number in (("mom", "both.png", 1), ("mom", "mom.png", 1), ("dad", "dad.png", 1)):
            enroll(library, name, [photos / path], FaceChoice(number=number))
        enroll(library, "dad", [photos / "both.png"], FaceChoice(number=2))
    dataset = open_dataset(settings.library)
    assert {picture.name: picture.path.name for picture in dataset.pictures} == {
        "dad/1": "dad.png", "dad/2": "both.png", "mom/1": "both.png", "mom/2": "mom.png",
    }  # fmt: skip
    passing = replace(settings, library=tmp_path / "other")
    faces = read_faces(dataset, passing, source=FAKES)
    colours = [tuple(crop[56, 56].tolist()) for crop in faces.crops]
    assert colours == [PEOPLE[name] for name in ("dad", "dad", "mom", "mom")]
    (photos / "mom.png").write_bytes((photos / "dad.png").read_bytes())
    faces = read_faces(dataset, passing, source=FAKES)
    assert faces.unreadable == (("mom/2", "it is another picture than was enrolled"),)


def test_people_whose_second_picture_has_no_face_leave_nothing_to_tell_but_what_there_is(
    tmp_path: Path, settings: Settings, install: Callable[[str, Recipe], ModelCard]
) -> None:
    tree: Tree = {"p00/2.png": [], **{f"p{number:02}/1.png": ["mom"] for number in range(12)}}
    dataset = open_dataset(make_tree(tmp_path / "set", tree))
    model = LabModel(install("aligned", Recipe("arcface", 112)), settings.models)
    _, record, _ = evaluate([dataset], [model], settings, source=FAKES)
    assert isinstance(record, ModelEvaluated)
    assert (record.verification.genuine, record.verification.eer, record.intervals) == (0, None, {})
