"""Filters taken away: which ones, how many, and that nothing else of the network changes."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import cache

import pytest
import torch
from tests.lab.people import tiny_student
from torch import nn

from chueok.lab.delivery import Maker
from chueok.lab.filters import filters, kept, without_smallest
from chueok.lab.finetune.restore import restored
from chueok.lab.graduate import as_onnx
from chueok.lab.students import SHAPES, Residual, Shape, Student

WIDE = Shape(stem=4, widths=(16, 8, 16), depths=(2, 0, 1), head=16)
IMAGES = torch.rand(3, 3, 112, 112, generator=torch.Generator().manual_seed(0)) * 255


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@cache
def _learnt() -> Student:
    return tiny_student(shape=WIDE)


def _student() -> Student:
    return copy.deepcopy(_learnt())


def _blocks(student: Student) -> list[Residual]:
    return [part for part in student.modules() if isinstance(part, Residual)]


def _answers(student: Student) -> torch.Tensor:
    with torch.inference_mode():
        answers: torch.Tensor = student(IMAGES)
    return answers


@pytest.mark.parametrize(
    ("width", "amount", "stay"),
    [(48, 0.3, 32), (112, 0.3, 80), (160, 0.3, 112), (16, 0.5, 8), (16, 0.9, 8), (16, 0.1, 16), (4, 0.9, 4)],
)
def test_whole_blocks_of_eight_stay(width: int, amount: float, stay: int) -> None:
    assert kept(width, amount) == stay


def test_the_smallest_filters_go_and_the_norms_gain_counts() -> None:
    student = _student()
    for block in _blocks(student):
        convolution, norm = block.first[0], block.first[1]
        assert isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
        assert norm.running_var is not None
        norm.running_var.fill_(1)
        norm.weight.data.fill_(1)
        sizes = torch.arange(16.0) + 1
        convolution.weight.data.copy_(sizes.view(16, 1, 1, 1).expand_as(convolution.weight))
        norm.weight.data[0] = -100  # the smallest weights, made the largest
        norm.weight.data[15] = 0.01  # and the other way round
    thin = without_smallest(student, 0.5)
    stay = [0, 8, 9, 10, 11, 12, 13, 14]
    for block, narrow in zip(_blocks(student), _blocks(thin), strict=True):
        assert torch.equal(narrow.second.weight, block.second.weight[:, stay])
        for name, value in narrow.first.state_dict().items():
            whole = block.first.state_dict()[name]
            assert torch.equal(value, whole[stay] if whole.ndim else whole), name


def test_without_filters_that_say_nothing_the_answers_are_the_same() -> None:
    student = _student()
    before = _answers(student)
    for block in _blocks(student):
        for part in block.first.parameters():
            part.data[::2] = 0
    silenced = _answers(student)
    assert (silenced - before).abs().max() > 0.01  # they did say something
    thin = without_smallest(student, 0.5)
    assert (filters(student), filters(thin)) == (48, 24)
    torch.testing.assert_close(_answers(thin), silenced, atol=1e-5, rtol=0)


def test_nothing_outside_the_blocks_changes() -> None:
    student = _student()
    thin = without_smallest(student, 0.5)
    inside = {name for name, part in student.named_modules() if isinstance(part, Residual)}
    before = student.state_dict()
    for name, value in thin.state_dict().items():
        if not any(name.startswith((f"{block}.first.", f"{block}.second.")) for block in inside):
            assert torch.equal(value, before[name]), name
    assert not thin.training


def test_a_pruned_file_is_read_back_with_its_shape_and_answers_the_same() -> None:
    thin = without_smallest(_student(), 0.5)
    again = restored(as_onnx(thin, maker=Maker.PRUNE), "thin")
    assert (again.shape, again.shape.inner) == (thin.shape, (8, 8, 8))
    torch.testing.assert_close(_answers(again), _answers(thin), atol=1e-4, rtol=0)


def test_what_was_pruned_can_be_pruned_again() -> None:
    once = without_smallest(Student(Shape(4, (32, 8, 8), (1, 0, 0), 16), 12), 0.5)
    assert [filters(once), filters(without_smallest(once, 0.5))] == [16, 8]


def test_a_shape_without_inner_widths_is_the_one_it_was() -> None:
    assert "inner" not in repr(SHAPES["lite"])  # which a run that goes on must share
    named = {name: value.shape for name, value in Student(WIDE, 12).state_dict().items()}
    spelled = Shape(WIDE.stem, WIDE.widths, WIDE.depths, WIDE.head, WIDE.widths)
    assert named == {name: value.shape for name, value in Student(spelled, 12).state_dict().items()}
