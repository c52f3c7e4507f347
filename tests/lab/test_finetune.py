"""The recipe from end to end with a tiny network and stand-in detection, and sweeps of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from tests.fakes import FAKES
from tests.lab.people import DIMENSION, tiny_model, write_people

from chueok.errors import UsageError
from chueok.lab.datasets import Dataset, open_dataset
from chueok.lab.faces import Faces, album_crops, read_faces
from chueok.lab.finetune import gate
from chueok.lab.finetune.config import Config
from chueok.lab.finetune.grid import read_grid, typed
from chueok.lab.finetune.material import cutter, material
from chueok.lab.finetune.networks import embed, open_learner
from chueok.lab.finetune.offer import _taken, exported
from chueok.lab.finetune.recipe import Bench, Event, dealt, finetune
from chueok.lab.finetune.sweep import sweep
from chueok.lab.models import LabModel, find_lab_model
from chueok.measures import FinetuneSummary, GateFigure, SweepCell, SweepSummary, TuningPoint
from chueok.records import Note
from chueok.settings import Settings
from chueok.vision.embed import OnnxEmbedder
from chueok.vision.models.card import Recipe
from chueok.vision.models.manifest import read_manifest, write_manifest
from chueok.vision.models.registry import BUILT_IN, find_model
from chueok.vision.runtime import open_session

CHANGED = 0.97  # similarity: a tiny network's eight bits cost it a few hundredths


@pytest.fixture(autouse=True)
def as_many_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(tmp_path / "library", tmp_path / "models", tmp_path / "cache", jobs=1)


@pytest.fixture
def bench(settings: Settings) -> Bench:
    return Bench(settings, "cpu", FAKES)


@pytest.fixture
def model(tmp_path: Path) -> LabModel:
    return tiny_model(tmp_path / "tiny")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """40 people: 22 to learn from, 6 to stop by, 12 held out."""
    return open_dataset(write_people(tmp_path_factory.mktemp("people") / "set", range(40), 4))


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return open_dataset(write_people(tmp_path_factory.mktemp("public") / "set", range(60, 76), 3))


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(tmp_path / "out", loss="triplet", lr=3e-3, epochs=3, batch=16, freeze="bn", keep=0.1)


def of_kind(events: list[Event], kind: type) -> list[Event]:
    return [event for event in events if isinstance(event, kind)]


def test_a_model_that_became_better_is_installed_and_can_be_used(
    config: Config,
    dataset: Dataset,
    public: Dataset,
    model: LabModel,
    bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # what ten people can rule out is tested with the gate; here the files go their way
    monkeypatch.setattr(gate, "_MOST_LOST", {"accuracy": 1.0, "TAR": 1.0})
    config = replace(config, seed=3)
    note, *events, summary = finetune(config, dataset, model, "mine", bench, public)
    assert note == Note(
        "22 people to learn from (88 pictures), 6 people to stop by (24 pictures), "
        "12 people held out to decide with (48 pictures)"
    )
    points = cast("list[TuningPoint]", of_kind(events, TuningPoint))
    assert [point.epoch for point in points] == list(range(len(points)))
    figures = cast("list[GateFigure]", of_kind(events, GateFigure))
    assert [(figure.people, figure.measure) for figure in figures][:2] == [
        ("held-out", "EER"),
        ("held-out", "rank-1"),
    ]
    assert isinstance(summary, FinetuneSummary)
    assert (summary.installed, summary.reason.split(" (")[0]) == (True, "it is better on the held-out people")
    card = find_model("mine", bench.settings.models)
    assert card == read_manifest(config.out / "mine.toml")
    assert (card.description, card.licence) == ("fine-tuned from tiny", "fine-tuned from tiny (MIT)")
    assert card.recipe == Recipe(crop="arcface", pixels=112, mirror=True)
    found = find_lab_model("mine", bench.settings)
    assert found.embedder(bench.settings).embed([np.zeros((112, 112, 3), np.uint8)]).shape == (1, DIMENSION)
    assert b"DequantizeLinear" in found.network(bench.settings)
    assert [line.split(",")[0] for line in (config.out / "curve.csv").read_text().splitlines()][1] == "0"
    # once more, from the checkpoint: the same model, and nothing is learnt
    again = list(finetune(config, dataset, model, "mine", bench, public))
    assert of_kind(again, TuningPoint) == points[-1:]
    assert cast("FinetuneSummary", again[-1]).installed
    assert find_model("mine", bench.settings.models).sha256 == card.sha256
    # and it can be fine-tuned further
    open_learner(found, 112)


def test_without_a_public_set_the_files_stay_in_their_folder(
    config: Config, dataset: Dataset, model: LabModel, bench: Bench
) -> None:
    *_, summary = finetune(replace(config, epochs=2), dataset, model, "mine", bench)
    assert isinstance(summary, FinetuneSummary)
    assert summary.manifest == config.out / "mine.toml"
    assert summary.manifest.exists()
    assert not summary.installed
    assert not bench.settings.models.exists()


def test_a_run_that_only_hurts_makes_nothing(
    config: Config, dataset: Dataset, public: Dataset, model: LabModel, bench: Bench
) -> None:
    hurt = replace(config, lr=3.0, patience=1)
    *_, summary = finetune(hurt, dataset, model, "mine", bench, public)
    assert isinstance(summary, FinetuneSummary)
    assert (summary.manifest, summary.installed, summary.best_epoch) == (None, False, 0)
    assert summary.reason == "no epoch was better on the validation people than the model as it was"
    assert not (config.out / "mine.onnx").exists()


def test_a_model_that_a_library_may_use_is_not_replaced(model: LabModel, settings: Settings) -> None:
    mine = replace(model.card, name="mine")
    assert _taken(mine, settings) == ""
    settings.models.mkdir()
    (settings.models / "tiny.onnx").write_bytes((model.folder / "tiny.onnx").read_bytes())
    write_manifest(mine, settings.models / "mine.toml")
    assert _taken(mine, settings) == ""
    other = replace(mine, sha256="0" * 64)
    assert (
        _taken(other, settings)
        == "another model 'mine' is installed, which a library may be using; give another --name"
    )


def test_what_is_exported_answers_as_it_did_in_torch(
    config: Config, dataset: Dataset, model: LabModel, bench: Bench
) -> None:
    faces = read_faces(dataset, bench.settings, source=FAKES)
    split = dealt(faces, config)
    learner = open_learner(model, 112)
    taught = material(faces, split, learner.card.recipe, bench.settings)
    answers = OnnxEmbedder(learner.card, open_session(exported(learner, taught))).embed(list(taught.crops))
    assert (answers * embed(learner, taught.crops, torch.device("cpu"))).sum(1).mean() > CHANGED


def test_labels_that_are_files_are_named_and_one_picture_each_is_refused(
    tmp_path: Path, config: Config, model: LabModel, bench: Bench
) -> None:
    folder = write_people(tmp_path / "set", range(5), 2)
    write_people(folder, range(5, 6), 1)
    (folder / "p05/0.png").rename(folder / "p05.png")
    with pytest.raises(UsageError, match="5 have two pictures with a face or more; at least 6"):
        list(finetune(config, open_dataset(folder), model, "mine", bench))
    notes: list[Event] = []
    with pytest.raises(UsageError):
        notes.extend(finetune(config, open_dataset(folder), model, "mine", bench))
    assert notes == [Note(f"{folder}: left out, for they lie in nobody's folder: p05.png")]


def test_every_face_of_an_album_is_adapted_to(tmp_path: Path, settings: Settings) -> None:
    album = write_people(tmp_path / "album", range(3), 2)
    (album / "notes.txt").write_text("no photo")
    (album / "broken.png").write_bytes(b"no picture")
    crops = album_crops(album, settings, cutter(Recipe("box", 160)), source=FAKES)
    assert crops.shape == (6, 160, 160, 3)
    assert crops.dtype == np.uint8
    with pytest.raises(UsageError, match="is not a folder with photos"):
        album_crops(tmp_path / "nowhere", settings, cutter(Recipe("box", 160)), source=FAKES)


def test_facenet_learns_from_its_own_crops(dataset: Dataset, settings: Settings, config: Config) -> None:
    faces: Faces = read_faces(dataset, settings, source=FAKES)
    recipe = replace(BUILT_IN["facenet"].recipe, pixels=160)
    assert material(faces, dealt(faces, config), recipe, settings).crops.shape == (88, 160, 160, 3)


# ---- sweeps --------------------------------------------------------------------------------------


def test_a_grid_is_every_combination(tmp_path: Path) -> None:
    path = tmp_path / "grid.toml"
    path.write_text('lr = [1e-4, 5e-5]\nfreeze = ["none", "bn"]\naugment = false\n')
    cells = read_grid(path)
    assert [(cell["lr"], cell["freeze"]) for cell in cells] == [
        (1e-4, "none"),
        (1e-4, "bn"),
        (5e-5, "none"),
        (5e-5, "bn"),
    ]
    assert typed(cells[1]) == "--lr 0.0001 --freeze bn --no-augment"
    assert typed({"adapt": "", "seed": 3}) == "--seed 3"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "names no options"),
        ("rate = [1]", "varies 'rate'; it takes loss, optimizer"),
        ("lr = []", "lr takes a list of numbers"),
        ('epochs = ["3"]', "epochs takes a list of whole numbers"),
        ("augment = [1]", "augment takes a list of true or false"),
        ("lr = [", "is not valid TOML"),
    ],
)
def test_a_grid_that_says_nothing_is_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "grid.toml").write_text(text)
    with pytest.raises(UsageError) as refused:
        read_grid(tmp_path / "grid.toml")
    assert words in str(refused.value)


def test_a_sweep_that_was_killed_goes_on_and_its_table_is_sorted(
    config: Config, dataset: Dataset, model: LabModel, bench: Bench
) -> None:
    grid = read_grid_of(config.out.parent, "lr = [3e-3, 1e-9, 9.0]\nepochs = 2")
    started = sweep(grid, config, dataset, model, bench)
    next(started), next(started)  # the note about people, and the first cell's
    del started  # as a kill would leave it
    events = list(sweep(grid, config, dataset, model, bench))
    cells = [event for event in events if isinstance(event, SweepCell)]
    assert [cell.eer for cell in cells] == sorted(cell.eer for cell in cells)
    assert cells[0].options == {"lr": 3e-3, "epochs": 2}
    assert cells[0].eer < cells[0].eer_before == cells[1].eer_before
    summary = events[-1]
    assert isinstance(summary, SweepSummary)
    assert (summary.cells, summary.kept, summary.best) == (3, 1, "--lr 0.003 --epochs 2")
    rows = (config.out / "sweep.csv").read_text().splitlines()
    assert rows[0] == "--lr,--epochs,eer_before,eer,rank1,best_epoch,epochs,seconds,failed"
    assert [row.split(",")[0] for row in rows[1:]] == [str(cell.options["lr"]) for cell in cells]
    assert len(json.loads((config.out / "sweep.json").read_text())) == 3
    assert [path.suffix for path in (config.out / "cells").iterdir()] == [".json"] * 3


def test_a_sweep_with_a_combination_that_cannot_be_begins_nothing(
    config: Config, dataset: Dataset, model: LabModel, bench: Bench
) -> None:
    grid = read_grid_of(config.out.parent, "size = [112, 160]")
    with pytest.raises(UsageError, match="takes the features of 112 x 112 pixels"):
        list(sweep(grid, config, dataset, model, bench))
    assert not config.out.exists()


def test_a_table_of_somebody_elses_stays(
    config: Config, dataset: Dataset, model: LabModel, bench: Bench
) -> None:
    config.out.mkdir()
    (config.out / "sweep.csv").write_text("mine")
    with pytest.raises(
        UsageError, match=r"sweep\.csv exists and was not made by `chueok lab finetune --sweep`"
    ):
        list(sweep(read_grid_of(config.out.parent, "lr = [1e-3]"), config, dataset, model, bench))
    assert (config.out / "sweep.csv").read_text() == "mine"


def read_grid_of(folder: Path, text: str) -> list[dict[str, str | float | bool]]:
    (folder / "grid.toml").write_text(text)
    return read_grid(folder / "grid.toml")
