"""A terminal gets tables, progress and nothing that could steer it; seen through a real pseudo-terminal."""

from __future__ import annotations

import os
import pty
import re
import select
import tty
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TextIO

import pytest

from chueok.measures import ModelEvaluated, NetworkMeasured
from chueok.output.base import Output, Progress, Record, open_output
from chueok.output.terminal import LiveMessages
from chueok.records import (
    FindSummary,
    LookalikeSummary,
    Match,
    Note,
    PhotoIndexed,
    Plan,
    ScanStarted,
    ScanSummary,
    Status,
    Step,
    Transfer,
)

Records = tuple[Record, ...]
OnTerminal = Callable[..., str]


class Screen:
    """A pseudo-terminal: what is written to `stream` comes out of `seen`."""

    def __init__(self) -> None:
        self._master, slave = pty.openpty()
        tty.setraw(slave)
        self.stream: TextIO = os.fdopen(slave, "w", encoding="utf-8")

    def seen(self) -> str:
        """Everything written so far."""
        self.stream.flush()
        data = b""
        while select.select([self._master], [], [], 0)[0]:
            data += os.read(self._master, 65536)
        return data.decode()

    def close(self) -> None:
        self.stream.close()
        os.close(self._master)


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Iterator[Screen]:
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "xterm")
    screen = Screen()
    yield screen
    screen.close()


@pytest.fixture
def on_terminal(screen: Screen) -> OnTerminal:
    """Shows records with both streams on one terminal and gives what was seen."""

    def show(*records: Record, environ: dict[str, str] | None = None, **options: object) -> str:
        with _open(screen, environ or {"NO_COLOR": "1"}, **options) as output:
            for record in records:
                output.show(record)
        return screen.seen()

    return show


def _open(screen: Screen, environ: dict[str, str], **options: object) -> Output:
    return open_output(stdout=screen.stream, stderr=screen.stream, environ=environ, **options)  # type: ignore[arg-type]  # options of the test


def _trimmed(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.split("\n"))


def test_matches_are_a_table_and_the_footer_says_what_decided(on_terminal: OnTerminal, match: Match) -> None:
    other = replace(
        match,
        photo=Path("앨범") / unicodedata.normalize("NFD", "가족") / "[red]:smile:\x1b[31m\n\u202e.jpg",
        person=unicodedata.normalize("NFD", "엄마"),
        similarity=0.5,
        taken_at=None,
    )
    assert _trimmed(on_terminal(match, other, FindSummary(("mom", "엄마"), 2, 61, 0.42, "given", 0.03))) == (
        "similarity  person  date        photo\n"
        "     0.713  mom     2019-05-02  a.jpg\n"
        "     0.500  엄마                앨범/가족/[red]:smile:\\x1b[31m\\n\\u202e.jpg\n"
        "2 photos of mom, 엄마; threshold 0.420 (as given); 61 faces searched in 0.03 s\n"
    )


def test_no_match_says_what_to_try(on_terminal: OnTerminal) -> None:
    assert on_terminal(FindSummary(("mom",), 0, 61, 0.42, "lite at FAR 1e-3", 0.03)) == (
        "nothing found for mom; threshold 0.420 (lite at FAR 1e-3); 61 faces searched in 0.03 s. "
        "Try fewer conditions, a lower --threshold, another reference photo, or `chueok why PHOTO --person REF`\n"
    )


def test_an_empty_library_and_an_empty_gallery_say_what_to_do(on_terminal: OnTerminal) -> None:
    empty = FindSummary(("mom",), 0, 0, 0.42, "given", 0.0), LookalikeSummary(Path("x"), 0, 0, 0, "lite", 0.0)
    assert on_terminal(*empty) == (
        "no faces to search for mom: index an album first (`chueok index ALBUM`)\n"
        "nobody to compare with; give --gallery a folder with a picture (or a sub-folder) per person, "
        "or enroll people first (`chueok enroll NAME PHOTO`)\n"
    )


