"""Combinations of options to compare, from a TOML file. No torch here: the command line reads it first."""

from __future__ import annotations

import itertools
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from chueok.errors import UsageError

Options: TypeAlias = dict[str, str | float | bool]

# What a grid may vary, and the kinds of value each takes; an empty text for `adapt` is no album
_KINDS: Mapping[str, tuple[type, ...]] = {
    **dict.fromkeys(("loss", "optimizer", "schedule", "freeze", "adapt"), (str,)),
    **dict.fromkeys(("scale", "margin", "lr", "keep"), (float, int)),
    **dict.fromkeys(("epochs", "batch", "size", "patience", "seed"), (int,)),
    "augment": (bool,),
}


def read_grid(path: Path) -> list[Options]:
    """Every combination of a TOML file whose entries are options with lists of values. Raises UsageError."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"the grid {path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"the grid {path} is not valid TOML: {error}") from error
    lists = [_values(path, name, value) for name, value in table.items()]
    if not lists:
        raise UsageError(f"the grid {path} names no options; write for instance: lr = [1e-4, 5e-5]")
    return [dict(zip(table, values, strict=True)) for values in itertools.product(*lists)]


def typed(options: Mapping[str, str | float | bool]) -> str:
    """Options as one would type them."""
    words = []
    for name, value in options.items():
        if name == "augment":
            words.append("--augment" if value else "--no-augment")
        elif value != "":  # an album is not given
            words.append(f"--{name} {value:g}" if isinstance(value, float) else f"--{name} {value}")
    return " ".join(words)


def _values(path: Path, name: str, value: Any) -> list[Any]:
    if name not in _KINDS:
        raise UsageError(f"the grid {path} varies {name!r}; it takes {', '.join(_KINDS)}")
    values = value if isinstance(value, list) else [value]
    if not values or not all(type(one) in _KINDS[name] for one in values):
        kind = {bool: "true or false", int: "whole numbers", float: "numbers", str: "words"}[_KINDS[name][0]]
        raise UsageError(f"the grid {path}: {name} takes a list of {kind}")
    return values
