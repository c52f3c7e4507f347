"""The command line: parse, call one flow, hand the result to output."""

from __future__ import annotations

from chueok.cli import enroll, find, forget, index, lookalike, model, people, status, undo, why
from chueok.cli.app import app

__all__ = [
    "app",
    "enroll",
    "find",
    "forget",
    "index",
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
    app(prog_name="chueok")
