"""What a training run needs to go on after a kill: written whole or not at all, by one run at a time."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, BinaryIO, TypeVar

import torch

from chueok.errors import OperationFailed
from chueok.measures import LearningPoint
from chueok.store.lock import locked

T = TypeVar("T")


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
    except OSError as error:
        raise OperationFailed(
            f"{folder} cannot be written: {error.strerror}; choose another folder"
        ) from error
    with locked(folder):
        yield


def save_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Write or replace a checkpoint. Raises OperationFailed; the one before is then still there."""
    state = {name: getattr(checkpoint, name) for name in Checkpoint.__slots__}
    state["curve"] = [dataclasses.astuple(point) for point in checkpoint.curve]
    save_state(state, path)


def save_state(state: dict[str, Any], path: Path) -> None:
    """Write or replace a file of tensors and plain values; as `save_checkpoint`."""
    try:
        with replacing(path) as file:
            torch.save(state, file)
    except (OSError, RuntimeError) as error:  # torch's zip writer turns a full disk into a RuntimeError
        reason = error.strerror if isinstance(error, OSError) else error
        raise OperationFailed(
            f"the checkpoint {path} cannot be written: {reason}. See to the disk and run the same command again: it "
            "goes on from the checkpoint before"
        ) from error


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file that takes this name when it is whole and on the disk; until then the one before keeps it.

    Raises OSError.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        # what it holds of faces is nobody else's; one that a kill left may have been another's
        partial.unlink(missing_ok=True)
        with open(partial, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def load_checkpoint(path: Path) -> Checkpoint | None:
    """The checkpoint, or None where there is none. Raises OperationFailed when it cannot be read."""

    def opened(state: dict[str, Any]) -> Checkpoint:
        return Checkpoint(curve=tuple(LearningPoint(*point) for point in state.pop("curve")), **state)

    return load_state(path, opened)


def load_state(path: Path, opened: Callable[[dict[str, Any]], T]) -> T | None:
    """What `opened` makes of a file of `save_state`; as `load_checkpoint`."""
    try:
        with path.open("rb") as file:
            return opened(torch.load(file, map_location="cpu", weights_only=True))
    except FileNotFoundError:
        return None
    except (
        OSError,
        RuntimeError,
        EOFError,
        AttributeError,
        LookupError,
        TypeError,
        ValueError,
        UnpicklingError,
    ) as error:
        raise OperationFailed(
            f"the checkpoint {path} cannot be read ({error}); move it away, and the same command goes on from an "
            "earlier one, or begins anew"
        ) from error
