"""The command line: parse, call one flow, hand the result to output."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

from chueok.cli.app import app

__all__ = ["app", "load_commands", "main"]

_COMMANDS = {  # a command's name, and the modules that register it or what stands below it
    "enroll": ["enroll"],
    "find": ["find"],
    "forget": ["forget"],
    "index": ["index"],
    "lab": ["lab_distill", "lab_evaluate", "lab_quantize"],
    "lookalike": ["lookalike"],
    "model": ["model"],
    "path": ["status"],
    "people": ["people"],
    "status": ["status"],
    "undo": ["undo"],
    "why": ["why"],
}


def main() -> None:
    """The `chueok` command."""
    _fill_standard_streams()
    load_commands(sys.argv[1:])
    app(prog_name="chueok")


def load_commands(words: Sequence[str] = ()) -> None:
    """Register the commands that a command line's words may name; all where they name none.

    A script that asks in a loop waits for the commands it calls, not for the others (a tenth of a cold `find`).
    """
    named = [name for name in _COMMANDS if name in words]
    for name in named or _COMMANDS:
        for module in _COMMANDS[name]:
            importlib.import_module(f"chueok.cli.{module}")


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
