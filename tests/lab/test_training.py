"""Training: students learn, and a run that is stopped, made longer or fails loses nothing."""

from __future__ import annotations

import dataclasses
import resource
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tests.lab.small import write_crops
from torch import Tensor

from chueok.errors import LibraryLocked, OperationFailed, UsageError
from chueok.lab.distill import Config
from chueok.lab.students import Shape
from chueok.lab.training import LATEST, LEVEL, _Run, finished_student, learn, loss
from chueok.lab.views import Variety
from chueok.measures import LearningPoint

CPU = torch.device("cpu")
TINY = Shape(stem=4, widths=(4, 8, 8), depths=(1, 1, 0), head=8)


class ColourTeacher:
    """Answers with the direction of a crop's mean colours, upper and lower half."""

    name = "colours"
    dimension = 6

    def crop(self, image: object, face: object) -> NDArray[np.uint8]:
        raise NotImplementedError  # crops come aligned

    def embed(self, crops: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        halves = np.stack(crops).astype(np.float32).reshape(len(crops), 2, -1, 3).mean(2).reshape(-1, 6) - 100
        unit: NDArray[np.float32] = halves / np.linalg.norm(halves, axis=1, keepdims=True)
        return unit


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def crops(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_crops(tmp_path_factory.mktemp("faces") / "crops", 24)


@pytest.fixture
def config(tmp_path: Path, crops: Path) -> Config:
    """Ten steps in all, seven before the rate falls, a checkpoint after every third."""
    return Config(
        crops,
        tmp_path / "run",
        views=40,
        batch=4,
        shape=TINY,
        warm_up=2,
        fall=0.3,
        held_out=4,
        check_every=3,
    )


def _run(config: Config) -> tuple[LearningPoint, ...]:
    *_, curve = learn(config, ColourTeacher(), CPU)
    return curve


def _weights(config: Config) -> dict[str, Tensor]:
    return finished_student(config).state_dict()


def _same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_the_curve_has_a_point_for_every_checkpoint(config: Config) -> None:
    points = _run(config)
    assert [point.views for point in points] == [12, 24, 28, 36, 40]
    assert all(0 < point.loss < 2 and -1 <= point.similarity <= 1 for point in points)
    assert [point.seconds for point in points] == sorted(point.seconds for point in points)


def test_the_same_seed_gives_the_same_student_and_another_seed_another(
    config: Config, tmp_path: Path
) -> None:
    again = dataclasses.replace(config, out=tmp_path / "again")
    other = dataclasses.replace(config, out=tmp_path / "other", seed=1)
    for each in (config, again, other):
        _run(each)
    assert _same(_weights(config), _weights(again))
    assert not _same(_weights(config), _weights(other))


@pytest.mark.parametrize("points", [1, 3, 5])
def test_a_run_that_was_stopped_ends_as_if_it_had_not_been(
    config: Config, tmp_path: Path, points: int
) -> None:
    whole = dataclasses.replace(config, out=tmp_path / "whole")
    _run(whole)
    stopped = learn(config, ColourTeacher(), CPU)
    for _ in range(points):
        next(stopped, None)
    stopped.close()
    assert [point.views for point in _run(config)] == [12, 24, 28, 36, 40]
    assert _same(_weights(config), _weights(whole))


@pytest.mark.parametrize("steps", [0, 1, 4, 9])
def test_a_run_that_was_killed_in_any_step_ends_as_if_it_had_not_been(
    config: Config, tmp_path: Path, steps: int
) -> None:
    whole = dataclasses.replace(config, out=tmp_path / "whole")
    _run(whole)

    def killed(views: int, all_views: int) -> None:
        if views > steps * config.batch:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(learn(config, ColourTeacher(), CPU, killed))
    assert _run(config)[-1].views == 40
    assert _same(_weights(config), _weights(whole))


def test_without_its_level_checkpoint_a_finished_run_cannot_be_made_longer(config: Config) -> None:
    _run(config)
    (config.out / LEVEL).unlink()
    with pytest.raises(
        UsageError, match="is missing, from which a run of another length could go on; give --views 40"
    ):
        _run(dataclasses.replace(config, views=80))


def test_a_finished_run_made_longer_ends_as_if_planned_so(config: Config, tmp_path: Path) -> None:
    planned = dataclasses.replace(config, out=tmp_path / "planned", views=80)
    _run(planned)
    _run(config)
    longer = dataclasses.replace(config, views=80)
    _run(longer)
    assert _same(_weights(longer), _weights(planned))


def test_a_run_cannot_be_made_shorter_than_it_was_before_its_rate_fell(config: Config) -> None:
    _run(config)
    with pytest.raises(
        UsageError, match="28 views before its rate fell; to go on from there give --views 44 or more"
    ):
        _run(dataclasses.replace(config, views=20))


def test_another_recipe_is_refused_in_the_same_folder(config: Config) -> None:
    _run(config)
    for changed in ({"rate": 1e-3}, {"teacher": "another"}, {"seed": 3}):
        with pytest.raises(UsageError, match="another --student, --seed, --teacher or --device"):
            _run(dataclasses.replace(config, **changed))


def test_crops_may_move_and_checkpoints_come_oftener(config: Config, tmp_path: Path) -> None:
    moved = config.crops.rename(tmp_path / "moved")
    try:
        first = dataclasses.replace(config, crops=moved)
        next(learn(first, ColourTeacher(), CPU))
    finally:
        moved.rename(config.crops)
    assert _run(dataclasses.replace(config, check_every=2))[-1].views == 40


def test_students_learn_what_the_teacher_answers(config: Config) -> None:
    lit = Variety(**{**dict.fromkeys(Variety.__slots__, 0.0), "light": 1.0})
    points = _run(
        dataclasses.replace(
            config, views=640, batch=16, check_every=10, warm_up=5, rate=1e-2, variety=lit, calmer=lit
        )
    )
    assert points[-1].loss < 0.6 * points[0].loss


def test_too_few_crops_are_refused_with_the_numbers(config: Config) -> None:
    with pytest.raises(UsageError, match="holds 24 crops; at least 26 are needed, of which 22 are held out"):
        _run(dataclasses.replace(config, held_out=22))


def test_a_loss_that_is_no_number_ends_the_run_and_keeps_the_checkpoint(config: Config) -> None:
    next(learn(config, ColourTeacher(), CPU))
    before = (config.out / LATEST).read_bytes()

    class Broken(ColourTeacher):
        def embed(self, crops: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
            return super().embed(crops) * np.float32(np.nan)

    with pytest.raises(OperationFailed, match="no numbers any more"):
        list(learn(config, Broken(), CPU))
    assert (config.out / LATEST).read_bytes() == before


def test_a_full_disk_at_a_checkpoint_keeps_the_one_before(
    config: Config, full_disk: Callable[[int], None]
) -> None:
    run = learn(config, ColourTeacher(), CPU)
    next(run)
    before = (config.out / LATEST).read_bytes()
    full_disk(len(before) // 2)
    with pytest.raises(OperationFailed, match="See to the disk"):
        next(run)
    full_disk(resource.RLIM_INFINITY)
    assert (config.out / LATEST).read_bytes() == before
    assert sorted(path.name for path in config.out.iterdir()) == [
        "checkpoint-level.pt",
        "checkpoint.pt",
        "lock",
    ]
    assert _run(config)[-1].views == 40


@pytest.fixture
def full_disk() -> Iterator[Callable[[int], None]]:
    """Sets how large a file may grow; the kernel then says EFBIG as it says ENOSPC on a full disk."""
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("content", [b"no checkpoint", b"", "a list"])
def test_a_damaged_checkpoint_is_moved_away_and_the_one_before_goes_on(
    config: Config, tmp_path: Path, content: bytes | str
) -> None:
    whole = dataclasses.replace(config, out=tmp_path / "whole")
    for each in (whole, config):
        _run(each)
    if isinstance(content, bytes):
        (config.out / LATEST).write_bytes(content)
    else:
        torch.save([1], config.out / LATEST)
    with pytest.raises(OperationFailed, match="move it away"):
        _run(config)
    (config.out / LATEST).unlink()
    assert _run(config)[-1].views == 40
    assert _same(_weights(config), _weights(whole))


def test_weights_that_break_in_the_last_step_are_not_saved(config: Config) -> None:
    next(learn(config, ColourTeacher(), CPU))
    before = (config.out / LATEST).read_bytes()
    run = _Run(config, ColourTeacher(), CPU)
    run.learn()
    with torch.no_grad():
        next(run._student.parameters()).fill_(torch.nan)
    with pytest.raises(OperationFailed, match="no numbers any more"):
        run.check(0.5)
    assert (config.out / LATEST).read_bytes() == before


def test_a_second_run_is_kept_out_of_the_folder(config: Config) -> None:
    first = learn(config, ColourTeacher(), CPU)
    next(first)
    with pytest.raises(LibraryLocked, match="another chueok is writing to"):
        next(learn(config, ColourTeacher(), CPU))
    assert _run(dataclasses.replace(config, out=config.out / "another"))
    first.close()
    assert _run(config)[-1].views == 40


def test_lanes_share_weights_and_the_step_takes_the_mean_of_their_gradients(config: Config) -> None:
    next(learn(config, ColourTeacher(), CPU))  # one checkpoint to go on from
    run = _Run(config, ColourTeacher(), CPU)
    mine, others = (list(lane.student.parameters()) for lane in run._lanes)
    assert all(one.data_ptr() == other.data_ptr() for one, other in zip(mine, others, strict=True))
    apart = _Run(config, ColourTeacher(), CPU)
    for lane in apart._lanes:
        lane.learn(apart.step)
    grads = [[weight.grad for weight in lane.student.parameters()] for lane in apart._lanes]
    run.learn()
    for weight, one, other in zip(mine, *grads, strict=True):
        assert weight.grad is not None and one is not None and other is not None
        assert not torch.equal(one, other)
        torch.testing.assert_close(weight.grad, (one + other) / 2)


@pytest.mark.parametrize("lanes", [0, 3, 65])
def test_lanes_must_share_a_batch_evenly(config: Config, lanes: int) -> None:
    with pytest.raises(UsageError, match="cannot share a batch of 4 evenly"):
        next(learn(dataclasses.replace(config, lanes=lanes), ColourTeacher(), CPU))


def test_a_run_that_has_not_ended_has_no_student(config: Config) -> None:
    next(learn(config, ColourTeacher(), CPU))
    with pytest.raises(UsageError, match="not come to its end"):
        finished_student(config)


def test_the_rate_rises_stays_and_falls() -> None:
    config = Config(Path(), Path(), views=100, batch=10, rate=1.0, warm_up=2, fall=0.4)
    rates = [config.rate_at(step) for step in range(config.steps)]
    assert rates == [0.5, 1, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25]


def test_while_the_rate_falls_views_are_the_calmer_ones(config: Config) -> None:
    grey: list[bool] = []

    class Watching(ColourTeacher):
        def embed(self, crops: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
            grey.append(all((crop == crop[..., :1]).all() for crop in crops))
            return super().embed(crops)

    quiet = Variety(**dict.fromkeys(Variety.__slots__, 0.0))
    told = dataclasses.replace(config, lanes=1, variety=quiet, calmer=dataclasses.replace(quiet, grey=1.0))
    list(learn(told, Watching(), CPU))
    held_out, *steps = grey
    assert not held_out
    assert steps == [False] * 7 + [True] * 3


def test_the_loss_by_hand() -> None:
    answers = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    lessons = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    total, apart = loss(answers, lessons, relations=2.0)
    # cosines 1 and 0; of four similarities two are 0 instead of 1
    assert (total.item(), apart.item()) == (0.5 + 2 * 0.5, 0.5)
