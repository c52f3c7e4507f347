"""A pipe gets one answer a line and nothing else; the words go to stderr."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from chueok.output.base import Record
from chueok.records import Match

Piped = Callable[..., tuple[bytes, str]]
Records = tuple[Record, ...]


def test_each_record_has_its_line_or_its_words(piped: Piped, records: Records) -> None:
    assert piped(*records) == (STDOUT, STDERR)


STDOUT = """\
a.jpg
김민지\t0.6200\t81.0
mom
match\t0.7100\t0.4200\tref.jpg
library: lib
model: lite
photos: 12
pictures: 11 different, with references and galleries
faces: 40
people: 1
catalog: 12.3 MB
index: ready, 900 bytes
last scan: 2019-05-02 10:11
album: Photos (12 photos, 40 faces, 1 missing, 1 failed, its folder is not there now)
failed: Photos/b.jpg: it is empty
lite\tcurrent\t1262733\tMIT
faces/lfw\tlite\t0.9192\t0.7120\t0.5000\t-\t0.8000\t0.4570\t0.5680\t-\t0.9300\t0.9050\t0.9173\t0.0810\t0.9710\t-\t-
faces/lfw\tlite\tmobilefacenet\taccuracy\t-0.0100\t-0.0200\t-0.0050
faces/lfw\tlite\tmobilefacenet\teer\t-0.0200\t-0.0300\t-0.0100
faces/lfw\tlite\tmobilefacenet\t1e-2\t0.0010\t-0.0100\t0.0200
faces/lfw\tlite\tmobilefacenet\trank1\t0.0000\t-\t-
ours\t7646595\t5.12\t-\t-
int8\t1964546\t1.90\t0.9987\t0.9965
0.5123\t0.4700\t0.5500\t0.001
held-out\tEER\t0.1738\t0.1539\t-0.0310\t-0.0082\tbetter
0.1882\t0.1561\t0.8417\t5\tlr=5e-05\tfreeze=bn
""".encode()

STDERR = """\
cannot read b.jpg: it is empty
indexed 2 photos (1 new, 1 failed): 2 faces in 4.2 s
1 photo of mom; threshold 0.420 (lite at FAR 1e-3); 61 faces searched in 0.03 s
compared selfie.jpg with 75 people (80 pictures, 2 unusable) by lite in 0.15 s
50 % means similarity 0; the percentage is a playful scale, not a probability. \
The percentile is the share of this gallery's scores between different people that lie below.
mom: learned from ref.jpg (face of 130 x 150 pixels)
enrolled mom from 1 reference in 0.40 s; find the photos: `chueok find mom`
a.jpg -> out/a.jpg
copied 12 photos to out (3 already there, 1 failed)
wrote 1,972 pairs of one person and 1,972 of two in 10 folds, of 749 people; 1 picture without a face; \
measure with them: `chueok lab evaluate DATASET --pairs FILE`
measured 1 model on 1,583 pictures, 1 without a face, of 1 data set, in 1 min 01 s
calibrated with 400 crops, compared on 1,000 others in 27.5 s; install it: `chueok model fetch int8 --from to/int8.toml`
kept 464 of 656 filters and learnt from 32,000 views in 2 min 58 s; similarity to the original 0.9713; install it: \
`chueok model fetch pruned --from to/pruned.toml`; it has no threshold, as the original's are not its own: \
--evaluate DATASET measures them
16,000 views: loss 0.4123, similarity to the teacher 0.7006, after 3 min 34 s
learnt from 6,000,000 views in 2 h 00 min; similarity to the teacher 0.9123; the learning curve: run/curve.png; \
install the student: `chueok model fetch student --from run/student.toml`, or make it smaller with \
`chueok lab quantize` first
`chueok find` goes by threshold 0.512 in this library from now on, and \
`chueok calibrate --forget` takes that back; 3,000 faces looked at in 1.2 s
epoch 1 of 6: loss 0.1504, EER 16.25 %, rank-1 85.61 %, the best so far, after 13.3 s
learnt for 6 epochs in 2 min 07 s; the learning curve: run/curve.png; installed: it is better; use it: \
`chueok model use lite-tuned`, and go back: `chueok model use lite`
compared 6 combinations (2 by earlier runs) in 5 min 01 s; the table: run/sweep.csv; the best: \
--lr 5e-05 --freeze bn
by the way
"""


def test_quiet_keeps_the_data_and_the_failures(piped: Piped, records: Records) -> None:
    assert piped(*records, quiet=True) == (STDOUT, "cannot read b.jpg: it is empty\n")


def test_verbose_names_every_photo(piped: Piped, records: Records) -> None:
    stdout, stderr = piped(*records, verbose=True)
    added = [line for line in stderr.splitlines() if line not in STDERR.splitlines()]
    assert (stdout, added) == (STDOUT, ["new: a.jpg (2 faces)"])
    assert stderr.count("a.jpg -> out/a.jpg") == 2  # planned, and done


def test_a_path_is_its_own_bytes(piped: Piped, match: Match) -> None:
    name = b"a\nb \xff \x1b[31m.jpg"
    photo = replace(match, photo=Path(os.fsdecode(name)))
    assert piped(photo, photo) == (name + b"\n" + name + b"\n", "")


def test_null_ends_paths_with_nul(piped: Piped, match: Match) -> None:
    assert piped(match, replace(match, photo=Path("b\nc.jpg")), null=True) == (b"a.jpg\0b\nc.jpg\0", "")
