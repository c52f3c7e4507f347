"""Runs: they learn, stop early, keep the best, and a run that is killed, full or broken loses nothing."""

from __future__ import annotations

import dataclasses
import resource
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.lab.people import some_material, tiny_model
from torch import Tensor

from chueok.errors import OperationFailed, UsageError
from chueok.lab.finetune.config import Config, check
from chueok.lab.finetune.material import Material
from chueok.lab.finetune.networks import Learner, open_learner
from chueok.lab.finetune.run import CHECKPOINT, Curve, Diverged, best_of, learn
from chueok.lab.finetune.split import split_people
from chueok.measures import TuningPoint

CPU = torch.device("cpu")


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def material() -> Material:
    return some_material()


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """Three steps an epoch."""
    return Config(
        tmp_path / "run", loss="arcface", lr=1e-3, epochs=3, batch=8, freeze="none", patience=9, keep=1.0
    )


@pytest.fixture
def learner(tmp_path: Path) -> Callable[[], Learner]:
    model = tiny_model(tmp_path / "tiny")
    return lambda: open_learner(model, 112)


def run(config: Config, learner: Learner, material: Material) -> tuple[Curve, dict[str, Tensor]]:
    check(config)
    *_, curve = learn(config, learner, material, CPU)
    return curve, learner.network.state_dict()


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def rates(curve: Curve) -> list[tuple[float | None, float, float]]:
    return [(point.loss, point.eer, point.rank1) for point in curve]


@pytest.mark.parametrize("changes", [{}, {"loss": "triplet"}, {"keep": 0.0, "freeze": "bn"}])
def test_people_who_were_never_seen_are_told_apart_better(
    config: Config, learner: Callable[[], Learner], changes: dict[str, object]
) -> None:
    config = dataclasses.replace(config, lr=3e-3, epochs=4, batch=16, keep=0.1)
    config = dataclasses.replace(config, **changes)  # type: ignore[arg-type]
    curve, _ = run(config, learner(), some_material(24, 4, others=16))
    assert [point.epoch for point in curve] == list(range(5))
    assert best_of(curve).eer < 0.85 * curve[0].eer


@pytest.mark.parametrize("changes", [{}, {"loss": "triplet", "optimizer": "sgd"}, {"augment": False}])
def test_a_run_that_was_killed_ends_as_if_it_had_not_been(
    config: Config,
    learner: Callable[[], Learner],
    material: Material,
    tmp_path: Path,
    changes: dict[str, object],
) -> None:
    config = dataclasses.replace(config, **changes)  # type: ignore[arg-type]
    whole = dataclasses.replace(config, out=tmp_path / "whole")
    expected = run(whole, learner(), material)

    def killed(pictures: int, all_pictures: int) -> None:
        if pictures > 4 * config.batch:  # in the second epoch
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(learn(config, learner(), material, CPU, killed))
    found = run(config, learner(), material)
    assert rates(found[0]) == rates(expected[0])
    assert same(found[1], expected[1])


def test_an_album_without_names_is_learnt_with_and_resumed(
    config: Config, learner: Callable[[], Learner], tmp_path: Path
) -> None:
    adapting = some_material(album=5)
    whole = dataclasses.replace(config, out=tmp_path / "whole")
    expected = run(whole, learner(), adapting)
    first = learn(config, learner(), adapting, CPU)
    next(first), next(first)
    first.close()
    assert same(run(config, learner(), adapting)[1], expected[1])
    without = run(dataclasses.replace(config, out=tmp_path / "without"), learner(), some_material())
    assert rates(without[0]) != rates(expected[0])


def test_the_best_epoch_is_kept_and_the_start_is_one(
    config: Config, learner: Callable[[], Learner], material: Material
) -> None:
    """At such a rate the network breaks, and it stops after two epochs without a better one."""
    before = open_state(learner())
    curve, after = run(dataclasses.replace(config, lr=3.0, patience=2, epochs=9), learner(), material)
    assert [point.best for point in curve] == [True, False, False]
    changed = [name for name in before if "norm" not in name and not torch.equal(before[name], after[name])]
    assert [name for name in changed if before[name].ndim > 1] == []


def open_state(learner: Learner) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in learner.network.state_dict().items()}


@pytest.mark.parametrize("changes", [{"lr": 2e-3}, {"freeze": "bn"}, {"seed": 1}, {"epochs": 4}])
def test_another_configuration_is_refused_in_the_same_folder(
    config: Config, learner: Callable[[], Learner], material: Material, changes: dict[str, object]
) -> None:
    run(dataclasses.replace(config, epochs=1 if "epochs" in changes else 3), learner(), material)
    before = (config.out / CHECKPOINT).read_bytes()
    with pytest.raises(UsageError, match="holds a run with other options, another data set or another model"):
        run(dataclasses.replace(config, **changes), learner(), material)  # type: ignore[arg-type]
    assert (config.out / CHECKPOINT).read_bytes() == before


