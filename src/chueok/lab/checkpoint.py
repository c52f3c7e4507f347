"""What a training run needs to go on after a kill: written whole or not at all."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from chueok.errors import OperationFailed
from chueok.measures import LearningPoint


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A run between two steps."""

    step: int  # the next one
    steps: int  # of the whole run, as it was planned
    origin: str  # what it must share with the run that goes on: the recipe, the crops, the teacher
    student: dict[str, Any]  # state dicts
    optimizer: dict[str, Any]
    curve: tuple[LearningPoint, ...]


def save_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Write or replace a checkpoint. Raises OperationFailed; the one before is then still there."""
    state = {name: getattr(checkpoint, name) for name in Checkpoint.__slots__}
    state["curve"] = [dataclasses.astuple(point) for point in checkpoint.curve]
    partial = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except (OSError, RuntimeError) as error:  # torch's zip writer turns a full disk into a RuntimeError
        partial.unlink(missing_ok=True)
        raise OperationFailed(
            f"the checkpoint {path} cannot be written: {error}. Make room and run the same command again: "
            "it goes on from the checkpoint before"
        ) from error


def load_checkpoint(path: Path) -> Checkpoint | None:
    """The checkpoint, or None where there is none. Raises OperationFailed when it cannot be read."""
    try:
        with path.open("rb") as file:
            state = torch.load(file, map_location="cpu", weights_only=True)
        curve = tuple(LearningPoint(*point) for point in state.pop("curve"))
        return Checkpoint(curve=curve, **state)
    except FileNotFoundError:
        return None
    except (OSError, RuntimeError, EOFError, KeyError, TypeError, UnpicklingError) as error:
        raise OperationFailed(
            f"the checkpoint {path} cannot be read ({error}); delete it to begin anew"
        ) from error
