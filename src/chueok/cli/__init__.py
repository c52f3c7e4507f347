"""The command line: parse, call one flow, hand the result to output."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

from chueok.cli.app import app

__all__ = ["WITH_VALUE", "app", "load_commands", "main"]

_COMMANDS = {  # a command's name, and the modules that register it or what stands below it
    "calibrate": ["calibrate"],
    "enroll": ["enroll"],
    "find": ["find"],
    "forget": ["forget"],
    "index": ["index"],
    "lab": ["lab_distill", "lab_evaluate", "lab_finetune", "lab_pairs", "lab_prune", "lab_quantize"],
    "lookalike": ["lookalike"],
    "model": ["model"],
    "path": ["status"],
    "people": ["people"],
    "status": ["status"],
    "undo": ["undo"],
    "why": ["why"],
}

WITH_VALUE = ("--library", "--config", "--color")  # options before a command's name that take a word


def main() -> None:
    """The `chueok` command."""
    _fill_standard_streams()
    load_commands(sys.argv[1:])
    app(prog_name="chueok")


def load_commands(words: Sequence[str] = ()) -> None:
    """Register the command that a command line names; all where it names none: help, completion, mistakes.

    A script that asks in a loop waits for the command it calls, not for the others (a tenth of a cold `find`).
    """
    name = _named(words)
    for modules in [_COMMANDS[name]] if name in _COMMANDS else _COMMANDS.values():
        for module in modules:
            importlib.import_module(f"chueok.cli.{module}")


def _named(words: Sequence[str]) -> str | None:
    """The first word that is no option, nor what an option takes; None where help is asked for before it."""
    waiting = iter(words)
    for word in waiting:
        if word in ("--help", "-h"):
            return None
        if not word.startswith("-"):
            return word
        if word in WITH_VALUE:
            next(waiting, None)
    return None


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
