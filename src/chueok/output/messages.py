"""Everything that is not the answer: notes, failures and summaries, one line each on stderr."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TextIO

from chueok.measures import (
    CalibrateSummary,
    DistillSummary,
    EvaluateSummary,
    FinetuneSummary,
    LearningPoint,
    PairsSummary,
    PruneSummary,
    QuantizeSummary,
    SweepSummary,
    TuningPoint,
)
from chueok.output import calibration, sentences
from chueok.output.base import Record
from chueok.output.text import printable
from chueok.records import (
    Action,
    Collected,
    CollectSummary,
    Enrolled,
    EnrollSummary,
    FindSummary,
    LookalikeSummary,
    Note,
    PhotoIndexed,
    ScanSummary,
    Status,
    Step,
)

_SENTENCES: dict[type, Callable[[Any], str]] = {
    ScanSummary: sentences.indexed,
    FindSummary: sentences.found,
    Enrolled: sentences.enrolled,
    EnrollSummary: sentences.enrolment,
    Action: sentences.planned,
    CollectSummary: sentences.collected,
    PairsSummary: sentences.paired,
    EvaluateSummary: sentences.measured,
    QuantizeSummary: sentences.quantized,
    PruneSummary: sentences.pruned,
    LearningPoint: sentences.learning,
    DistillSummary: sentences.distilled,
    CalibrateSummary: calibration.summed_up,
    TuningPoint: sentences.tuning,
    FinetuneSummary: sentences.tuned,
    SweepSummary: sentences.swept,
}


class Messages:
    """Lines on a stream that may be a file or a pipe: no colour, no animation."""

    def __init__(self, stream: TextIO, *, quiet: bool = False, verbose: bool = False) -> None:
        self._stream = stream
        self._quiet = quiet
        self._verbose = verbose

    def tell(self, record: Record) -> None:
        """Say what a reader of the answer should know about this record; nothing for the answer itself."""
        self.follow(record)
        match record:
            case Note():
                self.say(printable(record.message))
            case PhotoIndexed():
                self._photo(record)
            case LookalikeSummary():
                self.say(sentences.compared(record))
                if record.people:
                    self.say(sentences.SCALE)
            case Collected():
                self._collected(record)
            case _ if type(record) in _SENTENCES:
                self.say(_SENTENCES[type(record)](record))
            case _:
                pass

    def follow(self, record: Record) -> None:
        """Move the progress along, where there is one."""

    def make_way(self) -> None:
        """Take the progress away: something else will be printed on the same screen."""

    def say(self, sentence: str) -> None:
        """A line that --quiet leaves out."""
        if not self._quiet:
            self._line(sentence)

    def warn(self, sentence: str) -> None:
        """A line about something that failed: always said."""
        self._line(sentence)

    def close(self) -> None:
        """Take the progress away and flush."""
        self._stream.flush()

    def _line(self, sentence: str) -> None:
        self._stream.write(sentence + "\n")

    def _photo(self, photo: PhotoIndexed) -> None:
        if photo.status in (Status.FAILED, Status.DAMAGED):
            self.warn(sentences.photo_line(photo))
        elif self._verbose:
            self.say(sentences.photo_line(photo))

    def _collected(self, record: Collected) -> None:
        if record.error is not None:
            self.warn(f"{printable(record.action.source)}: {printable(record.error)}")
        elif record.action.step is Step.MISSING:
            self.warn(sentences.planned(record.action))
        elif self._verbose:
            self.say(sentences.planned(record.action))
