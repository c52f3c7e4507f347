"""How the proposal network is made: scenes with faces, what is true of their cells, and a run that goes on."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tests.lab.small import write_crops

from chueok.errors import UsageError
from chueok.lab.proposals.learn import Check, Config, finished, learn
from chueok.lab.proposals.network import ProposalNet, blueprint
from chueok.lab.proposals.scenery import scenery
from chueok.lab.proposals.scenes import CELLS, EITHER, FACE, NO_FACE, SIDE, Face, Faces, answers, lesson
from chueok.records import Box, Detection
from chueok.vision.models.export import write_onnx
from chueok.vision.proposals import CELL, UNIT_PIXELS
from chueok.vision.runtime import open_session


class Everywhere:
    """A detector that sees a face in the middle of every picture."""

    def __init__(self) -> None:
        self.asked = 0

    def detect(self, image: NDArray[np.uint8], min_face: float = 20.0) -> list[Detection]:
        self.asked += 1
        box = Box(len(image) / 2 - 36, len(image) / 2 - 44, 72, 96)
        return [Detection(box, 0.99, ((0.0, 0.0),) * 5)]


@pytest.fixture
def config(tmp_path: Path) -> Config:
    crops = write_crops(tmp_path / "crops", 8)
    return Config(
        crops,
        (),
        tmp_path / "out",
        steps=4,
        batch=2,
        warm_up=1,
        scenery=20,
        held_out=4,
        check_every=2,
        workers=0,
    )


@pytest.fixture
def faces() -> Faces:
    crops = np.random.default_rng(0).integers(0, 256, (5, 112, 112, 4), dtype=np.uint8)
    return Faces(crops, np.tile(np.array([20, 14, 72, 96], np.float32), (5, 1)))


def told(face: Face) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """What is true of the cells of a scene with one face, and its corners as told by the cells that see it."""
    truth, boxes, sizes = answers([face])
    row, column = np.nonzero(truth == FACE)
    assert (sizes[row, column] == face.size).all()
    places = np.stack([column, row] * 2, axis=1) * CELL + 0.5
    return truth, places + boxes[:, row, column].T * UNIT_PIXELS


@pytest.mark.parametrize(("width", "height"), [(10, 12), (14, 18), (18, 24)])
def test_cells_in_a_faces_middle_tell_where_it_is(width: int, height: int) -> None:
    truth, corners = told(Face(31.0, 40.0, width, height))
    assert 1 <= len(corners) <= 16
    np.testing.assert_allclose(corners, np.tile([31.0, 40.0, 31 + width, 40 + height], (len(corners), 1)))
    assert (truth[0] == NO_FACE).all()


@pytest.mark.parametrize(
    ("face", "asked"),
    [
        (Face(30, 30, 12, 15), FACE),
        (Face(30, 30, 12, 15, hidden=0.6), EITHER),
        (Face(30, 30, 6, 7), EITHER),
        (Face(30, 30, 23, 28), EITHER),
        (Face(-8, 30, 12, 15), EITHER),
        (Face(20, 20, 40, 50), NO_FACE),
    ],
)
def test_of_hidden_cut_off_and_wrongly_sized_faces_nothing_is_asked(face: Face, asked: int) -> None:
    truth, _, _ = answers([face])
    row, column = (
        int((edge + side / 2) // CELL) for edge, side in ((face.top, face.height), (face.left, face.width))
    )
    assert truth[row, max(column, 0)] == asked


def test_of_two_faces_the_nearer_middle_is_told() -> None:
    left, right = Face(30, 30, 14, 18), Face(42, 30, 14, 18)
    truth, boxes, _ = answers([left, right])
    assert truth[9, 9] == truth[9, 12] == FACE
    assert boxes[0, 9, 9] * UNIT_PIXELS + 9 * CELL + 0.5 == pytest.approx(30)
    assert boxes[0, 9, 12] * UNIT_PIXELS + 12 * CELL + 0.5 == pytest.approx(42)


def test_a_seed_decides_scenery_and_scenes(faces: Faces) -> None:
    def made(seed: int) -> list[NDArray[np.generic]]:
        pieces = scenery(3, faces.crops, [], np.random.default_rng(seed))
        learnt = lesson(faces, pieces, 6, np.random.default_rng(seed))
        return [pieces, learnt.scenes, learnt.faces, learnt.boxes, learnt.sizes]

    first, again, other = made(0), made(0), made(1)
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, two)
    assert not np.array_equal(first[1], other[1])
    assert first[1].shape == (6, SIDE, SIDE, 3)
    assert first[2].shape == (6, CELLS, CELLS)


def test_a_stopped_run_ends_as_one_that_was_not(config: Config, tmp_path: Path) -> None:
    whole = list(learn(config, Everywhere()))
    assert [check.step for check in whole] == [2, 4]
    halves = replace(config, out=tmp_path / "halves")
    with closing(learn(halves, Everywhere())) as stopped:
        next(stopped)
    nobody = Everywhere()
    assert list(learn(halves, nobody)) == whole[1:]
    assert nobody.asked == 0
    weights, others = finished(config).state_dict(), finished(halves).state_dict()
    assert all(torch.equal(weights[name], others[name]) for name in weights)


def test_a_run_of_another_recipe_is_refused(config: Config) -> None:
    def run(changed: Config) -> list[Check]:
        return list(learn(changed, Everywhere()))

    run(config)
    with pytest.raises(UsageError, match="holds a run of another recipe"):
        run(replace(config, seed=1))
    with pytest.raises(UsageError, match="holds 8 faces; 40 are needed"):
        run(replace(config, held_out=20))
    with pytest.raises(UsageError, match="has not come to its end"):
        finished(replace(config, steps=9))


def test_the_written_network_answers_as_the_trained_one(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = ProposalNet()
    net.train()(torch.rand(4, 3, 32, 32) * 255)  # batch norms with something in them
    write_onnx(blueprint(net), tmp_path / "net.onnx")
    session = open_session(tmp_path / "net.onnx")
    for shape in [(1, 1), (4, 4), (5, 9), (33, 90)]:
        picture = np.random.default_rng(0).integers(0, 256, (1, *shape, 3), dtype=np.uint8)
        (got,) = session.run(None, {"image": picture})
        with torch.inference_mode():
            expected = net.eval()(torch.from_numpy(picture).permute(0, 3, 1, 2).float())
        assert got.shape == (1, 5, -(-shape[0] // CELL), -(-shape[1] // CELL))
        np.testing.assert_allclose(got, expected.numpy(), atol=1e-4)