def test_other_pictures_are_refused_in_the_same_folder(
    config: Config, learner: Callable[[], Learner], material: Material
) -> None:
    config = dataclasses.replace(config, epochs=1)
    run(config, learner(), material)
    crops = material.crops.copy()
    crops[0, 0, 0, 0] ^= 1
    with pytest.raises(UsageError, match="another data set"):
        run(config, learner(), dataclasses.replace(material, crops=crops))


def test_a_loss_that_is_no_number_stops_and_keeps_the_checkpoint(
    config: Config, learner: Callable[[], Learner], material: Material
) -> None:
    epochs = learn(config, learner(), material, CPU)
    next(epochs), next(epochs)
    epochs.close()
    before = (config.out / CHECKPOINT).read_bytes()
    state = torch.load(config.out / CHECKPOINT, weights_only=True)
    broken = dict(state["network"], **{"embed_norm.weight": torch.full((12,), torch.nan)})
    torch.save({**state, "network": broken}, config.out / CHECKPOINT)
    after = (config.out / CHECKPOINT).read_bytes()
    with pytest.raises(
        Diverged, match=r"in step 4 the loss is no number any more; what was learnt until epoch 1"
    ):
        run(config, learner(), material)
    assert (config.out / CHECKPOINT).read_bytes() == after
    (config.out / CHECKPOINT).write_bytes(before)
    assert run(config, learner(), material)[0][-1].epoch == 3


def test_a_full_disk_at_a_checkpoint_keeps_the_one_before(
    config: Config,
    learner: Callable[[], Learner],
    material: Material,
    tmp_path: Path,
    full_disk: Callable[[int], None],
) -> None:
    expected = run(dataclasses.replace(config, out=tmp_path / "whole"), learner(), material)
    epochs = learn(config, learner(), material, CPU)
    next(epochs), next(epochs)
    before = (config.out / CHECKPOINT).read_bytes()
    full_disk(len(before) // 2)
    with pytest.raises(OperationFailed, match="See to the disk and run the same command again"):
        next(epochs)
    full_disk(resource.RLIM_INFINITY)
    assert (config.out / CHECKPOINT).read_bytes() == before
    assert sorted(path.name for path in config.out.iterdir()) == [CHECKPOINT, "lock"]
    assert same(run(config, learner(), material)[1], expected[1])


@pytest.fixture
def full_disk() -> Iterator[Callable[[int], None]]:
    """Sets how large a file may grow; the kernel then says EFBIG as it says ENOSPC on a full disk."""
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    signal.signal(signal.SIGXFSZ, handler)


def test_of_equal_epochs_the_first_is_the_best() -> None:
    points = [
        TuningPoint(n, 3, 1.0, eer, 1.0, 0.0, 0.0, best)
        for n, eer, best in ((0, 0.3, True), (1, 0.2, True), (2, 0.2, False))
    ]
    assert best_of(tuple(points)).epoch == 1


def test_schedules() -> None:
    config = Config(Path(), lr=1.0)
    shares = (0, 0.25, 0.5, 0.75, 1)
    assert np.allclose([config.rate_at(done) for done in shares], [1, 0.8536, 0.5, 0.1464, 0], atol=1e-4)
    step = dataclasses.replace(config, schedule="step")
    assert np.allclose([step.rate_at(done) for done in shares[:4]], [1, 1, 0.1, 0.01])
    assert dataclasses.replace(config, schedule="constant").rate_at(0.9) == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"loss": "softmax"}, "--loss softmax: it takes arcface, triplet"),
        ({"freeze": "all"}, "--freeze all: it takes none, bn, conv, all-but-head"),
        ({"lr": 0.0}, "--lr 0: it takes a number above 0 and up to 10"),
        ({"lr": float("nan")}, "--lr nan"),
        ({"margin": 4.0}, "--margin 4"),
        ({"epochs": 0}, "--epochs 0: it takes 1 or more"),
        ({"keep": -1.0}, "--keep -1: it takes 0 or more"),
        ({"loss": "triplet", "batch": 4}, "--batch 4: triplets need 8 or more"),
    ],
)
def test_what_no_run_can_be_made_of_is_refused(changes: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError) as refused:
        check(dataclasses.replace(Config(Path()), **changes))  # type: ignore[arg-type]
    assert words in str(refused.value)


def test_people_are_dealt_out_by_lot_and_never_twice() -> None:
    people = [f"p{number}" for number in range(20) for _ in range(2)] + ["alone"]
    split = split_people(people, 0.15, 0.3, seed=0)
    parts = (split.taught, split.validation, split.held_out)
    assert [len(part) for part in parts] == [11, 3, 6]
    assert sorted(sum(parts, ())) == sorted(set(people) - {"alone"})
    assert split.single == ("alone",)
    assert split == split_people(people[::-1], 0.15, 0.3, seed=0)
    assert split != split_people(people, 0.15, 0.3, seed=1)


def test_too_few_people_are_refused_with_the_numbers() -> None:
    with pytest.raises(UsageError, match="of 7 people 5 have two pictures with a face or more; at least 6"):
        split_people(list("aabbccddeefg"), 0.15, 0.3, seed=0)
    assert len(split_people(list("aabbccddeeff"), 0.15, 0.3, seed=0).taught) == 2
