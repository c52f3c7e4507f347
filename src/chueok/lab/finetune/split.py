"""Who is learnt from, who says when to stop, and who decides at the end: never the same people."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from chueok.errors import UsageError

_LEAST = 2  # people in each part: one has nobody to be told from


@dataclass(frozen=True, slots=True)
class Split:
    """Names of people, sorted; no name stands twice."""

    taught: tuple[str, ...]
    validation: tuple[str, ...]  # decide when to stop
    held_out: tuple[str, ...]  # decide whether the model is better; seen by nothing before
    single: tuple[str, ...]  # with one face only, in no part: nothing is like it


def split_people(people: Sequence[str], validation: float, held_out: float, seed: int) -> Split:
    """Deal people out by lot. people: whose face each one is; shares 0..1. Raises UsageError for too few.

    The same people and seed give the same parts; a person more moves a few others at most.
    """
    counts = Counter(people)
    several = sorted(name for name, count in counts.items() if count > 1)
    least = 3 * _LEAST
    if len(several) < least:
        raise UsageError(
            f"of {len(counts):,} people {len(several):,} have two pictures with a face or more; at least {least} such "
            f"people are needed, {_LEAST} each to learn from, to stop by and to decide with. Add people or pictures"
        )
    # by name, not by place in a list: who joins later moves nobody but those at the borders
    order = sorted(several, key=lambda name: hashlib.sha256(f"{seed}/{name}".encode()).digest())
    first = min(max(_LEAST, round(held_out * len(several))), len(several) - 2 * _LEAST)
    second = min(first + max(_LEAST, round(validation * len(several))), len(several) - _LEAST)
    return Split(
        taught=tuple(sorted(order[second:])),
        validation=tuple(sorted(order[first:second])),
        held_out=tuple(sorted(order[:first])),
        single=tuple(sorted(name for name, count in counts.items() if count == 1)),
    )