def test_every_record_has_its_place(on_terminal: OnTerminal, records: Records) -> None:
    shown = [
        record for record in records if not isinstance(record, ScanStarted | PhotoIndexed | Plan | Progress)
    ]
    assert _trimmed(on_terminal(*shown)) == WHOLE


def test_models_stand_side_by_side_under_their_data_set(on_terminal: OnTerminal, records: Records) -> None:
    (record,) = (record for record in records if isinstance(record, ModelEvaluated))
    shown = [("a/people", "lite"), ("b/people", "lite"), ("a/people", "other")]
    lines = _trimmed(
        on_terminal(*(replace(record, dataset=Path(path), model=model) for path, model in shown))
    ).splitlines()
    heads = [line.split() for line in lines if line.endswith(("people", "lite", "other")) and "," not in line]
    assert heads == [["a/people"], ["lite", "other"], ["b/people"], ["lite"]]
    assert "accuracy            91.92 % (90.1-93.5)  91.92 % (90.1-93.5)" in lines


def test_verbose_tells_of_kinds_of_pairs_and_a_peak_is_starred(
    on_terminal: OnTerminal, records: Records
) -> None:
    (record,) = (record for record in records if isinstance(record, ModelEvaluated))
    peak = replace(record, verification=replace(record.verification, accuracy_by="peak"))
    shown = _trimmed(on_terminal(peak, verbose=True))
    assert "accuracy *          91.92 %" in shown
    assert "* by the threshold best on these very pairs" in shown
    assert "face size      below 64 pixels            100   41.00 %  20,000   0.123 %" in shown
    assert "age            (none)                       0   too few       7   0.000 %" in shown


