"""What the lab makes, as two files: a network, and the manifest that `chueok model fetch NAME --from` takes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from chueok.errors import OperationFailed, UsageError
from chueok.flow.foreign import refuse_foreign
from chueok.flow.transfer import sync_folder
from chueok.flow.workroom import Workroom, sweep
from chueok.vision.models.card import ModelCard
from chueok.vision.models.manifest import is_model_name, write_manifest
from chueok.vision.models.registry import BUILT_IN

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

    from chueok.lab.models import LabModel

_OTHER = "another --name or --out"


class Maker(StrEnum):
    """The command that makes a model. It stands near the start of both files, and replaces only files of its own."""

    DISTILL = "chueok lab distill"
    QUANTIZE = "chueok lab quantize"
    PRUNE = "chueok lab prune"
    FINETUNE = "chueok lab finetune"


@dataclass(frozen=True, slots=True)
class Delivery:
    """Where a model goes."""

    folder: Path
    name: str
    maker: Maker
    room: Workroom

    @property
    def manifest(self) -> Path:
        """What `chueok model fetch NAME --from` takes."""
        return self.folder / f"{self.name}.toml"

    def described(self, card: ModelCard, network: bytes) -> ModelCard:
        """The card of a network that goes here: name, file, size and hash are its own, how to use it is `card`'s."""
        return replace(
            card,
            name=self.name,
            file=f"{self.name}.onnx",
            size=len(network),
            sha256=hashlib.sha256(network).hexdigest(),
            architecture="onnx",
            url=None,
            packaged=False,
        )

    def put(self, card: ModelCard, network: bytes, remark: str) -> ModelCard:
        """Write both files and give the card that says so; the manifest last: it never describes what is not there.

        remark: ends the sentence that begins with who made the model. Raises OperationFailed.
        """
        card = self.described(card, network)
        with _disk(self.folder), self.room.slot() as network_file, self.room.slot() as manifest_file:
            network_file.write_bytes(network)
            write_manifest(card, manifest_file, f"Made by `{self.maker}`, {remark}")
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
def delivery(folder: Path, name: str, maker: Maker, original: LabModel) -> Iterator[Delivery]:
    """Around the work on a model that goes to `folder`: that it can go there shows before the work begins.

    original: the model it is made from. Raises UsageError for a name that cannot be, or that the original or what
    this command did not make stands under, OperationFailed when the disk says no.
    """
    if name in BUILT_IN or not is_model_name(name):
        raise UsageError(
            f"--name {name}: it takes lower-case letters, digits, '.', '_' and '-', and no name of chueok's own"
        )
    with ExitStack() as stack:
        with _disk(folder):
            _refuse_original(folder / f"{name}.onnx", original)
            for path in (folder / f"{name}.onnx", folder / f"{name}.toml"):
                refuse_foreign(path, maker.encode(), f"`{maker}`", _OTHER)
            folder.mkdir(parents=True, exist_ok=True)
            sweep(folder)
            room = stack.enter_context(Workroom(folder))
        yield Delivery(folder, name, maker, room)


@contextmanager
def _disk(folder: Path) -> Iterator[None]:
    """Around work on the folder: what the disk says becomes OperationFailed."""
    try:
        yield
    except OSError as error:
        raise OperationFailed(
            f"{error.filename or folder} cannot be written: {error.strerror or error}; free some space or choose "
            "another folder"
        ) from error


def _refuse_original(target: Path, original: LabModel) -> None:
    """Raise UsageError where the new model would take the place of the one it is made from."""
    with suppress(FileNotFoundError):
        if target.samefile(original.folder / original.card.file):
            raise UsageError(
                f"{target} is what the new model is made from; choose {_OTHER}, nothing was changed"
            )


def signed(model: ModelProto, maker: Maker) -> bytes:
    """The network's bytes: signed, without the traces of its making (paths of the machine among them)."""
    nodes = [*_all_nodes(model.graph.node)]
    nodes += [node for function in model.functions for node in _all_nodes(function.node)]
    # the tools also declare sets that nothing uses, and a runtime may refuse a version it does not know
    used = {_domain(part.domain) for part in (*nodes, *model.functions)}
    kept = [opset for opset in model.opset_import if _domain(opset.domain) in used]
    del model.opset_import[:]
    model.opset_import.extend(kept)
    for part in (model, model.graph, *nodes, *model.functions):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    model.graph.ClearField("value_info")
    model.producer_name = maker
    model.ClearField("producer_version")
    return bytes(model.SerializeToString(deterministic=True))


def _all_nodes(nodes: Iterable[NodeProto]) -> Iterator[NodeProto]:
    """Every operator, those inside loops and branches too."""
    for node in nodes:
        yield node
        for attribute in node.attribute:
            for graph in (attribute.g, *attribute.graphs):
                yield from _all_nodes(graph.node)


def _domain(name: str) -> str:
    """A set of operators by one name: ONNX's own has two (docs/IR.md of github.com/onnx/onnx, "Operator Sets")."""
    return "" if name == "ai.onnx" else name
