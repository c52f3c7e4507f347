"""Pruning from end to end with a tiny student: what is left learns, is delivered, and is measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.fakes import FAKES, make_tree
from tests.lab.people import tiny_network
from tests.lab.small import described, small_network, write_crops

from chueok.errors import UsageError
from chueok.lab.datasets import Dataset, open_dataset
from chueok.lab.delivery import Maker
from chueok.lab.filters import without_smallest
from chueok.lab.finetune.restore import restored
from chueok.lab.graduate import as_onnx
from chueok.lab.models import LabModel, find_lab_model
from chueok.lab.prune import Config, Event, prune, recovery
from chueok.lab.students import Shape
from chueok.measures import LearningPoint, ModelEvaluated, NetworkMeasured, PruneSummary
from chueok.settings import Settings
from chueok.vision.models.manifest import read_manifest
from chueok.vision.models.registry import BUILT_IN

WIDE = Shape(stem=4, widths=(32, 8, 8), depths=(1, 0, 0), head=8)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


Run = Callable[..., list[Event]]


def _pruner(folder: Path) -> Run:
    """Prunes a tiny eight-bit student with thresholds, in six steps; other keywords are of Learning."""
    settings = Settings(folder / "library", folder / "models", folder / "cache", jobs=1)
    tiny = find_lab_model(str(described(folder / "original", tiny_network(WIDE), "tiny")), settings)
    learning = replace(
        recovery(write_crops(folder / "crops", 24), folder / "out", 24, 0),
        batch=4,
        warm_up=1,
        held_out=8,
        check_every=2,
        fall=0.5,
    )

    def run(
        model: LabModel = tiny,
        amount: float = 0.5,
        name: str = "thin",
        datasets: Sequence[Dataset] = (),
        stop_after: int | None = None,
        **changes: object,
    ) -> list[Event]:
        def counted(views: int, all_views: int) -> None:
            if views == stop_after:
                raise KeyboardInterrupt

        changed = replace(learning, **changes)  # type: ignore[arg-type]
        config = Config(name, changed, amount, calibration=8, rounds=1)
        return list(prune(model, config, settings, datasets, "cpu", counted, source=FAKES))

    return run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return _pruner(tmp_path)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Run, list[Event]]:
    """A run that came to its end: where, how to run again there, and its events."""
    folder = tmp_path_factory.mktemp("finished")
    run = _pruner(folder)
    return folder, run, run()


def _table(events: list[Event]) -> list[NetworkMeasured]:
    return [event for event in events if isinstance(event, NetworkMeasured)]


def test_a_run_leaves_a_smaller_model_and_says_what_it_cost(finished: tuple[Path, Run, list[Event]]) -> None:
    folder, _, (_, *points, summary) = finished
    out = folder / "out"
    table = _table(points)
    assert [form.model for form in table] == ["tiny", "thin, before learning", "thin, in float", "thin"]
    original, before, learnt, made = table
    assert (original.bytes, original.similarity) == ((folder / "original/tiny.onnx").stat().st_size, None)
    assert made.bytes == (out / "thin.onnx").stat().st_size < original.bytes
    assert before.bytes == learnt.bytes
    curve = [point for point in points if isinstance(point, LearningPoint)]
    assert [point.views for point in curve] == [8, 12, 16, 24]
    assert summary == PruneSummary(
        "thin", out / "thin.toml", 32, 16, 24, made.similarity or 0, curve[-1].seconds, False
    )
    assert sorted(path.name for path in out.iterdir()) == [
        "checkpoint-level.pt", "checkpoint.pt", "lock", "thin.onnx", "thin.toml",
    ]  # fmt: skip


def test_learning_brings_the_answers_nearer(run: Run) -> None:
    _, before, learnt, _ = _table(run(views=640, check_every=80, rate=3e-3))
    assert before.similarity is not None and learnt.similarity is not None
    assert 1 - learnt.similarity < 0.75 * (1 - before.similarity)


def test_the_manifest_says_what_it_is_and_has_no_thresholds_of_another(
    finished: tuple[Path, Run, list[Event]],
) -> None:
    folder, *_ = finished
    card, original = (read_manifest(folder / name) for name in ("out/thin.toml", "original/tiny.toml"))
    assert card == replace(
        original,
        name="thin",
        description="tiny without 50 % of its blocks' filters",
        licence="pruned from tiny (MIT)",
        file="thin.onnx",
        size=card.size,
        sha256=card.sha256,
        thresholds={},
        impostor_pairs=0,
    )
    remark = f"# Made by `chueok lab prune`, from tiny, sha256 {original.sha256}."
    assert original.thresholds and remark in (folder / "out/thin.toml").read_text()


def test_a_model_in_float_stays_so_and_can_be_pruned_until_nothing_is_left_to_take(
    run: Run, tmp_path: Path
) -> None:
    settings = Settings(tmp_path / "library", tmp_path / "models", tmp_path / "cache")

    def found(manifest: Path) -> LabModel:
        return find_lab_model(str(manifest), settings)

    network = as_onnx(without_smallest(restored(tiny_network(WIDE), "tiny"), 0.5), maker=Maker.DISTILL)
    once = found(described(tmp_path / "float", network, "tiny"))
    *events, summary = run(once)
    assert [form.model for form in _table(events)] == ["tiny", "thin, before learning", "thin"]
    assert isinstance(summary, PruneSummary)
    assert (summary.filters_before, summary.filters) == (16, 8)
    assert b"DequantizeLinear" not in (tmp_path / "out/thin.onnx").read_bytes()
    twice = found(tmp_path / "out/thin.toml")
    with pytest.raises(UsageError, match=r"--amount 0.5 takes nothing away: the blocks .* have 8 filters"):
        run(twice, name="thinner", out=tmp_path / "more")


def test_a_run_that_was_killed_ends_as_if_it_had_not_been(
    finished: tuple[Path, Run, list[Event]], run: Run, tmp_path: Path
) -> None:
    for views in (4, 12, 20):
        with pytest.raises(KeyboardInterrupt):
            run(stop_after=views)
    assert not (tmp_path / "out/thin.onnx").exists()
    run()
    for name in ("out/thin.onnx", "out/thin.toml"):
        assert (tmp_path / name).read_bytes() == (finished[0] / name).read_bytes()


def test_another_amount_is_refused_in_the_same_folder(finished: tuple[Path, Run, list[Event]]) -> None:
    _, run, _ = finished
    with pytest.raises(UsageError, match="another MODEL or --amount"):
        run(amount=0.75)


def test_the_data_set_measures_original_and_result_and_gives_the_thresholds(run: Run, tmp_path: Path) -> None:
    tree: dict[str, Sequence[str] | bytes] = {
        f"{person}/{number}.png": [person] for person in ("mom", "dad") for number in range(55)
    }
    events = run(datasets=[open_dataset(make_tree(tmp_path / "set", tree))])
    measured = [event for event in events if isinstance(event, ModelEvaluated)]
    assert [event.model for event in measured] == ["tiny", "thin"]
    similarity = measured[1].verification.thresholds["1e-2"]
    assert similarity is not None
    card = read_manifest(tmp_path / "out/thin.toml")
    assert (card.thresholds, card.impostor_pairs) == ({"1e-2": round(similarity, 3)}, 55 * 55)
    summary = events[-1]
    assert isinstance(summary, PruneSummary) and summary.has_thresholds


@pytest.mark.parametrize("amount", [-0.1, 0.95, float("nan")])
def test_an_amount_that_cannot_be_is_refused(run: Run, amount: float) -> None:
    with pytest.raises(UsageError, match=r"--amount \S+: it takes a share from 0 to 0.9"):
        run(amount=amount)


def test_a_model_without_such_blocks_is_refused(run: Run, tmp_path: Path) -> None:
    described(tmp_path / "small", small_network())
    small = LabModel(read_manifest(tmp_path / "small/small.toml"), tmp_path / "small")
    scaled = replace(small.card, recipe=replace(small.card.recipe, bgr=True))
    for model in (small, replace(small, card=scaled), LabModel(BUILT_IN["facenet"], tmp_path)):
        with pytest.raises(
            UsageError, match="is none that can be pruned; give lite, or a model made from it"
        ):
            run(model)


def test_too_few_crops_and_somebody_elses_file_are_refused(run: Run, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds 24 crops; at least 25 are needed, of which 21 are held out"):
        run(held_out=21)
    (tmp_path / "out/thin.toml").write_text("mine")
    with pytest.raises(UsageError, match=r"thin.toml exists and was not made by `chueok lab prune`"):
        run()
    assert (tmp_path / "out/thin.toml").read_text() == "mine"
