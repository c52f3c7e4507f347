"""Which pictures of a data set to compare, as a file: LFW's pairs.txt, or a table of two files and a decision."""

from __future__ import annotations

import csv
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path

from chueok.errors import UsageError
from chueok.lab.comparisons import Pair

Folds = tuple[tuple[Pair, ...], ...]

COLUMNS = ("file_x", "file_y", "Decision", "fold")
_SAME, _DIFFERENT = ("yes", "true", "1", "same"), ("no", "false", "0", "different")


def read_pairs(path: Path, numbers: Mapping[str, int], stems: Mapping[str, int]) -> Folds:
    """The pairs in a file, fold by fold; their numbers are the pictures'.

    numbers: of pictures by their names below the data set's folder, which a table uses. stems: by the names of their
    files without the ending, as Abel_Pacheco_0001, which LFW's format means. Raises UsageError.
    """
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read as pairs: {error}") from error
    if lines and lines[0].startswith(",".join(COLUMNS[:2])):
        return _table(path, lines, numbers)
    return _lfw(path, lines, stems)


def _table(path: Path, lines: Sequence[str], numbers: Mapping[str, int]) -> Folds:
    """`file_x,file_y,Decision` and, where there are folds, `fold`. Raises UsageError."""
    folds: dict[str, list[Pair]] = {}
    for line, row in enumerate(csv.DictReader(lines), 2):
        decision = (row.get("Decision") or "").strip().lower()
        if decision not in (*_SAME, *_DIFFERENT):
            raise UsageError(
                f"{path}, line {line}: the decision is {decision!r}; it takes yes or no: one person, or two"
            )
        try:
            first, second = (numbers[nfc(row[column] or "")] for column in COLUMNS[:2])
        except KeyError as error:
            raise UsageError(
                f"{path}, line {line} names {error.args[0]}, but there is no such picture in the data set"
            ) from error
        folds.setdefault(row.get("fold") or "", []).append(Pair(first, second, decision in _SAME))
    if not folds:
        raise UsageError(f"{path} has no pairs; its lines are `{','.join(COLUMNS[:3])}`")
    return tuple(tuple(pairs) for pairs in folds.values())


def _lfw(path: Path, lines: Sequence[str], numbers: Mapping[str, int]) -> Folds:
    """The folds of a pairs.txt. Raises UsageError.

    Its first line says how many folds there are and how many pairs of either kind each has (one number: of a single
    fold); the others are pairs.
    """
    try:
        first, *rest = lines
        *folds, each = (int(number) for number in first.split())
    except ValueError as error:
        raise UsageError(
            f"{path} does not begin with LFW's counts, as `10 300`, nor with `{','.join(COLUMNS[:3])}`"
        ) from error
    pairs = [_pair(path, line, numbers) for line in rest if line.strip()]
    wanted, size = sum(folds) if folds else 1, 2 * each
    if size < 1 or len(pairs) != wanted * size:
        raise UsageError(f"{path} promises {wanted} x {size} pairs, but has {len(pairs)}")
    return tuple(tuple(pairs[start : start + size]) for start in range(0, len(pairs), size))


def _pair(path: Path, line: str, numbers: Mapping[str, int]) -> Pair:
    """`name i j` is one person, `name i other j` are two. Raises UsageError.

    Tabs between them, so that a name may have blanks; where a line has no tab, blanks.
    """
    line = nfc(line.strip())
    words = line.split("\t" if "\t" in line else None)
    try:
        person, one, other, another = words if len(words) == 4 else (*words[:2], *words[:1], *words[2:])
        first, second = f"{person}_{int(one):04}", f"{other}_{int(another):04}"
        return Pair(numbers[first], numbers[second], same=len(words) == 3)
    except ValueError as error:
        raise UsageError(f"{path}: {line!r} is no pair; lines are `name i j` or `name i other j`") from error
    except KeyError as error:
        raise UsageError(f"{path} names {error.args[0]}, but there is no such picture beside it") from error


def nfc(text: str) -> str:
    """A name by one spelling: NFC, since file systems and editors differ."""
    return unicodedata.normalize("NFC", text)
