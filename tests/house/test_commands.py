"""A command is imported when a command line names it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import chueok
from chueok.cli import WITH_VALUE, app

SCRIPT = """
import sys, typer
from chueok.cli import app, load_commands
load_commands(sys.argv[1:])
for name, command in typer.main.get_group(app).commands.items():
    for below in getattr(command, "commands", [""]):
        print(name, below)
"""
MODULES = {"__init__", "app", "options", "session"}  # those of cli/ that register nothing


def loaded(*words: str) -> set[str]:
    """The commands there are after a command line of these words was looked at."""
    done = subprocess.run([sys.executable, "-c", SCRIPT, *words], capture_output=True, text=True, check=True)
    return {line.strip() for line in done.stdout.splitlines()}


def test_every_command_is_found_by_its_name() -> None:
    everything = loaded()
    assert {"find", "lab distill", "lab quantize", "model use", "people list", "path"} < everything
    for name in {command.split()[0] for command in everything}:
        assert loaded("--color", "find", "-q", name, "index") == {
            command
            for command in everything
            if name in command.split()[:1] or _shares_a_module(name, command)
        }


def _shares_a_module(name: str, command: str) -> bool:
    return {name, command} == {"status", "path"}


def test_help_and_mistakes_know_every_command() -> None:
    everything = loaded()
    for words in (
        ["--help", "find"],
        ["-h"],
        ["fnid"],
        ["--library", "status", "fnid"],
        ["--library"],
        ["-q"],
    ):
        assert loaded(*words) == everything, words


def test_every_module_of_commands_is_named() -> None:
    folder = Path(chueok.__file__).parent / "cli"
    script = "import sys; from chueok.cli import load_commands; load_commands(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert {f"chueok.cli.{path.stem}" for path in folder.glob("*.py")} - {"chueok.cli.__init__"} <= set(
        done.stdout.split()
    )


def test_options_before_a_command_that_take_a_word_are_known() -> None:
    import typer

    options = [
        parameter
        for parameter in typer.main.get_group(app).params
        if not getattr(parameter, "is_flag", False)
    ]
    names = {name for option in options for name in option.opts}
    assert names - {"--install-completion", "--show-completion"} == set(WITH_VALUE)
