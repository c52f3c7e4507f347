"""Torch networks written as ONNX; and the child process of compile.py, in which torch is loaded for that.

Reads a JSON list of [builder, weights, target] from stdin and writes each network as an ONNX file.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from chueok.vision.models.compile import Blueprint, StateDict


def export(builder: str, weights: Path, target: Path) -> None:
    """Build the network, load its weights and write it to `target`.

    weights_only: a weights file is data and must not be able to run code.
    """
    import torch

    module, _, function = builder.partition(":")
    build = cast("Callable[[StateDict], Blueprint]", getattr(importlib.import_module(module), function))
    write_onnx(build(torch.load(weights, map_location="cpu", weights_only=True)), target)


def write_onnx(blueprint: Blueprint, target: Path) -> None:
    """Write a network as one ONNX file. The input is named "image"."""
    import torch

    torch.onnx.export(
        blueprint.module.eval(),
        (blueprint.example,),
        target,
        input_names=["image"],
        output_names=list(blueprint.outputs),
        dynamic_shapes=(dict.fromkeys(blueprint.varying, torch.export.Dim.DYNAMIC),),
        dynamo=True,
        external_data=False,  # one file: it is renamed and verified as a whole
        verbose=False,
    )


def main() -> None:
    """Export every job on stdin, one thread, files private to the user."""
    os.umask(0o077)
    warnings.simplefilter("ignore")  # the exporter's warnings are about torch's own future
    import torch

    torch.set_num_threads(1)
    for builder, weights, target in json.load(sys.stdin):
        export(builder, Path(weights), Path(target))


if __name__ == "__main__":
    main()
