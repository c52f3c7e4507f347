"""The embedded model back in torch: the same answers, fit for training, and parts of it frozen."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from facenet_pytorch import InceptionResnetV1
from tests.lab.people import TINY, face, some_material, tiny_model, tiny_network
from tests.lab.small import described as written
from tests.lab.small import small_network
from torch import nn

from chueok.errors import UsageError
from chueok.lab.finetune.config import Config, check_size
from chueok.lab.finetune.freeze import freeze, set_training
from chueok.lab.finetune.networks import embed, open_learner, settle_on
from chueok.lab.finetune.offer import described, exported
from chueok.lab.finetune.restore import restored, settle
from chueok.lab.finetune.run import learn
from chueok.lab.models import LabModel, find_lab_model
from chueok.lab.students import SHAPES, Student
from chueok.settings import Settings
from chueok.vision.embed import OnnxEmbedder
from chueok.vision.models.mobilefacenet import MobileFaceNet
from chueok.vision.models.registry import BUILT_IN, PACKAGED_WEIGHTS
from chueok.vision.runtime import open_session

CROPS = np.stack([face(person, 0, 112) for person in range(24)])
CPU = torch.device("cpu")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(tmp_path / "library", tmp_path / "models", tmp_path / "cache", jobs=1)


def test_the_embedded_model_in_torch_answers_as_its_eight_bit_file(settings: Settings) -> None:
    lite = find_lab_model("lite", settings)
    learner = open_learner(lite, 112)
    alike = (embed(learner, CROPS, CPU) * lite.embedder(settings).embed(list(CROPS))).sum(1)
    assert alike.mean() > 0.985  # patterns, no faces; on 600 faces the mean was 0.998 and the least 0.992
    assert learner.eight_bit


def test_the_shape_is_read_from_the_file() -> None:
    student = restored(tiny_network(), "tiny")
    assert {name: value.shape for name, value in student.state_dict().items()} == {
        name: value.shape for name, value in Student(TINY, 12).state_dict().items()
    }
    lite = restored((PACKAGED_WEIGHTS / "lite-int8.onnx").read_bytes(), "lite")
    assert str(lite) == str(Student(SHAPES["lite"], 128))


def test_settling_changes_no_answer_and_gives_norms_the_statistics_of_the_crops() -> None:
    student = restored(tiny_network(), "tiny")
    images = torch.from_numpy(CROPS).permute(0, 3, 1, 2).float()
    with torch.inference_mode():
        before = student(images)
    settle(student, torch.split(images, 7))
    with torch.inference_mode():
        torch.testing.assert_close(student(images), before, atol=1e-4, rtol=0)
        student.train()
        # in one batch of all crops their own statistics are the kept ones
        torch.testing.assert_close(student(images), before, atol=5e-3, rtol=0)


def test_another_network_is_refused(tmp_path: Path, settings: Settings) -> None:
    other = find_lab_model(str(written(tmp_path / "other", small_network())), settings)
    with pytest.raises(
        UsageError, match="the network of 'small' is none that can learn here; give --model lite"
    ):
        open_learner(other, 112)


@pytest.mark.parametrize("name", ["lite", "mobilefacenet"])
def test_a_size_that_the_last_layer_cannot_take_is_refused(name: str) -> None:
    with pytest.raises(
        UsageError, match=f"the last layer of '{name}' takes the features of 112 x 112 pixels"
    ):
        check_size(BUILT_IN[name], 160)
    assert check_size(BUILT_IN[name], None) == check_size(BUILT_IN[name], 112) == 112


def test_facenet_takes_two_sizes() -> None:
    assert [check_size(BUILT_IN["facenet"], size) for size in (None, 112, 160)] == [160, 112, 160]
    with pytest.raises(UsageError, match="--size 96: it takes 112 or 160"):
        check_size(BUILT_IN["facenet"], 96)


@pytest.mark.filterwarnings("ignore")  # torch's exporter warns about its own future
def test_facenet_and_mobilefacenet_can_learn_and_the_small_one_is_exported(tmp_path: Path) -> None:
    torch.manual_seed(0)
    for name, module in (("facenet", InceptionResnetV1(pretrained=None)), ("mobilefacenet", MobileFaceNet())):
        card = BUILT_IN[name]
        torch.save(module.state_dict(), tmp_path / card.file)
        content = (tmp_path / card.file).read_bytes()
        card = replace(card, size=len(content), sha256=hashlib.sha256(content).hexdigest())
        learner = open_learner(LabModel(card, tmp_path), 112)
        material = some_material(4, 2)
        config = Config(tmp_path / name, loss="arcface", epochs=1, batch=8, freeze="none", lr=1e-3)
        *_, curve = learn(config, learner, material, CPU)
        assert [point.epoch for point in curve] == [0, 1]
        assert {part for part, _ in learner.network.named_children()} >= set(learner.head)
        described_card = described(card, learner)
        if name == "facenet":  # its export takes long, and tests/vision/test_embed.py has it
            continue
        exported_model = OnnxEmbedder(described_card, open_session(exported(learner, material)))
        alike = exported_model.embed(list(CROPS[:4])) * embed(learner, CROPS[:4], CPU)
        assert alike.sum(1).min() > 0.999


@pytest.mark.parametrize(
    ("what", "learning"),
    [
        ("none", {"convolution", "norm", "embed", "embed_norm"}),
        ("bn", {"convolution", "embed"}),
        ("conv", {"norm", "embed", "embed_norm"}),
        ("all-but-head", {"embed", "embed_norm"}),
    ],
)
def test_what_is_frozen_stays(what: str, learning: set[str], tmp_path: Path) -> None:
    learner = open_learner(tiny_model(tmp_path / "tiny"), 112)
    network = learner.network
    settle_on(learner, CROPS)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    freeze(network, what, learner.head)
    set_training(network, what, learner.head)
    optimizer = torch.optim.SGD([part for part in network.parameters() if part.requires_grad], 0.1)
    network(torch.from_numpy(CROPS).permute(0, 3, 1, 2).float())[:, 0].sum().backward()
    optimizer.step()
    changed = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    norms = {name for name, part in network.named_modules() if isinstance(part, nn.BatchNorm2d)}

    def kind(name: str) -> str:
        layer = name.rpartition(".")[0]
        return layer if layer in learner.head else "norm" if layer in norms else "convolution"

    assert {kind(name) for name in changed} == learning