WHOLE = """\
indexed 2 photos (1 new, 1 failed): 2 faces in 4.2 s
similarity  date        photo
     0.713  2019-05-02  a.jpg
1 photo of mom; threshold 0.420 (lite at FAR 1e-3); 61 faces searched in 0.03 s
rank  name    likeness  similarity  percentile  picture
   1  김민지    81.0 %       0.620        99.4  people/김민지.jpg
compared selfie.jpg with 75 people (80 pictures, 2 unusable) by lite in 0.15 s
50 % means similarity 0; the percentage is a playful scale, not a probability. \
The percentile is the share of this gallery's scores between different people that lie below.
mom: learned from ref.jpg (face of 130 x 150 pixels)
enrolled mom from 1 reference in 0.40 s; find the photos: `chueok find mom`
name  enrolled    references  pictures
mom   2019-05-02           1  ref.jpg
a.jpg -> out/a.jpg
copied 12 photos to out (3 already there, 1 failed)
face  where                similarity  threshold  verdict  best reference  runner-up
   1  130 x 150 at 10, 20       0.710      0.420  match    ref.jpg         dad (0.200)
library    lib
model      lite
photos     12
pictures   11 different, with references and galleries
faces      40
people     1
catalog    12.3 MB
index      ready, 900 bytes
last scan  2019-05-02 10:11
album      Photos (12 photos, 40 faces, 1 missing, 1 failed, its folder is not there now)

state   photo         reason
failed  Photos/b.jpg  it is empty
   model  state        size  numbers  licence  about
*  lite   installed  1.3 MB      128  MIT      small
faces/lfw
749 people, 1,583 pictures, 1 without a face; 2,800 pairs of one person, 1,247,000 of two; 1,198
decide the accuracy, 2 more lost

                                   lite
accuracy            91.92 % (90.1-93.5)
at the similarity                 0.300
precision                       93.00 %
recall                          90.50 %
F1                              91.73 %
equal error rate                 8.10 %
TAR at FAR 1e-2     71.20 % (68.0-74.0)
TAR at FAR 1e-3                 50.00 %
TAR at FAR 1e-4                 too few
TAR at FAR 1e-5                 too few
similarity at 1e-2                0.457
similarity at 1e-3                0.568
similarity at 1e-4              too few
similarity at 1e-5              too few
rank-1                          80.00 %
ms a face                          2.41

In brackets: where a figure lies with 95 % confidence, people drawn by lot, where ten or more have
two pictures; “too few”: fewer than 30 pairs would decide the figure, or none.

lite against mobilefacenet, faces/lfw
                  change, points            95 %
accuracy                   -1.00  -2.00 to -0.50  worse
equal error rate           -2.00  -3.00 to -1.00  better
TAR at FAR 1e-2            +0.10  -1.00 to +2.00  no difference told
rank-1                     +0.00                  too few

wrote 1,972 pairs of one person and 1,972 of two in 10 folds, of 749 people; 1 picture without a face; \
measure with them: `chueok lab evaluate DATASET --pairs FILE`
measured 1 model on 1,583 pictures, 1 without a face, of 1 data set, in 1 min 01 s
model    size  ms a face  similarity  worst 1 %
ours   7.6 MB       5.12
int8   2.0 MB       1.90      0.9987     0.9965
calibrated with 400 crops, compared on 1,000 others in 27.5 s; install it: `chueok model fetch int8 --from to/int8.toml`
kept 464 of 656 filters and learnt from 32,000 views in 2 min 58 s; similarity to the original 0.9713; install it: \
`chueok model fetch pruned --from to/pruned.toml`; it has no threshold, as the original's are not its own: \
--evaluate DATASET measures them
16,000 views: loss 0.4123, similarity to the teacher 0.7006, after 3 min 34 s
learnt from 6,000,000 views in 2 h 00 min; similarity to the teacher 0.9123; the learning curve: run/curve.png; \
install the student: `chueok model fetch student --from run/student.toml`, or make it smaller with \
`chueok lab quantize` first
threshold  0.512 at a false accept rate of 0.001 (90 % interval 0.470 to 0.550); until now 0.387
           (lite at a false accept rate of 0.001)
rests on   12,345 comparisons of 420 pairs of people: measured down to a rate of 0.1, drawn on as a
           normal tail from there
left out   somebody seems to be seen twice (mirrors, collages): 1 photo; shots repeated (bursts,
           copies): 12 faces; people of one photo only: 30 pairs; kept: 2 pairs of look-alikes often
           seen together
accepts    92.5 % of 40 pairs of references of one person

different people
                         █████████████████████████████████│███████████████
                         █████████████████████████████████│███████████████
                         █████████████████████████████████│███████████████
▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂█████████████████████████████████│███████████████
one person
                         █████████████████████████████████│███████████████
                         █████████████████████████████████│███████████████
                         █████████████████████████████████│████████████████████████████████████████
                         █████████████████████████████████│████████████████████████████████████████
-0.2           0.0              0.2             0.4     0.512   0.6              0.8            1.0

name  photos until now  photos  which
엄마                12      11  lost: b.jpg
`chueok find` goes by threshold 0.512 in this library from now on, and \
`chueok calibrate --forget` takes that back; 3,000 faces looked at in 1.2 s
epoch 1 of 6: loss 0.1504, EER 16.25 %, rank-1 85.61 %, the best so far, after 13.3 s
people    pictures  measure   before    after    change, 95 %  verdict
held-out       368  EER      17.38 %  15.39 %  -3.10 to -0.82  better
learnt for 6 epochs in 2 min 07 s; the learning curve: run/curve.png; installed: it is better; use it: \
`chueok model use lite-tuned`, and go back: `chueok model use lite`
lr     freeze  EER before      EER   rank-1  epoch  seconds
5e-05  bn         18.82 %  15.61 %  84.17 %      5      127
compared 6 combinations (2 by earlier runs) in 5 min 01 s; the table: run/sweep.csv; the best: \
--lr 5e-05 --freeze bn
by the way
"""


