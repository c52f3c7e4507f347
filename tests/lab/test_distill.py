"""The recipe from end to end with a tiny teacher: the student is a model that can be used at once."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.fakes import FAKES, make_tree
from tests.lab.small import described, small_network, write_crops

from chueok.errors import UsageError
from chueok.lab.datasets import Dataset, open_dataset
from chueok.lab.delivery import Maker, delivery
from chueok.lab.distill import Config, Event, distill, find_device
from chueok.lab.graduate import as_onnx, graduate
from chueok.lab.models import LabModel, find_lab_model
from chueok.lab.students import Shape, Student
from chueok.measures import DistillSummary, LearningPoint, ModelEvaluated
from chueok.records import Note
from chueok.settings import Settings
from chueok.vision.models.card import ModelCard, Recipe
from chueok.vision.models.manifest import read_manifest, write_manifest
from chueok.vision.runtime import open_session

TINY = Shape(stem=4, widths=(4, 8, 8), depths=(1, 0, 0), head=8)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(tmp_path / "library", tmp_path / "models", tmp_path / "cache", jobs=1)


@pytest.fixture
def teacher(tmp_path: Path, settings: Settings) -> LabModel:
    return find_lab_model(str(described(tmp_path / "teacher", small_network(), "teacher")), settings)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    crops = write_crops(tmp_path / "crops", 12)
    return Config(
        crops, tmp_path / "out", views=16, batch=4, shape=TINY, warm_up=1, fall=0.3, held_out=4, check_every=2
    )


@pytest.fixture
def run(config: Config, teacher: LabModel, settings: Settings) -> Callable[..., list[Event]]:
    """Distils; keywords are of Config."""

    def ran(**changes: object) -> list[Event]:
        changed = replace(config, **changes)  # type: ignore[arg-type]
        return list(distill(changed, teacher, "small", settings, device="cpu"))

    return ran


def test_a_run_leaves_a_model_its_manifest_and_the_curve(
    run: Callable[..., list[Event]], config: Config, settings: Settings
) -> None:
    *points, summary = run()
    assert isinstance(points.pop(0), Note)
    assert all(isinstance(point, LearningPoint) for point in points)
    last = points[-1]
    assert isinstance(last, LearningPoint)
    assert summary == DistillSummary(
        "small", config.out / "small.toml", config.out / "curve.png", 16, last.similarity, last.seconds, False
    )
    assert sorted(path.name for path in config.out.iterdir()) == [
        "checkpoint-level.pt", "checkpoint.pt", "curve.csv", "curve.png", "lock", "small.onnx", "small.toml",
    ]  # fmt: skip
    rows = [line.split(",") for line in (config.out / "curve.csv").read_text().splitlines()]
    assert [row[0] for row in rows] == ["views", "8", "12", "16"]
    student = find_lab_model(str(config.out / "small.toml"), settings)
    vectors = student.embedder(settings).embed([np.zeros((112, 112, 3), np.uint8)] * 3)
    assert vectors.shape == (3, 12)


def test_the_manifest_says_what_the_student_is(run: Callable[..., list[Event]], config: Config) -> None:
    run()
    card = read_manifest(config.out / "small.toml")
    assert (card.description, card.licence) == ("a student of teacher", "learnt from teacher (MIT)")
    assert card.recipe == Recipe(crop="arcface", pixels=112, mirror=True)
    assert (card.thresholds, card.impostor_pairs) == ({}, 0)
    assert "# Made by `chueok lab distill`, from teacher, sha256 " in (config.out / "small.toml").read_text()


def test_the_same_command_again_only_shows_what_was_learnt(
    run: Callable[..., list[Event]], config: Config
) -> None:
    first = run()
    before = (config.out / "small.onnx").read_bytes()
    assert run() == [first[0], *first[-2:]]
    assert (config.out / "small.onnx").read_bytes() == before


def test_a_student_as_onnx_answers_as_in_torch() -> None:
    student = Student(TINY, 6).eval()
    crops = torch.rand(3, 3, 112, 112) * 255
    with torch.inference_mode():
        expected = student(crops).numpy()
    network = as_onnx(student)
    (answers,) = open_session(network).run(None, {"image": crops.numpy()})
    np.testing.assert_allclose(answers, expected, atol=1e-5)
    assert b".py" not in network  # the exporter's traces name this machine's folders


def test_the_first_data_set_gives_the_thresholds(
    tmp_path: Path, teacher: LabModel, settings: Settings
) -> None:
    def dataset(name: str, pictures: int) -> Dataset:
        tree: dict[str, Sequence[str] | bytes] = {
            f"{person}/{number}.png": [person] for person in ("mom", "dad") for number in range(pictures)
        }
        return open_dataset(make_tree(tmp_path / name, tree))

    datasets = [dataset("set", 55), dataset("two", 2)]  # 55 * 55 impostor pairs: 30 of them at 1e-2
    with delivery(tmp_path / "out", "small", Maker.DISTILL, teacher) as delivered:
        student = Student(TINY, 12).eval()
        events = list(graduate(student, teacher.card, delivered, datasets, settings, source=FAKES))
    measured = [event for event in events if isinstance(event, ModelEvaluated)]
    assert [event.dataset.name for event in measured] == ["set", "two"]
    card = read_manifest(tmp_path / "out/small.toml")
    similarity = measured[0].verification.thresholds["1e-2"]
    assert similarity is not None
    assert (card.thresholds, card.impostor_pairs) == ({"1e-2": round(similarity, 3)}, 55 * 55)


def test_a_model_that_is_the_same_keeps_its_thresholds(
    run: Callable[..., list[Event]], config: Config
) -> None:
    run()
    manifest = config.out / "small.toml"
    card = replace(read_manifest(manifest), thresholds={"1e-2": 0.25}, impostor_pairs=3000)
    write_manifest(card, manifest, "Made by `chueok lab distill`")
    run()
    assert read_manifest(manifest) == card
    run(views=32)
    assert read_manifest(manifest).thresholds == {}


@pytest.mark.parametrize("name", ["curve.csv", "curve.png"])
def test_a_curve_of_somebody_elses_stays(run: Callable[..., list[Event]], config: Config, name: str) -> None:
    config.out.mkdir()
    (config.out / name).write_text("mine")
    with pytest.raises(UsageError, match=f"{name} exists and was not made by `chueok lab distill`"):
        run()
    assert [(path.name, path.read_text()) for path in config.out.iterdir()] == [(name, "mine")]


def test_a_teacher_of_other_crops_is_refused(config: Config, settings: Settings, tmp_path: Path) -> None:
    boxed = ModelCard("boxed", "", "MIT", "boxed.onnx", 1, "0" * 64, "onnx", 12, Recipe("box", 160))
    with pytest.raises(UsageError, match=r"takes other crops \(box, 160 pixels\)"):
        next(distill(config, LabModel(boxed, tmp_path), "small", settings))


def test_an_unknown_device_is_refused() -> None:
    with pytest.raises(UsageError, match="it takes auto, cpu or cuda"):
        find_device("tpu")
    assert find_device("cpu") == torch.device("cpu")


def test_a_missing_matplotlib_is_told_before_the_learning(
    run: Callable[..., list[Event]], config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)  # as if it were not installed
    with pytest.raises(UsageError, match=r"pip install 'chueok\[lab\]'"):
        run()
    assert not config.out.exists()
