"""Students: unit answers, and a size that quantises to two megabytes."""

from __future__ import annotations

import pytest
import torch

from chueok.lab.students import SHAPES, Student


@pytest.mark.parametrize("name", SHAPES)
def test_every_shape_answers_with_unit_rows(name: str) -> None:
    student = Student(SHAPES[name], dimension=64).eval()
    with torch.inference_mode():
        answers = student(torch.rand(2, 3, 112, 112) * 255)
    assert (answers.shape, answers.dtype) == ((2, 64), torch.float32)
    torch.testing.assert_close(answers.norm(dim=1), torch.ones(2))


def test_the_packaged_shape_has_fewer_weights_than_two_megabytes_of_bytes() -> None:
    assert sum(weight.numel() for weight in Student(SHAPES["lite"], 128).parameters()) < 1_900_000


def test_a_block_begins_as_its_shortcut() -> None:
    """The norms that end the branches beside the shortcuts begin at nothing."""
    norms = [
        module.norm.weight
        for name, module in Student(SHAPES["lite"], 8).named_modules()
        if "norm" in vars(module).get("_modules", {})
    ]
    assert norms
    assert all((weight == 0).all() for weight in norms)