def test_a_scan_shows_its_rate_and_leaves_only_failures_and_the_result(screen: Screen) -> None:
    moments = iter(range(100))
    messages = LiveMessages(screen.stream, colored=False, clock=lambda: float(next(moments)))
    with_progress: list[Record] = [
        PhotoIndexed(Path("u.jpg"), Status.UNCHANGED, 1),
        ScanStarted(3, 2, 1000),
        PhotoIndexed(Path("a.jpg"), Status.NEW, 2),
        PhotoIndexed(Path("b\x1b[2J.jpg"), Status.FAILED, 0, "it is empty"),
        ScanSummary({Status.NEW: 1, Status.UNCHANGED: 1, Status.FAILED: 1}, 2, 0, 0, 0, 4.2),
    ]
    for record in with_progress:
        messages.tell(record)
    messages.close()
    seen = screen.seen()
    assert "reading photos" in seen
    assert "1/2" in seen
    assert "2/2" in seen
    assert "photos/s" in seen
    assert "\x1b[2J" not in seen
    assert _what_stays(seen) == [
        "cannot read b\\x1b[2J.jpg: it is empty",
        "indexed 3 photos (1 new, 1 unchanged, 1 failed): 2 faces in 4.2 s",
    ]


def test_touched_photos_that_turn_out_unchanged_move_the_bar_of_every_album(screen: Screen) -> None:
    moments = iter(range(100))
    messages = LiveMessages(screen.stream, colored=False, clock=lambda: float(next(moments)))
    for untouched, touched in ((2, 3), (2, 4)):
        for number in range(untouched + touched):
            if number == untouched:
                messages.tell(ScanStarted(untouched + touched, touched, 1000))
            messages.tell(PhotoIndexed(Path(f"{number}.jpg"), Status.UNCHANGED, 1))
    messages.close()
    drawn = dict.fromkeys(re.findall(r"\d/\d", screen.seen()))
    assert list(drawn) == ["0/3", "1/3", "2/3", "3/3", "0/4", "1/4", "2/4", "3/4", "4/4"]


def _what_stays(seen: str) -> list[str]:
    """The lines a terminal would still show: what was not overwritten after a return or a clear-line code."""
    lines = [re.split(r"\r|\x1b\[2K", line)[-1] for line in seen.split("\n")]
    plain = [re.sub(r"\x1b\[[?0-9;]*[A-Za-z]", "", line).strip() for line in lines]
    return [line for line in plain if line and not re.search(r"\ws/s|^(reading|learning) ", line)]


def test_counted_work_shows_the_rate_of_this_run_and_no_message_breaks_its_bar(screen: Screen) -> None:
    moment = 0.0
    messages = LiveMessages(screen.stream, colored=False, clock=lambda: moment)
    for step in range(1, 5):
        messages.tell(Progress("learning views", "views", 1_000_000 + 32 * step, 1_000_160))
        moment += 2
    messages.tell(Note("by the way"))
    messages.tell(Progress("learning views", "views", 1_000_160, 1_000_160))
    messages.tell(Note("the end"))
    messages.close()
    seen = screen.seen()
    rates = set(re.findall(r"([\d.]+) views/s", seen))
    assert rates == {"16.0"}
    assert "1000032/1000160" in seen
    assert _what_stays(seen) == ["by the way", "the end"]


def test_the_next_lot_is_counted_anew(screen: Screen) -> None:
    moments = iter(range(100))
    messages = LiveMessages(screen.stream, colored=False, clock=lambda: float(next(moments)))
    for total in (3, 2):
        for done in range(total + 1):
            messages.tell(Progress("reading", "pictures", done, total))
    messages.tell(Progress("reading", "pictures", 5, 9))
    messages.tell(Progress("reading", "pictures", 1, 7))
    messages.close()
    drawn = dict.fromkeys(re.findall(r"\d/\d", screen.seen()))
    assert list(drawn) == ["0/3", "1/3", "2/3", "0/2", "1/2", "5/9", "1/7"]


def test_rows_that_come_between_counted_work_are_one_table_below_no_bar(on_terminal: OnTerminal) -> None:
    row = NetworkMeasured("ours", 7_646_595, 5.123, None, None)
    counted = [Progress("learning", "views", done, 3) for done in (1, 2)]
    assert [line[:4] for line in _what_stays(on_terminal(row, *counted, replace(row, model="mine")))] == [
        "mode", "ours", "mine",
    ]  # fmt: skip


