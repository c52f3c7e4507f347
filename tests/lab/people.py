"""People for fine-tuning: patterns that stand-in networks take for faces, and a student that has learnt nothing."""

from __future__ import annotations

import hashlib
import io
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from tests.fakes import GREY
from tests.fakes import SIDE as FACE

from chueok.lab.delivery import Maker
from chueok.lab.eight_bit import eight_bit
from chueok.lab.finetune.material import Material
from chueok.lab.graduate import as_onnx
from chueok.lab.models import LabModel
from chueok.lab.students import Shape, Student
from chueok.vision.models.card import ModelCard, Recipe

TINY = Shape(stem=4, widths=(8, 8, 16), depths=(1, 0, 0), head=16)
DIMENSION = 12


def tiny_student(seed: int = 0, shape: Shape = TINY) -> Student:
    """As chance has it, but with norms that are not what they begin as."""
    torch.manual_seed(seed)
    student = Student(shape, DIMENSION)
    for part in student.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.weight.data.uniform_(0.5, 1.5)
            part.bias.data.uniform_(-0.5, 0.5)
    student.train()
    for _ in range(30):
        student(torch.rand(16, 3, 112, 112) * 255)
    return student.eval()


@cache
def tiny_network(shape: Shape = TINY) -> bytes:
    """The student's eight-bit ONNX file."""
    inputs = np.random.default_rng(0).uniform(0, 255, (8, 3, 112, 112)).astype(np.float32)
    return eight_bit(as_onnx(tiny_student(shape=shape), maker=Maker.DISTILL), inputs)


def tiny_model(folder: Path) -> LabModel:
    """The student as a model beside its card."""
    network = tiny_network()
    folder.mkdir(exist_ok=True)
    (folder / "tiny.onnx").write_bytes(network)
    card = ModelCard(
        name="tiny",
        description="a tiny student",
        licence="MIT",
        file="tiny.onnx",
        size=len(network),
        sha256=hashlib.sha256(network).hexdigest(),
        architecture="onnx",
        dimension=DIMENSION,
        recipe=Recipe(crop="arcface", pixels=112, mirror=True),
    )
    return LabModel(card, folder)


def face(person: int, picture: int, side: int, spread: float = 40) -> NDArray[np.uint8]:
    """A person is a coarse pattern, its middle coloured; each picture of it has noise of its own: (s, s, 3) uint8."""
    chance = np.random.default_rng(person)
    coarse = chance.uniform(0, 255, (4, 4, 3))
    coarse[1:3, 1:3] = (250, 20, 20)  # what the stand-in detector looks for
    own = np.random.default_rng([person, picture])
    coarse = np.clip(coarse + own.normal(0, spread, coarse.shape), 0, 255).astype(np.uint8)
    coarse[1:3, 1:3, 0] = 250
    coarse[1:3, 1:3, 1] //= 2
    return np.asarray(Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC))


def write_people(folder: Path, people: range, pictures: int) -> Path:
    """A data set: a folder per person, pictures that the stand-in detector finds one face in."""
    for person in people:
        (folder / f"p{person:02}").mkdir(parents=True)
        for picture in range(pictures):
            image = Image.new("RGB", (FACE * 2, FACE * 2), GREY)
            image.paste(Image.fromarray(face(person, picture, FACE)), (FACE // 2, FACE // 2))
            file = io.BytesIO()
            image.save(file, "png")
            (folder / f"p{person:02}" / f"{picture}.png").write_bytes(file.getvalue())
    return folder


def some_material(people: int = 6, pictures: int = 4, *, others: int = 4, album: int = 0) -> Material:
    """Faces of people to learn from, of others to stop by, and of an album's nameless."""

    def crops(numbers: range) -> NDArray[np.uint8]:
        return np.stack([face(person, each, 112) for person in numbers for each in range(pictures)])

    return Material(
        crops(range(people)),
        np.repeat(np.arange(people), pictures),
        crops(range(people, people + others)),
        tuple(f"p{person}" for person in range(others) for _ in range(pictures)),
        crops(range(50, 50 + album)) if album else None,
    )
