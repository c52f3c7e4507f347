"""Pairs to verify with, made from a data set: every pair of one person, and pairs of two drawn by lot."""

from __future__ import annotations

import csv
import io
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations
from math import comb
from typing import BinaryIO

import numpy as np

from chueok.errors import UsageError
from chueok.lab.comparisons import Pair
from chueok.lab.datasets import Dataset
from chueok.lab.evaluate import notes
from chueok.lab.faces import read_faces
from chueok.lab.pair_files import COLUMNS
from chueok.measures import Counted, PairsSummary
from chueok.records import Note
from chueok.settings import Settings
from chueok.vision.reader import NETWORKS, ReaderSource


def write_pairs(
    dataset: Dataset,
    file: BinaryIO,
    settings: Settings,
    *,
    negatives: int | None = 0,
    folds: int = 1,
    seed: int = 0,
    source: ReaderSource = NETWORKS,
    progress: Counted = lambda read, pictures: None,
) -> Iterator[Note | PairsSummary]:
    """Write the pairs of the pictures that show a face as a table: file_x, file_y, Decision (yes, no), fold.

    negatives, folds, seed: see `make_pairs`. Pictures without a face are named, and in no pair. Raises UsageError where
    there are too few people, and what `read_faces` does.
    """
    started = time.monotonic()
    make_pairs(
        [picture.person for picture in dataset.pictures], negatives=1, folds=folds
    )  # or all is for nothing
    faces = read_faces(replace(dataset, folds=()), settings, source=source, progress=progress)
    yield from notes(faces)
    made = make_pairs(faces.people, negatives=negatives, folds=folds, seed=seed)
    file.write(as_line(COLUMNS))
    for number, fold in enumerate(made, 1):
        for pair in fold:
            names = faces.pictures[pair.first].name, faces.pictures[pair.second].name
            file.write(as_line((*names, "yes" if pair.same else "no", str(number))))
    positive = sum(pair.same for fold in made for pair in fold)
    yield PairsSummary(
        people=len(set(faces.people)),
        pictures=len(dataset.pictures),
        faceless=len(faces.faceless),
        unreadable=len(faces.unreadable),
        positive=positive,
        negative=sum(map(len, made)) - positive,
        folds=folds,
        seconds=time.monotonic() - started,
    )


def as_line(cells: Sequence[str]) -> bytes:
    """A line of a CSV file; a file name that is not UTF-8 keeps its bytes."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue().encode("utf-8", "surrogateescape")


def make_pairs(
    people: Sequence[str], *, negatives: int | None = 0, folds: int = 1, seed: int = 0
) -> list[list[Pair]]:
    """Pairs of pictures, fold by fold; people[i] is who picture i shows.

    Nobody is in two folds, and folds have about as many pairs of one person each. negatives: pairs of two people to
    draw in all; 0: as many as there are of one person; None: all of them. Where a fold has fewer, it gets what it has.
    The same seed makes the same pairs. Raises UsageError where a fold would have no pair of one person, or one person
    only.
    """
    random = np.random.default_rng(seed)
    groups = _dealt(people, folds, random)
    made = []
    of_person: dict[str, list[int]] = {}
    for row, person in enumerate(people):
        of_person.setdefault(person, []).append(row)
    for number, group in enumerate(groups):
        pictures = sorted(row for person in group for row in of_person[person])
        same = [
            Pair(*pair, same=True) for person in sorted(group) for pair in combinations(of_person[person], 2)
        ]
        if not same or len(group) < 2:
            raise UsageError(
                f"{len(of_person)} people are too few: each fold needs two people, and two pictures of one of them"
                + ("; give fewer --folds" if folds > 1 else "")
            )
        # of 10 pairs for 3 folds the first gets 4
        wanted = negatives if negatives is None else (negatives + folds - 1 - number) // folds
        wanted = len(same) if negatives == 0 else wanted
        made.append(same + _strangers(people, pictures, wanted, random))
    return made


def _dealt(people: Sequence[str], folds: int, random: np.random.Generator) -> list[set[str]]:
    """The people of each fold, as many in each: dealt forth and back, those with most pictures first."""
    counts = Counter(people)
    names = sorted(counts)
    random.shuffle(names)
    names.sort(key=lambda name: -counts[name])
    turn = [*range(folds), *reversed(range(folds))]
    groups: list[set[str]] = [set() for _ in range(folds)]
    for place, name in enumerate(names):
        groups[turn[place % len(turn)]].add(name)
    return groups


def _strangers(
    people: Sequence[str], pictures: Sequence[int], wanted: int | None, random: np.random.Generator
) -> list[Pair]:
    """Pairs of two people among these pictures: so many drawn by lot, or all."""
    counts = Counter(people[row] for row in pictures)
    there = comb(len(pictures), 2) - sum(comb(count, 2) for count in counts.values())
    if wanted is None or 2 * wanted >= there:
        every = [pair for pair in combinations(pictures, 2) if people[pair[0]] != people[pair[1]]]
        if wanted is not None and wanted < there:
            every = [every[row] for row in np.sort(random.choice(there, wanted, replace=False))]
        return [Pair(*pair, same=False) for pair in every]
    drawn: dict[tuple[int, int], None] = {}
    while len(drawn) < wanted:
        one, other = sorted(random.choice(len(pictures), 2, replace=False).tolist())
        pair = pictures[one], pictures[other]
        if people[pair[0]] != people[pair[1]]:
            drawn[pair] = None
    return [Pair(*pair, same=False) for pair in drawn]