@pytest.mark.parametrize("options", [{"environ": {"TERM": "dumb"}}, {"quiet": True}, {"json": True}], ids=str)
def test_counted_work_is_not_animated_where_nothing_is(
    on_terminal: OnTerminal, options: dict[str, object]
) -> None:
    assert on_terminal(Progress("learning", "views", 1, 3), **options) == ""


def test_a_collection_shows_its_progress(screen: Screen, records: Records) -> None:
    messages = LiveMessages(screen.stream, colored=False)
    plan = next(record for record in records if isinstance(record, Plan))
    messages.tell(replace(plan, transfer=Transfer.MOVE))
    messages.close()
    assert "moving photos" in screen.seen()


def test_quiet_shows_neither_progress_nor_result(on_terminal: OnTerminal, records: Records) -> None:
    assert on_terminal(*records[:4], quiet=True) == "cannot read b.jpg: it is empty\n"


def test_a_dumb_terminal_is_not_animated(on_terminal: OnTerminal, records: Records) -> None:
    assert on_terminal(*records[:4], environ={"TERM": "dumb"}) == (
        "cannot read b.jpg: it is empty\nindexed 2 photos (1 new, 1 failed): 2 faces in 4.2 s\n"
    )


def test_json_on_a_terminal_is_not_animated(on_terminal: OnTerminal, records: Records) -> None:
    seen = on_terminal(*records[:4], json=True)
    assert [line[:12] for line in seen.splitlines()] == ['{"schema":1,'] * 3


@pytest.mark.parametrize(
    ("options", "colored"),
    [
        ({"environ": {"TERM": "xterm"}}, True),
        ({"environ": {"NO_COLOR": "1"}}, False),
        ({"environ": {"NO_COLOR": ""}}, True),
        ({"environ": {"NO_COLOR": "1"}, "color": "always"}, True),
        ({"environ": {"TERM": "xterm"}, "color": "never"}, False),
        ({"environ": {"TERM": "dumb"}}, False),
    ],
)
def test_color_follows_the_flag_then_the_environment(
    on_terminal: OnTerminal, match: Match, options: dict[str, object], colored: bool
) -> None:
    assert ("\x1b[1m" in on_terminal(match, **options)) is colored


def test_null_ended_paths_are_plain_even_on_a_terminal(on_terminal: OnTerminal, match: Match) -> None:
    assert on_terminal(match, match, null=True) == "a.jpg\0a.jpg\0"


def test_a_terminal_that_is_not_utf8_gets_escapes_instead_of_an_error(screen: Screen, match: Match) -> None:
    screen.stream.reconfigure(encoding="ascii")  # type: ignore[attr-defined]  # it is a TextIOWrapper
    with _open(screen, {"NO_COLOR": "1"}) as output:
        output.show(replace(match, photo=Path("엄마.jpg")))
    assert "\\uc5c4\\ub9c8.jpg" in screen.seen()


def test_missing_photos_of_a_plan_are_named(on_terminal: OnTerminal, records: Records) -> None:
    (action,) = next(record for record in records if isinstance(record, Plan)).actions
    steps = [
        action,
        replace(action, step=Step.REPLACE),
        replace(action, displaced=Path("out/a (2).jpg")),
        replace(action, step=Step.SKIPPED),
        replace(action, step=Step.ALREADY_THERE),
        replace(action, step=Step.MISSING),
    ]
    assert on_terminal(*steps).splitlines() == [
        "a.jpg -> out/a.jpg",
        "a.jpg -> out/a.jpg, replacing the file there",
        "a.jpg -> out/a.jpg, the file there becomes out/a (2).jpg",
        "a.jpg: skipped, another file is at out/a.jpg",
        "a.jpg: already there as out/a.jpg",
        "a.jpg: it is no longer there",
    ]
