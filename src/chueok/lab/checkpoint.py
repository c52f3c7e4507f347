"""What a training run needs to go on after a kill: written whole or not at all, by one run at a time."""

from __future__ import annotations

import dataclasses
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from chueok.errors import LibraryLocked, OperationFailed
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


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Make a run's folder and keep other runs out of it; the kernel lets them in when this process dies.

    Raises LibraryLocked, OperationFailed.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise OperationFailed(
            f"{folder} cannot be written: {error.strerror}; choose another folder"
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise LibraryLocked(
            f"another chueok is learning in {folder}; wait for it, or stop it with Ctrl-C: only the steps since its "
            "last checkpoint are lost"
        ) from error
    finally:
        os.close(descriptor)


def save_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Write or replace a checkpoint. Raises OperationFailed; the one before is then still there."""
    state = {name: getattr(checkpoint, name) for name in Checkpoint.__slots__}
    state["curve"] = [dataclasses.astuple(point) for point in checkpoint.curve]
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except (OSError, RuntimeError) as error:  # torch's zip writer turns a full disk into a RuntimeError
        raise OperationFailed(
            f"the checkpoint {path} cannot be written: {error}. Make room and run the same command again: "
            "it goes on from the checkpoint before"
        ) from error
    finally:
        partial.unlink(missing_ok=True)


def load_checkpoint(path: Path) -> Checkpoint | None:
    """The checkpoint, or None where there is none. Raises OperationFailed when it cannot be read."""
    try:
        with path.open("rb") as file:
            state = torch.load(file, map_location="cpu", weights_only=True)
        curve = tuple(LearningPoint(*point) for point in state.pop("curve"))
        return Checkpoint(curve=curve, **state)
    except FileNotFoundError:
        return None
    except (
        OSError,
        RuntimeError,
        EOFError,
        AttributeError,
        LookupError,
        TypeError,
        UnpicklingError,
    ) as error:
        raise OperationFailed(
            f"the checkpoint {path} cannot be read ({error}); move it away, and the same command goes on from an "
            "earlier one, or begins anew"
        ) from error
