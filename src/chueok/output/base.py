"""What an output promises, and the choice between them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, Self, TextIO

from chueok.measures import (
    CalibrateSummary,
    Calibration,
    DistillSummary,
    EvaluateSummary,
    FinetuneSummary,
    GateFigure,
    LearningPoint,
    ModelEvaluated,
    ModelsCompared,
    NetworkMeasured,
    PairsSummary,
    PruneSummary,
    QuantizeSummary,
    SweepCell,
    SweepSummary,
    TuningPoint,
)
from chueok.records import (
    Action,
    Collected,
    CollectSummary,
    Enrolled,
    EnrollSummary,
    FaceVerdict,
    FindSummary,
    LibraryStatus,
    Lookalike,
    LookalikeSummary,
    Match,
    ModelStatus,
    Note,
    Person,
    PhotoIndexed,
    Plan,
    ScanStarted,
    ScanSummary,
)

if TYPE_CHECKING:
    from chueok.output.messages import Messages

Color = Literal["auto", "always", "never"]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far work has come whose end is known. Seen on a terminal only, until `done` is `total`."""

    what: str  # "reading"
    unit: str  # "photos"
    done: int  # work of earlier runs included
    total: int


Record = (
    ScanStarted
    | PhotoIndexed
    | ScanSummary
    | Match
    | FindSummary
    | Lookalike
    | LookalikeSummary
    | Enrolled
    | EnrollSummary
    | Person
    | Plan
    | Action
    | Collected
    | CollectSummary
    | FaceVerdict
    | LibraryStatus
    | ModelStatus
    | ModelEvaluated
    | ModelsCompared
    | PairsSummary
    | EvaluateSummary
    | NetworkMeasured
    | QuantizeSummary
    | PruneSummary
    | LearningPoint
    | DistillSummary
    | Calibration
    | CalibrateSummary
    | TuningPoint
    | GateFigure
    | FinetuneSummary
    | SweepCell
    | SweepSummary
    | Progress
    | Note
)


class Output(Protocol):
    """Shows records to a person or a program. A context manager: leaving it shows what was held back.

    `show` and `close` let BrokenPipeError through; the command line's boundary ends quietly on it, after
    `abandon(stdout, stderr)`.
    """

    def show(self, record: Record) -> None:
        """Render one record."""
        ...

    def show_all(self, *groups: Iterable[Record]) -> None:
        """Render several groups of records, in their order."""
        for group in groups:
            for record in group:
                self.show(record)

    def close(self) -> None:
        """Render what was held back and flush. The streams stay open."""
        ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Recorder(Output):
    """Remembers every record: the output of tests."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.closed = False

    def show(self, record: Record) -> None:
        self.records.append(record)

    def close(self) -> None:
        self.closed = True


def open_output(
    *,
    json: bool = False,
    null: bool = False,
    color: Color = "auto",
    quiet: bool = False,
    verbose: bool = False,
    stdout: TextIO | None = None,
    stderr: TextIO | None = None,
    environ: Mapping[str, str] | None = None,
) -> Output:
    """JSON Lines when asked for; else tables on a terminal; else plain lines.

    null: paths end with NUL instead of a newline, also on a terminal. quiet: only data and failures.
    verbose: every photo by name. Streams and environment are the process's own unless given; `stdout` must
    have a `buffer`.
    """
    stdout = sys.stdout if stdout is None else stdout
    stderr = sys.stderr if stderr is None else stderr
    environ = os.environ if environ is None else environ
    on_terminal = stdout.isatty()
    messages = _open_messages(
        stderr, color, environ, quiet=quiet, verbose=verbose, animate=not (json and on_terminal)
    )
    if json:
        from chueok.output.jsonl import JsonLines

        return JsonLines(stdout.buffer, messages)
    if null or not on_terminal:
        from chueok.output.plain import Plain

        return Plain(stdout.buffer, messages, end=b"\0" if null else b"\n")
    from chueok.output.terminal import Terminal

    return Terminal(stdout, messages, colored=_colored(stdout, color, environ), verbose=verbose)


def abandon(*streams: TextIO) -> None:
    """Let what cannot be written go nowhere, so that Python's own flush at exit stays quiet and keeps the exit code.

    Streams that can be written are left as they are.
    Source: "Note on SIGPIPE" in the documentation of Python's signal module.
    """
    for stream in streams:
        try:
            stream.flush()
        except OSError:  # no reader, or a full disk
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)


def _open_messages(
    stderr: TextIO, color: Color, environ: Mapping[str, str], *, quiet: bool, verbose: bool, animate: bool
) -> Messages:
    """Lines for a file or pipe; colour and progress for a terminal.

    animate: False where JSON runs over the same screen.
    """
    colored = _colored(stderr, color, environ)
    if stderr.isatty() or colored:
        from chueok.output.terminal import LiveMessages

        animate = animate and stderr.isatty() and environ.get("TERM") != "dumb"
        return LiveMessages(stderr, quiet=quiet, verbose=verbose, colored=colored, animate=animate)
    from chueok.output.messages import Messages

    return Messages(stderr, quiet=quiet, verbose=verbose)


def _colored(stream: TextIO, color: Color, environ: Mapping[str, str]) -> bool:
    """Whether to send colours; NO_COLOR as https://no-color.org has it: set and not empty."""
    if color == "auto":
        return stream.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
    return color == "always"
