"""What the lab makes, as two files: a network, and the manifest that `chueok model fetch NAME --from` takes."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from chueok.errors import OperationFailed, UsageError
from chueok.flow.transfer import sync_folder
from chueok.flow.workroom import Workroom, sweep
from chueok.vision.models.card import ModelCard
from chueok.vision.models.manifest import is_model_name, write_manifest
from chueok.vision.models.registry import BUILT_IN

if TYPE_CHECKING:
    from onnx import ModelProto

MAKER = "chueok lab"  # stands near the start of both files; only files that say so are ever replaced
_MARK_WITHIN = 4096  # bytes


@dataclass(frozen=True, slots=True)
class Delivery:
    """Where a model goes."""

    folder: Path
    name: str
    room: Workroom

    @property
    def manifest(self) -> Path:
        """What `chueok model fetch NAME --from` takes."""
        return self.folder / f"{self.name}.toml"

    def put(self, card: ModelCard, network: bytes, remark: str) -> ModelCard:
        """Write both files and give the card that says so; the manifest last: it never describes what is not there.

        card: as the network is to be used; name, file, size, hash and origin are filled in here.
        """
        card = replace(
            card,
            name=self.name,
            file=f"{self.name}.onnx",
            size=len(network),
            sha256=hashlib.sha256(network).hexdigest(),
            architecture="onnx",
            url=None,
            packaged=False,
        )
        with self.room.slot() as network_file, self.room.slot() as manifest_file:
            network_file.write_bytes(network)
            write_manifest(card, manifest_file, f"Made by `{MAKER} {remark}")
            for staged, target in (
                (network_file, self.folder / card.file),
                (manifest_file, self.manifest),
            ):
                with staged.open("rb") as file:
                    os.fsync(file.fileno())
                staged.replace(target)
        with suppress(PermissionError):  # a folder that may be written to, but not read
            sync_folder(self.folder)
        return card


@contextmanager
def delivery(folder: Path, name: str) -> Iterator[Delivery]:
    """Around the work on a model that goes to `folder`: that it can go there shows before the work begins.

    Raises UsageError for a name that cannot be, or that stands there and was not made in a lab, OperationFailed when
    the disk says no.
    """
    if name in BUILT_IN or not is_model_name(name):
        raise UsageError(
            f"--name {name}: it takes lower-case letters, digits, '.', '_' and '-', and no name of chueok's own"
        )
    for path in (folder / f"{name}.onnx", folder / f"{name}.toml"):
        _refuse_foreign(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        sweep(folder)
        with Workroom(folder) as room:
            yield Delivery(folder, name, room)
    except OSError as error:
        raise OperationFailed(
            f"{error.filename or folder} cannot be written: {error.strerror or error}; free some space or choose "
            "another folder"
        ) from error


def signed(model: ModelProto) -> bytes:
    """The network's bytes: signed, without the traces of its making (paths of the machine among them)."""
    used = {node.domain for node in model.graph.node}
    kept = [opset for opset in model.opset_import if opset.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(kept)
    for part in (model, model.graph, *model.graph.node):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    model.graph.ClearField("value_info")
    model.producer_name = MAKER
    model.ClearField("producer_version")
    return bytes(model.SerializeToString(deterministic=True))


def _refuse_foreign(path: Path) -> None:
    """Raise UsageError for what stands at a path and was not made here; a pipe or device is never opened."""
    try:
        ours = stat.S_ISREG(path.lstat().st_mode) and MAKER.encode() in _beginning(path)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise OperationFailed(f"{path} cannot be read: {error.strerror}") from error
    if not ours:
        raise UsageError(
            f"{path} exists and was not made by `{MAKER}`; choose another --name or --out, nothing was changed"
        )


def _beginning(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_MARK_WITHIN)
