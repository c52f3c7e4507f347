"""The command line: parse, call one flow, hand the result to output."""

from __future__ import annotations

import os
import sys

from chueok.cli import (
    enroll,
    find,
    forget,
    index,
    lab_distill,
    lab_evaluate,
    lab_quantize,
    lookalike,
    model,
    people,
    status,
    undo,
    why,
)
from chueok.cli.app import app

__all__ = [
    "app",
    "enroll",
    "find",
    "forget",
    "index",
    "lab_distill",
    "lab_evaluate",
    "lab_quantize",
    "lookalike",
    "main",
    "model",
    "people",
    "status",
    "undo",
    "why",
]


def main() -> None:
    """The `chueok` command."""
    _fill_standard_streams()
    app(prog_name="chueok")


def _fill_standard_streams() -> None:
    """A stream the caller closed leads nowhere.

    Otherwise the next file to be opened takes its number, and that may be the catalog: a library that complains to
    number 2 would write into it.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(number, True)
    os.close(number)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)
