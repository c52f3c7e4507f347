"""A grid of fine-tunings: every combination of options, learnt on the same people, compared on the same others.

Only the validation people compare: whoever chose the best of many by the held-out people would have learnt from them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from chueok.errors import OperationFailed, UsageError
from chueok.flow.foreign import refuse_foreign
from chueok.lab.checkpoint import replacing
from chueok.lab.distill import find_device
from chueok.lab.evaluate import notes
from chueok.lab.faces import Faces, read_faces
from chueok.lab.finetune.config import Config, check, check_size
from chueok.lab.finetune.grid import Options, typed
from chueok.lab.finetune.networks import open_learner
from chueok.lab.finetune.recipe import Bench, check_extra, dealt, gathered, told
from chueok.lab.finetune.split import Split
from chueok.library import cores
from chueok.measures import SweepCell, SweepSummary
from chueok.records import Note

if TYPE_CHECKING:
    from chueok.lab.datasets import Dataset
    from chueok.lab.models import LabModel

Event = Note | SweepCell | SweepSummary

_CSV, _JSON = "sweep.csv", "sweep.json"


@dataclass(frozen=True, slots=True)
class _Cell:
    """One combination."""

    options: Options
    config: Config  # its `out` is a folder of the cell's own


def sweep(
    grid: Sequence[Options], config: Config, dataset: Dataset, model: LabModel, bench: Bench
) -> Iterator[Event]:
    """Learn every combination over `config`, the table in `config.out`; the cells come best first, then a summary.

    Cells that are done are kept: the same sweep goes on after a kill. Raises UsageError before anything is learnt, and
    what `finetune` does.
    """
    began = time.monotonic()
    check_extra()
    base = replace(config, split_seed=config.seed)  # the same people whatever the seed of a cell
    configs = [_applied(base, options) for options in grid]
    for one in configs:
        check(one)
        check_size(model.card, one.size)
    model.check()
    if config.out.exists() and not config.out.is_dir():
        raise UsageError(f"--out {config.out} is a file; give a folder")
    for name in (_CSV, _JSON):
        refuse_foreign(config.out / name, b"eer_before", "`chueok lab finetune --sweep`", "another --out")
    faces = read_faces(dataset, bench.settings, source=bench.source, progress=bench.reading)
    yield from notes(faces)
    split = dealt(faces, base)
    yield Note(f"{told(faces, split)}; {len(grid):,} combinations")
    origin = _origin(faces, model)
    cells = [_cell(options, one, origin) for options, one in zip(grid, configs, strict=True)]
    kept = sum(_file(cell).exists() for cell in cells)
    done: list[SweepCell] = []
    for number, cell in enumerate(cells, 1):
        found = _read(cell) or _learnt(cell, faces, split, model, bench)
        done.append(found)
        yield Note(f"{number:,} of {len(cells):,}: {typed(found.options)}: {_outcome(found)}")
    done.sort(key=lambda cell: (bool(cell.failed), cell.eer))
    table = _write(done, config.out)
    yield from done
    best = done[0]
    words = typed(best.options) if best.best_epoch and not best.failed else ""
    yield SweepSummary(len(cells), kept, table, words, time.monotonic() - began)


def _applied(config: Config, options: Options) -> Config:
    changes: dict[str, Any] = dict(options)
    if "adapt" in changes:
        changes["adapt"] = Path(str(changes["adapt"])) if changes["adapt"] else None
    return replace(config, **changes)


# ---- one cell ------------------------------------------------------------------------------------


def _learnt(cell: _Cell, faces: Faces, split: Split, model: LabModel, bench: Bench) -> SweepCell:
    """Learn one combination and keep what came of it; its checkpoint goes."""
    from chueok.lab.finetune.run import Curve, Diverged, best_of, learn

    torch.set_num_threads(bench.settings.jobs or cores())
    learner = open_learner(model, check_size(model.card, cell.config.size))
    taught = gathered(faces, split, learner, cell.config, bench)
    curve: Curve = ()
    failed = ""
    try:
        for points in learn(cell.config, learner, taught, find_device(bench.device), bench.progress):
            curve = points
    except Diverged as error:
        failed = str(error)
    start, best = (curve[0], best_of(curve)) if curve else (None, None)
    found = SweepCell(
        options=cell.options,
        eer_before=start.eer if start else 1.0,
        eer=best.eer if best else 1.0,
        rank1=best.rank1 if best else 0.0,
        best_epoch=best.epoch if best else 0,
        epochs=curve[-1].epoch if curve else 0,
        seconds=curve[-1].seconds if curve else 0.0,
        failed=failed,
    )
    _keep(_file(cell), json.dumps(dataclasses.asdict(found)).encode())
    shutil.rmtree(cell.config.out, ignore_errors=True)
    return found


def _read(cell: _Cell) -> SweepCell | None:
    """What an earlier run of the sweep found. Raises OperationFailed for a damaged file."""
    path = _file(cell)
    try:
        return SweepCell(**json.loads(path.read_bytes()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise OperationFailed(
            f"{path} cannot be read ({error}); delete it, and the same command learns that cell again"
        ) from error


def _file(cell: _Cell) -> Path:
    return cell.config.out.with_suffix(".json")


def _cell(options: Options, config: Config, origin: str) -> _Cell:
    """A combination whose folder is named after all that its result depends on."""
    recipe = replace(config, out=Path())
    key = hashlib.sha256(repr((sorted(options), recipe, origin)).encode()).hexdigest()[:16]
    return _Cell(options, replace(config, out=config.out / "cells" / key))


def _origin(faces: Faces, model: LabModel) -> str:
    """What cells must share for one's result to stand in another's table."""
    digest = hashlib.sha256(repr((faces.people, model.card.sha256)).encode())
    digest.update(faces.crops.data)
    return digest.hexdigest()


def _outcome(cell: SweepCell) -> str:
    if cell.failed:
        return cell.failed
    return f"EER {100 * cell.eer_before:.2f} % before, {100 * cell.eer:.2f} % at best, in epoch {cell.best_epoch}"


# ---- the table -----------------------------------------------------------------------------------


def _write(cells: Sequence[SweepCell], out: Path) -> Path:
    """sweep.csv and sweep.json, best first. Raises OperationFailed."""
    rest = [field.name for field in dataclasses.fields(SweepCell) if field.name != "options"]
    rows = [
        [*map(str, cell.options.values()), *(str(getattr(cell, name)) for name in rest)] for cell in cells
    ]
    lines = [[*(f"--{name}" for name in cells[0].options), *rest], *rows]
    quoted = (",".join(_quoted(word) for word in line) + "\n" for line in lines)
    _keep(out / _CSV, "".join(quoted).encode())
    _keep(out / _JSON, json.dumps([dataclasses.asdict(cell) for cell in cells], indent=1).encode())
    return out / _CSV


def _quoted(word: str) -> str:
    """As RFC 4180 has it."""
    return '"' + word.replace('"', '""') + '"' if set(word) & set(',"\n\r') else word


def _keep(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            file.write(content)
    except OSError as error:
        raise OperationFailed(
            f"{path} cannot be written: {error.strerror or error}; make room and run the same command again: finished "
            "cells are kept"
        ) from error
