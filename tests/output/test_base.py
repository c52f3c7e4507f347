"""The right output is chosen, costs little, and ends well."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from typing import TextIO

import pytest

from chueok.output.base import Record, Recorder, abandon, open_output
from chueok.output.jsonl import JsonLines
from chueok.output.plain import Plain
from chueok.output.terminal import LiveMessages, Terminal
from chueok.records import Match, Note


def test_a_recorder_remembers_and_knows_when_it_was_closed(records: tuple[Record, ...]) -> None:
    with Recorder() as recorder:
        recorder.show_all(records[:3], records[3:])
    assert (tuple(recorder.records), recorder.closed) == (records, True)


class _TerminalStream(io.TextIOWrapper):
    def isatty(self) -> bool:
        return True


def _stream(terminal: bool = False) -> TextIO:
    return _TerminalStream(io.BytesIO()) if terminal else io.TextIOWrapper(io.BytesIO())


@pytest.mark.parametrize(
    ("terminal", "json", "null", "kind"),
    [
        (True, False, False, Terminal),
        (True, False, True, Plain),
        (True, True, False, JsonLines),
        (False, False, False, Plain),
        (False, True, False, JsonLines),
    ],
)
def test_the_streams_and_flags_choose_the_output(terminal: bool, json: bool, null: bool, kind: type) -> None:
    output = open_output(json=json, null=null, stdout=_stream(terminal), stderr=_stream(), environ={})
    assert type(output) is kind


def test_an_output_that_breaks_off_shows_what_it_has(match: Match) -> None:
    stdout = _stream(terminal=True)
    with (
        pytest.raises(KeyboardInterrupt),
        open_output(stdout=stdout, stderr=_stream(), environ={"NO_COLOR": "1"}) as output,
    ):
        output.show(match)
        raise KeyboardInterrupt
    stdout.seek(0)
    assert "a.jpg" in stdout.read()


@pytest.mark.parametrize("json", [True, False])
def test_a_reader_that_left_is_a_broken_pipe_and_python_can_exit_quietly(match: Match, json: bool) -> None:
    stdout = _nobody_reads()
    with (
        pytest.raises(BrokenPipeError),
        open_output(json=json, stdout=stdout, stderr=_stream(), environ={}) as output,
    ):
        output.show(match)
    abandon(stdout, sys.stderr)
    stdout.close()


def test_rich_does_not_turn_a_broken_pipe_into_an_exit() -> None:
    stderr = _nobody_reads()
    messages = LiveMessages(stderr, animate=False)
    with pytest.raises(BrokenPipeError):
        messages.tell(Note("anybody there?"))
    abandon(stderr)
    stderr.close()


def _nobody_reads() -> TextIO:
    reader, writer = os.pipe()
    os.close(reader)
    return os.fdopen(writer, "w")


def test_a_pipe_costs_no_import_of_rich_or_pillow() -> None:
    script = (
        "import sys; from chueok.output.base import open_output\n"
        "open_output(); open_output(json=True); open_output(null=True)\n"
        "print(sorted({'rich', 'PIL', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_a_stream_that_is_read_is_not_abandoned() -> None:
    reader, writer = os.pipe()
    stream = os.fdopen(writer, "w")
    stream.write("still here")
    abandon(stream)
    assert os.read(reader, 100) == b"still here"
    stream.close()
    os.close(reader)
