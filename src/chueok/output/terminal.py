"""Tables on a terminal, and the progress bar of long work."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Sequence
from typing import Any, TextIO

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars
from rich.text import Text

from chueok.measures import (
    Calibration,
    GateFigure,
    ModelEvaluated,
    ModelsCompared,
    NetworkMeasured,
    SweepCell,
)
from chueok.output import calibration, tables
from chueok.output.base import Output, Progress, Record
from chueok.output.messages import Messages
from chueok.output.sentences import DOING
from chueok.records import (
    Collected,
    CollectSummary,
    FaceVerdict,
    LibraryStatus,
    Lookalike,
    Match,
    ModelStatus,
    Person,
    PhotoIndexed,
    Plan,
    ScanStarted,
    ScanSummary,
)

_REFRESH_SECONDS = 0.1  # ten pictures a second look like motion; more only costs

_TABLES: dict[type, Callable[[Sequence[Any], bool], RenderableType]] = {
    Match: tables.matches_table,
    Lookalike: tables.lookalikes_table,
    Person: tables.people_table,
    FaceVerdict: tables.verdicts_table,
    ModelStatus: tables.models_table,
    ModelEvaluated: tables.evaluations_table,
    ModelsCompared: tables.comparisons_table,
    NetworkMeasured: tables.networks_table,
    GateFigure: tables.gate_table,
    SweepCell: tables.sweep_table,
}


class Terminal(Output):
    """Answers of one kind are gathered and shown as one table when another record or the end comes."""

    def __init__(
        self, stream: TextIO, messages: Messages, colored: bool = True, verbose: bool = False
    ) -> None:
        self._console = open_console(stream, colored)
        self._messages = messages
        self._verbose = verbose
        self._rows: list[Record] = []

    def show(self, record: Record) -> None:
        if self._rows and not isinstance(record, (type(self._rows[0]), Progress)):
            self._show_table()
        if type(record) in _TABLES:
            self._rows.append(record)
        elif isinstance(record, LibraryStatus):
            self._show_status(record)
        elif isinstance(record, Calibration):
            self._show_calibration(record)
        self._messages.tell(record)

    def close(self) -> None:
        try:
            self._show_table()
        finally:
            self._messages.close()

    def _show_table(self) -> None:
        rows, self._rows = self._rows, []
        if rows:
            self._messages.make_way()
            self._console.print(_TABLES[type(rows[0])](rows, self._verbose))

    def _show_status(self, status: LibraryStatus) -> None:
        self._console.print(tables.status_table(status))
        if status.failures:
            self._console.print()
            self._console.print(tables.failures_table(status.failures, self._verbose))

    def _show_calibration(self, record: Calibration) -> None:
        self._console.print(tables.grid(calibration.rows(record)))
        if record.densities is not None:
            drawn = calibration.picture(record.densities, record.threshold, self._console.width)
            self._console.print(Text("\n".join(["", *drawn])), soft_wrap=True)
        if record.changes:
            self._console.print()
            self._console.print(tables.changes_table(record.changes))


class LiveMessages(Messages):
    """Messages on a terminal: failures stand out, and a scan shows its progress with rate and time left."""

    def __init__(
        self,
        stream: TextIO,
        *,
        quiet: bool = False,
        verbose: bool = False,
        colored: bool = True,
        animate: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(stream, quiet=quiet, verbose=verbose)
        self._console = open_console(stream, colored)
        self._animate = animate and not quiet
        self._clock = clock
        self._bar: _Bar | None = None

    def follow(self, record: Record) -> None:
        match record:
            case ScanStarted():
                self._begin_progress("reading photos", "photos", record.pending)
            case Plan():
                self._begin_progress(f"{DOING[record.transfer]} photos", "photos", len(record.actions))
            case PhotoIndexed() | Collected() if self._bar is not None and not self._bar.full:
                self._bar.advance()  # beyond it are the next album's photos that are as they were
            case ScanSummary() | CollectSummary():
                self.make_way()
            case Progress():
                self._count(record)
            case _:
                pass

    def make_way(self) -> None:
        if self._bar is not None:
            self._bar.remove()
            self._bar = None

    def warn(self, sentence: str) -> None:
        self._line(sentence, style="yellow")

    def close(self) -> None:
        self.make_way()
        super().close()

    def _line(self, sentence: str, style: str = "") -> None:
        # soft_wrap: the terminal breaks the line, so that a path can be copied whole
        self._console.print(Text(sentence, style=style), soft_wrap=True)

    def _count(self, progress: Progress) -> None:
        """Draw what was counted; fewer than before are the next lot's."""
        if progress.done >= progress.total:
            self.make_way()
        elif self._bar is None or progress.done < self._bar.done:
            self._begin_progress(progress.what, progress.unit, progress.total, progress.done)
        else:
            self._bar.advance(progress.done - self._bar.done)

    def _begin_progress(self, title: str, unit: str, total: int, done: int = 0) -> None:
        self.make_way()
        if self._animate and total:
            self._bar = _Bar(self._console, title, unit, total, done, self._clock)


class _Bar:
    """The progress of one piece of work, drawn when events come: a thread would not survive a fork.

    done: what was there before the bar; it says nothing about the rate.
    """

    def __init__(
        self, console: Console, title: str, unit: str, total: int, done: int, clock: Callable[[], float]
    ) -> None:
        self.done = done
        self._total = total
        self._clock = clock
        self._drawn = clock()
        self._bars = Bars(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            _RateColumn(),
            TimeRemainingColumn(),
            console=console,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
            transient=True,
            get_time=clock,
        )
        self._task: TaskID = self._bars.add_task(title, total=total, completed=done, unit=unit)
        self._bars.start()

    def advance(self, steps: int = 1) -> None:
        self.done += steps
        self._bars.advance(self._task, steps)
        if self._clock() - self._drawn >= _REFRESH_SECONDS:
            self._drawn = self._clock()
            self._bars.refresh()

    @property
    def full(self) -> bool:
        return self.done >= self._total

    def remove(self) -> None:
        self._bars.stop()


class _RateColumn(ProgressColumn):
    """How many a second, over rich's window of the last 30 seconds."""

    def render(self, task: Task) -> Text:
        return Text("" if task.speed is None else f"{task.speed:.1f} {task.fields['unit']}/s")


class _Console(Console):
    """rich's console, except that a broken pipe stays BrokenPipeError; rich's own answer is SystemExit(1)."""

    def on_broken_pipe(self) -> None:
        raise  # noqa: PLE0704 - rich calls this inside its `except BrokenPipeError`


def open_console(stream: TextIO, colored: bool) -> Console:
    """A console that reads nothing into names (markup, emoji codes); without colour no escape codes."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")  # a terminal that is not UTF-8 must not end a command
    return _Console(
        file=stream,
        force_terminal=True,
        color_system="standard" if colored else None,
        markup=False,
        emoji=False,
        highlight=False,
        legacy_windows=False,
    )
