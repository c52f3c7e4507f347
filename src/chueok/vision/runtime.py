"""The one place that opens ONNX Runtime sessions: threads, providers, precision."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from chueok.errors import ModelInvalid, ModelMissing
from chueok.vision.models.selfcontained import check_self_contained

if TYPE_CHECKING:
    import onnxruntime

ERRORS_ONLY = 3  # ONNX Runtime's ORT_LOGGING_LEVEL_ERROR


def open_session(model: Path | bytes, threads: int = 1) -> onnxruntime.InferenceSession:
    """Open an ONNX model, given as a file or as its bytes, for inference in float32 on the CPU.

    threads: for one call; 1, because chueok runs one process per core, and small nets gain nothing from more.
    Raises ModelMissing when there is no such file, ModelInvalid when it is not a model that can be run, or
    one that would read other files.
    """
    name, source = ("the model", model) if isinstance(model, bytes) else (str(model), _read(model))
    check_self_contained(source, name)
    silence()
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as refusals

    try:
        return onnxruntime.InferenceSession(source, _options(threads), providers=["CPUExecutionProvider"])
    except (
        refusals.Fail,
        refusals.InvalidArgument,
        refusals.InvalidGraph,
        refusals.InvalidProtobuf,
        refusals.NotImplemented,
        refusals.RuntimeException,
    ) as error:
        raise ModelInvalid(f"{name} is damaged or is not an ONNX model; install it again.") from error


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
