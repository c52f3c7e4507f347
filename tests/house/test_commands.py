"""Commands are imported when a command line names them."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import sys, typer
from chueok.cli import app, load_commands
load_commands(sys.argv[1:])
for name in typer.main.get_group(app).commands:
    print(name)
"""


def loaded(*words: str) -> set[str]:
    """The commands there are after a command line of these words was looked at; people, model and lab are always."""
    done = subprocess.run([sys.executable, "-c", SCRIPT, *words], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_every_command_is_found_by_its_name_alone() -> None:
    everything = loaded()
    assert len(everything) == 12
    assert {name for name in everything if name in loaded(name)} == everything


def test_a_word_that_is_no_command_hides_none() -> None:
    assert loaded("--library", "find", "path") > {"find", "path"}
    assert loaded("--help") == loaded("fnid") == loaded()
    assert "index" not in loaded("find", "mom")
