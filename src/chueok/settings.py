"""Every knob, with its default and the reason behind it."""

from __future__ import annotations

import dataclasses
import math
import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from chueok.errors import UsageError

DEFAULT_MODEL = "lite"  # packaged, so that a fresh machine works offline
DEFAULT_FAR = 1e-3  # one stranger in a thousand passes
LEAST_DETECTOR_SIZE = 160  # pixels; a portrait's face has then 48, which the last network sees

PhotoSize: TypeAlias = int  # a long side in pixels; 0, written `full`, is the photo's own
Device: TypeAlias = Literal["cpu", "auto", "cuda", "coreml"]


@dataclass(frozen=True, slots=True)
class Settings:
    """What can be set by flag, by `CHUEOK_<NAME>` in the environment, or in the config file."""

    library: Path  # catalog and index; platformdirs' data folder unless told otherwise
    models: Path  # weights the user installed
    cache: Path  # compiled networks; can be deleted at any time
    model: str | None = None  # None = the library's own; a new library gets DEFAULT_MODEL
    jobs: int = 0  # reading processes; 0 = one per core (small nets gain nothing from more threads)
    # auto = an accelerator that ONNX Runtime can use, else the CPU. Everything was measured on CPUs, and an
    # accelerator's driver needs more memory than `worker_megabytes`, which then does not hold.
    device: Device = "cpu"
    threshold: float | None = None  # similarity a match needs; None = the library's or model's, at `far`
    far: float = DEFAULT_FAR  # false accept rate the threshold is looked up for
    detector_size: PhotoSize = 1280  # a photo is decoded at this long side in pixels, or up to twice
    # shorter side of the smallest face looked for, in pixels of a photo of that size: 2.2 % of the long side; nine in
    # ten of those down to 1.6 % are found all the same (docs/performance.md)
    detector_min_face: int = 28
    detector_probability: float = (
        0.95  # faces below are not learned: MTCNN's doubtful boxes are mostly hands and leaves
    )
    photo_seconds: int = (
        60  # time budget for one photo; the slowest real file tried (200 megapixels) took a few
    )
    worker_megabytes: int = 1500  # memory ceiling of a reading process (docs/reliability.md: bombs)
    batch_photos: int = 64  # photos per commit: what a kill may lose
    batch_seconds: float = 30.0  # and the time after which a smaller batch is committed


# `index --fast`: photos decoded at half the size, and faces from 3 % of the long side (docs/performance.md)
FAST: dict[str, Any] = {"detector_size": 640, "detector_min_face": 20}


def default_settings() -> Settings:
    """The defaults, with this machine's folders."""
    from platformdirs import user_cache_path, user_data_path

    data = user_data_path("chueok", appauthor=False)
    return Settings(
        library=data / "library",
        models=data / "models",
        cache=user_cache_path("chueok", appauthor=False),
    )


def load_settings(
    environ: Mapping[str, str] | None = None,
    config: Path | None = None,
    **flags: Any,
) -> Settings:
    """Settings by precedence: flag > environment `CHUEOK_*` > config file > default.

    flags with the value None count as not given. Raises UsageError for an unknown name or a value of the
    wrong kind, naming where it came from.
    """
    environ = os.environ if environ is None else environ
    found = _config_values(environ, config)
    for name in _FIELDS:
        variable = f"CHUEOK_{name.upper()}"
        if environ.get(variable):
            found[name] = _convert(name, environ[variable], variable)
    given = {name: value for name, value in flags.items() if value is not None}
    found |= {name: _convert(name, value, f"--{name.replace('_', '-')}") for name, value in given.items()}
    return dataclasses.replace(default_settings(), **found)


def _photo_size(value: Any) -> int:
    if value == "full":
        return 0
    if int(value) < LEAST_DETECTOR_SIZE:
        raise ValueError
    return int(value)


def _device(value: Any) -> str:
    if value not in get_args(Device):
        raise ValueError
    return str(value)


_CONVERTERS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "Path": (lambda value: Path(value).expanduser(), "a path"),
    "str": (str, "a word"),
    "int": (int, "a whole number"),
    "float": (float, "a number"),
    "PhotoSize": (_photo_size, f"{LEAST_DETECTOR_SIZE} or more pixels, or full"),
    "Device": (_device, ", ".join(get_args(Device))),
}
_LIMITS = {
    "threshold": (-1, 1),
    "far": (1e-9, 1),
    "detector_min_face": (12, math.inf),  # P-Net's window
    "detector_probability": (0, 1),
    "photo_seconds": (1, math.inf),
}
_FIELDS = {field.name: field for field in dataclasses.fields(Settings)}


def _config_values(environ: Mapping[str, str], config: Path | None) -> dict[str, Any]:
    """The config file's values; a file that was named must exist, the default one may not."""
    named = config or (Path(environ["CHUEOK_CONFIG"]) if environ.get("CHUEOK_CONFIG") else None)
    if named is None:
        from platformdirs import user_config_path

        path = user_config_path("chueok", appauthor=False) / "config.toml"
        if not path.is_file():
            return {}
    else:
        path = named
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"the config file {path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"the config file {path} is not valid TOML: {error}") from error
    for name in table:
        if name not in _FIELDS:
            known = ", ".join(sorted(_FIELDS))
            raise UsageError(f"{path}: there is no setting {name!r}; there are {known}")
    return {name: _convert(name, value, f"{path}: {name}") for name, value in table.items()}


def _convert(name: str, value: Any, origin: str) -> Any:
    """A setting from a flag, text or TOML to its own type, within its limits. Raises UsageError."""
    convert, wanted = _CONVERTERS[str(_FIELDS[name].type).removesuffix(" | None")]
    try:
        converted = convert(value)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{origin} is {value!r}; it takes {wanted}") from error
    low, high = _LIMITS.get(name, (0, math.inf))
    if isinstance(converted, int | float) and not low <= converted <= high:  # not a number is outside too
        raise UsageError(f"{origin} is {converted!r}; it takes a number from {low:g} to {high:g}")
    return converted
