"""Any ONNX file as a model: a small TOML manifest says what it is and how it wants its faces."""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn, cast

from chueok.errors import ModelInvalid
from chueok.vision.models.card import Channels, Crop, ModelCard, Recipe

# A name is typed in a shell and becomes a file name: no slash, no blank, no leading dash or dot.
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}\.onnx")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_URL = re.compile(r"https?://\S+")
_RATE = re.compile(r"1e-[1-9]")
_REQUIRED = ("name", "licence", "file", "size", "sha256", "dimension", "crop", "pixels")
_OPTIONAL = (
    "description", "url", "mean", "scale", "colour", "mirror", "margin", "thresholds", "impostor_pairs"
)  # fmt: skip
_CROP_PIXELS = range(16, 1025)  # below there is no face, above no face network known
_DIMENSIONS = range(2, 4097)


def read_manifest(path: Path) -> ModelCard:
    """The model a manifest describes. Raises ModelInvalid, saying which line is wrong and what it takes."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelInvalid(f"the manifest {path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ModelInvalid(f"the manifest {path} is not valid TOML: {error}") from error
    return _Fields(path, table).card()


def write_manifest(card: ModelCard, path: Path, remark: str = "") -> None:
    """Describe an ONNX model, so that `read_manifest` gives this very card; `remark` stands above as a comment.

    Raises ModelInvalid for a card that no manifest can describe, OSError when the disk says no.
    """
    lines = [f"# {line}" for line in remark.splitlines()]
    # as TOML, JSON's strings, numbers, lists and booleans say the same
    lines += [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in _entries(card).items()]
    lines += ["", "[thresholds]", *(f"{rate} = {value}" for rate, value in card.thresholds.items())]
    text = "\n".join(lines) + "\n"
    if _Fields(path, tomllib.loads(text)).card() != card:
        raise ModelInvalid(
            f"{path} cannot describe the model {card.name!r}: it is no ONNX model, or a packaged one"
        )
    path.write_text(text, encoding="utf-8")


def is_model_name(name: str) -> bool:
    """Whether a manifest could give this name to a model."""
    return _NAME.fullmatch(name) is not None


def _entries(card: ModelCard) -> dict[str, Any]:
    """A card as a manifest has it, all but the thresholds."""
    recipe = card.recipe
    return {
        "name": card.name,
        "description": card.description,
        "licence": card.licence,
        **({} if card.url is None else {"url": card.url}),
        "file": card.file,
        "size": card.size,
        "sha256": card.sha256,
        "dimension": card.dimension,
        "crop": recipe.crop,
        "pixels": recipe.pixels,
        "mean": recipe.mean,
        "scale": recipe.scale,
        "colour": "bgr" if recipe.bgr else "rgb",
        "mirror": recipe.mirror,
        "margin": recipe.margin,
        "impostor_pairs": card.impostor_pairs,
    }


class _Fields:
    """The entries of one manifest, checked one by one; every complaint names the file and the entry."""

    def __init__(self, path: Path, table: Mapping[str, Any]) -> None:
        self._path = path
        self._table = table

    def card(self) -> ModelCard:
        self._check_names()
        return ModelCard(
            name=self._text("name", _NAME, "lower-case letters, digits, '.', '_' and '-'"),
            description=self._free_text("description", "described by a manifest"),
            licence=self._free_text("licence", ""),
            url=self._url(),
            file=self._text("file", _FILE, "a plain file name that ends in .onnx"),
            size=self._whole("size", range(1, 1 << 40)),
            sha256=self._text("sha256", _SHA256, "64 lower-case hex digits, as sha256sum prints them"),
            architecture="onnx",
            dimension=self._whole("dimension", _DIMENSIONS),
            recipe=self._recipe(),
            thresholds=self._thresholds(),
            impostor_pairs=self._whole("impostor_pairs", range(1 << 62), 0),
        )

    def _recipe(self) -> Recipe:
        pixels = self._whole("pixels", _CROP_PIXELS)
        scale = self._channels("scale", (1.0, 1.0, 1.0))
        if 0.0 in scale:
            self._refuse("scale", "divides, so it takes no 0")
        return Recipe(
            crop=cast("Crop", self._choice("crop", ("arcface", "box"))),
            pixels=pixels,
            mean=self._channels("mean", (0.0, 0.0, 0.0)),
            scale=scale,
            bgr=self._choice("colour", ("rgb", "bgr"), "rgb") == "bgr",
            mirror=self._flag("mirror"),
            margin=self._whole("margin", range(pixels), 0),
        )

    def _check_names(self) -> None:
        for name in self._table:
            if name not in _REQUIRED + _OPTIONAL:
                known = ", ".join(_REQUIRED + _OPTIONAL)
                raise ModelInvalid(f"{self._path}: there is no entry {name!r}; there are {known}")
        missing = [name for name in _REQUIRED if name not in self._table]
        if missing:
            raise ModelInvalid(f"{self._path} lacks {', '.join(missing)} (docs/models.md has an example)")

    def _refuse(self, name: str, wanted: str) -> NoReturn:
        raise ModelInvalid(f"{self._path}: {name} = {self._table.get(name)!r}; it {wanted}")

    def _text(self, name: str, pattern: re.Pattern[str], wanted: str) -> str:
        value = self._table[name]
        if not isinstance(value, str) or not pattern.fullmatch(value):
            self._refuse(name, f"takes {wanted}")
        return value

    def _free_text(self, name: str, default: str) -> str:
        value = self._table.get(name, default)
        if not isinstance(value, str) or not value.strip() or not value.isprintable():
            self._refuse(name, "takes a line of text")
        return value

    def _url(self) -> str | None:
        return self._text("url", _URL, "an http or https address") if "url" in self._table else None

    def _whole(self, name: str, allowed: range, default: int | None = None) -> int:
        value = self._table.get(name, default)
        if type(value) is not int or value not in allowed:
            self._refuse(name, f"takes a whole number from {allowed.start} to {allowed.stop - 1}")
        return value

    def _choice(self, name: str, allowed: tuple[str, ...], default: str | None = None) -> str:
        value = self._table.get(name, default)
        if value not in allowed:
            self._refuse(name, f"takes {' or '.join(repr(word) for word in allowed)}")
        return str(value)

    def _flag(self, name: str) -> bool:
        value = self._table.get(name, False)
        if not isinstance(value, bool):
            self._refuse(name, "takes true or false")
        return value

    def _channels(self, name: str, default: Channels) -> Channels:
        """One number for all three channels, or three."""
        value = self._table.get(name, list(default))
        values = value if isinstance(value, list) else [value] * 3
        if len(values) != 3 or not all(_is_number(number) for number in values):
            self._refuse(name, "takes a number, or three: [red, green, blue]")
        return (float(values[0]), float(values[1]), float(values[2]))

    def _thresholds(self) -> dict[str, float]:
        table = self._table.get("thresholds", {})
        if not isinstance(table, dict) or not all(_RATE.fullmatch(rate) for rate in table):
            self._refuse("thresholds", "takes rates as 1e-2, 1e-3, 1e-4 = similarities")
        if not all(_is_number(value) and -1 <= value <= 1 for value in table.values()):
            self._refuse("thresholds", "takes similarities from -1 to 1")
        rising = [float(table[rate]) for rate in sorted(table, key=float, reverse=True)]
        if rising != sorted(rising):
            self._refuse("thresholds", "must ask for more similarity at a lower rate")
        return {rate: float(value) for rate, value in table.items()}


def _is_number(value: object) -> bool:
    if type(value) not in (int, float):
        return False
    try:
        return math.isfinite(cast("float", value))
    except OverflowError:  # a whole number beyond every float
        return False
