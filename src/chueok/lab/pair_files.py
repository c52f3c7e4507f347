"""Which pictures of a data set to compare, as a file: LFW's pairs.txt, or a table of two files and a decision."""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from chueok.errors import UsageError
from chueok.lab.comparisons import Pair

Folds = tuple[tuple[Pair, ...], ...]

COLUMNS = ("file_x", "file_y", "Decision", "fold")
_TITLES = ",".join(COLUMNS[:3])
_SAME, _DIFFERENT = ("yes", "true", "1", "same"), ("no", "false", "0", "different")


def read_pairs(path: Path, names: Sequence[str]) -> Folds:
    """The pairs in a file, fold by fold; their numbers are the pictures'.

    names: of the pictures, below the data set's folder. A table uses them; LFW's format means their files without
    folder and ending, as Abel_Pacheco_0001. Raises UsageError.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig", "surrogateescape")  # a file name need not be UTF-8
    except OSError as error:
        raise UsageError(f"{path} cannot be read as pairs: {error.strerror}") from error
    try:
        rows = list(_rows(text))
    except csv.Error as error:
        raise UsageError(f"{path} cannot be read as pairs: {error}") from error
    if rows and rows[0][1][:2] == list(COLUMNS[:2]):
        return _table(path, rows, _numbered(path, names, nfc))
    return _lfw(path, text.split("\n"), names)


def _rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """The lines of a CSV file by their numbers."""
    reader = csv.reader(io.StringIO(text, newline=""))
    for row in reader:
        if row:
            yield reader.line_num, row


def _numbered(path: Path, names: Sequence[str], called: Callable[[str], str]) -> dict[str, int]:
    """Pictures by what the file calls them. Raises UsageError where it calls two the same."""
    numbers: dict[str, int] = {}
    for number, name in enumerate(names):
        first = numbers.setdefault(called(name), number)
        if first != number:
            raise UsageError(
                f"the data set has two pictures {called(name)}: {names[first]} and {name}; {path} cannot tell them "
                "apart"
            )
    return numbers


def _table(path: Path, rows: Sequence[tuple[int, list[str]]], numbers: Mapping[str, int]) -> Folds:
    """`file_x,file_y,Decision` and, where there are folds, `fold`. Raises UsageError."""
    titles = rows[0][1]
    if COLUMNS[2] not in titles:
        raise UsageError(f"{path} has no column {COLUMNS[2]}; its first line must be `{_TITLES}`")
    folds: dict[str, list[Pair]] = {}
    decided: dict[frozenset[int], bool] = {}
    for line, row in rows[1:]:
        cells = dict(zip(titles, [*row, *[""] * len(titles)], strict=False))
        pair = _decided(f"{path}, line {line}", cells, numbers)
        if decided.setdefault(frozenset((pair.first, pair.second)), pair.same) != pair.same:
            raise UsageError(f"{path}, line {line} contradicts an earlier one about the same two pictures")
        folds.setdefault(cells.get(COLUMNS[3], ""), []).append(pair)
    if not folds:
        raise UsageError(f"{path} has no pairs; its lines are `{_TITLES}`")
    return tuple(tuple(dict.fromkeys(pairs)) for pairs in folds.values())


def _decided(line: str, cells: Mapping[str, str], numbers: Mapping[str, int]) -> Pair:
    """One line of a table. Raises UsageError."""
    decision = cells[COLUMNS[2]].strip().lower()
    if decision not in (*_SAME, *_DIFFERENT):
        raise UsageError(f"{line}: the decision is {decision!r}; it takes yes or no: one person, or two")
    names = [nfc(cells[column]) for column in COLUMNS[:2]]
    for name in names:
        if name not in numbers:
            raise UsageError(f"{line} names {name!r}, but there is no such picture in the data set")
    first, second = sorted(numbers[name] for name in names)
    if first == second:
        raise UsageError(f"{line} compares {names[0]!r} with itself")
    return Pair(first, second, decision in _SAME)


def _lfw(path: Path, lines: Sequence[str], names: Sequence[str]) -> Folds:
    """The folds of a pairs.txt. Raises UsageError.

    Its first line says how many folds there are and how many pairs of either kind each has (one number: of a single
    fold); the others are pairs.
    """
    try:
        *folds, each = (int(number) for number in lines[0].split())
    except ValueError as error:
        raise UsageError(
            f"{path} does not begin with LFW's counts, as `10 300`, nor with `{_TITLES}`"
        ) from error
    numbers = _numbered(path, names, lambda name: nfc(Path(name).stem))
    pairs = [_pair(path, line, numbers) for line in lines[1:] if line.strip()]
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
    """A name by one spelling, since file systems and editors differ."""
    return unicodedata.normalize("NFC", text)
