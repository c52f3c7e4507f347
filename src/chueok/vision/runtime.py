"""The one place that opens ONNX Runtime sessions: threads, providers, precision."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from chueok.errors import ModelInvalid, ModelMissing, UsageError
from chueok.vision.models.selfcontained import check_self_contained

if TYPE_CHECKING:
    import onnxruntime

    from chueok.settings import Device

ERRORS_ONLY, FATAL_ONLY = 3, 4  # ONNX Runtime's logging levels

_CPU = "CPUExecutionProvider"
# By what ONNX Runtime calls them, with what keeps their answers near the CPU's and their start short: float32 as it
# is, and no trial of every algorithm for each new shape, of which P-Net has dozens.
# https://onnxruntime.ai/docs/execution-providers/CUDA-ExecutionProvider.html#configuration-options
_ACCELERATORS: dict[str, tuple[str, dict[str, str]]] = {
    "cuda": ("CUDAExecutionProvider", {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"}),
    "coreml": ("CoreMLExecutionProvider", {}),
}
_PACKAGES = {"cuda": "onnxruntime-gpu instead of onnxruntime", "coreml": "onnxruntime on a Mac"}


def open_session(
    model: Path | bytes, threads: int = 1, device: Device = "cpu"
) -> onnxruntime.InferenceSession:
    """Open an ONNX model, given as a file or as its bytes, for inference in float32.

    threads: for one call; 1, because chueok runs one process per core, and small nets gain nothing from more.
    device: an accelerator that is not there or cannot be opened leaves the work to the CPU, as do operators it lacks;
    `accelerator` tells. Raises ModelMissing when there is no such file, ModelInvalid when it is not a model that can
    be run, or one that would read other files.
    """
    name, source = ("the model", model) if isinstance(model, bytes) else (str(model), _read(model))
    check_self_contained(source, name)
    silence()
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as refusals

    try:
        return onnxruntime.InferenceSession(source, _options(threads), providers=_providers(device))
    except (
        refusals.Fail,
        refusals.InvalidArgument,
        refusals.InvalidGraph,
        refusals.InvalidProtobuf,
        refusals.NotImplemented,
        refusals.RuntimeException,
    ) as error:
        raise ModelInvalid(f"{name} is damaged or is not an ONNX model; install it again.") from error


@cache
def accelerator(device: Device, model: Path) -> str | None:
    """What sessions opened for this device run on: "cuda", "coreml", or None for the CPU.

    model: any that can be opened, to try it. Raises UsageError when `device` names an accelerator that cannot be used.
    """
    if device == "cpu":
        return None
    running = open_session(model, device=device).get_providers()
    found = next((name for name, (provider, _) in _ACCELERATORS.items() if provider in running), None)
    if device not in ("auto", found):
        raise UsageError(
            f"ONNX Runtime cannot use {device} on this machine; it takes {_PACKAGES[device]}, and a driver "
            "that fits. `--device auto` uses what there is."
        )
    return found


def _providers(device: Device) -> list[str | tuple[str, dict[str, str]]]:
    """What ONNX Runtime shall try, best first."""
    if device == "cpu":
        return [_CPU]
    import onnxruntime

    onnxruntime.set_default_logger_severity(FATAL_ONLY)  # that a driver is missing is said by `accelerator`
    there = onnxruntime.get_available_providers()
    wanted = _ACCELERATORS.values() if device == "auto" else [_ACCELERATORS[device]]
    return [*(choice for choice in wanted if choice[0] in there), _CPU]


def silence() -> None:
    """Keep ONNX Runtime, which since 1.31 reports to Microsoft, from doing so (its Privacy.md).

    The variable counts when it is first imported. Where a program imported it before, its device id is already
    written and only the call is left; a wheel without telemetry has no such call.
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    getattr(onnxruntime, "disable_telemetry_events", lambda: None)()


def _read(model: Path) -> bytes:
    """The file's bytes: ONNX Runtime opens paths as UTF-8 only, and says little when one is missing."""
    try:
        return model.read_bytes()
    except OSError as error:
        raise ModelMissing(f"the model {model} cannot be read: {error.strerror}.") from error


def _options(threads: int) -> onnxruntime.SessionOptions:
    """One operator after the other, on threads that sleep when there is nothing to do."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Bytes 5 to 8 of a network may say "ORTM": ONNX Runtime's own format, which check_self_contained cannot read
    options.add_session_config_entry("session.load_model_format", "ONNX")
    # A second lock: nothing can lie below a device, should another parser see a reference that ours does not
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", os.devnull)
    options.log_severity_level = ERRORS_ONLY
    return options
